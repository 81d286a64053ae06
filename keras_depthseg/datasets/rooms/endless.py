"""Rendered rooms without end, for training that renders while it trains."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from keras_depthseg.datasets.records import NEAREST_DEPTH
from keras_depthseg.datasets.rooms import cutouts, geometry, render, scene
from keras_depthseg.datasets.sample import Sample
from keras_depthseg.datasets.splits import SPLITS

SAMPLES_A_ROOM = 64
"""Samples that follow each other in one room, which takes ten times as long as one."""
_CUTOUTS = 1024
_STILL = 0.5
"""Share of the rooms whose plate is from the same place."""
_DRAW = 7
"""Keeps these random streams apart from those of `plan`, `render` and `scene`."""


@dataclasses.dataclass(frozen=True, eq=False)
class EndlessRooms:
    """Rooms with a cutout by their number; each depends on seed, split and number only.

    Every split has rooms and cutouts of its own. Depth is z depth, 1 at
    `geometry.FAR` metres.

    Attributes:
        seed: 0 or more.
        size: height and width of the images, in pixels.
        parallax: centimetres that the camera of `bg` has moved at most, in half of the
            rooms.
    """

    seed: int
    size: int
    parallax: float = 0.0

    @property
    def splits(self) -> tuple[str, ...]:
        """All splits: none is empty."""
        return SPLITS

    def with_size(self, size: int) -> EndlessRooms:
        """Return the same rooms at another size."""
        return dataclasses.replace(self, size=size)

    def forget(self) -> None:
        """Drop the rendered rooms; they are rendered again when needed."""
        self.__dict__.pop("_room", None)
        self.__dict__.pop("_cutout", None)

    @functools.cached_property
    def _room(self):
        return functools.lru_cache(8)(self._render)

    @functools.cached_property
    def _cutout(self):
        return functools.lru_cache(_CUTOUTS)(
            lambda seed, index: cutouts.make_cutout(seed, index, self.size)
        )

    def _render(self, seed: int, index: int) -> scene.Room:
        still, share = np.random.default_rng([seed, _DRAW, index]).random(2)
        parallax = 0.0 if still < _STILL else self.parallax * float(share)
        return scene.make_room(seed, index, self.size, parallax)

    def sample(self, split: str, number: int) -> Sample:
        """Return composite `number` of a split; the same for the same arguments.

        Args:
            split: one of `splits`.
            number: 0 or more; those of one room follow each other.
        """
        stream = [self.seed, _DRAW, SPLITS.index(split)]
        seed = int(np.random.default_rng(stream).integers(2**31))
        index = number // SAMPLES_A_ROOM
        which = int(np.random.default_rng([seed, number]).integers(_CUTOUTS))
        room, cutout = self._room(seed, index), self._cutout(seed, which)
        composite = render.make_composite(room, cutout, seed, number)
        depth = np.clip(composite.depth / geometry.FAR, NEAREST_DEPTH, 1)
        return Sample(
            bg=composite.bg,
            fg_bg=composite.fg_bg,
            mask=composite.mask,
            depth=depth.astype(np.float32),
            sample_id=f"room{index}_cutout{which}_{split}{number}",
            bg_id=f"room{index}",
            fg_id=f"cutout{which}",
            box=composite.box,
        )
