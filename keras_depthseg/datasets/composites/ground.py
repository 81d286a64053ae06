"""Finding the ground in a depth map, where cutouts can stand."""

from __future__ import annotations

import math

import cv2
import numpy as np

FIELD_OF_VIEW = math.radians(50)
"""Of a photograph's middle square: between a phone's (53) and a depth camera's (45)."""

_STEEPEST = math.radians(40)
"""Between the camera's upward direction and the ground's normal: few photographs are
tilted more."""

_TRIES = 200
_CANDIDATES = 20
_FITS = 4
_NEAR = 0.02
"""A point belongs to the ground up to this distance, as a part of its distance from the
camera: twice the noise of a good depth camera."""
_SMALLEST = 0.03
"""The ground must fill this part of the image."""


def find_ground(depth: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the largest level surface with hardly anything below it.

    Planes through three random points of the lower half are tried (RANSAC, Fischler and
    Bolles 1981), and the best are fitted to all points near them. Depth is taken as
    distance along the camera's axis, of any unit.

    Args:
        depth: (H, W) float, 0 where unknown; H = W.
        seed: of the random points.

    Returns:
        (H, W) bool; nowhere `True` if there is no such surface.
    """
    known = depth > 0
    points = _points(depth)
    height = depth.shape[0]
    # A grid of 64 x 64 points is enough to find the plane, and much faster.
    step = max(1, height // 64)
    grid = np.zeros_like(known)
    grid[::step, ::step] = known[::step, ::step]
    lower = grid & (np.arange(height)[:, None] >= height // 2)
    plane = _find_plane(points[grid], points[lower], np.random.default_rng(seed))
    if plane is None:
        return np.zeros_like(known)
    normal, offset = plane
    # Where nothing is known both sides are 0.
    near = np.abs(points @ normal - offset) < _NEAR * points[..., 2]
    # Removes single pixels of other surfaces that the plane cuts.
    kernel = np.ones((3, 3), np.uint8)
    return cv2.morphologyEx((known & near).astype(np.uint8), cv2.MORPH_OPEN, kernel) > 0


_Plane = tuple[np.ndarray, float]
"""`normal`, upwards, (3,) of length 1, and `offset`: `points @ normal` is about it."""


def _find_plane(
    points: np.ndarray, lower: np.ndarray, rng: np.random.Generator
) -> _Plane | None:
    """Return the plane of the ground; `points` (N, 3), `lower` of the lower half."""
    if len(lower) < 16:
        return None
    triples = lower[rng.integers(len(lower), size=(_TRIES, 3))]
    normals = np.cross(triples[:, 1] - triples[:, 0], triples[:, 2] - triples[:, 0])
    lengths = np.linalg.norm(normals, axis=1)
    # Image rows run down, so up is negative y.
    normals *= -np.sign(normals[:, 1:2]) / np.maximum(lengths, 1e-12)[:, None]
    level = (lengths > 1e-9) & (normals[:, 1] < -math.cos(_STEEPEST))
    normals, origins = normals[level], triples[level, 0]
    # Above the plane, as a part of the distance: sensors err in proportion.
    above = (points @ normals.T - np.sum(origins * normals, axis=1)) / points[:, 2:]
    near = np.abs(above) < _NEAR
    support = np.where(_is_lowest(above), near.mean(axis=0), 0)
    for best in np.argsort(-support, kind="stable")[:_CANDIDATES]:
        if support[best] < _SMALLEST:
            break
        plane = _grown(points, near[:, best])
        if plane is not None:
            return plane
    return None


def _grown(points: np.ndarray, near: np.ndarray) -> _Plane | None:
    """Fit the plane to all points near it, in steps; `None` if it is no ground.

    Three noisy points of a wall may look level; all points of the wall do not.
    """
    normal, offset, above = np.zeros(3), 0.0, np.zeros(len(points))
    for _ in range(_FITS):
        normal, offset = _fit(points[near])
        above = (points @ normal - offset) / points[:, 2]
        near = np.abs(above) < _NEAR
        if near.mean() < _SMALLEST:
            return None
    level = normal[1] < -math.cos(_STEEPEST)
    return (normal, offset) if level and _is_lowest(above) else None


def _is_lowest(above: np.ndarray) -> np.ndarray:
    """Return whether hardly any points, the first axis, lie below."""
    # Noise, mirrors or a step may, but not much of the image.
    return np.mean(above < -2 * _NEAR, axis=0) < 0.05


def _fit(points: np.ndarray) -> _Plane:
    """Fit a plane to (N, 3) points by least squares, errors in parts of the distance."""
    nearness = 1 / points[:, 2:]
    middle = np.sum(points * nearness**2, axis=0) / np.sum(nearness**2)
    scaled = (points - middle) * nearness
    normal = np.linalg.eigh(scaled.T @ scaled)[1][:, 0]
    normal = -normal if normal[1] > 0 else normal
    return normal, float(middle @ normal)


def _points(depth: np.ndarray) -> np.ndarray:
    """Return (H, W, 3) float64 coordinates: to the right, down, away."""
    height, width = depth.shape
    focal = width / 2 / math.tan(FIELD_OF_VIEW / 2)
    x = (np.arange(width) + 0.5 - width / 2) / focal
    y = (np.arange(height) + 0.5 - height / 2) / focal
    z = depth.astype(np.float64)
    return np.stack([x * z, y[:, None] * z, z], axis=-1)
