"""Colour changes of 8-bit images as look-up tables."""

from __future__ import annotations

import numpy as np

_LEVELS = np.arange(256, dtype=np.float32)


def hsv_tables(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Return shifts as look-up tables of OpenCV's 8-bit HSV, one for each image.

    Args:
        hue: (N,), in steps of 2 degrees; hues wrap at 180.
        saturation: (N,), in levels of 255; greys stay grey.
        value: (N,), in levels of 255.

    Returns:
        (N, 1, 256, 3) uint8.
    """
    tables = np.empty((len(hue), 256, 3), np.uint8)
    tables[..., 0] = np.mod(np.arange(256) + hue[:, None], 180)
    tables[..., 1] = _levels(_LEVELS + np.trunc(saturation[:, None]))
    tables[..., 2] = _levels(_LEVELS + np.trunc(value[:, None]))
    tables[:, 0, 1] = 0
    return tables[:, None]


def contrast_tables(factor: np.ndarray) -> np.ndarray:
    """Return every level times a factor, clipped: (N,) to (N, 256) uint8."""
    return _levels(_LEVELS * factor[:, None].astype(np.float32))


def _levels(x: np.ndarray) -> np.ndarray:
    return np.clip(x, 0, 255).astype(np.uint8)
