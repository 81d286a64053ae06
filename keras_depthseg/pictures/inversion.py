"""Recognising an opacity that is inverted: opaque around an object in place of in it."""

from __future__ import annotations

import numpy as np

OPAQUE = 127
"""Opacity above it is foreground; JPEG leaves noise below."""

# Of 360 real cutouts, trimmed to their box, none seems inverted: at most two corners are
# opaque, and 71 % of a border whose middle is more so. Inverted, 359 of them do.
_CORNERS = 3
_BORDER = 0.5
_MORE_THAN_MIDDLE = 0.25

_EDGE, _HOLE = 0.03, 0.01
"""Share of the sides that may be transparent at the border of a solid box, and of what is
within that must be transparent."""

_SMALLEST = 8
"""In pixels."""


def seems_inverted(alpha: np.ndarray) -> bool:
    """Return whether an opacity is that of the surroundings rather than of an object.

    Most of its border is opaque, something within is transparent, and three corners are
    opaque, or the middle is less opaque than the border. A frame is like that, too.

    Args:
        alpha: (H, W) uint8, trimmed to what is not transparent.
    """
    tall, wide = alpha.shape
    if min(tall, wide) < _SMALLEST:
        return False
    sides = alpha[0], alpha[-1], alpha[1:-1, 0], alpha[1:-1, -1]
    border = np.concatenate(sides).mean() / 255
    hole = np.mean(_inner(alpha, _EDGE) <= OPAQUE)
    if border < _BORDER or hole < _HOLE:
        return False
    corners = alpha[[0, 0, -1, -1], [0, -1, 0, -1]] > OPAQUE
    middle = _inner(alpha, 0.25).mean() / 255
    return bool(corners.sum() >= _CORNERS or border - middle >= _MORE_THAN_MIDDLE)


def _inner(alpha: np.ndarray, margin: float) -> np.ndarray:
    """Return an array without `margin`, a share of the sides, on each."""
    rows, columns = (max(1, int(margin * side)) for side in alpha.shape)
    return alpha[rows:-rows, columns:-columns]
