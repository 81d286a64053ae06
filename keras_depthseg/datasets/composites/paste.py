"""Pasting a cutout into a scene: opacity, nearer surfaces, its shadow."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.scene import Scene

TOLERANCE = 0.02
"""A cutout hides surfaces up to this part of its depth nearer than itself: the ground it
stands on, and the noise of a depth camera."""


@dataclasses.dataclass(frozen=True)
class Place:
    """The place of a cutout in a scene.

    Attributes:
        top, left: of the cutout in the image, in pixels; may lie outside.
        depth: of the whole cutout, an upright plane, in (0, 1]; `None` without depth.
    """

    top: int
    left: int
    depth: float | None = None


@dataclasses.dataclass(frozen=True, eq=False)
class Composite:
    """A scene with a cutout in it.

    Attributes:
        fg_bg: (H, W, 3) uint8 RGB.
        mask: (H, W) uint8, 255 times the visible opacity of the cutout.
        depth: (H, W) float32, the cutout's where mask >= 128; `None` without depth.
        box: ymin, xmin, ymax, xmax of mask > 0 in pixels, the last two exclusive; all
            0 if nothing is visible.
        changed: the first row and the one after the last where `fg_bg` may differ from
            the background.
        seen: the part of the cutout's opacity that is in the mask, 0..1.
    """

    fg_bg: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None
    box: tuple[int, int, int, int]
    changed: tuple[int, int]
    seen: float


def paste(
    scene: Scene, cutout: Layer, place: Place, shadow: np.ndarray | None = None
) -> Composite:
    """Compose `cutout` over `scene`.

    `fg_bg = colour + bg (1 - alpha)` with colours multiplied by alpha (Porter and Duff
    1984, "over"). Where a surface of the scene is nearer than the cutout, alpha is 0: in
    image, mask and depth alike.

    Args:
        scene: the background.
        cutout: the image to paste.
        place: its place.
        shadow: (H, W) float32, the part of its light that a pixel loses, from
            `cast_shadow`; `None` for no shadow.
    """
    height, width = scene.bg.shape[:2]
    top, left = max(place.top, 0), max(place.left, 0)
    bottom = min(place.top + cutout.height, height)
    right = min(place.left + cutout.width, width)
    mask = np.zeros((height, width), np.uint8)
    fg_bg = scene.bg.copy() if shadow is None else darkened(scene.bg, shadow)
    depth = None if scene.depth is None else scene.depth.copy()
    if top >= bottom or left >= right:
        changed = rows_changed(mask, shadow)
        return Composite(fg_bg, mask, depth, (0, 0, 0, 0), changed, 0.0)

    region = np.s_[top:bottom, left:right]
    part = np.s_[
        top - place.top : bottom - place.top, left - place.left : right - place.left
    ]
    colour, alpha = cutout.colour[part], cutout.alpha[part]
    if place.depth is not None:
        hidden = hidden_by(scene, region, place.depth)
        alpha = np.where(hidden, np.uint8(0), alpha)
        colour = np.where(hidden[..., None], np.uint8(0), colour)
    # OpenCV's saturated arithmetic takes a twentieth of NumPy's time.
    through = cv2.merge([255 - alpha] * 3)
    fg_bg[region] = cv2.add(colour, cv2.multiply(fg_bg[region], through, scale=1 / 255))
    mask[region] = alpha
    if depth is not None:
        depth[region][alpha >= 128] = place.depth
    left, top, wide, tall = cv2.boundingRect(mask)
    return Composite(
        fg_bg,
        mask,
        depth,
        (top, left, top + tall, left + wide) if wide else (0, 0, 0, 0),
        rows_changed(mask, shadow),
        # A cutout of single pixels may vanish when it shrinks.
        cv2.sumElems(alpha)[0] / max(1.0, cv2.sumElems(cutout.alpha)[0]),
    )


def hidden_by(scene: Scene, region: tuple[slice, slice], depth: float) -> np.ndarray:
    """Return where surfaces of a scene are nearer than a cutout, (h, w) bool.

    Args:
        scene: has depth.
        region: rows and columns of the image.
        depth: of the cutout, in (0, 1].
    """
    return scene.surfaces[region] < depth * (1 - TOLERANCE)


def rows_changed(mask: np.ndarray, shadow: np.ndarray | None) -> tuple[int, int]:
    """Return the first row with mask or shadow, and the one after the last."""
    _, top, _, tall = cv2.boundingRect(
        mask if shadow is None else ((mask > 0) | (shadow > 0)).astype(np.uint8)
    )
    return top, top + tall


def cast_shadow(
    scene: Scene, cutout: Layer, place: Place, rng: np.random.Generator
) -> np.ndarray:
    """Return the shadow of a standing cutout on the ground.

    The outline is flattened and sheared away from a lamp about its lowest row, then
    blurred. With depth, only pixels of about the cutout's depth are darkened, so that a
    wall behind stays lit.

    Returns:
        (H, W) float32, the part of its light that a pixel loses, 0 to 0.6.
    """
    height, width = scene.bg.shape[:2]
    tall = cutout.height
    foot = place.top + tall
    length = rng.uniform(0.15, 0.5)
    shear = rng.uniform(-0.8, 0.8)
    strength = rng.uniform(0.25, 0.6)
    # From the cutout to the image: rows are flattened towards the foot and shifted.
    forward = np.array(
        [
            [1, -shear, place.left + shear * tall],
            [0, length, foot - length * tall],
        ]
    )
    outline = cv2.warpAffine(cutout.alpha, forward, (width, height))
    sharp = max(1.0, 0.01 * tall)
    soft = cv2.GaussianBlur(outline, (0, 0), sharp * rng.uniform(1.5, 3))
    if place.depth is not None:
        beside = np.abs(scene.surfaces - place.depth) < 0.25 * place.depth
        soft = soft * cv2.blur(beside.astype(np.float32), (3, 3))
    return soft.astype(np.float32) * np.float32(strength / 255)


def darkened(bg: np.ndarray, shadow: np.ndarray) -> np.ndarray:
    """Return an image that loses the part `shadow` of its light."""
    lit = np.round(bg * (1 - shadow[..., None]))
    return np.clip(lit, 0, 255).astype(np.uint8)
