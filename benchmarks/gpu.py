"""Check, time and train on a GPU that has JAX and PyTorch, but not TensorFlow.

    python -m benchmarks.gpu agreement --source BG FG - 1
    python -m benchmarks.gpu speed
    python -m benchmarks.gpu train --source BG FG - 1 --out model.keras

Composites are made by worker processes while the GPU trains, by the code of `depthseg
train --bg --fg`; Keras trains on JAX. What it needs beside JAX, PyTorch, NumPy, SciPy and
OpenCV: keras, tensorflow-datasets without TensorFlow, ImageHash.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import math
import os
import pathlib
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from benchmarks.training_speed import random_batch

_POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
_SIZES = ((96, 64), (160, 64), (224, 64))
_STEPS = 30
_HELD_OUT = "unseen_both"
_PARALLAX = 5.0
"""Centimetres that the camera of a rendered room's plate has moved at most."""
_WORKER = 2**40
"""Numbers of samples that each process has for itself."""
_READY = 8
"""Batches that wait for a network while another one trains."""
_EVERY = 16
"""Steps between two changes of the learning rate by the clock."""
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
                return self._batch(stage, stage.first, number, step)
            number -= stage.steps
        raise IndexError(step)

    def _batch(self, stage: Stage, first: int, number: int, step: int) -> Batch:
        side, count = stage.resolution, stage.batch_size
        images = np.empty((2, count, side, side, 3), np.uint8)
        labels = np.empty((2, count, side, side, 1), np.float32)
        boxes = np.empty((count, 4), np.float32)
        rng = np.random.default_rng([self._seed, step])
        chosen = rng.choice(len(self._sources), count, p=self._shares)
        turn, worker = divmod(number, self._workers)
        drawn = np.ceil(count * self._shares).astype(int) * turn
        drawn += first + worker * _WORKER
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


def save_weights_alone(model: Any, path: pathlib.Path) -> None:
    """Save a model without its optimizer, whose state is twice as large as it."""
    from keras_depthseg.files import replacing

    alone = type(model).from_config(model.get_config())
    alone.set_weights(model.get_weights())
    with replacing(path) as part:
        alone.save(part)


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


def train(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train networks of one or more widths on the same batches; return their scores."""
    recipe = _recipe(arguments)
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

        rooms = EndlessRooms(arguments.seed, stages[0].resolution, _PARALLAX)
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
            _scores(model, sources, recipe, arguments) for model in models
        ]
    return found


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
    arguments: argparse.Namespace,
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
        batches = CompositeBatches(sources, [held_out], _HELD_OUT, arguments.seed)
        found[name] = model.evaluate(
            loaded(batches, arguments.workers), return_dict=True, verbose=0
        )
    return found


def agreement(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train a few steps in each precision on the same batches; return the losses."""
    from keras_depthseg.training.compiled_model import compiled_model

    recipe = _recipe(arguments)
    sources = composites_of(arguments.source, arguments.seed)
    stage = dataclasses.replace(stages_of(recipe, 1)[0], steps=_STEPS)
    batches = list(
        loaded(CompositeBatches(sources, [stage], seed=0), min(8, arguments.workers))
    )

    # The learning rate of the whole training: the first steps warm up.
    models = [
        compiled_model(recipe, 2880, policy, arguments.seed) for policy in _POLICIES
    ]

    def losses(model: Any) -> list[float]:
        return [
            float(model.train_on_batch(*batch, return_dict=True)["loss"])
            for batch in batches
        ]

    # Compiling takes most of the time, and one core for each.
    with concurrent.futures.ThreadPoolExecutor() as threads:
        found = dict(zip(_POLICIES, threads.map(losses, models), strict=True))
    exact = np.array(found["float32"])
    return {
        "steps": _STEPS,
        "losses": found,
        "largest_relative_difference": {
            policy: float(np.abs(np.array(found[policy]) / exact - 1).max())
            for policy in _POLICIES[1:]
        },
    }


def _random_batch(side: int, count: int) -> Batch:
    batch = random_batch(side, count)
    inputs = {name: batch.pop(name) for name in ("bg", "fg_bg")}
    return inputs, batch


def _keras_steps(side: int, count: int, policy: str, width: int) -> Callable[[], None]:
    """Return the function that trains `_STEPS` steps by `fit`."""
    import keras

    from keras_depthseg.losses import combination
    from keras_depthseg.model import DSResNet
    from keras_depthseg.optimizers import SGD

    keras.utils.set_random_seed(0)
    model = DSResNet(width=width, dtype=policy)
    model.compile(SGD(0.01, momentum=0.9), **combination("rmse_bce_dice"))  # pyright: ignore
    batch = _random_batch(side, count)

    def forever() -> Iterator[Batch]:
        while True:
            yield batch

    data = forever()
    return lambda: model.fit(data, steps_per_epoch=_STEPS, epochs=1, verbose=0)


def _torch_steps(
    side: int, count: int, policy: str, width: int, compiled: bool
) -> Callable[[], None]:
    """Return the same for the peer: channels last, autocast, perhaps `torch.compile`."""
    import torch

    from benchmarks.torch_peer import DSResNet, rmse_bce_dice

    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    model = DSResNet(width).cuda().to(memory_format=torch.channels_last).train()
    network: Any = torch.compile(model, dynamic=False) if compiled else model
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    inputs, labels = _random_batch(side, count)

    def pinned(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).permute(0, 3, 1, 2).pin_memory()

    bg, fg_bg = pinned(inputs["bg"]), pinned(inputs["fg_bg"])
    targets = {name: pinned(array) for name, array in labels.items()}

    def run() -> None:
        for _ in range(_STEPS):
            # As ours: uint8 from the host's memory, normalised on the card.
            pictures = [
                (x.cuda(non_blocking=True).float() / 255 - 0.5) / 0.25
                for x in (bg, fg_bg)
            ]
            maps = {name: x.cuda(non_blocking=True) for name, x in targets.items()}
            optimizer.zero_grad()
            half = policy != "float32"
            with torch.autocast("cuda", torch.bfloat16, enabled=half):
                loss = rmse_bce_dice(network(*pictures), maps)
            loss.backward()
            optimizer.step()
        loss.item()

    return run


def speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time training steps of one side; return images a second, the median of turns.

    Without turns everything is only compiled, into the caches of JAX and PyTorch.
    """
    makers: dict[str, Callable[..., Callable[[], None]]] = {
        "keras": _keras_steps,
        "torch": lambda *case: _torch_steps(*case, compiled=False),
        "torch_compiled": lambda *case: _torch_steps(*case, compiled=True),
    }
    found = {}
    for side, count in _SIZES:
        for policy in arguments.policies:
            width = (arguments.width or [8])[0]
            run = makers[arguments.side](side, count, policy, width)
            started = time.monotonic()
            run()
            compiling = time.monotonic() - started
            turns = []
            for _ in range(arguments.turns):
                started = time.monotonic()
                run()
                turns.append(_STEPS * count / (time.monotonic() - started))
            if not turns:
                continue
            found[f"{side} px, batch {count}, {policy}"] = {
                "images_per_second": float(np.median(turns)),
                "from": min(turns),
                "to": max(turns),
                "first_turn_seconds": compiling,
            }
            print(arguments.side, side, policy, round(np.median(turns)), flush=True)
    return found


def compose(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time the workers alone; return composites a second of a recipe's changes."""
    recipe = _recipe(arguments)
    sources = composites_of(arguments.source, arguments.seed)
    found = {}
    for side, count in _SIZES:
        phase = dataclasses.replace(recipe, schedule=f"{side}:1:{count}")
        # Until each worker has made some, pictures are decoded.
        first = 2 * max(1, arguments.workers)
        (stage,) = stages_of(phase, (first + arguments.steps) * count)
        batches = loaded(CompositeBatches([*sources], [stage]), arguments.workers)
        for _ in range(first):
            next(batches)
        started = time.monotonic()
        # To the end: workers that are killed at work fail.
        made = sum(len(labels["mask"]) for _, labels in batches)
        found[f"{side} px"] = made / (time.monotonic() - started)
    return found


def _recipe(arguments: argparse.Namespace) -> Any:
    from keras_depthseg.training.recipes import RECIPES

    recipe = RECIPES[arguments.recipe]
    changes = {
        name: getattr(arguments, name)
        for name in ("schedule", "augment", "learning_rate", "average")
        if getattr(arguments, name) is not None
    }
    if arguments.width:
        changes["width"] = arguments.width[0]
    return dataclasses.replace(recipe, **changes)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=("agreement", "speed", "compose", "train"))
    parser.add_argument(
        "--source",
        nargs=4,
        action="append",
        default=[],
        metavar=("BG", "FG", "DEPTH", "WEIGHT"),
        help="of composites, DEPTH as depthseg data compose takes it, - for none",
    )
    parser.add_argument(
        "--rooms", type=float, default=0, help="weight of rendered rooms, of train"
    )
    parser.add_argument(
        "--unseen-fraction", type=float, default=0.25, help="of pictures, to score on"
    )
    parser.add_argument("--recipe", default="standard")
    parser.add_argument("--schedule", help="RESOLUTION:EPOCHS:BATCH,…")
    parser.add_argument("--augment")
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument(
        "--width", type=int, nargs="+", help="of the networks; train takes several"
    )
    parser.add_argument("--samples", type=int, default=1024, help="composites an epoch")
    parser.add_argument("--epochs", type=int, default=10, help="lines of the history")
    parser.add_argument("--average", type=float, help="of the weights, 0 for none")
    parser.add_argument("--start-from", help="a model whose training goes on")
    parser.add_argument(
        "--minutes", type=float, help="end then; the learning rate falls by the clock"
    )
    parser.add_argument("--policy", choices=_POLICIES, default="mixed_bfloat16")
    parser.add_argument(
        "--policies", choices=_POLICIES[:2], nargs="+", default=["mixed_bfloat16"]
    )
    parser.add_argument(
        "--side", choices=("keras", "torch", "torch_compiled"), default="keras"
    )
    parser.add_argument("--turns", type=int, default=5, help="of speed")
    parser.add_argument("--steps", type=int, default=64, help="of compose")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=pathlib.Path, help="the trained model")
    parser.add_argument("--json", type=pathlib.Path, help="write what was found there")
    arguments = parser.parse_args(argv)
    os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported
    if arguments.task == "train" and arguments.out is None:
        parser.error("train needs --out, the file of the trained model")
    if arguments.task != "speed" and not arguments.source:
        parser.error(f"{arguments.task} needs --source, pictures to compose")
    tasks = {
        "agreement": agreement,
        "speed": speed,
        "compose": compose,
        "train": train,
    }
    found = tasks[arguments.task](arguments)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2))
    long = ("history", "recipe", "losses")
    print(json.dumps({name: found[name] for name in found if name not in long}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
