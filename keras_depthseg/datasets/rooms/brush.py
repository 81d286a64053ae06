"""A canvas for cutouts: shaded, textured parts laid over one another, soft edges.

Coordinates are in metres: x to the right of the middle, y up from the floor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

_FINER = 2
"""Canvas pixels along each side of a pixel of the finished cutout."""

Points = Sequence[tuple[float, float]] | np.ndarray


def smooth(points: Points, steps: int = 6, closed: bool = True) -> np.ndarray:
    """Return a Catmull-Rom curve through points (N, 2): (N * steps, 2)."""
    points = np.asarray(points, np.float64)
    if not closed:
        points = np.concatenate([points[:1], points, points[-1:]])
    before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
    beyond = np.roll(points, -2, axis=0)
    t = (np.arange(steps) / steps)[None, :, None]
    p0, p1, p2, p3 = (p[:, None, :] for p in (before, points, after, beyond))
    curve = 0.5 * (
        2 * p1
        + (p2 - p0) * t
        + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
        + (3 * p1 - p0 - 3 * p2 + p3) * t**3
    )
    if not closed:
        curve = curve[1:-2]
        return np.concatenate([curve.reshape(-1, 2), points[-1:]])
    return curve.reshape(-1, 2)


def oval(
    centre: tuple[float, float], radii: Sequence[float], turn: float = 0.0
) -> np.ndarray:
    """Return an ellipse as a polygon; `turn` in radians."""
    angle = np.linspace(0, 2 * math.pi, 28, endpoint=False)
    x, y = radii[0] * np.cos(angle), radii[1] * np.sin(angle)
    cos, sin = math.cos(turn), math.sin(turn)
    return np.stack([centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y], 1)


def limb(
    start: tuple[float, float], stop: tuple[float, float], radii: Sequence[float]
) -> np.ndarray:
    """Return a tapered stroke with round ends as a polygon."""
    (x0, y0), (x1, y1) = start, stop
    angle = math.atan2(y1 - y0, x1 - x0)
    turn = np.linspace(math.pi / 2, 3 * math.pi / 2, 9) + angle
    back = np.stack([x0 + radii[0] * np.cos(turn), y0 + radii[0] * np.sin(turn)], 1)
    turn = np.linspace(-math.pi / 2, math.pi / 2, 9) + angle
    front = np.stack([x1 + radii[1] * np.cos(turn), y1 + radii[1] * np.sin(turn)], 1)
    return np.concatenate([back, front])


def band(points: Points, radii: float | Sequence[float] | np.ndarray) -> np.ndarray:
    """Return a bent stroke along points (N, 2) as a polygon."""
    points = np.asarray(points, np.float64)
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    side = np.stack([-along[:, 1], along[:, 0]], axis=1)
    side = side * np.broadcast_to(np.asarray(radii, np.float64), len(points))[:, None]
    return np.concatenate([points + side, (points - side)[::-1]])


class Canvas:
    """A canvas on which parts are drawn from the back to the front.

    Args:
        width: metres.
        height: metres.
        scale: pixels of the finished cutout in a metre.
        light: (2,) where the light comes from, x right and y up, length at most 1.
    """

    def __init__(
        self, width: float, height: float, scale: float, light: tuple[float, float]
    ):
        self.scale = scale * _FINER
        margin = 2 * _FINER
        # A whole number of finished pixels: shrinking must not shift the picture.
        rows, columns = (
            (int(side * scale) + 1) * _FINER + 2 * margin for side in (height, width)
        )
        self._left = columns / 2
        self._floor = rows - margin
        self.light = light
        self.rgb = np.zeros((rows, columns, 3), np.uint8)
        self.alpha = np.zeros((rows, columns), np.uint8)

    def _outline(self, polygon: Points) -> tuple[np.ndarray, tuple[int, int, int, int]]:
        """Return a polygon's mask within its window x0, y0, x1, y1 of the canvas."""
        polygon = np.asarray(polygon, np.float64)
        x = self._left + polygon[:, 0] * self.scale - 0.5
        y = self._floor - polygon[:, 1] * self.scale - 0.5
        rows, columns = self.alpha.shape
        x0, x1 = max(0, int(x.min()) - 1), min(columns, int(x.max()) + 3)
        y0, y1 = max(0, int(y.min()) - 1), min(rows, int(y.max()) + 3)
        mask = np.zeros((max(y1 - y0, 0), max(x1 - x0, 0)), np.uint8)
        if mask.size:
            fixed = np.round(np.stack([x - x0, y - y0], 1) * 16).astype(np.int32)
            cv2.fillPoly(mask, [fixed], 255, shift=4)
        return mask, (x0, y0, x1, y1)

    def part(
        self,
        polygon: Points,
        picture: np.ndarray,
        tile: float = 0.5,
        roundness: float = 1.0,
        tone: float = 1.0,
        contrast: float = 0.4,
    ) -> None:
        """Draw a polygon over the earlier parts.

        Args:
            polygon: (N, 2) metres.
            picture: a colour (3,) or a material (h, w, 3), both 0..255.
            tile: width and height of one repeat of the material in metres.
            roundness: how far in from the edge the surface bends, 1 = to the middle.
            tone: factor on the picture's brightness.
            contrast: strength of light and shade.
        """
        mask, (x0, y0, x1, y1) = self._outline(polygon)
        if not mask.any():
            return
        picture = np.asarray(picture)
        if picture.ndim == 1:
            colours = picture.astype(np.float32)
        else:
            # Small repeats would flicker between samples: take fewer texture pixels.
            step = picture.shape[0] / max(tile * self.scale, 4.0)
            rows = (np.arange(y0, y1) * step).astype(np.intp) % picture.shape[0]
            columns = (np.arange(x0, x1) * step).astype(np.intp) % picture.shape[1]
            colours = picture[rows[:, None], columns[None, :]]
        shade = self._shade(mask, roundness, contrast) * np.float32(tone)
        colours = np.minimum(colours * shade[..., None], 255).astype(np.uint8)
        cv2.copyTo(colours, mask, self.rgb[y0:y1, x0:x1])
        cv2.bitwise_or(self.alpha[y0:y1, x0:x1], mask, self.alpha[y0:y1, x0:x1])

    def _shade(self, mask: np.ndarray, roundness: float, contrast: float) -> np.ndarray:
        """Return the light on a pillow with this outline, about 0.6..1.3, float32."""
        # The blurred outline is its height; its slope says where it faces.
        area, edge = float(np.count_nonzero(mask)), sum(mask.shape)
        reach = min(max(2 * roundness * area / edge, 1.5), 40.0)
        # Twice with a box is nearly a Gaussian and costs the same for any reach.
        kernel = (int(reach) | 1, int(reach) | 1)
        border = cv2.BORDER_CONSTANT
        height = cv2.blur(mask.astype(np.float32), kernel, borderType=border)
        height = cv2.blur(height, kernel, borderType=border) * np.float32(1 / 255)
        slope = np.zeros_like(height)
        span = max(1, int(reach / 4))
        if mask.shape[0] > 2 * span and mask.shape[1] > 2 * span:
            right = height[span:-span, 2 * span :] - height[span:-span, : -2 * span]
            down = height[2 * span :, span:-span] - height[: -2 * span, span:-span]
            lean = self.light[1] * down - self.light[0] * right
            slope[span:-span, span:-span] = lean
        return 1 - 0.5 * contrast + contrast * (0.55 * height + 1.1 * slope)

    def finish(self) -> tuple[np.ndarray, float, float]:
        """Return the finished image, cropped to the drawn parts.

        Returns:
            (h, w, 4) uint8 RGBA, colours not multiplied by alpha and continued under
            the soft edge; its width and height in metres.
        """
        x, y, w, h = cv2.boundingRect(self.alpha)
        # Whole finished pixels, one clear pixel on each side.
        x0, y0 = max(0, (x // _FINER - 1) * _FINER), max(0, (y // _FINER - 1) * _FINER)
        x1, y1 = x + w + _FINER, y + h
        columns, rows = math.ceil((x1 - x0) / _FINER), math.ceil((y1 - y0) / _FINER)
        alpha = np.zeros((rows * _FINER, columns * _FINER), np.float32)
        rgb = np.zeros((*alpha.shape, 3), np.float32)
        part = self.alpha[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]]
        # The lowest drawn row is the last one: standing cutouts touch the floor.
        alpha[-part.shape[0] :, : part.shape[1]] = part
        alpha[: -part.shape[0]] = 0
        colours = self.rgb[y0 : y0 + alpha.shape[0], x0 : x0 + alpha.shape[1]]
        rgb[-part.shape[0] :, : part.shape[1]] = colours
        rgb *= (alpha > 0)[..., None]
        shape = (columns, rows)
        alpha = cv2.resize(alpha, shape, interpolation=cv2.INTER_AREA)
        rgb = cv2.resize(rgb, shape, interpolation=cv2.INTER_AREA)
        rgb *= 255 / np.maximum(alpha, 1)[..., None]
        spread = cv2.dilate(rgb, np.ones((3, 3), np.uint8))
        rgb = np.where(alpha[..., None] > 0, rgb, spread)
        picture = np.dstack([rgb, alpha])
        metre = self.scale / _FINER
        picture = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
        return picture, columns / metre, rows / metre
