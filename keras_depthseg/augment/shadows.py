"""Shadows that are in one photograph of a scene and not in the other."""

from __future__ import annotations

import cv2
import numpy as np

from keras_depthseg.augment.pair import Pair

# At most so many separate parts of the foreground cast a shadow of their own.
_PARTS = 4
# Side, in pixels, at which soft shadows are drawn before they are enlarged.
_COARSE = 64


def cast_shadow(pair: Pair, strength: float, rng: np.random.Generator) -> None:
    """Let the foreground cast a shadow over what is around it in `fg_bg`.

    The shadow is the mask, sheared and flattened about the foot of each of its parts, and
    blurred the more, the farther from the foot. It does not fall on the foreground.

    Args:
        pair: changed in place.
        strength: per cent of light lost in the core.
        rng: source of everything random.
    """
    lean = rng.uniform(-1.5, 1.5)
    # Towards the camera (below the foot) or away from it.
    flat = rng.uniform(0.1, 0.6) * (1 if rng.random() < 0.5 else -1)
    sharp, soft = rng.uniform(0.01, 0.03), rng.uniform(0.04, 0.12)
    colour = _shadow_table(strength, rng)
    height, width = pair.mask.shape
    matte = np.zeros((height, width), np.float32)
    rows = np.arange(height, dtype=np.float32)[:, None]
    for part, (_, top, _, tall) in _parts(pair.mask):
        foot = top + tall - 1
        # (x, y) -> (x + lean * (foot - y), foot - flat * (foot - y)).
        matrix = np.array(
            [[1, -lean, lean * foot], [0, flat, foot - flat * foot]], np.float32
        )
        shadow = cv2.warpAffine(part, matrix, (width, height))
        far = np.clip((foot - rows) / (flat * tall), 0, 1)
        near = _blurred(shadow, sharp * tall, abs(flat))
        shadow = near + far * (_blurred(shadow, soft * tall, abs(flat)) - near)
        np.maximum(matte, shadow, out=matte)
    matte *= 1 - pair.mask
    _darken(pair.fg_bg, matte, colour)


def contact_shadow(pair: Pair, strength: float, rng: np.random.Generator) -> None:
    """Darken `fg_bg` softly at the foot of the foreground, and not the foreground.

    Args:
        pair: changed in place.
        strength: per cent of light lost where the shadow is darkest.
        rng: source of everything random.
    """
    depth, spread = rng.uniform(0.05, 0.15), rng.uniform(0.03, 0.1)
    colour = _shadow_table(strength, rng)
    matte = np.zeros_like(pair.mask)
    for part, (_, top, _, tall) in _parts(pair.mask):
        part[: int(top + (1 - depth) * tall)] = 0
        sigma = max(spread * tall, 0.5)
        np.maximum(
            matte, cv2.GaussianBlur(part, (0, 0), 2 * sigma, sigmaY=sigma), out=matte
        )
    matte *= 1 - pair.mask
    darkest = float(matte.max())
    if darkest > 0:
        matte *= 1 / darkest
        _darken(pair.fg_bg, matte, colour)


def outside_shadow(pair: Pair, strength: float, rng: np.random.Generator) -> None:
    """Let something outside the image cast a shadow, on `bg` or on `fg_bg` at random.

    An edge, a polygon or leaves; sharp or soft. It falls on the foreground too.

    Args:
        pair: changed in place.
        strength: per cent of light lost in the core.
        rng: source of everything random.
    """
    image = pair.one(rng)
    colour = _shadow_table(strength, rng)
    draw = (_half_plane, _polygon, _leaves)[rng.integers(3)]
    coarse = draw(rng)
    height, width = pair.mask.shape
    matte = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    _darken(image, matte, colour)


def _half_plane(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    x = np.linspace(-1, 1, _COARSE, dtype=np.float32)
    distance = np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * x[:, None]
    return _thresholded(distance, rng)


def _leaves(rng: np.random.Generator) -> np.ndarray:
    count = int(rng.integers(4, 16))
    noise = rng.standard_normal((count, count), dtype=np.float32)
    side = (_COARSE, _COARSE)
    return _thresholded(cv2.resize(noise, side, interpolation=cv2.INTER_CUBIC), rng)


def _thresholded(field: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return 1 where a field is high, on 15 to 60 % of the image, with a soft edge."""
    low, high, edge = np.percentile(field, (5, 95, 100 * rng.uniform(0.4, 0.85)))
    slope = 1 / ((high - low) * rng.uniform(0.03, 0.3))
    return np.clip((field - np.float32(edge)) * np.float32(slope) + 0.5, 0, 1)


def _polygon(rng: np.random.Generator) -> np.ndarray:
    # Convex, about a point in the image, of 0.2 to 0.8 of the side.
    corners = int(rng.integers(3, 8))
    angles = 2 * np.pi / corners * (np.arange(corners) + rng.uniform(-0.4, 0.4, corners))
    radii = rng.uniform(0.2, 0.8) * rng.uniform(0.6, 1, corners)
    points = rng.uniform(0.1, 0.9, 2) + radii[:, None] * np.transpose(
        (np.cos(angles), np.sin(angles))
    )
    matte = np.zeros((_COARSE, _COARSE), np.float32)
    hull = cv2.convexHull(np.rint(points * _COARSE * 16).astype(np.int32))
    cv2.fillPoly(matte, [hull], 1.0, lineType=cv2.LINE_AA, shift=4)
    return _blurred(matte, rng.uniform(0.01, 0.08) * _COARSE)


def _parts(mask: np.ndarray) -> list[tuple[np.ndarray, tuple]]:
    """Return the largest parts of the foreground.

    Returns:
        A list of (soft mask of the part, (H, W) float32; left, top, width, height).
    """
    solid = (mask > 0.5).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(solid)
    largest = 1 + np.argsort(-stats[1:, cv2.CC_STAT_AREA], kind="stable")[:_PARTS]
    return [
        (mask * (labels == label), tuple(int(n) for n in stats[label, :4]))
        for label in largest
    ]


def _blurred(image: np.ndarray, sigma: float, flat: float = 1.0) -> np.ndarray:
    """Blur by `sigma` pixels across, and `flat` times as much down."""
    across, down = max(sigma, 0.3), max(sigma * flat, 0.3)
    return cv2.GaussianBlur(image, (0, 0), across, sigmaY=down)


def _shadow_table(strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return the levels in the core of a shadow, (1, 256, 3) uint8.

    The affine model of SynShadow (Inoue and Yamasaki, "Learning from Synthetic Shadows
    for Shadow Detection and Removal", 2020): a * (I - x) for values I in [0, 1] with x in
    U(0, 0.25), by N(0.05, 0.025) more for red and less for blue. Here `a` follows from
    the strength: a mid-grey loses `strength` per cent. Weak shadows have a smaller `x`.
    """
    lost = strength / 100
    offsets = rng.uniform(0, 0.25) + rng.normal(0.05, 0.025, 3) * (1, 0, -1)
    offsets = min(1.0, 2 * lost) * np.clip(offsets, 0, 0.3)
    slope = 0.5 * (1 - lost) / (0.5 - offsets.mean())
    levels = slope * (np.arange(256)[:, None] / 255 - offsets)
    # No surface becomes brighter in a shadow.
    levels = np.clip(levels, 0, np.arange(256)[:, None] / 255)
    return np.rint(255 * levels).astype(np.uint8)[None]


def _darken(image: np.ndarray, matte: np.ndarray, table: np.ndarray) -> None:
    dark = cv2.LUT(image, table)
    cv2.blendLinear(image, dark, 1 - matte, matte, dst=image)
