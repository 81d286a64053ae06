"""A camera that moved between two photographs.

The relative movement is split in halves: `bg` moves one way and `fg_bg`, with its labels,
the other. Both pass the same single resampling, so that neither is blurred more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import cv2
import numpy as np

from keras_depthseg.augment.pair import Pair
from keras_depthseg.pictures.fill import fill_unknown

MOVEMENTS = ("shift", "rotation", "zoom", "perspective", "parallax")
# Disparities between these percentiles count as the nearest and the farthest: single
# wrong pixels of a depth map must not determine the scale.
FARTHEST, NEAREST = 1, 99
# Of the mask, where it counts as foreground when the depth behind it is looked for.
_COVERED = 0.02


def move_camera(
    pair: Pair,
    strengths: Mapping[str, float],
    rng_of: Callable[[str], np.random.Generator],
) -> bool:
    """Move the camera between the two photographs; borders are mirrored.

    Args:
        pair: changed in place; the labels follow `fg_bg`: `mask` by linear interpolation,
            `depth` by the nearest pixel, unknown depth stays unknown.
        strengths: of `MOVEMENTS`, relative between the images: pixels of shift, degrees,
            per cent of zoom, pixels by which corners are displaced, pixels of disparity
            between the nearest and the farthest known depth.
        rng_of: returns the generator of a movement.

    Returns:
        Whether anything moved.
    """
    height, width = pair.mask.shape
    halves = _half_matrices(strengths, rng_of, width, height)
    disparities = None
    if "parallax" in strengths:
        disparities = _disparities(pair, strengths["parallax"], rng_of("parallax"))
        if disparities is None and len(strengths) == 1:
            return False
    for side, (image, matrix) in enumerate(zip(pair.images, halves, strict=True)):
        maps = _backward_maps(matrix, width, height)
        if disparities is not None:
            disparity, step = disparities[side]
            moved = _remap(disparity, maps, cv2.INTER_LINEAR)
            for coordinates, part in zip(maps, step, strict=True):
                cv2.scaleAdd(moved, -float(part), coordinates, dst=coordinates)
        image[...] = _remap(image, _corrected(maps), cv2.INTER_CUBIC)
    pair.mask[...] = _remap(pair.mask, maps, cv2.INTER_LINEAR)
    pair.depth[...] = _remap(pair.depth, maps, cv2.INTER_NEAREST)
    return True


def _remap(image: np.ndarray, maps: tuple, interpolation: int) -> np.ndarray:
    x, y = maps
    return cv2.remap(image, x, y, interpolation, borderMode=cv2.BORDER_REFLECT_101)


def _corrected(maps: tuple) -> tuple[np.ndarray, ...]:
    """Return maps by which OpenCV's cubic interpolation hits the right places.

    Its kernel (a = -0.75) displaces what lies a fraction t behind a pixel by e(t) = t *
    (1 - t) * (1 - 2 * t) / 2, up to 0.05 pixels. One step of Newton's method undoes it.
    """
    corrected = []
    for places in maps:
        t = places - np.floor(places)
        bend = t * (1 - t)
        t *= -2
        t += 1
        t *= bend
        bend *= -6
        bend += 3
        t /= bend
        corrected.append(places - t)
    return tuple(corrected)


def _half_matrices(
    strengths: Mapping[str, float],
    rng_of: Callable[[str], np.random.Generator],
    width: int,
    height: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the homographies (3, 3) by which `bg` and `fg_bg` move, in pixels."""
    shift = strengths.get("shift", 0) / 2 * _direction(rng_of("shift"))
    turn = strengths.get("rotation", 0) / 2 * _sign(rng_of("rotation"))
    scale = 1 + strengths.get("zoom", 0) / 100
    scale **= _sign(rng_of("zoom")) / 2
    tilt = strengths.get("perspective", 0) / 2 * _direction(rng_of("perspective"))
    corner = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
    corners = corner * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], np.float32)
    to_centre = np.eye(3)
    to_centre[:2, 2] = -corner
    matrices = []
    for side in (-1, 1):
        cosine, sine = np.cos(np.deg2rad(side * turn)), np.sin(np.deg2rad(side * turn))
        matrix = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
        matrix[:2, :2] *= scale**side
        matrix[:2, 2] = side * shift
        if tilt.any():
            # A tilt moves neighbouring corners in opposite directions, without a shift, a
            # rotation or a zoom of the whole: x -> x + p * x * y, to the first order.
            signs = np.array([[1], [-1], [1], [-1]], np.float32)
            tilted = corners + signs * (side * tilt).astype(np.float32)
            matrix = matrix @ cv2.getPerspectiveTransform(corners, tilted)
        matrices.append(np.linalg.inv(to_centre) @ matrix @ to_centre)
    return matrices[0], matrices[1]


def _sign(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.5 else -1


def _direction(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def _backward_maps(
    matrix: np.ndarray, width: int, height: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return where each pixel comes from, x and y, (H, W) float32 each."""
    inverse = np.linalg.inv(matrix)
    inverse = (inverse / inverse[2, 2]).astype(np.float32)
    x = np.arange(width, dtype=np.float32)
    y = np.arange(height, dtype=np.float32)[:, None]
    from_x, from_y, divisor = (row[0] * x + (row[1] * y + row[2]) for row in inverse)
    if inverse[2, :2].any():
        from_x /= divisor
        from_y /= divisor
    return from_x, from_y


def _disparities(pair: Pair, strength: float, rng: np.random.Generator):
    """Return the disparities of `bg` and `fg_bg` and their steps; `None` without depth.

    A disparity is (H, W) float32, nearest less farthest = 1, 0 on average of the plate: a
    moved camera that keeps its aim. A step is the movement, x and y, of a disparity of 1.
    """
    known = pair.depth > 0
    if not known.any():
        return None
    inverse = np.zeros_like(pair.depth)
    np.divide(1, pair.depth, out=inverse, where=known)
    # A quarter of the pixels is enough for percentiles, and sorting takes time.
    far, near = np.percentile(inverse[known][::4], (FARTHEST, NEAREST))
    if near - far <= 1e-6 * near:
        return None
    behind = known & (pair.mask < _COVERED)
    inverse -= np.float32(far)
    inverse *= np.float32(1 / (near - far))
    np.clip(inverse, 0, 1, out=inverse)
    picture = fill_unknown(inverse, known)
    # What the foreground covers is as far as what is seen beside it.
    plate = fill_unknown(inverse, behind) if behind.any() else picture
    pivot = np.float32(plate.mean())
    # What is near covers what is far: it takes a margin along, as wide as it moves.
    reach = 2 * int(np.ceil(strength / 2)) + 3
    kernel = np.ones((reach, reach), np.uint8)
    step = strength / 2 * _direction(rng)
    return [
        (cv2.dilate(disparity, kernel) - pivot, side * step)
        for side, disparity in ((-1, plate), (1, picture))
    ]
