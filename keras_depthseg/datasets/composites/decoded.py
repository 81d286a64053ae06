"""Decoded sources of rich composites, the ones read last in memory."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence

from keras_depthseg.datasets.composites import pose, views
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.scene import Scene
from keras_depthseg.datasets.composites.settings import BackgroundSource, CutoutSource


@dataclasses.dataclass(frozen=True, eq=False)
class Decoded:
    """Backgrounds and cutouts as rich composites of one size need them.

    Threads may share it. It can be pickled before its first use.

    Attributes:
        backgrounds, cutouts: the sources.
        size: height and width of the composites, in pixels.
        checked_size: the size at which the sources were found usable.
        cache_bytes: memory for decoded backgrounds, and the same for cutouts.
    """

    backgrounds: Sequence[BackgroundSource]
    cutouts: Sequence[CutoutSource]
    size: int
    checked_size: int
    cache_bytes: int = 2**28

    @functools.cached_property
    def scene(self) -> Callable[[int], Scene]:
        """From the index of a background to it, `views.LARGEST` times the size."""
        side = round(views.LARGEST * self.size)
        # Colours, depth, and depth without holes.
        largest = (3 + 4 + 4) * side**2

        def read(index: int) -> Scene:
            bg, depth = self.backgrounds[index].read(side)
            return Scene(bg, depth=depth)

        return functools.lru_cache(max(1, self.cache_bytes // largest))(read)

    @functools.cached_property
    def layer(self) -> Callable[[int], Layer]:
        """From the index of a cutout to it, as high as the highest composed."""
        largest = 4 * pose.source_height(self.size) * self.size

        def read(index: int) -> Layer:
            # Smaller, a thin cutout would be refused.
            whole = max(self.size, self.checked_size)
            layer = self.cutouts[index].read(pose.source_height(whole), whole)
            return layer.fitted(pose.source_height(self.size), self.size)

        return functools.lru_cache(max(1, self.cache_bytes // largest))(read)
