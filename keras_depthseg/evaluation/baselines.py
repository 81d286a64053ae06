"""Simple programs to compare a model with.

A program takes `bg` and `fg_bg`, (H, W, 3) uint8, RGB, and gives a map (H, W) float32 in
[0, 1].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.differences import (
    Threshold,
    ThresholdSearch,
    difference,
    grabcut,
    mog2,
    otsu,
    searched_difference,
)
from keras_depthseg.evaluation.single_channel import resize_map
from keras_depthseg.shapes import VALID_DEPTH

Program = Callable[[np.ndarray, np.ndarray], np.ndarray]

_MEASURES = {
    "difference": difference,
    "difference, local search": searched_difference,
}
_WITHOUT_SETTINGS = {"difference, Otsu": otsu, "MOG2": mog2, "GrabCut": grabcut}


class Example(NamedTuple):
    """A sample to choose settings by.

    Attributes:
        bg, fg_bg: (H, W, 3) uint8, RGB.
        mask: (H, W) float32 in [0, 1].
        depth: (H, W) float32 in [0, 1], 0 = unknown; or `None`.
        known: (H, W) bool, where the mask is known; `None`: everywhere.
    """

    bg: np.ndarray
    fg_bg: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None = None
    known: np.ndarray | None = None


@dataclass(frozen=True)
class Baselines:
    """Programs by the names that tables show.

    Attributes:
        masks: thresholds on the difference, also with a local search and by Otsu; MOG2;
            GrabCut; a constant.
        depths: the mean map and the mean of each image row; empty without depth.
    """

    masks: dict[str, Program]
    depths: dict[str, Program]

    @classmethod
    def fixed(cls) -> Baselines:
        """Return the programs with fixed settings, where nothing is there to fit."""
        masks: dict[str, Program] = {}
        for name, measure in _MEASURES.items():
            program = Threshold(measure)
            masks[f"{name} (fixed: {program.threshold} of 255)"] = program
        masks |= _WITHOUT_SETTINGS
        masks["constant (all foreground)"] = Constant(np.ones((1, 1), np.float32))
        return cls(masks, {})

    @classmethod
    def fit(cls, samples: Iterable[Example], source: str = "val") -> Baselines:
        """Return the programs with the settings that are best on samples.

        The constant is their mean mask. Their images are not kept.

        Args:
            samples: read once.
            source: what they are, for the names: `"difference (tuned on val)"`.

        Raises:
            UserError: there are no samples.
        """
        searches = {name: ThresholdSearch(measure) for name, measure in _MEASURES.items()}
        mask, depth = _MeanMap(), _MeanMap()
        for sample in samples:
            for search in searches.values():
                search.add(sample.bg, sample.fg_bg, sample.mask, sample.known)
            mask.add(sample.mask, sample.known)
            if sample.depth is not None:
                depth.add(sample.depth, sample.depth > VALID_DEPTH)
        if mask.empty:
            raise UserError(
                f"{source}: received no samples; expected at least one with a known "
                "pixel, to choose thresholds by. Give other samples."
            )
        masks: dict[str, Program] = {
            f"{name} (tuned on {source})": search.best()
            for name, search in searches.items()
        }
        masks |= _WITHOUT_SETTINGS
        masks[f"constant (mean mask of {source})"] = Constant(mask.mean())
        depths: dict[str, Program] = {}
        if not depth.empty:
            depths[f"mean map of {source}"] = Constant(depth.mean())
            depths[f"image row of {source}"] = Constant(depth.row_mean())
        return cls(masks, depths)


@dataclass(frozen=True)
class Constant:
    """Gives one map whatever the images are, resized to theirs."""

    map: np.ndarray

    def __call__(self, bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
        return resize_map(self.map, bg.shape[:2])


class _MeanMap:
    """The mean of maps, resized to the shape of the first, over known pixels."""

    def __init__(self):
        self._total = self._weight = np.zeros((1, 1))

    @property
    def empty(self) -> bool:
        return not self._weight.any()

    def add(self, image: np.ndarray, known: np.ndarray | None) -> None:
        weight = np.ones(image.shape, np.float32)
        if known is not None:
            weight = known.astype(np.float32)
        total = image * weight
        if self._total.size > 1:
            total, weight = (
                resize_map(x, self._total.shape[:2]) for x in (total, weight)
            )
        self._total = self._total + total
        self._weight = self._weight + weight

    def mean(self) -> np.ndarray:
        """Return (H, W) float32; where nothing is known the mean of all."""
        return _ratio(self._total, self._weight)

    def row_mean(self) -> np.ndarray:
        """Return (H, 1) float32, likewise."""
        return _ratio(*(x.sum(1, keepdims=True) for x in (self._total, self._weight)))


def _ratio(total: np.ndarray, weight: np.ndarray) -> np.ndarray:
    everywhere = np.full_like(total, total.sum() / weight.sum())
    return np.divide(total, weight, out=everywhere, where=weight > 0).astype(np.float32)
