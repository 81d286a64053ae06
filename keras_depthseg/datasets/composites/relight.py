"""Lighting a cutout otherwise than its background."""

from __future__ import annotations

import math

import cv2
import numpy as np


def relight(
    colour: np.ndarray, rng: np.random.Generator, strength: float = 1.0
) -> np.ndarray:
    """Return a cutout's colours in another light.

    Exposure, white balance and gamma are its own, and the light falls off across it
    along a random direction. At `strength` 1: up to half a stop, 8 % a channel, gamma
    0.8 to 1.25, and 35 % of light more or less at the two ends.

    Args:
        colour: (h, w, 3) uint8, not multiplied by opacity.
        rng: random numbers.
        strength: part of these ranges, 0..1.
    """
    # One after the other: the gains differ by channel, the curve does not.
    draws = strength * rng.uniform(-1, 1, 7)
    gains = 2 ** (0.5 * draws[0]) * (1 + 0.08 * draws[1:4])
    levels = np.linspace(0, 1, 256)[:, None] ** (1.25 ** draws[4])
    table = np.clip(255 * levels * gains + 0.5, 0, 255).astype(np.uint8)
    lit = cv2.LUT(colour, table[None])
    slope, angle = 0.35 * draws[5], math.pi * draws[6]
    tall, wide = colour.shape[:2]
    across = np.linspace(-1, 1, wide, dtype=np.float32) * (slope * math.cos(angle))
    along = np.linspace(-1, 1, tall, dtype=np.float32) * (slope * math.sin(angle))
    light = 1 + across.astype(np.float32) + along.astype(np.float32)[:, None]
    return cv2.multiply(lit, cv2.merge([light] * 3), dtype=cv2.CV_8U)
