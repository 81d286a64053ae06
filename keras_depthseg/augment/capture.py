"""Simulated differences between two photographs of one scene."""

from __future__ import annotations

import cv2
import numpy as np

# Share of the samples that are changed; the others stay aligned and clean.
PROBABILITY = 0.75
# Limits. A camera on a table, or held still by hand: 4 px and half a degree at 224 px.
# Share of the side, degrees.
MOVE = 0.02
TURN = 0.5
# Drift of exposure and of colours, as shares.
EXPOSURE = 0.2
WHITE_BALANCE = 0.05
# Standard deviation, in levels of 255.
NOISE = 4.0


def simulate_capture(images: np.ndarray, rng: np.random.Generator) -> None:
    """Change clean pairs as if they had been taken one after the other by hand.

    In three samples of four, `bg` is moved (up to `MOVE` of the side along each axis) and
    turned (up to `TURN` degrees about its centre) with mirrored borders, and its exposure
    and white balance change (all channels times 1 - `EXPOSURE` to 1 + `EXPOSURE`, each
    times 1 - `WHITE_BALANCE` to 1 + `WHITE_BALANCE`). Both images then get independent
    normal noise of a standard deviation up to `NOISE`. `fg_bg` is not moved, since its
    labels are not.

    Args:
        images: `bg` and `fg_bg`, (2, B, H, W, 3) uint8 RGB; changed in place.
        rng: source of everything random.
    """
    count, height, width = images.shape[1:4]
    changed = np.flatnonzero(rng.random(count) < PROBABILITY)
    moves = rng.uniform(-MOVE, MOVE, (count, 2)) * (width, height)
    turns = rng.uniform(-TURN, TURN, count)
    gains = 1 + rng.uniform(-EXPOSURE, EXPOSURE, (count, 1))
    gains = gains * (1 + rng.uniform(-WHITE_BALANCE, WHITE_BALANCE, (count, 3)))
    noises = rng.uniform(0, NOISE, (2, count))
    tables = np.clip(np.rint(np.arange(256)[:, None] * gains[:, None]), 0, 255)
    tables = tables.astype(np.uint8)
    centre = ((width - 1) / 2, (height - 1) / 2)
    moved = np.empty((height, width, 3), np.uint8)
    for i in changed:
        matrix = cv2.getRotationMatrix2D(centre, turns[i], scale=1.0)
        matrix[:, 2] += moves[i]
        bg = images[0, i]
        cv2.warpAffine(
            bg, matrix, (width, height), dst=moved, borderMode=cv2.BORDER_REFLECT_101
        )
        cv2.LUT(moved, tables[i][None], dst=bg)
        for image, deviation in zip(images[:, i], noises[:, i], strict=True):
            noise = rng.standard_normal(image.shape, dtype=np.float32)
            noise = np.rint(noise * np.float32(deviation)).astype(np.int16)
            cv2.add(image, noise, dst=image, dtype=cv2.CV_8U)  # Saturates.
