"""What each part of a network is worth: designs and seeds on the same composites."""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import itertools
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.gpu_batches import (
    Batch,
    CompositeBatches,
    composites_of,
    loaded,
    stages_of,
)
from benchmarks.gpu_training import PARALLAX

_EVERY = 16
"""Steps between two changes of the learning rate."""
_TIMED = 16
"""Steps that tell how many the time allows."""


@dataclasses.dataclass(frozen=True)
class Design:
    """A network and its loss.

    Attributes:
        network: one of `registry.NETWORKS`.
        loss: of `losses.combination`.
        arguments: of the network.
    """

    network: str
    loss: str = "outline"
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)


DESIGNS = {
    "ds_resnet": Design("ds_resnet", "per_image"),
    "siamese_per_image": Design("siamese", "per_image"),
    "siamese": Design("siamese"),
    "siamese_matching": Design("siamese", arguments={"matching": True}),
    "siamese_joint_depth": Design("siamese", arguments={"plate_depth": False}),
}


def ablation(arguments: argparse.Namespace) -> dict[str, Any]:
    """Train each design with each seed on the same batches, in the seed's order.

    All steps have one resolution, and their number is the same for all: those of the
    recipe's only phase, or as many as `--minutes` allow. Weights, averaged as the recipe
    says, are stored as float16 in `OUT/DESIGN_SEED.npz` as soon as a training ends.
    Compiling takes longer than training, so the seeds of a design share one program.
    """
    started = time.monotonic()
    (stage,) = stages_of(arguments.recipe, arguments.samples)
    sources = composites_of(arguments.source, 0, unseen_fraction=0)
    if arguments.rooms:
        from keras_depthseg.datasets.rooms.endless import EndlessRooms

        sources.append((EndlessRooms(0, stage.resolution, PARALLAX), arguments.rooms))
    workers = arguments.workers
    made = loaded(CompositeBatches(sources, [stage], workers=workers), workers)
    arguments.out.mkdir(parents=True, exist_ok=True)
    with concurrent.futures.ThreadPoolExecutor(len(DESIGNS)) as threads:
        example = next(made)
        compiling = {
            name: threads.submit(
                _compiled, name, arguments.recipe, arguments.policy, example
            )
            for name in DESIGNS
        }
        # Copies: what workers hand over lies in shared memory.
        pool = [_copied(batch) for batch in itertools.chain([example], made)]
        print(f"{len(pool)} batches after {time.monotonic() - started:.0f} s", flush=True)
        models = {name: future.result() for name, future in compiling.items()}
    print(f"compiled after {time.monotonic() - started:.0f} s", flush=True)
    seconds = {name: _seconds_a_step(model, pool) for name, model in models.items()}
    steps = len(pool)
    if arguments.minutes:
        left = started + 60 * arguments.minutes - time.monotonic()
        steps = min(steps, int(left / sum(seconds.values()) / len(arguments.seeds)))
    print(f"{steps} steps; ms a step: {seconds}", flush=True)
    found: dict[str, Any] = {"steps": steps, "seconds_a_step": seconds, "losses": {}}
    for seed, (name, model) in itertools.product(arguments.seeds, models.items()):
        losses = _train(model, name, arguments.recipe, pool, steps, seed)
        weights = [np.asarray(array, np.float16) for array in model.get_weights()]
        np.savez(arguments.out / f"{name}_{seed}.npz", *weights)
        found["losses"][f"{name}_{seed}"] = losses
        print(name, seed, losses[-1], f"{time.monotonic() - started:.0f} s", flush=True)
    return found


def make_design(name: str, recipe: Any, policy: str = "float32") -> Any:
    """Return a new network of a design, of the recipe's width and first weights."""
    from keras_depthseg.networks.initialisation import INITIALISATIONS
    from keras_depthseg.networks.registry import NETWORKS

    design = DESIGNS[name]
    network = NETWORKS[design.network]
    model = network(width=recipe.width, dtype=policy, **design.arguments)
    INITIALISATIONS[recipe.initialisation](model)
    return model


def _compiled(name: str, recipe: Any, policy: str, example: Batch) -> Any:
    from keras_depthseg.losses import combination
    from keras_depthseg.training.compiled_model import make_optimizer

    model = make_design(name, recipe, policy)
    # A rate that is part of the program could not depend on the number of steps.
    plain = dataclasses.replace(recipe, learning_rate_schedule="plateau")
    loss: dict[str, Any] = combination(DESIGNS[name].loss)
    model.compile(make_optimizer(plain, 1), **loss)
    started = time.monotonic()
    # Another function than that of `train_on_batch`, for which JAX compiles again.
    once = (batch for batch in [example])
    model.fit(once, steps_per_epoch=1, shuffle=False, verbose=0)
    print(f"{name}: compiled in {time.monotonic() - started:.0f} s", flush=True)
    return model


def _copied(batch: Batch) -> Batch:
    inputs, labels = (
        {name: np.array(array) for name, array in part.items()} for part in batch
    )
    return inputs, labels


def _seconds_a_step(model: Any, pool: Sequence[Batch]) -> float:
    seconds = []
    # The first turn has what `fit` does once.
    for _ in range(2):
        started = time.monotonic()
        batches = (pool[step % len(pool)] for step in range(_TIMED))
        model.fit(batches, steps_per_epoch=_TIMED, shuffle=False, verbose=0)
        seconds.append((time.monotonic() - started) / _TIMED)
    return seconds[-1]


def _train(
    model: Any, name: str, recipe: Any, pool: Sequence[Batch], steps: int, seed: int
) -> list[float]:
    """Train from new weights; return the mean loss of each twentieth."""
    import keras

    from keras_depthseg.backend import synchronise
    from keras_depthseg.callbacks.weight_average import WeightAverage
    from keras_depthseg.optimizers import cosine_decay

    keras.utils.set_random_seed(seed)
    synchronise(model)
    model.set_weights(make_design(name, recipe).get_weights())
    for variable in model.optimizer.variables:
        variable.assign(np.zeros(variable.shape))
    rate = cosine_decay(recipe.learning_rate, steps)
    lines = min(20, steps)
    each = steps // lines

    def adjust(step: int, logs: Any = None) -> None:
        if step % _EVERY == 0:
            synchronise(model)
            done = int(model.optimizer.iterations.value)
            model.optimizer.learning_rate = float(rate(done))

    order = np.random.default_rng(seed).permutation(len(pool))
    history = model.fit(
        (pool[number] for number in order[: each * lines]),
        steps_per_epoch=each,
        epochs=lines,
        shuffle=False,
        callbacks=[
            WeightAverage(recipe.average),
            keras.callbacks.LambdaCallback(on_train_batch_begin=adjust),
        ],
        verbose=0,
    )
    return history.history["loss"]
