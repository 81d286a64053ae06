"""Scores batches beside the prediction of the next ones."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from keras_depthseg.evaluation.baselines import Baselines
from keras_depthseg.evaluation.batches import Batch
from keras_depthseg.evaluation.per_image import depth_scores, mask_scores
from keras_depthseg.evaluation.programs import BatchProgram, Maps
from keras_depthseg.evaluation.results import Condition, SampleScores
from keras_depthseg.processor import thread_count

_Scores = dict[str, list[dict[str, float]]]
Watcher = Callable[[Batch, Maps, list[SampleScores]], None]


def score_batches(
    batches: Iterable[Batch],
    programs: dict[str, BatchProgram],
    baselines: Baselines | None,
    condition: Condition,
    watch: Watcher | None = None,
) -> None:
    """Add the scores of batches to a condition.

    A program predicts in this thread. Scores, and baselines, are computed in others while
    it predicts the next batch. Few batches are held at once, however many there are.

    Args:
        batches: read one by one.
        programs: by name.
        baselines: scored beside them; `None` for none.
        condition: gets the rows.
        watch: called with each batch, the first program's maps and rows, in order.
    """
    workers = thread_count()
    waiting: collections.deque[tuple[Batch, dict[str, Maps], Future[_Scores]]] = (
        collections.deque()
    )

    def collect() -> None:
        batch, maps, future = waiting.popleft()
        for name, values in future.result().items():
            rows = _rows(batch, values)
            condition.programs.setdefault(name, []).extend(rows)
            if watch is not None and name == next(iter(programs)):
                watch(batch, maps[name], rows)

    with ThreadPoolExecutor(workers) as pool:
        for batch in batches:
            maps = {name: program(batch) for name, program in programs.items()}
            future = pool.submit(_score, batch, maps, baselines)
            waiting.append((batch, maps, future))
            if len(waiting) > workers:
                collect()
        while waiting:
            collect()


def _score(
    batch: Batch, programs: dict[str, Maps], baselines: Baselines | None
) -> _Scores:
    """Return the scores of each sample by program."""
    scores = {name: _score_maps(batch, maps) for name, maps in programs.items()}
    if baselines is None:
        return scores
    kinds = {"mask": baselines.masks, "depth": baselines.depths}
    if batch.depth is None:
        del kinds["depth"]
    for kind, simple_programs in kinds.items():
        for name, simple in simple_programs.items():
            maps = [
                np.asarray(simple(bg, fg_bg), np.float32)
                for bg, fg_bg in zip(batch.bg, batch.fg_bg, strict=True)
            ]
            scores[name] = _score_maps(batch, {kind: np.stack(maps)[..., None]})
    return scores


def _score_maps(batch: Batch, maps: Maps) -> list[dict[str, float]]:
    scores: dict[str, np.ndarray] = {}
    if "mask" in maps:
        scores |= mask_scores(batch.mask, maps["mask"], batch.known)
    if "depth" in maps and batch.depth is not None:
        scores |= depth_scores(batch.depth, maps["depth"])
    return [
        {name: float(values[i]) for name, values in scores.items()}
        for i in range(len(batch.mask))
    ]


def _rows(batch: Batch, scores: list[dict[str, float]]) -> list[SampleScores]:
    ids = zip(batch.sample_ids, batch.bg_ids, batch.fg_ids, scores, strict=True)
    return [
        SampleScores(sample, bg, fg, batch.group, values)
        for sample, bg, fg, values in ids
    ]
