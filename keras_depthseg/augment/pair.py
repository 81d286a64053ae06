"""A pair of images and its labels, as the effects of a capture change it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Pair(NamedTuple):
    """Views into the arrays of a batch; effects change them in place.

    Attributes:
        bg, fg_bg: (H, W, 3) uint8 RGB, contiguous.
        mask: (H, W) float32 in [0, 1].
        depth: (H, W) float32, larger = farther, 0 = unknown.
    """

    bg: np.ndarray
    fg_bg: np.ndarray
    mask: np.ndarray
    depth: np.ndarray

    @property
    def images(self) -> tuple[np.ndarray, np.ndarray]:
        """`bg` and `fg_bg`."""
        return self.bg, self.fg_bg

    def one(self, rng: np.random.Generator) -> np.ndarray:
        """Return one of the two images at random: neither is told by what changed."""
        return self.images[rng.integers(2)]

    def one_or_both(self, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Return `bg`, `fg_bg` or both, each with probability 1/3."""
        return ((self.bg,), (self.fg_bg,), self.images)[rng.integers(3)]
