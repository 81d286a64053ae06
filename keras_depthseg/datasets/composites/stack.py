"""Laying several cutouts over a scene, the farthest first."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import cv2
import numpy as np

from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.paste import (
    Composite,
    Place,
    darkened,
    hidden_by,
    rows_changed,
)
from keras_depthseg.datasets.composites.scene import Scene


@dataclasses.dataclass(frozen=True, eq=False)
class Piece:
    """The visible part of a cutout at its place in the image.

    Attributes:
        colour: (h, w, 3) uint8, not multiplied by opacity.
        alpha: (h, w) uint8; 0 where a surface of the scene is nearer.
        top, left: in the image, in pixels; nothing lies outside.
        depth: of the whole piece, in (0, 1]; `None` without depth.
        seen: the part of the cutout's opacity that is in `alpha`, 0..1.
    """

    colour: np.ndarray
    alpha: np.ndarray
    top: int
    left: int
    depth: float | None
    seen: float

    @classmethod
    def of(cls, scene: Scene, cutout: Layer, place: Place) -> Piece:
        """Return what is visible of a cutout in a scene."""
        height, width = scene.bg.shape[:2]
        top, left = max(place.top, 0), max(place.left, 0)
        bottom = max(min(place.top + cutout.height, height), top)
        right = max(min(place.left + cutout.width, width), left)
        part = np.s_[
            top - place.top : bottom - place.top, left - place.left : right - place.left
        ]
        colour, alpha = cutout.colour[part], cutout.alpha[part]
        if alpha.size:
            colour = cv2.divide(colour, cv2.merge([alpha] * 3), scale=255)
        if place.depth is not None:
            hidden = hidden_by(scene, np.s_[top:bottom, left:right], place.depth)
            alpha = np.where(hidden, np.uint8(0), alpha)
        # A cutout of single pixels may vanish when it shrinks.
        seen = cv2.sumElems(alpha)[0] / max(1.0, cv2.sumElems(cutout.alpha)[0])
        return cls(colour, alpha, top, left, place.depth, seen)

    @property
    def region(self) -> tuple[slice, slice]:
        """Its rows and columns in the image."""
        height, width = self.alpha.shape
        return slice(self.top, self.top + height), slice(self.left, self.left + width)


def stack(
    scene: Scene, pieces: Sequence[Piece], shadow: np.ndarray | None = None
) -> Composite:
    """Compose pieces over a scene, each over those before it.

    The mask is their union, `1 - (1 - a)(1 - b)`: what the background loses. Depth is
    that of the nearest piece where the mask is 128 or more. `seen` is that of the least
    visible piece.

    Args:
        scene: the background.
        pieces: the farthest first, if their depth is known.
        shadow: (H, W) float32, the part of its light that a pixel of the background
            loses; `None` for no shadow.
    """
    fg_bg = scene.bg.copy() if shadow is None else darkened(scene.bg, shadow)
    mask = np.zeros(scene.bg.shape[:2], np.uint8)
    depth = None if scene.depth is None else scene.depth.copy()
    for piece in pieces:
        region = piece.region
        opacity = cv2.merge([piece.alpha] * 3)
        fg_bg[region] = cv2.add(
            cv2.multiply(piece.colour, opacity, scale=1 / 255),
            cv2.multiply(fg_bg[region], 255 - opacity, scale=1 / 255),
        )
        before = mask[region]
        through = cv2.multiply(255 - before, 255 - piece.alpha, scale=1 / 255)
        union = np.maximum(255 - through, np.maximum(before, piece.alpha))
        if depth is not None:
            # Two half transparent edges together may be more than half opaque.
            crossed = (before < 128) & (union >= 128)
            depth[region][(piece.alpha >= 128) | crossed] = piece.depth
        mask[region] = union
    left, top, wide, tall = cv2.boundingRect(mask)
    return Composite(
        fg_bg,
        mask,
        depth,
        (top, left, top + tall, left + wide) if wide else (0, 0, 0, 0),
        rows_changed(mask, shadow),
        min((piece.seen for piece in pieces), default=0.0),
    )
