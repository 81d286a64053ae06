"""Reads a folder of pairs with true masks: `NAME/{bg,fg_bg,mask}`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_depthseg.pictures.folders import PictureFile


@dataclass(frozen=True)
class PairFiles:
    """The files of a pair.

    Attributes:
        name: its folder, below the folder of pairs, with `/`.
        scene: pairs of one scene are averaged first.
    """

    name: str
    scene: str
    bg: PictureFile
    fg_bg: PictureFile
    mask: PictureFile


class Pair(NamedTuple):
    """A pair that was read.

    Attributes:
        name, scene: as in `PairFiles`.
        bg, fg_bg: (H, W, 3) uint8, RGB.
        mask: (H, W) float32 in [0, 1]; 0 where unknown.
        known: (H, W) bool, where `mask` is known.
    """

    name: str
    scene: str
    bg: np.ndarray
    fg_bg: np.ndarray
    mask: np.ndarray
    known: np.ndarray


def list_pairs(root: Path) -> list[PairFiles]:
    """Return the pairs of a folder or a zip, ordered by name; raises `UserError`."""
    raise NotImplementedError


def read_pairs(pairs: Iterable[PairFiles], resolution: int = 352) -> Iterator[Pair]:
    """Read one pair after the other; raises `UserError`."""
    raise NotImplementedError
