"""What the numbers of all depth maps of a folder say about `step` and `scale`."""

from __future__ import annotations

import collections
import dataclasses
import logging
from collections.abc import Sequence

import numpy as np

from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.errors import UserError
from keras_depthseg.text import listed

# Depth cameras measure from 0.3 m on, and rooms end before 10 m. Of 61 maps of 3 real
# rooms, in millimetres, no pixel is nearer or farther. Taken five times as far, 7, 42 and
# 54 % are beyond 10 m; taken a fifth as far, 32, 37 and 72 % are nearer than 0.3 m.
_NEAR = 0.03
_NEAR_SHARE = 0.25
_ALL = 0.99
_BEYOND_SHARE = 0.05

# Relative maps are stretched to full scale; millimetres of rooms reach 14 % of 65,535.
_REACHED = 0.5

logger = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class DepthLevels:
    """Counts of the pixels of a depth map.

    Attributes:
        name: of the file.
        bits: 8 or 16.
        largest: the largest grey level, but for one in a hundred.
        known: pixels that are not 0.
        near: those nearer than a small part of the scale.
        beyond: those of the scale or more.
    """

    name: str
    bits: int
    largest: int
    known: int
    near: int
    beyond: int

    @classmethod
    def of(cls, levels: np.ndarray, depth: DepthFolder, name: str) -> DepthLevels:
        """Count the pixels of a map.

        Args:
            levels: (H, W) uint8 or uint16, 0 where unknown, but not everywhere.
            depth: the meaning of the numbers.
            name: of the file.
        """
        known = levels[levels > 0]
        shares = known * ((depth.step or 0.0) / (depth.scale or 1.0))
        return cls(
            name,
            levels.dtype.itemsize * 8,
            int(np.percentile(known, 99)),
            known.size,
            int(np.count_nonzero(shares < _NEAR)),
            int(np.count_nonzero(shares >= 1)),
        )


def check_levels(depth: DepthFolder, maps: Sequence[DepthLevels]) -> None:
    """Compare the meaning of the numbers with all maps together.

    Logs a warning where much is too near or too far for it.

    Raises:
        UserError: metric maps are of 8 and of 16 bit, or everything is so near that the
            step must be wrong.
    """
    if depth.step is None or depth.scale is None:
        _check_relative(depth, maps)
        return
    bits = collections.Counter(each.bits for each in maps)
    # In relative maps full scale is 1 for any number of bits.
    if len(bits) > 1:
        raise UserError(
            f"{depth.path}: received depth maps of 8 bit ({bits[8]}) and of 16 bit "
            f"({bits[16]}); expected one kind, as one step cannot hold for both. Convert "
            "some."
        )
    known = sum(each.known for each in maps)
    near = sum(each.near for each in maps) / known
    beyond = sum(each.beyond for each in maps) / known
    farthest = max(each.largest for each in maps) * depth.step
    given = f"step={depth.step:g} and scale={depth.scale:g}"
    if near > _ALL:
        raise UserError(
            f"{depth.path}: received depth maps of {maps[0].bits} bit that end at "
            f"{farthest:.3g} m with {given}; expected depth beyond "
            f"{_NEAR * depth.scale:.3g} m. Give larger=farther or larger=nearer for "
            "relative depth, correct step, or give a smaller scale."
        )
    if near > _NEAR_SHARE:
        names = [each.name for each in maps if each.near > _NEAR_SHARE * each.known]
        logger.warning(
            "%s: received depth of which %.0f %% is nearer than %.3g m with %s; expected "
            "little, as cameras measure from 0.3 m on. Correct step (0.01 for "
            "centimetres), or give a smaller scale. Such maps: %s",
            *(depth.path, 100 * near, _NEAR * depth.scale, given, listed(names)),
        )
    if beyond > _BEYOND_SHARE:
        names = [each.name for each in maps if each.beyond > _BEYOND_SHARE * each.known]
        logger.warning(
            "%s: received depth of which %.0f %% is beyond the scale, up to %.3g m with "
            "%s; expected little, as all of it is stored as 1. Correct step (0.0002 for "
            "5000 a metre), or give a larger scale. Such maps: %s",
            *(depth.path, 100 * beyond, farthest, given, listed(names)),
        )


def _check_relative(depth: DepthFolder, maps: Sequence[DepthLevels]) -> None:
    for bits in (8, 16):
        largest = max((each.largest for each in maps if each.bits == bits), default=None)
        full = 2**bits - 1
        if largest is not None and largest < _REACHED * full:
            logger.warning(
                "%s: received relative depth maps of %d bit whose largest number is "
                "%d; expected up to %d, which stands for 1. Give step=METRES of one grey "
                "level for metric depth (0.001 for millimetres), or stretch them.",
                *(depth.path, bits, largest, full),
            )
