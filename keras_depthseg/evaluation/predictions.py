"""Reads masks and depth maps that another program wrote."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np


class Predictions:
    """The maps in a folder, by the name of a sample or pair.

    Attributes:
        has_mask, has_depth: which of the two there are, for all names.
    """

    def __init__(self, root: Path, names: Iterable[str]):
        """Find the maps of all names; raises `UserError`."""
        self.has_mask = self.has_depth = True
        raise NotImplementedError

    def mask(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """Return (H, W) float32 in [0, 1], resized to `shape`."""
        raise NotImplementedError

    def depth(self, name: str, shape: tuple[int, int]) -> np.ndarray:
        """Return (H, W) float32 in [0, 1], larger = farther, resized to `shape`."""
        raise NotImplementedError
