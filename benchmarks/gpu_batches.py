"""Batches of composites and rooms, made by worker processes while a GPU trains."""

from __future__ import annotations

import dataclasses
import pathlib
import queue
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

_WORKER = 2**40
"""Numbers of samples that each process has for itself."""
_READY = 8
"""Batches that wait for a network while another one trains."""

Batch = tuple[dict[str, np.ndarray], dict[str, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class Stage:
    """Steps at one resolution.

    Attributes:
        first: number of the first sample.
        steps: batches.
        resolution: side of the images, in pixels.
        batch_size: samples a step.
        change: random changes, as `make_augmentation` returns them.
    """

    first: int
    steps: int
    resolution: int
    batch_size: int
    change: Any


class CompositeBatches:
    """Batches of composites by their number, for `torch.utils.data.DataLoader`.

    The samples that one process makes of a source follow each other: those of a rendered
    room then share it, which takes ten times as long as a sample.

    Args:
        sources: composites and their weight; each sample is drawn from one of them.
        stages: in order.
        split: of the composites.
        seed: of the random changes and of the choice of sources.
        workers: processes, of which each makes every so many-th batch.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Any, float]],
        stages: Sequence[Stage],
        split: str = "train",
        seed: int = 0,
        workers: int = 1,
    ):
        self._sources = [source for source, _ in sources]
        self._shares = np.array([weight for _, weight in sources], float)
        self._shares /= self._shares.sum()
        self._stages = list(stages)
        self._split = split
        self._seed = seed
        self._workers = max(1, workers)

    def __len__(self) -> int:
        return sum(stage.steps for stage in self._stages)

    def __getitem__(self, step: int) -> Batch:
        """Return inputs and labels of a step, as `make_pipeline` does."""
        number = step
        for stage in self._stages:
            if number < stage.steps:
                return self._batch(stage, number, step)
            number -= stage.steps
        raise IndexError(step)

    def _batch(self, stage: Stage, number: int, step: int) -> Batch:
        side, count = stage.resolution, stage.batch_size
        images = np.empty((2, count, side, side, 3), np.uint8)
        labels = np.empty((2, count, side, side, 1), np.float32)
        boxes = np.empty((count, 4), np.float32)
        rng = np.random.default_rng([self._seed, step])
        chosen = rng.choice(len(self._sources), count, p=self._shares)
        turn, worker = divmod(number, self._workers)
        drawn = np.ceil(count * self._shares).astype(int) * turn
        drawn += stage.first + worker * _WORKER
        for i, which in enumerate(chosen):
            sample = self._at(which, side).sample(self._split, int(drawn[which]))
            drawn[which] += 1
            sample.write(images[:, i], labels[:, i], boxes[i])
        if stage.change is not None:
            stage.change(images, labels, boxes, seed=int(rng.integers(2**63)))
        return (
            {"bg": images[0], "fg_bg": images[1]},
            {"depth": labels[1], "mask": labels[0]},
        )

    def _at(self, which: int, side: int) -> Any:
        composites = self._sources[which]
        if composites.size != side:
            composites.forget()
            composites = self._sources[which] = composites.with_size(side)
        return composites


def loaded(batches: CompositeBatches, workers: int) -> Iterator[Batch]:
    """Return all batches in order, made by worker processes, which start at once.

    Processes are forked: each would take half a minute to import everything again. So
    call it before a GPU is used.
    """
    import torch

    loader = torch.utils.data.DataLoader(
        batches,  # pyright: ignore[reportArgumentType]
        batch_size=None,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
        prefetch_factor=3 if workers else None,
    )
    made = iter(loader)
    return (
        tuple({name: value.numpy() for name, value in part.items()} for part in batch)
        for batch in made
    )


def shared(batches: Iterator[Batch], count: int) -> list[Iterator[Batch]]:
    """Return iterators for threads of which each gets all batches.

    A thread waits when another one is `_READY` batches behind.
    """
    waiting = [queue.Queue(_READY) for _ in range(count)]

    def distribute() -> None:
        for batch in batches:
            for line in waiting:
                line.put(batch)
        for line in waiting:
            line.put(None)

    def received(line: queue.Queue) -> Iterator[Batch]:
        yield from iter(line.get, None)

    threading.Thread(target=distribute, daemon=True).start()
    return [received(line) for line in waiting]


def composites_of(
    sources: Sequence[Sequence[str]], seed: int, unseen_fraction: float = 0.25
) -> list[tuple[Any, float]]:
    """Return the composites of `--source BG FG DEPTH WEIGHT`, and their weights."""
    import cv2

    from keras_depthseg.datasets.composites.configure import make_config
    from keras_depthseg.datasets.composites.endless import EndlessComposites
    from keras_depthseg.datasets.composites.options import ComposeOptions

    # There is a worker for each core; and a pool of threads does not survive a fork.
    cv2.setNumThreads(1)
    found = []
    for bg, fg, depth, weight in sources:
        options = ComposeOptions(
            bg=bg,
            fg=pathlib.Path(fg),
            depth=None if depth == "-" else depth,
            variety="rich",
            count=1,
            unseen_fraction=unseen_fraction,
            seed=seed,
        )
        config = make_config(options, lambda warning: print(warning, file=sys.stderr))
        found.append((EndlessComposites.of(config), float(weight)))
    return found


def stages_of(recipe: Any, samples: int) -> list[Stage]:
    """Return the stages of a recipe whose epochs have `samples` samples."""
    from keras_depthseg.augment.changes import make_augmentation
    from keras_depthseg.schedule import parse_schedule

    stages, first = [], 0
    for phase in parse_schedule(recipe.schedule):
        steps = max(1, round(phase.epochs * samples / phase.batch_size))
        change = make_augmentation(recipe.augment, phase.resolution)
        stages.append(Stage(first, steps, phase.resolution, phase.batch_size, change))
        first += steps * phase.batch_size
    return stages
