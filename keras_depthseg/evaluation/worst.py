"""Keeps the samples with the worst masks, as pictures."""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np

from keras_depthseg.evaluation.batches import Batch
from keras_depthseg.evaluation.programs import Maps
from keras_depthseg.evaluation.results import SampleScores
from keras_depthseg.figures import COLUMNS, prediction_grid

WORST = 20
_SCORE = "mask_hard_iou"
_MASK_COLUMNS = COLUMNS.index("depth")


class WorstSample(NamedTuple):
    """A sample with a bad mask.

    Attributes:
        title: of the condition.
        sample: with its scores.
        picture: a row of `figures.prediction_grid`, (rows, columns, 3) uint8; without
            depth where there is none.
    """

    title: str
    sample: SampleScores
    picture: np.ndarray


class Worst:
    """The samples with the lowest `mask_hard_iou` of all that were added.

    Attributes:
        has_depth: whether the pictures show depth.
    """

    def __init__(self, count: int = WORST):
        self._count = count
        self._heap: list[tuple[float, int, WorstSample]] = []
        self._added = 0
        self.has_depth = False

    def add(self, title: str, batch: Batch, maps: Maps, rows: list[SampleScores]) -> None:
        """Add a batch, its maps and its scores; draws what is among the worst so far."""
        for i, row in enumerate(rows):
            score = row.scores.get(_SCORE, np.nan)
            self._added += 1
            # Of equal ones the first stays.
            key = (-score, -self._added)
            full = len(self._heap) == self._count
            if np.isnan(score) or (full and key < self._heap[0][:2]):
                continue
            sample = WorstSample(title, row, self._draw(batch, maps, i))
            (heapq.heappushpop if full else heapq.heappush)(self._heap, (*key, sample))

    def samples(self) -> list[WorstSample]:
        """Return the samples, the worst first."""
        return [sample for *_, sample in sorted(self._heap, key=lambda x: x[:2])][::-1]

    def _draw(self, batch: Batch, maps: Maps, i: int) -> np.ndarray:
        mask = batch.mask[i]
        if batch.known is not None:
            # Errors are grey where the truth is not known.
            mask = np.where(batch.known[i], mask, np.nan)
        self.has_depth |= batch.depth is not None and "depth" in maps
        nothing = np.zeros_like(mask)
        picture = prediction_grid(
            {"bg": batch.bg[i][None], "fg_bg": batch.fg_bg[i][None]},
            {
                "mask": mask[None],
                "depth": (nothing if batch.depth is None else batch.depth[i])[None],
            },
            {name: maps.get(name, {i: nothing})[i][None] for name in ("mask", "depth")},
        )
        if batch.depth is not None and "depth" in maps:
            return picture
        return picture[:, : picture.shape[1] * _MASK_COLUMNS // len(COLUMNS)]
