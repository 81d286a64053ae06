"""Draw docs/images/capture.jpg: python docs/make_capture_image.py.

Each difference between two photographs at three strengths, on a rendered room and object:
`bg`, `fg_bg` and how much they differ.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from matplotlib.figure import Figure

from keras_depthseg.augment.capture import EFFECTS, Capture
from keras_depthseg.datasets.rooms import cutouts, render, scene

SIDE = 224
SEED = 3  # Of the directions and signs.
STRENGTHS = 3
COLUMNS = ("bg", "fg_bg", "difference")


def make_arrays(index: int) -> tuple[np.ndarray, np.ndarray]:
    """Render a room and an object; return images and labels as `Capture` takes them."""
    room = scene.make_room(seed=1, index=index, size=SIDE)
    cutout = cutouts.make_cutout(seed=1, index=index, size=SIDE)
    composite = render.make_composite(room, cutout, seed=1, index=index)
    images = np.stack([composite.bg, composite.fg_bg])[:, None]
    labels = np.stack([composite.mask / np.float32(255), composite.depth])
    return images, labels[:, None, ..., None].astype(np.float32)


def draw(images: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """Write a JPEG with a row for each effect."""
    columns = STRENGTHS * len(COLUMNS)
    figure = Figure(figsize=(columns * 1.15, len(EFFECTS) * 1.32), dpi=100)
    axes = figure.subplots(len(EFFECTS), columns)
    figure.subplots_adjust(0.002, 0.002, 0.998, 0.985, wspace=0.03, hspace=0.14)
    for row, effect in zip(axes, EFFECTS.values(), strict=True):
        for i, strength in enumerate(effect.strengths[-STRENGTHS:]):
            changed = images.copy()
            capture = Capture.fixed({effect.name: strength})
            boxes = np.zeros((1, 4), np.float32)
            capture(changed, labels.copy(), boxes, np.random.default_rng(SEED))
            bg, fg_bg = changed[:, 0]
            pictures = (bg, fg_bg, cv2.convertScaleAbs(cv2.absdiff(bg, fg_bg), alpha=2))
            cells = row[i * len(COLUMNS) :][: len(COLUMNS)]
            for cell, picture in zip(cells, pictures, strict=True):
                cell.imshow(picture)
                cell.axis("off")
            name = effect.name.replace("_", " ")
            cells[0].set_title(
                f"{name} {strength:g} {effect.unit}", fontsize=8, loc="left", pad=2
            )
    figure.savefig(path, pil_kwargs={"quality": 85})


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the effects of a capture.")
    parser.add_argument("--room", type=int, default=10)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "images" / "capture.jpg"
    )
    args = parser.parse_args()
    draw(*make_arrays(args.room), args.out)


if __name__ == "__main__":
    main()
