"""Making the composites of a plan from their sources."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from keras_depthseg.datasets import records
from keras_depthseg.datasets.composites import paste, placing, rich
from keras_depthseg.datasets.composites.decoded import Decoded
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.plan import Plan, PlannedComposite
from keras_depthseg.datasets.composites.scene import Scene
from keras_depthseg.datasets.composites.settings import (
    BackgroundSource,
    CompositesConfig,
    CompositeSettings,
    CutoutSource,
)
from keras_depthseg.datasets.composites.views import random_view
from keras_depthseg.datasets.teacher import teacher
from keras_depthseg.datasets.teacher.teacher import Teacher, TeacherSettings

# Composites labelled at once.
_BATCH = 16
# Keeps the random streams of composites apart from those of the plan.
_SAMPLE = 3


@dataclasses.dataclass(frozen=True, eq=False)
class Maker:
    """Makes composites one by one; each depends on its number and the settings only.

    The images read last are kept. Threads may share a maker. It can be pickled before
    its first use.

    Attributes:
        settings: how composites are made.
        plan: the composites to make.
        backgrounds, cutouts: the sources.
        unseen_fg: (cutouts,) bool, kept out of training: never beside one that is not.
        cache_bytes: memory for decoded backgrounds, and the same for cutouts.
    """

    settings: CompositeSettings
    plan: Plan
    backgrounds: Sequence[BackgroundSource]
    cutouts: Sequence[CutoutSource]
    unseen_fg: np.ndarray
    cache_bytes: int = 2**28

    @classmethod
    def of(cls, config: CompositesConfig) -> Maker:
        """Return the maker of a configuration's composites."""
        return cls(
            config.settings,
            config.plan,
            config.backgrounds,
            config.cutouts,
            config.held_out()[1],
        )

    @functools.cached_property
    def scene(self) -> Callable[[int], Scene]:
        """From the index of a background to its scene."""
        # 4 bytes a pixel; depth, depth without holes and ground are 10 more.
        largest = (4 if self.settings.depth is None else 14) * self.settings.size**2
        return functools.lru_cache(max(1, self.cache_bytes // largest))(
            lambda index: make_scene(self.backgrounds[index], self.settings)
        )

    @functools.cached_property
    def _layer(self) -> Callable[[int], Layer]:
        # Nearer standing ones are higher; shrinking is better than enlarging.
        factor = 2 if self.settings.placement == "standing" else 1
        size = factor * self.settings.fg_height, factor * self.settings.size
        return functools.lru_cache(max(1, self.cache_bytes // (4 * size[0] * size[1])))(
            lambda index: self.cutouts[index].read(*size)
        )

    @functools.cached_property
    def _decoded(self) -> Decoded:
        size = self.settings.size
        return Decoded(self.backgrounds, self.cutouts, size, size, self.cache_bytes)

    def composites(
        self, numbers: np.ndarray
    ) -> Iterator[tuple[PlannedComposite, Scene, paste.Composite]]:
        """Make the composites of some numbers, in order; a teacher labels their depth."""
        labeller = None
        if isinstance(self.settings.depth, TeacherSettings):
            labeller = _teacher(self.settings.depth)
        for start in range(0, len(numbers), _BATCH):
            batch = numbers[start : start + _BATCH].tolist()
            made = [self._composite(number) for number in batch]
            if labeller is None:
                yield from made
                continue
            images = np.stack([composite.fg_bg for _, _, composite in made])
            depths = np.maximum(labeller.label(images), np.float32(records.NEAREST_DEPTH))
            for (planned, scene, composite), depth in zip(made, depths, strict=True):
                yield planned, scene, dataclasses.replace(composite, depth=depth)

    def _composite(self, number: int) -> tuple[PlannedComposite, Scene, paste.Composite]:
        planned = self.plan.planned(number)
        rng = np.random.default_rng([self.settings.seed, _SAMPLE, number])
        if self.settings.variety == "rich":
            return planned, *self._rich(planned, rng)
        scene = self.scene(planned.bg)
        cutout = self._layer(planned.fg)
        composite = placing.make_composite(
            scene,
            cutout.flipped() if planned.flip else cutout,
            self.settings.fg_height,
            self.settings.placement,
            self.settings.shadow,
            rng,
        )
        return planned, scene, composite

    def _rich(
        self, planned: PlannedComposite, rng: np.random.Generator
    ) -> tuple[Scene, paste.Composite]:
        beside = np.flatnonzero(self.unseen_fg == self.unseen_fg[planned.fg])
        chosen = rich.choose(planned.fg, beside, rng)
        view = random_view(self._decoded.scene(planned.bg), self.settings.size, rng)
        scene = Scene.of(view.bg, view.depth, self.settings.lossless, view.filled)
        layers = [self._decoded.layer(index) for index in chosen]
        return scene, rich.make_rich(scene, layers, self.settings.shadow, rng)


def make_scene(background: BackgroundSource, settings: CompositeSettings) -> Scene:
    """Read a background, and its depth if that is known before composing."""
    return Scene.of(*background.read(settings.size), settings.lossless)


_loading = threading.Lock()


def _teacher(settings: TeacherSettings) -> Teacher:
    # Threads that need the network at the same time wait for one of them to load it.
    with _loading:
        return _loaded(settings)


@functools.lru_cache(1)
def _loaded(settings: TeacherSettings) -> Teacher:
    return teacher.load_teacher(settings)
