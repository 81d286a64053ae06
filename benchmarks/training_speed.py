"""Training speed of our network against its PyTorch peer, in images per second.

    python -m benchmarks.training_speed --rounds 5 --json training_speed.json

Both sides train the same architecture on one batch of random images that stays in
memory, with the same loss and SGD with momentum: reading data is not measured here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks import command, pairs

_DTYPES = ("float32", "bfloat16")
_LEARNING_RATE = 0.01
_MOMENTUM = 0.9


def random_batch(size: int, batch_size: int) -> dict[str, np.ndarray]:
    """`bg`, `fg_bg`: (B, H, W, 3) uint8; `depth`, `mask`: (B, H, W, 1) float32."""
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (2, batch_size, size, size, 3), dtype=np.uint8)
    maps = generator.random((2, batch_size, size, size, 1), dtype=np.float32)
    return {"bg": images[0], "fg_bg": images[1], "depth": maps[0], "mask": maps[1]}


def keras_side(
    size: int, batch_size: int, dtype: str, width: int, steps: int
) -> Callable[[], int]:
    """Our side: `fit` for `steps` steps, as users train."""
    # First: switches oneDNN on where it is faster, which TensorFlow reads once.
    import keras_depthseg  # noqa: F401, I001
    import keras
    import tensorflow as tf

    from keras_depthseg import losses
    from keras_depthseg.backend import untuned
    from keras_depthseg.model import DSResNet
    from keras_depthseg.optimizers import SGD

    keras.utils.set_random_seed(0)
    policy = "float32" if dtype == "float32" else f"mixed_{dtype}"
    keras.config.set_dtype_policy(policy)
    model = DSResNet(width=width)
    model.compile(
        optimizer=SGD(_LEARNING_RATE, momentum=_MOMENTUM),
        **losses.combination("rmse_bce_dice"),
    )
    batch = random_batch(size, batch_size)
    inputs = {name: batch[name] for name in ("bg", "fg_bg")}
    targets = {name: batch[name] for name in ("depth", "mask")}
    data = tf.data.Dataset.from_tensors((inputs, targets)).repeat()
    data = data.with_options(untuned())

    def run() -> int:
        history = model.fit(
            data, epochs=1, steps_per_epoch=steps, shuffle=False, verbose=0
        )
        pairs.require_finite(history.history["loss"][-1])
        return steps * batch_size

    return run


def torch_side(
    size: int,
    batch_size: int,
    dtype: str,
    width: int,
    steps: int,
    channels_last: bool,
) -> Callable[[], int]:
    """The peer: a plain loop over the same batch, normalised as its loader leaves it.

    bfloat16 is PyTorch's autocast. The loss is read at every step, as a progress line
    and a Keras history do.
    """
    import torch

    from benchmarks.torch_peer import DSResNet, rmse_bce_dice

    torch.manual_seed(0)
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = DSResNet(width).to(memory_format=layout).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=_LEARNING_RATE, momentum=_MOMENTUM)

    def tensor(array: np.ndarray) -> torch.Tensor:
        planes = torch.from_numpy(array).permute(0, 3, 1, 2)
        return planes.contiguous(memory_format=layout)

    batch = random_batch(size, batch_size)
    bg, fg_bg = (
        tensor((batch[name] / np.float32(255.0) - 0.5) / 0.25) for name in ("bg", "fg_bg")
    )
    targets = {name: tensor(batch[name]) for name in ("depth", "mask")}

    def run() -> int:
        for _ in range(steps):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
                logits = model(bg, fg_bg)
                loss = rmse_bce_dice(logits, targets)
            loss.backward()
            optimizer.step()
            last = loss.item()
        pairs.require_finite(last)
        return steps * batch_size

    return run


def cases(
    arguments: argparse.Namespace,
) -> Sequence[tuple[str, Sequence[pairs.Side]]]:
    """A case for every size and precision: ours, the peer in both memory layouts."""
    result = []
    for size, batch_size in arguments.sizes:
        for dtype in arguments.dtypes:
            options = {
                "size": size,
                "batch_size": batch_size,
                "dtype": dtype,
                "width": arguments.width,
                "steps": arguments.steps,
            }
            last = {**options, "channels_last": True}
            first = {**options, "channels_last": False}
            sides = [
                pairs.Side("keras", keras_side, options),
                pairs.Side("torch, channels last", torch_side, last),
                pairs.Side("torch, default layout", torch_side, first),
            ]
            result.append((f"{size} px, batch {batch_size}, {dtype}", sides))
    return result


def size_and_batch(text: str) -> tuple[int, int]:
    """An argparse type: `SIZE:BATCH`, SIZE in pixels and a multiple of 32."""
    size, _, batch_size = text.partition(":")
    parts = (size, batch_size)
    if not all(p.isdecimal() and int(p) > 0 for p in parts) or int(size) % 32:
        raise argparse.ArgumentTypeError(
            "must be SIZE:BATCH, two integers above 0, SIZE a multiple of 32, such as "
            f"96:16. Received: {text!r}"
        )
    return int(size), int(batch_size)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = command.Parser("Training speed: ours against PyTorch.", rounds=5)
    parser.add_argument(
        "--steps", type=command.positive, default=5, help="training steps of a turn"
    )
    parser.add_argument(
        "--width", type=command.positive, default=16, help="channels of the first block"
    )
    parser.add_argument(
        "--sizes",
        type=size_and_batch,
        nargs="+",
        default=[(96, 16), (224, 4)],
        metavar="SIZE:BATCH",
        help="pixels and batch size of each case",
    )
    parser.add_argument(
        "--dtypes", choices=_DTYPES, nargs="+", default=_DTYPES, help="precisions"
    )
    return command.run(parser, parser.parse_args(argv), cases, unit="img/s")


if __name__ == "__main__":
    raise SystemExit(main())
