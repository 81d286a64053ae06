"""Draw docs/images/predictions.png: python docs/make_images.py runs/NAME/model.keras.

Rooms and objects of seed 1, which no run with the default seed has seen, and the maps
that the model predicts for them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import keras
import matplotlib
import matplotlib.patches
import numpy as np
from matplotlib.figure import Figure

from keras_depthseg.datasets.rooms import cutouts, render, scene
from keras_depthseg.figures import DEPTH_COLOURS
from keras_depthseg.model import DSResNet

COLUMNS = ("bg", "fg_bg", "mask", "depth")
RENDERED = 448  # Pixels; finer than the predictions, to look at.


def make_pair(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Render `bg` and `fg_bg`, (448, 448, 3) uint8, of a room and an object."""
    room = scene.make_room(seed=1, index=index, size=RENDERED)
    cutout = cutouts.make_cutout(seed=1, index=index, size=RENDERED)
    composite = render.make_composite(room, cutout, seed=1, index=index)
    return composite.bg, composite.fg_bg


def predict(
    model: DSResNet, bg: np.ndarray, fg_bg: np.ndarray, resolution: int
) -> tuple[np.ndarray, np.ndarray]:
    """Predict at a resolution; return `mask` and `depth`, (448, 448) in [0, 1]."""
    small = [
        cv2.resize(image, (resolution, resolution), interpolation=cv2.INTER_AREA)[None]
        for image in (bg, fg_bg)
    ]
    maps = model.predict(dict(zip(("bg", "fg_bg"), small, strict=True)), verbose=0)
    mask, depth = (
        cv2.resize(maps[name][0], bg.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        for name in ("mask", "depth")
    )
    return np.clip(mask, 0, 1), depth


def draw(rows: list[tuple[np.ndarray, ...]], path: Path) -> None:
    """Write a PNG with a row for each sample and a heading for each column."""
    cell, gap, heading, arrow = 1.9, 0.06, 0.32, 0.5
    width = len(COLUMNS) * cell + 2 * gap + arrow
    height = heading + len(rows) * (cell + gap)
    figure = Figure(figsize=(width, height), dpi=110, facecolor="white")
    for i, row in enumerate(rows):
        bottom = height - heading - (i + 1) * cell - i * gap
        for j, (name, image) in enumerate(zip(COLUMNS, row, strict=True)):
            left = j * cell + (gap if j % 2 else 0) + (gap + arrow if j > 1 else 0)
            axes = figure.add_axes(
                (left / width, bottom / height, cell / width, cell / height)
            )
            axes.imshow(image, cmap="gray", vmin=0, vmax=1)
            axes.axis("off")
            if i == 0:
                axes.set_title(name, fontsize=13, pad=6)
        middle = (bottom + cell / 2) / height
        start = (2 * cell + gap + 0.1) / width
        figure.add_artist(
            matplotlib.patches.FancyArrowPatch(
                (start, middle),
                (start + (arrow - 0.14) / width, middle),
                arrowstyle="-|>",
                mutation_scale=16,
                color="#555555",
                transform=figure.transFigure,
            )
        )
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the predictions of a model.")
    parser.add_argument("model", type=Path, help="a model.keras of a run")
    parser.add_argument("--resolution", type=int, default=96, help="of the prediction")
    parser.add_argument("--rooms", type=int, nargs="+", default=[0, 10, 1])
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "images" / "predictions.png"
    )
    args = parser.parse_args()
    model = keras.saving.load_model(args.model)
    if not isinstance(model, DSResNet):
        parser.error(f"{args.model}: not a DSResNet.")
    rows = []
    for index in args.rooms:
        bg, fg_bg = make_pair(index)
        mask, depth = predict(model, bg, fg_bg, args.resolution)
        low, high = np.percentile(depth, (1, 99))
        scaled = np.clip((depth - low) / (high - low), 0, 1)
        depth_image = matplotlib.colormaps[DEPTH_COLOURS](scaled)[..., :3]
        rows.append((bg, fg_bg, mask, depth_image))
    draw(rows, args.out)


if __name__ == "__main__":
    main()
