"""The ground in a depth map: where things can stand."""

from __future__ import annotations

import math

import cv2
import numpy as np

FIELD_OF_VIEW = math.radians(50)
"""Of the middle square of a picture: between a phone's (53) and a depth camera's (45)."""

_STEEPEST = math.radians(40)
"""Between the camera's upward direction and the ground's: nobody holds it more askew."""

_TRIES = 200
_SMALLEST = 0.03
"""Part of the picture that the ground must fill."""


def find_ground(depth: np.ndarray, seed: int = 0) -> np.ndarray:
    """The largest level surface with hardly anything below it.

    Planes through three random points of the lower half are tried (RANSAC, Fischler and
    Bolles 1981). Depth is taken as distance along the camera's axis, of any unit.

    Args:
        depth: (H, W) float, 0 where unknown; H = W.
        seed: of the random points.

    Returns:
        (H, W) bool; nowhere `True` if there is no such surface.
    """
    known = depth > 0
    points = _points(depth)
    height = depth.shape[0]
    # A grid is enough to find the plane, and much faster.
    step = max(1, height // 64)
    grid = np.zeros_like(known)
    grid[::step, ::step] = known[::step, ::step]
    sparse = points[grid]
    lower = grid & (np.arange(height)[:, None] >= height // 2)
    candidates = points[lower]
    if len(candidates) < 16:
        return np.zeros_like(known)
    rng = np.random.default_rng(seed)
    triples = candidates[rng.integers(len(candidates), size=(_TRIES, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    # Image rows run down, so up is negative y.
    normals *= -np.sign(normals[:, 1:2]) / np.maximum(lengths, 1e-12)[:, None]
    level = (lengths > 1e-9) & (normals[:, 1] < -math.cos(_STEEPEST))
    normals, origins = normals[level], triples[level, 0]
    if not len(normals):
        return np.zeros_like(known)
    # Above the plane, as a part of the distance: sensors err in proportion.
    above = (sparse @ normals.T - np.sum(origins * normals, axis=1)) / sparse[:, 2:]
    near = np.abs(above) < 0.02
    # What is below may be noise, mirrors or a step, but not much of the picture.
    below = np.mean(above < -0.04, axis=0)
    support = np.where(below < 0.05, near.mean(axis=0), 0)
    best = int(np.argmax(support))
    if support[best] < _SMALLEST:
        return np.zeros_like(known)
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = (points - origins[best]) @ normals[best] / depth
    ground = known & (np.abs(distance) < 0.02)
    # Single pixels of other surfaces that the plane cuts.
    kernel = np.ones((3, 3), np.uint8)
    return cv2.morphologyEx(ground.astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0


def _points(depth: np.ndarray) -> np.ndarray:
    """(H, W, 3) float64 coordinates: to the right, down, away."""
    height, width = depth.shape
    focal = width / 2 / math.tan(FIELD_OF_VIEW / 2)
    x = (np.arange(width) + 0.5 - width / 2) / focal
    y = (np.arange(height) + 0.5 - height / 2) / focal
    z = depth.astype(np.float64)
    return np.stack([x * z, y[:, None] * z, z], axis=-1)
