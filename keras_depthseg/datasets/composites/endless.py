"""Rich composites without end, for training that composes while it trains."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from keras_depthseg.datasets.composites import rich
from keras_depthseg.datasets.composites.decoded import Decoded
from keras_depthseg.datasets.composites.settings import CompositesConfig
from keras_depthseg.datasets.composites.views import random_view
from keras_depthseg.datasets.sample import Sample
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.datasets.teacher.teacher import TeacherSettings
from keras_depthseg.errors import UserError

_ENDLESS = 5
"""Keeps these random streams apart from those of `plan` and `maker`."""


@dataclasses.dataclass(frozen=True, eq=False)
class EndlessComposites:
    """Rich composites by their number; each depends on seed, split and number only.

    A split draws from its own backgrounds and cutouts. The ones kept out of `train` and
    `val` are those that `depthseg data compose` keeps out with the same pictures, seed
    and fractions. `val` has those of `train` in other composites.

    Threads may share an instance. It can be pickled before its first use.

    Attributes:
        config: the sources, the seed and the fractions. Its plan is not used: `count` 1
            avoids the check that all combinations can be stored.
        size: height and width of the images, in pixels.
        cache_bytes: memory for decoded backgrounds, and the same for cutouts.

    Raises:
        UserError: a network labels depth, or nothing is left for training.
    """

    config: CompositesConfig
    size: int
    cache_bytes: int = 2**28

    def __post_init__(self):
        if isinstance(self.config.settings.depth, TeacherSettings):
            raise UserError(
                "`depth`: received a network, which labels composites that are stored; "
                "expected depth maps or none. Compose a data set first with depthseg "
                "data compose, or leave `depth` out."
            )
        if "train" not in self.splits:
            raise UserError(
                f"splits: received {len(self.config.backgrounds)} backgrounds and "
                f"{len(self.config.cutouts)} cutouts, of which none is left for "
                "training; expected more of them. Add pictures, or choose smaller "
                "fractions."
            )

    @classmethod
    def of(cls, config: CompositesConfig) -> EndlessComposites:
        """Return the composites of a configuration, of its size."""
        return cls(config, config.settings.size)

    def with_size(self, size: int) -> EndlessComposites:
        """Return the same composites at another size; the sources are decoded again."""
        return dataclasses.replace(self, size=size)

    def forget(self) -> None:
        """Drop the decoded sources; they are decoded again when needed."""
        self.__dict__.pop("_decoded", None)

    @functools.cached_property
    def members(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Indices of the backgrounds and of the cutouts of each split, if it has both."""
        new_bg, new_fg = self.config.held_out()
        backgrounds, cutouts = (
            {False: np.flatnonzero(~new), True: np.flatnonzero(new)}
            for new in (new_bg, new_fg)
        )
        sides = [(False, False), (False, False), (True, False), (False, True)]
        found = {
            split: (backgrounds[bg], cutouts[fg])
            for split, (bg, fg) in zip(SPLITS, [*sides, (True, True)], strict=True)
            if len(backgrounds[bg]) and len(cutouts[fg])
        }
        if not self.config.val_fraction:
            found.pop("val", None)
        return found

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are not empty."""
        return tuple(self.members)

    @functools.cached_property
    def _decoded(self) -> Decoded:
        return Decoded(
            self.config.backgrounds,
            self.config.cutouts,
            self.size,
            self.config.settings.size,
            self.cache_bytes,
        )

    def sample(self, split: str, number: int) -> Sample:
        """Return composite `number` of a split; the same for the same arguments.

        Args:
            split: one of `splits`.
            number: 0 or more.

        Raises:
            UserError: a source cannot be read any more.
        """
        settings, plan = self.config.settings, self.config.plan
        stream = [settings.seed, _ENDLESS, SPLITS.index(split), number]
        rng = np.random.default_rng(stream)
        backgrounds, cutouts = self.members[split]
        bg = int(backgrounds[rng.integers(len(backgrounds))])
        first = int(cutouts[rng.integers(len(cutouts))])
        chosen = rich.choose(first, cutouts, rng)
        scene = random_view(self._decoded.scene(bg), self.size, rng)
        layers = [self._decoded.layer(index) for index in chosen]
        composite = rich.make_rich(scene, layers, settings.shadow, rng)
        bg_id, fg_id = plan.bg_id(bg), plan.fg_id(first)
        return Sample(
            bg=scene.bg,
            fg_bg=composite.fg_bg,
            mask=composite.mask,
            depth=composite.depth,
            sample_id=f"{bg_id}_{fg_id}_{split}{number}",
            bg_id=bg_id,
            fg_id=fg_id,
            box=np.array(composite.box, np.float32) / self.size,
        )
