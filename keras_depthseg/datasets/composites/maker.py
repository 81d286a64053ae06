"""Makes the composites of a plan from their sources."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from keras_depthseg.datasets import records
from keras_depthseg.datasets.composites import paste, placing
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.plan import Entry, Plan
from keras_depthseg.datasets.composites.scene import Scene
from keras_depthseg.datasets.composites.settings import (
    BackgroundSource,
    CompositesConfig,
    CompositeSettings,
    CutoutSource,
)
from keras_depthseg.datasets.teacher.teacher import Teacher, TeacherSettings, load_teacher

# Of what a `Maker` keeps decoded, of backgrounds and of cutouts each.
_CACHE_BYTES = 2**28
# Labelled at a time.
_BATCH = 16
# Keeps the random streams of samples apart from those of the plan.
_SAMPLE = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Maker:
    """Makes composites one by one; each depends on its number and the recipe only.

    Keeps the pictures that it has read last; threads may share it. Can be pickled before
    it is used.
    """

    recipe: CompositeSettings
    plan: Plan
    backgrounds: Sequence[BackgroundSource]
    cutouts: Sequence[CutoutSource]

    @classmethod
    def of(cls, config: CompositesConfig) -> Maker:
        """For the composites of a configuration."""
        return cls(config.recipe, config.plan, config.backgrounds, config.cutouts)

    @functools.cached_property
    def scene(self) -> Callable[[int], Scene]:
        """Gives the background of an index."""
        # 4 bytes a pixel; with depth, its holes filled and ground 10 more.
        largest = (4 if self.recipe.depth is None else 14) * self.recipe.size**2
        return functools.lru_cache(max(1, _CACHE_BYTES // largest))(
            lambda index: make_scene(self.backgrounds[index], self.recipe)
        )

    @functools.cached_property
    def _layer(self) -> Callable[[int], Layer]:
        # Nearer standing ones are higher; shrinking is better than enlarging.
        factor = 2 if self.recipe.placement == "standing" else 1
        size = factor * self.recipe.fg_height, factor * self.recipe.size
        return functools.lru_cache(max(1, _CACHE_BYTES // (4 * size[0] * size[1])))(
            lambda index: self.cutouts[index].read(*size)
        )

    def composites(
        self, numbers: np.ndarray
    ) -> Iterator[tuple[Entry, Scene, paste.Composite]]:
        """Composites of entries of the plan, in order, labelled if there is a teacher."""
        teacher = None
        if isinstance(self.recipe.depth, TeacherSettings):
            teacher = _teacher(self.recipe.depth)
        for start in range(0, len(numbers), _BATCH):
            batch = numbers[start : start + _BATCH].tolist()
            made = [self._composite(number) for number in batch]
            if teacher is None:
                yield from made
                continue
            depths = teacher.label(np.stack([it.fg_bg for _, _, it in made]))
            depths = np.maximum(depths, np.float32(records.NEAREST_DEPTH))
            for (entry, scene, composite), depth in zip(made, depths, strict=True):
                yield entry, scene, dataclasses.replace(composite, depth=depth)

    def _composite(self, number: int) -> tuple[Entry, Scene, paste.Composite]:
        entry = self.plan.entry(number)
        scene = self.scene(entry.bg)
        cutout = self._layer(entry.fg)
        composite = placing.make_composite(
            scene,
            cutout.flipped() if entry.flip else cutout,
            self.recipe.fg_height,
            self.recipe.placement,
            self.recipe.shadow,
            np.random.default_rng([self.recipe.seed, _SAMPLE, number]),
        )
        return entry, scene, composite


def make_scene(background: BackgroundSource, recipe: CompositeSettings) -> Scene:
    """Reads a background, and its depth where that is known before composing."""
    return Scene.of(*background.read(recipe.size), recipe.lossless)


_loading = threading.Lock()


_load_teacher = functools.lru_cache(1)(load_teacher)


def _teacher(settings: TeacherSettings) -> Teacher:
    # Threads that want it at once wait for one network and do not each load their own.
    with _loading:
        return _load_teacher(settings)
