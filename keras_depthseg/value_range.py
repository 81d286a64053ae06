"""Notices pictures whose values are not in 0..255, as those of other libraries are."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

# Resizing goes a little beyond 1. A scene that does not reach it in 0..255 is black.
_UNIT = 1.1
# Standardised by ImageNet's statistics pictures have values of -2.2 to 2.7; resizing a
# picture of 0..255 gives values below 0, too, but large ones beside them.
_LOWEST, _STANDARDISED = -0.1, 4.0

logger = logging.getLogger(__name__)


def has_other_range(pictures: np.ndarray) -> bool:
    """Return whether pictures have values in 0..1, or around 0, in place of 0..255.

    Integers, and floats that are whole numbers, never seem to: they may be black.

    Args:
        pictures: any shape and dtype.
    """
    if not pictures.size or not np.issubdtype(pictures.dtype, np.floating):
        return False
    lowest, highest = float(pictures.min()), float(pictures.max())
    # NaN is in no range.
    if not ((lowest >= 0 and highest <= _UNIT) or lowest < _LOWEST):
        return False
    return highest <= _STANDARDISED and bool((pictures != np.rint(pictures)).any())


def warn_of_other_range(pictures: Mapping[str, np.ndarray]) -> bool:
    """Warn of the first pictures that have another range; return whether there are any.

    Args:
        pictures: by the name of the argument.
    """
    for name, values in pictures.items():
        if has_other_range(values):
            logger.warning(
                "`%s`: received %s pictures of %.3g to %.3g; the network takes 0..255, "
                "uint8 or float, and normalises them itself. Multiply values of 0..1 by "
                "255, and leave out other normalisation.",
                *(name, values.dtype, values.min(), values.max()),
            )
            return True
    return False
