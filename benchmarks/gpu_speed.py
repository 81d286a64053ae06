"""Speeds on a GPU: training steps of Keras and PyTorch, and the workers alone."""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.gpu_batches import (
    Batch,
    CompositeBatches,
    composites_of,
    loaded,
    stages_of,
)
from benchmarks.training_speed import random_batch

_SIZES = ((96, 64), (160, 64), (224, 64))
_STEPS = 30


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
    sources = composites_of(arguments.source, arguments.seed)
    found = {}
    for side, count in _SIZES:
        phase = dataclasses.replace(arguments.recipe, schedule=f"{side}:1:{count}")
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
