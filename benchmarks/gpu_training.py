"""Training on a GPU by Keras on JAX: whole recipes, and a few steps of each precision."""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import math
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.gpu_batches import (
    Batch,
    CompositeBatches,
    Stage,
    composites_of,
    loaded,
    shared,
    stages_of,
)

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")

_HELD_OUT = "unseen_both"
PARALLAX = 5.0
"""Centimetres that the camera of a rendered room's plate has moved at most."""
_EVERY = 16
"""Steps between two changes of the learning rate by the clock."""
_STEPS = 30


def train(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train networks of one or more widths on the same batches; return their scores."""
    recipe = arguments.recipe
    unseen = arguments.unseen_fraction
    sources = composites_of(arguments.source, arguments.seed, unseen)
    stages = stages_of(recipe, arguments.samples)
    for source, _ in sources:
        if unseen and _HELD_OUT not in source.splits:
            raise SystemExit(
                f"--source: received pictures without a split {_HELD_OUT}, which is "
                "scored; expected more of them. Add backgrounds or cutouts, or give "
                "--unseen-fraction 0."
            )
    if arguments.rooms:
        from keras_depthseg.datasets.rooms.endless import EndlessRooms

        rooms = EndlessRooms(arguments.seed, stages[0].resolution, PARALLAX)
        sources.append((rooms, arguments.rooms))
    workers = arguments.workers
    batches = CompositeBatches(sources, stages, "train", arguments.seed, workers)
    widths = arguments.width or [recipe.width]
    outs = [arguments.out]
    if len(widths) > 1:
        outs = [arguments.out.with_stem(f"{arguments.out.stem}_{w}") for w in widths]
    steps = len(batches)
    lines = min(arguments.epochs, steps)
    steps = steps // lines * lines
    started = time.monotonic()
    streams = shared(loaded(batches, workers), len(widths))
    models = _models(recipe, widths, steps, arguments)
    for model in models:
        model.resolution = stages[-1].resolution
    end = started + 60 * arguments.minutes if arguments.minutes else None
    with concurrent.futures.ThreadPoolExecutor(len(models)) as threads:
        running = [
            threads.submit(_fit, model, stream, steps // lines, lines, recipe, end, out)
            for model, stream, out in zip(models, streams, outs, strict=True)
        ]
    found = {
        "recipe": dataclasses.asdict(recipe),
        "widths": widths,
        "steps": [int(model.optimizer.iterations.value) for model in models],
        "seconds": time.monotonic() - started,
        "history": [future.result() for future in running],
    }
    if unseen:
        found[_HELD_OUT] = [
            _scores(model, sources, stages[-1], recipe.augment, arguments.seed)
            for model in models
        ]
    return found


def _models(
    recipe: Any, widths: Sequence[int], steps: int, arguments: argparse.Namespace
) -> list[Any]:
    """Return the compiled networks, new or of `--start-from`."""
    from keras_depthseg.model_file import ModelFile
    from keras_depthseg.training.compiled_model import compiled_model

    start = ModelFile.open(arguments.start_from) if arguments.start_from else None
    if arguments.minutes:
        # Else the schedule of the rate is part of the compiled step.
        recipe = dataclasses.replace(recipe, learning_rate_schedule="plateau")
    return [
        compiled_model(
            dataclasses.replace(recipe, width=width),
            steps,
            arguments.policy,
            arguments.seed,
            start=start,
        )
        for width in widths
    ]


def _fit(
    model: Any,
    batches: Iterator[Batch],
    steps: int,
    lines: int,
    recipe: Any,
    end: float | None,
    out: pathlib.Path,
) -> dict[str, list[float]]:
    """Train a network, and save it after each line of its history; return that."""
    import keras

    from keras_depthseg.callbacks.weight_average import WeightAverage

    callbacks: list[Any] = [
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: save_weights_alone(model, out)
        )
    ]
    if recipe.average:
        callbacks.insert(0, WeightAverage(recipe.average))
    if end is not None:
        clock = RateByClock(recipe.learning_rate, end)
        callbacks.insert(
            0, keras.callbacks.LambdaCallback(on_train_batch_end=clock.adjust(model))
        )
    try:
        history = model.fit(
            batches, steps_per_epoch=steps, epochs=lines, callbacks=callbacks, verbose=2
        )
    finally:
        # The others go on when this one failed; nothing waits where the time is over.
        if end is None:
            for _ in batches:
                pass
    return history.history


class RateByClock:
    """A learning rate that falls by a cosine to 0 at a time, when training stops.

    It rises over the first twentieth. For machines that are lent for a time, and whose
    speed is not known before.

    Args:
        rate: the highest.
        end: as `time.monotonic` tells it.
    """

    def __init__(self, rate: float, end: float):
        self._rate = rate
        self._end = end
        self._first: float | None = None

    def at(self, now: float) -> float:
        """Return the rate; the first call is the beginning."""
        if self._first is None:
            self._first = now
        part = min((now - self._first) / max(self._end - self._first, 1e-6), 1.0)
        return self._rate * min(part / 0.05, (1 + math.cos(math.pi * part)) / 2)

    def adjust(self, model: Any) -> Callable[..., None]:
        """Return the function that Keras calls after each batch."""
        from keras_depthseg.backend import synchronise

        def after(batch: int, logs: Any = None) -> None:
            now = time.monotonic()
            if now >= self._end:
                model.stop_training = True
            elif batch % _EVERY == 0:
                synchronise(model)
                model.optimizer.learning_rate = self.at(now)

        return after


def _scores(
    model: Any,
    sources: list[tuple[Any, float]],
    stage: Stage,
    augment: str,
    seed: int,
) -> dict[str, Any]:
    """Return the metrics of composites of unseen pictures, clean and changed."""
    from keras_depthseg.augment.capture import parse_capture
    from keras_depthseg.augment.changes import CaptureChange
    from keras_depthseg.augment.effects import SIDE
    from keras_depthseg.augment.names import PRESETS

    changes = {"clean": None}
    if augment in PRESETS:
        scale = stage.resolution / SIDE
        changes[augment] = CaptureChange(parse_capture(augment), scale)
    found = {}
    for name, change in changes.items():
        held_out = dataclasses.replace(
            stage, first=0, steps=8, batch_size=64, change=change
        )
        batches = CompositeBatches(sources, [held_out], _HELD_OUT, seed)
        # In this process: now that the GPU is in use, a forked one may hang.
        found[name] = model.evaluate(loaded(batches, 0), return_dict=True, verbose=0)
    return found


def save_weights_alone(model: Any, path: pathlib.Path) -> None:
    """Save a model without its optimizer, whose state is twice as large as it."""
    from keras_depthseg.files import replacing

    alone = type(model).from_config(model.get_config())
    alone.set_weights(model.get_weights())
    with replacing(path) as part:
        alone.save(part)


def agreement(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train a few steps in each precision on the same batches; return the losses."""
    from keras_depthseg.training.compiled_model import compiled_model

    recipe = arguments.recipe
    sources = composites_of(arguments.source, arguments.seed)
    stage = dataclasses.replace(stages_of(recipe, 1)[0], steps=_STEPS)
    batches = list(
        loaded(CompositeBatches(sources, [stage], seed=0), min(8, arguments.workers))
    )

    # The learning rate of the whole training: the first steps warm up.
    models = [compiled_model(recipe, 2880, policy, arguments.seed) for policy in POLICIES]

    def losses(model: Any) -> list[float]:
        return [
            float(model.train_on_batch(*batch, return_dict=True)["loss"])
            for batch in batches
        ]

    # Compiling takes most of the time, and one core for each.
    with concurrent.futures.ThreadPoolExecutor() as threads:
        found = dict(zip(POLICIES, threads.map(losses, models), strict=True))
    exact = np.array(found["float32"])
    return {
        "steps": _STEPS,
        "losses": found,
        "largest_relative_difference": {
            policy: float(np.abs(np.array(found[policy]) / exact - 1).max())
            for policy in POLICIES[1:]
        },
    }
