"""Train networks on pictures made on the way, several on the same ones, with JAX.

    python -m pretraining.train --source bg fg - 0.45 --network siamese:width=8 --out DIR

Worker processes compose and render, a GPU trains. What it needs beside JAX, PyTorch,
NumPy, SciPy and OpenCV: keras, tensorflow-datasets without TensorFlow, ImageHash.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import itertools
import json
import math
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported

import jax
import jax.numpy as jnp
import keras
import numpy as np

from benchmarks.gpu import CompositeBatches, Stage, composites_of, loaded
from keras_depthseg.augment.changes import make_augmentation
from keras_depthseg.datasets.rooms.endless import EndlessRooms
from keras_depthseg.files import replacing
from keras_depthseg.losses import combination
from keras_depthseg.networks.initialisation import INITIALISATIONS
from keras_depthseg.networks.registry import NETWORKS
from keras_depthseg.optimizers import FINAL, WARMUP, Adam

_RATE = 4e-3
_CLIP = 1.0
_AVERAGE = 0.999
_PARALLAX = 5.0
# Batches that stay on the card to be shown again, mirrored.
_KEPT = 64
Arrays = dict[str, Any]
Batch = tuple[Arrays, Arrays]


@dataclasses.dataclass(frozen=True)
class Phase:
    """A part of the training.

    Attributes:
        resolution: side of the images, in pixels.
        steps: number of steps.
        batch_size: samples a step.
    """

    resolution: int
    steps: int
    batch_size: int


@dataclasses.dataclass(frozen=True)
class Design:
    """A network and its loss: `NAME:key=value,…`, arguments of the network and `loss`.

    Attributes:
        text: as given.
    """

    text: str

    @property
    def loss(self) -> str:
        """The name of a combination of losses."""
        return self._given().get("loss", "outline")

    def model(self, seed: int, precision: str) -> Any:
        """Return a new network."""
        arguments = {
            key: int(value) for key, value in self._given().items() if key != "loss"
        }
        keras.utils.set_random_seed(seed)
        network = NETWORKS[self.text.partition(":")[0]]
        model = network(**arguments, dtype=precision)
        INITIALISATIONS["difference"](model)
        return model

    def _given(self) -> dict[str, str]:
        parts = self.text.partition(":")[2].split(",")
        return dict(part.split("=") for part in parts if part)


class Trainer:
    """A design, its weights for each seed, and its training step, compiled once."""

    def __init__(self, design: Design, seeds: Sequence[int], precision: str):
        self.design = design
        models = [design.model(seed, precision) for seed in seeds]
        self._model = models[0]
        options: dict[str, Any] = combination(design.loss)
        self._losses, self._weights = options["loss"], options["loss_weights"]
        self._optimizer = Adam(_RATE, global_clipnorm=_CLIP)
        self._optimizer.build(self._model.trainable_variables)
        names = [variable.name for variable in self._optimizer.variables]
        self._rate = names.index("learning_rate")
        self.states = []
        for model in models:
            weights = _values(model.trainable_variables)
            others = _values(model.non_trainable_variables)
            average = [jnp.copy(x) for x in weights + others]
            optimizer = _values(self._optimizer.variables)
            self.states.append((weights, others, optimizer, average))
        self._compiled: dict[int, Any] = {}

    def lower(self, batch: Batch) -> Any:
        """Trace the step for the shapes of a batch."""
        rate = jax.ShapeDtypeStruct((), np.float32)
        step = jax.jit(self._step, donate_argnums=0)
        return step.lower(self.states[0], batch, rate, rate)

    def use(self, resolution: int, compiled: Any) -> None:
        """Take a compiled step for a resolution."""
        self._compiled[resolution] = compiled

    def step(self, batch: Batch, rate: float, decay: float) -> list[Any]:
        """Train every seed by a step; return their losses of depth and mask."""
        run = self._compiled[batch[0]["bg"].shape[1]]
        found = []
        for number, state in enumerate(self.states):
            self.states[number], losses = run(
                state, batch, np.float32(rate), np.float32(decay)
            )
            found.append(losses)
        return found

    def _step(self, state, batch, rate, decay):
        weights, others, optimizer, average = state
        inputs, labels = batch
        images = {name: x.astype("float32") for name, x in inputs.items()}

        def loss_of(weights):
            logits, changed = self._model.stateless_call(
                weights, others, images, training=True
            )
            parts = {
                name: loss(labels[name].astype("float32"), logits[name])
                for name, loss in self._losses.items()
            }
            total = sum(self._weights[name] * part for name, part in parts.items())
            return total, (changed, parts)

        (_, (others, parts)), gradients = jax.value_and_grad(loss_of, has_aux=True)(
            weights
        )
        optimizer = [*optimizer]
        optimizer[self._rate] = rate
        weights, optimizer = self._optimizer.stateless_apply(
            optimizer, gradients, weights
        )
        average = [
            x + (1 - decay) * (new - x) if jnp.issubdtype(x.dtype, jnp.floating) else new
            for x, new in zip(average, [*weights, *others], strict=True)
        ]
        return (weights, others, optimizer, average), parts

    def save(self, number: int, path: pathlib.Path) -> None:
        """Write the average of a seed's weights, float16, as an `.npz`."""
        values = jax.device_get(self.states[number][3])
        arrays = {
            f"{i:04d}": x.astype(np.float16) if x.dtype == np.float32 else x
            for i, x in enumerate(values)
        }
        with replacing(path) as part, part.open("wb") as file:
            np.savez(file, **arrays)


def model_of(design: Design, path: pathlib.Path, resolution: int) -> Any:
    """Return the network whose weights `Trainer.save` wrote, in float32."""
    model = design.model(0, "float32")
    variables = [*model.trainable_variables, *model.non_trainable_variables]
    with np.load(path) as arrays:
        for variable, name in zip(variables, sorted(arrays), strict=True):
            variable.assign(arrays[name])
    model.resolution = resolution
    return model


def _values(variables: Sequence[Any]) -> list[Any]:
    return [jnp.array(variable.value, copy=True) for variable in variables]


@jax.jit
def _mirrored(batch):
    return jax.tree.map(lambda x: x[:, :, ::-1], batch)


def _compact(batch: Batch) -> Batch:
    inputs, labels = batch
    return inputs, {name: x.astype(np.float16) for name, x in labels.items()}


def _shapes(phase: Phase) -> Batch:
    side = (phase.batch_size, phase.resolution, phase.resolution)
    image = jax.ShapeDtypeStruct((*side, 3), np.uint8)
    label = jax.ShapeDtypeStruct((*side, 1), np.float16)
    return {"bg": image, "fg_bg": image}, {"depth": label, "mask": label}


def compile_all(trainers: Sequence[Trainer], phases: Sequence[Phase]) -> None:
    """Compile every step side by side: on a GPU each takes half a minute."""
    jobs = []
    with concurrent.futures.ThreadPoolExecutor() as pool:
        for phase, trainer in itertools.product(phases, trainers):
            lowered = trainer.lower(_shapes(phase))
            jobs.append((trainer, phase, pool.submit(lowered.compile)))
        for trainer, phase, job in jobs:
            trainer.use(phase.resolution, job.result())


def learning_rate(progress: float) -> float:
    """Return the rate after a part of the training, as `optimizers.cosine_decay`."""
    if progress < WARMUP:
        return _RATE * progress / WARMUP
    share = (progress - WARMUP) / (1 - WARMUP)
    return _RATE * (FINAL + (1 - FINAL) * (1 + math.cos(math.pi * share)) / 2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--source",
        nargs=4,
        action="append",
        required=True,
        metavar=("BG", "FG", "DEPTH", "WEIGHT"),
        help="of composites, DEPTH as depthseg data compose takes it, - for none",
    )
    parser.add_argument("--rooms", type=float, default=0.3, help="weight of rooms")
    parser.add_argument("--network", action="append", type=Design, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=1, help="number of seeds")
    parser.add_argument(
        "--phases", default="160:2000:64,224:5000:64", help="RESOLUTION:STEPS:BATCH,…"
    )
    parser.add_argument("--augment", default="handheld")
    parser.add_argument("--shown", type=int, default=2, help="times of each batch")
    parser.add_argument("--precision", default="mixed_bfloat16")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--snapshots", type=int, default=4)
    parser.add_argument(
        "--seconds",
        type=float,
        help="end then, steps or not; the learning rate falls with what is nearer",
    )
    parser.add_argument("--out", type=pathlib.Path, required=True)
    train(parser.parse_args(argv))
    return 0


def train(arguments: argparse.Namespace) -> None:
    """Train all designs and seeds on the same batches; write weights and losses."""
    started = time.monotonic()

    def say(*words: Any) -> None:
        print(f"{time.monotonic() - started:6.1f}", *words, flush=True)

    phases = [
        Phase(*(int(number) for number in text.split(":")))
        for text in arguments.phases.split(",")
    ]
    sources = composites_of(arguments.source, arguments.seed, 0)
    if arguments.rooms:
        rooms = EndlessRooms(arguments.seed, phases[0].resolution, _PARALLAX)
        sources.append((rooms, arguments.rooms))
    stages, first = [], 0
    for phase in phases:
        count = -(-phase.steps // arguments.shown)
        change = make_augmentation(arguments.augment, phase.resolution)
        stages.append(Stage(first, count, phase.resolution, phase.batch_size, change))
        first += count * phase.batch_size
    batches = CompositeBatches(sources, stages, seed=arguments.seed)
    # Workers start now, while networks are made and compiled.
    stream = iter(loaded(batches, arguments.workers))
    batch = next(stream)
    say(jax.devices(), "first batch made")
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    trainers = [Trainer(d, seeds, arguments.precision) for d in arguments.network]
    say("networks made")
    compile_all(trainers, phases)
    say("compiled")
    arguments.out.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(arguments.seed)
    total = sum(stage.steps for stage in stages) * arguments.shown
    begun = time.monotonic()
    left = (arguments.seconds or math.inf) - (begun - started)
    history: list[dict[str, Any]] = []
    recent: list[Any] = []
    step, waited, saved = 0, 0.0, 0
    for stage in stages:
        kept: list[Any] = []
        for number in range(stage.steps * arguments.shown):
            if number % arguments.shown == 0:
                if step:
                    before = time.monotonic()
                    batch = next(stream)
                    waited += time.monotonic() - before
                shown = jax.device_put(_compact(batch))
                kept = [*kept[1 - _KEPT :], shown]
            else:
                shown = _mirrored(kept[int(rng.integers(len(kept)))])
            progress = max(step / total, (time.monotonic() - begun) / left)
            rate = learning_rate(min(progress, 1.0))
            step += 1
            decay = min(_AVERAGE, (1 + step) / (10 + step))
            recent.append([t.step(shown, rate, decay) for t in trainers])
            last = step == total or progress >= 1
            if step % 100 == 0 or last:
                losses = jax.device_get(recent)
                mean = jax.tree.map(lambda *x: round(float(np.mean(x)), 4), *losses)
                recent = []
                history.append({"step": step, "rate": rate, "losses": mean})
                say("step", step, f"rate {rate:.5f} waited {waited:.1f}", mean)
            if progress >= (saved + 1) / arguments.snapshots or last:
                saved += 1
                _save(trainers, saved, step, history, arguments)
                say("saved", saved)
            if last:
                return


def _save(
    trainers: Sequence[Trainer],
    number: int,
    step: int,
    history: list[dict[str, Any]],
    arguments: argparse.Namespace,
) -> None:
    """Write the weights of all networks so far, and the losses."""
    for index, trainer in enumerate(trainers):
        for seed in range(len(trainer.states)):
            name = f"network{index}_seed{seed}_{number}.npz"
            trainer.save(seed, arguments.out / name)
    given = vars(arguments) | {
        "network": [design.text for design in arguments.network],
        "out": str(arguments.out),
    }
    with replacing(arguments.out / "history.json") as part:
        found = {"arguments": given, "steps": step, "history": history}
        part.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    raise SystemExit(main())
