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
import dataclasses
import json
import os
import pathlib
import sys
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

    Args:
        sources: composites and their weight; each sample is drawn from one of them.
        stages: in order.
        split: of the composites.
        seed: of the random changes and of the choice of sources.
    """

    def __init__(
        self,
        sources: Sequence[tuple[Any, float]],
        stages: Sequence[Stage],
        split: str = "train",
        seed: int = 0,
    ):
        self._sources = [source for source, _ in sources]
        self._shares = np.array([weight for _, weight in sources], float)
        self._shares /= self._shares.sum()
        self._stages = list(stages)
        self._split = split
        self._seed = seed

    def __len__(self) -> int:
        return sum(stage.steps for stage in self._stages)

    def __getitem__(self, step: int) -> Batch:
        """Return inputs and labels of a step, as `make_pipeline` does."""
        number = step
        for stage in self._stages:
            if number < stage.steps:
                return self._batch(stage, stage.first + number * stage.batch_size, step)
            number -= stage.steps
        raise IndexError(step)

    def _batch(self, stage: Stage, first: int, step: int) -> Batch:
        side, count = stage.resolution, stage.batch_size
        images = np.empty((2, count, side, side, 3), np.uint8)
        labels = np.empty((2, count, side, side, 1), np.float32)
        boxes = np.empty((count, 4), np.float32)
        rng = np.random.default_rng([self._seed, step])
        chosen = rng.choice(len(self._sources), count, p=self._shares)
        for i, which in enumerate(chosen):
            sample = self._at(which, side).sample(self._split, first + i)
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
    """Yield all batches in order, made by worker processes."""
    import torch

    loader = torch.utils.data.DataLoader(
        batches,  # pyright: ignore[reportArgumentType]
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_start_worker,
        multiprocessing_context="spawn" if workers else None,
        prefetch_factor=4 if workers else None,
    )
    for inputs, labels in loader:
        yield (
            {name: value.numpy() for name, value in inputs.items()},
            {name: value.numpy() for name, value in labels.items()},
        )


def _start_worker(number: int) -> None:
    import cv2

    cv2.setNumThreads(1)  # There is a worker for each core.


def composites_of(
    sources: Sequence[Sequence[str]], seed: int, unseen_fraction: float = 0.25
) -> list[tuple[Any, float]]:
    """Return the composites of `--source BG FG DEPTH WEIGHT`, and their weights."""
    from keras_depthseg.datasets.composites.configure import make_config
    from keras_depthseg.datasets.composites.endless import EndlessComposites
    from keras_depthseg.datasets.composites.options import ComposeOptions

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
    """Train a recipe on composites; return what it took, and scores of unseen ones."""
    import keras

    from keras_depthseg.augment.capture import parse_capture
    from keras_depthseg.augment.changes import CaptureChange
    from keras_depthseg.augment.effects import SIDE
    from keras_depthseg.augment.names import PRESETS
    from keras_depthseg.callbacks.weight_average import WeightAverage
    from keras_depthseg.datasets.rooms.endless import EndlessRooms
    from keras_depthseg.training.compiled_model import compiled_model

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
        rooms = EndlessRooms(arguments.seed, stages[0].resolution, _PARALLAX)
        sources.append((rooms, arguments.rooms))
    batches = CompositeBatches(sources, stages, seed=arguments.seed)
    lines = min(arguments.epochs, len(batches))
    steps = len(batches) // lines * lines
    model = compiled_model(recipe, steps, arguments.policy, arguments.seed)
    model.resolution = stages[-1].resolution
    save = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: save_weights_alone(model, arguments.out)
    )
    started = time.monotonic()
    history = model.fit(
        loaded(batches, arguments.workers),
        steps_per_epoch=steps // lines,
        epochs=lines,
        callbacks=[WeightAverage(recipe.average), save],
        verbose=2,
    )
    seconds = time.monotonic() - started
    last = stages[-1]
    scores = {}
    changes = {"clean": None}
    if recipe.augment in PRESETS:
        capture = parse_capture(recipe.augment)
        changes[recipe.augment] = CaptureChange(capture, last.resolution / SIDE)
    for name, change in changes.items() if unseen else ():
        stage = dataclasses.replace(last, first=0, steps=8, batch_size=64, change=change)
        held_out = CompositeBatches(sources, [stage], _HELD_OUT, arguments.seed)
        results = model.evaluate(
            loaded(held_out, arguments.workers), return_dict=True, verbose=0
        )
        scores[name] = results
    return {
        "recipe": dataclasses.asdict(recipe),
        "steps": steps,
        "seconds": seconds,
        "history": history.history,
        _HELD_OUT: scores,
    }


def agreement(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train a few steps in each precision on the same batches; return the losses."""
    from keras_depthseg.training.compiled_model import compiled_model

    recipe = _recipe(arguments)
    sources = composites_of(arguments.source, arguments.seed)
    stage = dataclasses.replace(stages_of(recipe, 1)[0], steps=_STEPS)
    batches = list(
        loaded(CompositeBatches(sources, [stage], seed=0), min(8, arguments.workers))
    )
    losses = {}
    for policy in _POLICIES:
        # The learning rate of the whole training: the first steps warm up.
        model = compiled_model(recipe, 2880, policy, arguments.seed)
        losses[policy] = [
            float(model.train_on_batch(*batch, return_dict=True)["loss"])
            for batch in batches
        ]
    exact = np.array(losses["float32"])
    return {
        "steps": _STEPS,
        "losses": losses,
        "largest_relative_difference": {
            policy: float(np.abs(np.array(losses[policy]) / exact - 1).max())
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
            run = makers[arguments.side](side, count, policy, arguments.width or 8)
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
        for name in ("schedule", "augment", "learning_rate", "width")
        if getattr(arguments, name) is not None
    }
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
    parser.add_argument("--width", type=int)
    parser.add_argument("--samples", type=int, default=1024, help="composites an epoch")
    parser.add_argument("--epochs", type=int, default=10, help="lines of the history")
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
