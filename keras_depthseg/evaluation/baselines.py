"""Simple programs to compare a model with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Program = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Gives a map (H, W) float32 in [0, 1] for `bg` and `fg_bg`, (H, W, 3) uint8, RGB."""


class Example(NamedTuple):
    """A sample to choose settings by: `bg`, `fg_bg` (H, W, 3) uint8, RGB; `mask`, `depth`
    (H, W) float32 in [0, 1], depth 0 = unknown or `None`."""

    bg: np.ndarray
    fg_bg: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None = None


@dataclass(frozen=True)
class Baselines:
    """Programs by name.

    Attributes:
        masks, depths: what they give.
    """

    masks: dict[str, Program]
    depths: dict[str, Program]

    @classmethod
    def fixed(cls) -> Baselines:
        """Return the programs with settings that nobody chose by looking at samples."""
        raise NotImplementedError

    @classmethod
    def fit(cls, samples: Iterable[Example], source: str = "val") -> Baselines:
        """Return programs whose settings are the best on `samples`, read one by one."""
        raise NotImplementedError
