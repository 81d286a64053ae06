"""Cutouts in the colours of the background behind them."""

from __future__ import annotations

import cv2
import numpy as np

WHOLE = 0.4
"""Share of disguised cutouts that are disguised as a whole; of the others a part is. A
part teaches most: what surrounds it says that it belongs to the foreground."""

_LEAST_SHIFT = 0.1
"""Of the image's side: nearer pieces would often equal what they cover."""


def disguise(
    colour: np.ndarray, bg: np.ndarray, top: int, left: int, rng: np.random.Generator
) -> np.ndarray:
    """Return a cutout's colours replaced by those of the background.

    They are a shifted or mirrored piece of the background, or one colour of what lies
    behind; of the whole cutout or of a part of it with a soft edge.

    Args:
        colour: (h, w, 3) uint8, not multiplied by opacity.
        bg: (H, W, 3) uint8.
        top, left: of the cutout in the image, in pixels; may lie outside.
        rng: random numbers.
    """
    tall, wide = colour.shape[:2]
    behind = _behind(bg, top, left, tall, wide)
    if rng.random() < 0.5:
        taken = _elsewhere(bg, top, left, tall, wide, rng)
    else:
        row, column = int(rng.integers(tall)), int(rng.integers(wide))
        taken = np.empty_like(colour)
        taken[:] = cv2.blur(behind, (5, 5))[row, column]
    if rng.random() < WHOLE:
        return taken
    part = _part(tall, wide, rng)
    return cv2.add(
        cv2.multiply(taken, part, scale=1 / 255),
        cv2.multiply(colour, 255 - part, scale=1 / 255),
    )


def _behind(bg: np.ndarray, top: int, left: int, tall: int, wide: int) -> np.ndarray:
    """Return a piece of the background; beyond its border it is mirrored."""
    height, width = bg.shape[:2]
    rows = _mirrored(np.arange(top, top + tall), height)
    columns = _mirrored(np.arange(left, left + wide), width)
    return bg[rows[:, None], columns]


def _mirrored(places: np.ndarray, length: int) -> np.ndarray:
    places = places % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


def _elsewhere(
    bg: np.ndarray,
    top: int,
    left: int,
    tall: int,
    wide: int,
    rng: np.random.Generator,
) -> np.ndarray:
    height, width = bg.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    distance = rng.uniform(_LEAST_SHIFT, 0.5)
    piece = _behind(
        bg,
        top + round(distance * height * np.sin(angle)),
        left + round(distance * width * np.cos(angle)),
        tall,
        wide,
    )
    return cv2.flip(piece, 1) if rng.random() < 0.5 else piece


def _part(tall: int, wide: int, rng: np.random.Generator) -> np.ndarray:
    """Return an ellipse that covers about half, (h, w, 3) uint8, with a soft edge."""
    part = np.zeros((tall, wide), np.uint8)
    middle = rng.uniform(0.2, 0.8, 2) * (wide, tall)
    axes = rng.uniform(0.25, 0.6, 2) * (wide, tall)
    cv2.ellipse(
        part,
        (round(middle[0]), round(middle[1])),
        (max(1, round(axes[0])), max(1, round(axes[1]))),
        rng.uniform(0, 180),
        0,
        360,
        255,
        cv2.FILLED,
    )
    soft = 2 * (min(tall, wide) // 16) + 1
    return cv2.merge([cv2.blur(part, (soft, soft))] * 3)
