"""How much of the pattern of clothes is in the depth of the foreground.

    python -m benchmarks.depth_pattern
    python -m benchmarks.depth_pattern runs/NAME/model.keras --count 96

A shirt with stripes is as far away as one without. The foreground of rendered rooms is
painted with a pattern, and again with its light and its dark parts exchanged. Half the
difference of the two depths, less its mean, is what the pattern has put there: its root
mean square inside the foreground, as a share of the foreground's true depth. Half the
contrast is 60 of 255 levels; no noise, no misalignment. No peer.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from benchmarks import command

_SIDE = 224
_PERIODS = (8, 16, 32)
_GREY, _CONTRAST = 128, 60
# Pixels from the outline, where the mask decides, to where depth is looked at.
_MARGIN = 4


def patterns(period: int) -> tuple[np.ndarray, ...]:
    """Return stripes down, stripes across and checks of -1 and 1, (H, W) float32."""
    line = np.where(np.arange(_SIDE) % period < period // 2, 1, -1).astype(np.float32)
    down = np.broadcast_to(line, (_SIDE, _SIDE))
    return down, down.T, down * down.T


def painted(fg_bg: np.ndarray, mask: np.ndarray, pattern: np.ndarray) -> np.ndarray:
    """Return a picture with a pattern on its foreground, (H, W, 3) uint8."""
    alpha = mask[..., None] / np.float32(255)
    colour = _GREY + _CONTRAST * pattern[..., None]
    return np.rint(fg_bg * (1 - alpha) + colour * alpha).astype(np.uint8)


def measure(model: Any, count: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Return the shares of all samples and patterns, and the room of each.

    Args:
        model: a Keras model of `bg` and `fg_bg`, as `load_pretrained` returns it.
        count: samples, each of a room of its own.
        seed: of the rooms.

    Returns:
        Shares, (N, periods) float64, and N names.
    """
    from keras_depthseg.datasets.rooms.endless import SAMPLES_A_ROOM, EndlessRooms

    rooms = EndlessRooms(seed, _SIDE)
    kinds = list(zip(*(patterns(period) for period in _PERIODS), strict=True))
    kernel = np.ones((2 * _MARGIN + 1,) * 2, np.uint8)
    shares, names = [], []
    for number in range(count):
        sample = rooms.sample("val", number * SAMPLES_A_ROOM)
        # Beyond the border of the image the foreground goes on.
        solid = (sample.mask == 255).astype(np.uint8)
        inside = cv2.erode(solid, kernel, borderValue=1) > 0
        if sample.depth is None or not inside.any():
            continue
        true = float(sample.depth[inside].mean())
        for kind in kinds:
            pairs = [
                painted(sample.fg_bg, sample.mask, sign * pattern)
                for pattern in kind
                for sign in (1, -1)
            ]
            bg = np.broadcast_to(sample.bg, (len(pairs), *sample.bg.shape))
            inputs = {"bg": bg, "fg_bg": np.stack(pairs)}
            depth = np.asarray(model.predict_on_batch(inputs)["depth"])[..., 0]
            half = (depth[::2] - depth[1::2])[:, inside] / 2
            shares.append(half.std(axis=1) / true)
            names.append(sample.bg_id)
    return np.array(shares, np.float64), names


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        description="How much of a pattern on the foreground is in its depth.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "model", nargs="?", default="small", help="a .keras file, a run folder or a name"
    )
    parser.add_argument("--count", type=command.positive, default=48, help="samples")
    parser.add_argument("--seed", type=int, default=4242, help="of the rooms")
    arguments = parser.parse_args(argv)

    from keras_depthseg.evaluation.intervals import scene_intervals
    from keras_depthseg.model_file import model_path
    from keras_depthseg.networks.loading import load_network

    model = load_network(model_path(arguments.model))
    shares, rooms = measure(model, arguments.count, arguments.seed)
    limits = scene_intervals(shares, rooms)
    print("period   of the foreground's depth")
    for column, period in enumerate(_PERIODS):
        line = f"{period:>3} px   {shares[:, column].mean():6.2%}"
        if limits is not None:
            line += f"   ({limits[0, column]:.2%} to {limits[1, column]:.2%})"
        print(line)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
