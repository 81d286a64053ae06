"""Check, time and train on a GPU that has JAX and PyTorch, but not TensorFlow.

    python -m benchmarks.gpu agreement --source BG FG - 1
    python -m benchmarks.gpu speed
    python -m benchmarks.gpu train --source BG FG - 1 --out model.keras
    python -m benchmarks.gpu ablation --source BG FG - 1 --seeds 0 1 2 --out networks

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
from collections.abc import Sequence
from typing import Any

from benchmarks.gpu_ablation import ablation
from benchmarks.gpu_speed import compose, speed
from benchmarks.gpu_training import POLICIES, agreement, train

_TASKS = {
    "ablation": ablation,
    "agreement": agreement,
    "compose": compose,
    "speed": speed,
    "train": train,
}


def _recipe(arguments: argparse.Namespace) -> Any:
    # Not above: it imports Keras, whose backend `main` chooses first.
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
    parser.add_argument("task", choices=sorted(_TASKS))
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
    parser.add_argument("--policy", choices=POLICIES, default="mixed_bfloat16")
    parser.add_argument(
        "--policies", choices=POLICIES[:2], nargs="+", default=["mixed_bfloat16"]
    )
    parser.add_argument(
        "--side", choices=("keras", "torch", "torch_compiled"), default="keras"
    )
    parser.add_argument("--turns", type=int, default=5, help="of speed")
    parser.add_argument("--steps", type=int, default=64, help="of compose")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="of ablation")
    parser.add_argument(
        "--out", type=pathlib.Path, help="the trained model; of ablation a folder"
    )
    parser.add_argument("--json", type=pathlib.Path, help="write what was found there")
    arguments = parser.parse_args(argv)
    os.environ.setdefault("KERAS_BACKEND", "jax")  # before Keras is imported
    if arguments.task in ("train", "ablation") and arguments.out is None:
        parser.error(f"{arguments.task} needs --out, where what is trained is written")
    if arguments.task != "speed" and not arguments.source:
        parser.error(f"{arguments.task} needs --source, pictures to compose")
    arguments.recipe = _recipe(arguments)
    found = _TASKS[arguments.task](arguments)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(found, indent=2))
    long = ("history", "recipe", "losses")
    print(json.dumps({name: found[name] for name in found if name not in long}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
