"""Cutouts of plain things: grey, dark, wooden, of glass, with thin legs.

The pictures that may be trained on have hardly any chairs, tools, bottles or cars, and
these are what a network that was trained without them misses (docs/log/networks.md).
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from keras_depthseg.datasets.rooms import textures
from keras_depthseg.datasets.rooms.brush import Canvas, band, limb, oval, smooth

_SIZE = 256
_DARK = 0.35
"""Share of the materials that are nearly black, as tyres, screens and grips."""
_GLASS = 0.12
"""Share of things through which the background is seen."""
_SOFTEST = 1.6
"""Standard deviation of the softest outline, in pixels: out of focus."""


def make_thing(seed: int, index: int, surfaces: list[np.ndarray]) -> np.ndarray:
    """Return thing `index` of a seed: (h, w, 4) uint8 RGBA, about 256 pixels.

    Args:
        seed: of the things.
        index: any number.
        surfaces: (h, w, 3) uint8 pieces of photographs that parts may be covered with.
    """
    rng = np.random.default_rng([seed, index])
    light = (float(rng.uniform(-0.8, 0.8)), float(rng.uniform(0.2, 0.7)))
    canvas = Canvas(2.6, 2.6, _SIZE / 2, light)
    _KINDS[int(rng.integers(len(_KINDS)))](canvas, _Materials(rng, surfaces), rng)
    rgba, _, _ = canvas.finish()
    rgba = _turned(rgba, rng)
    if rng.random() < _GLASS:
        rgba[..., 3] = _see_through(rgba[..., 3], rng)
    if rng.random() < 0.5:
        sigma = rng.uniform(0.4, _SOFTEST)
        rgba[..., 3] = cv2.GaussianBlur(rgba[..., 3], (0, 0), sigma)
    return rgba


def plain(rgba: np.ndarray, seed: int, index: int) -> np.ndarray:
    """Return a cutout in the colours of wood, stone, metal or rubber.

    Args:
        rgba: (h, w, 4) uint8.
        seed: of the colours.
        index: of the cutout.
    """
    rng = np.random.default_rng([seed, index, 1])
    light = cv2.cvtColor(rgba[..., :3], cv2.COLOR_RGB2GRAY).astype(np.float32)
    inside = light[rgba[..., 3] > 127]
    middle = float(np.median(inside)) if inside.size else 128.0
    # What is light and dark in it stays so, around the material's own brightness.
    shade = 1 + rng.uniform(0.3, 1.0) * (light - middle) / 128
    colours = _tiled(_material(rng), rgba.shape[:2]).astype(np.float32)
    out = rgba.copy()
    out[..., :3] = np.clip(colours * np.maximum(shade, 0.1)[..., None], 0, 255)
    return out


def _material(rng: np.random.Generator) -> np.ndarray:
    """Return a repeating picture (128, 128, 3) in a colour that things have."""
    if rng.random() < _DARK:
        colour = textures.colour(rng, saturation=(0.0, 0.3), value=(0.03, 0.25))
    elif rng.random() < 0.5:
        colour = textures.colour(rng, saturation=(0.0, 0.12), value=(0.25, 0.95))
    else:
        return textures.pick(
            rng,
            (textures.wood, textures.wood, textures.planks, textures.concrete,
             textures.fabric, textures.carpet, textures.lacquer),
        )  # fmt: skip
    rough = rng.uniform(0.01, 0.12)
    shade = 1 + rough * textures.fractal_noise(rng, int(rng.integers(2, 24)), 4)
    return np.clip(colour * shade[..., None], 0, 255).astype(np.uint8)


def _tiled(picture: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = (np.arange(side) % picture.shape[0] for side in shape)
    return picture[rows[:, None], columns]


class _Materials:
    """The one to three materials of a thing."""

    def __init__(self, rng: np.random.Generator, surfaces: list[np.ndarray]):
        self._rng = rng
        self._pictures = []
        for _ in range(int(rng.integers(1, 4))):
            if surfaces and rng.random() < 0.3:
                self._pictures.append(_photographed(surfaces, rng))
            else:
                self._pictures.append(_material(rng))

    def part(self, canvas: Canvas, polygon, **shading) -> None:
        """Draw a part in one of the materials."""
        picture = self._pictures[int(self._rng.integers(len(self._pictures)))]
        shading.setdefault("tone", self._rng.uniform(0.7, 1.15))
        shading.setdefault("contrast", self._rng.uniform(0.1, 0.9))
        shading.setdefault("roundness", self._rng.uniform(0.2, 1.0))
        canvas.part(polygon, picture, tile=self._rng.uniform(0.5, 1.5), **shading)


def _photographed(surfaces: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Return a square of a photograph, brighter or darker, its colours weaker."""
    surface = surfaces[int(rng.integers(len(surfaces)))]
    side = min(surface.shape[:2])
    side = int(rng.integers(side // 3, side + 1))
    top = int(rng.integers(surface.shape[0] - side + 1))
    left = int(rng.integers(surface.shape[1] - side + 1))
    piece = surface[top : top + side, left : left + side]
    piece = cv2.resize(piece, (textures.TILE,) * 2, interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(piece, cv2.COLOR_RGB2GRAY)[..., None]
    colourful = rng.random()
    mixed = (colourful * piece + (1 - colourful) * grey) * rng.uniform(0.4, 1.2)
    # Mirrored to the right and downwards it repeats without a seam.
    half = cv2.resize(mixed, (textures.TILE // 2,) * 2, interpolation=cv2.INTER_AREA)
    row = np.concatenate([half, half[:, ::-1]], axis=1)
    return np.clip(np.concatenate([row, row[::-1]]), 0, 255).astype(np.uint8)


# === Kinds; metres here are halves of the picture: y from 0 to 2.5 ===


def _furniture(canvas: Canvas, made_of: _Materials, rng: np.random.Generator) -> None:
    """A stool, chair, table or shelf: boards on thin legs."""
    half, high = rng.uniform(0.35, 1.1), rng.uniform(0.5, 1.3)
    skew, rise = rng.uniform(-0.3, 0.3), rng.uniform(0.0, 0.3)
    thick, leg = rng.uniform(0.02, 0.12), rng.uniform(0.012, 0.07)
    splay = rng.uniform(0.0, 0.2)
    back = rng.random() < 0.6
    top = high + rng.uniform(0.4, 1.1) if back else high
    ends = [(side * half + skew, rise) for side in (-1, 1)]
    for side, (x, y) in zip((-1, 1), ends, strict=True):
        foot = (x + side * splay, y)
        made_of.part(canvas, limb(foot, (x, top), (leg, leg)), tone=0.75)
    if back:
        bars = int(rng.integers(0, 7))
        upright = rng.random() < 0.5
        for number in range(bars):
            share = (number + 0.5) / bars
            if upright:
                x = skew + half * (2 * share - 1)
                ends = ((x, high), (x, top))
            else:
                y = high + (top - high) * share
                ends = ((skew - half, y), (skew + half, y))
            made_of.part(canvas, limb(*ends, (leg * 0.8, leg * 0.8)))
        wide = rng.uniform(0.03, 0.5 * (top - high)) if rng.random() < 0.6 else leg
        rail = [(skew - half, top), (skew + half, top),
                (skew + half, top - wide), (skew - half, top - wide)]  # fmt: skip
        made_of.part(canvas, rail)
    board = [(-half, high), (half, high), (half + skew, high + rise),
             (-half + skew, high + rise)]  # fmt: skip
    made_of.part(canvas, board, contrast=0.2, tone=1.1)
    front = [(-half, high - thick), (half, high - thick), (half, high), (-half, high)]
    made_of.part(canvas, front)
    for side in (-1, 1):
        x = side * half * 0.95
        made_of.part(canvas, limb((x + side * splay, 0), (x, high - thick), (leg, leg)))
    if rng.random() < 0.5:
        y = high * rng.uniform(0.2, 0.7)
        made_of.part(canvas, limb((-half, y), (half, y), (leg * 0.7, leg * 0.7)))


def _tool(canvas: Canvas, made_of: _Materials, rng: np.random.Generator) -> None:
    """A long grip with a head, or two that cross."""
    for _ in range(int(rng.integers(1, 3))):
        turn = rng.uniform(-0.5, 0.5)
        long, grip = rng.uniform(0.9, 2.0), rng.uniform(0.02, 0.12)
        x = rng.uniform(-0.3, 0.3)
        end = (x + long * math.sin(turn), 0.15 + long * math.cos(turn))
        radii = (grip, grip * rng.uniform(0.5, 1.3))
        made_of.part(canvas, limb((x, 0.15), end, radii), contrast=0.8)
        held = rng.uniform(0.3, 0.6)
        stop = (x + held * (end[0] - x), 0.15 + held * (end[1] - 0.15))
        if rng.random() < 0.5:
            made_of.part(canvas, limb((x, 0.15), stop, (grip * 1.4, grip * 1.1)))
        across = rng.uniform(0.1, 0.6)
        side = np.array([math.cos(turn), -math.sin(turn)])
        kind = int(rng.integers(4))
        if kind == 0:
            head = limb(tuple(end - side * across), tuple(end + side * across * 0.7),
                        (rng.uniform(0.04, 0.16), rng.uniform(0.02, 0.16)))  # fmt: skip
        elif kind == 1:
            head = oval(end, (across, across * rng.uniform(0.3, 1.0)), turn)
        elif kind == 2:
            ring = oval(end, (across, across * rng.uniform(0.6, 1.0)), turn)
            head = band([*ring, ring[0]], grip)
        else:
            head = _blob(end, across, rng)
        made_of.part(canvas, head)


def _vessel(canvas: Canvas, made_of: _Materials, rng: np.random.Generator) -> None:
    """A bottle, cup, pot or lamp: a body of revolution."""
    tall, wide = rng.uniform(0.6, 2.3), rng.uniform(0.15, 0.7)
    count = int(rng.integers(3, 8))
    widths = wide * rng.uniform(0.25, 1.0, count)
    right = np.stack([widths, np.linspace(0, tall, count)], 1)
    right = smooth(right, closed=False)
    body = np.concatenate([right, (right * (-1, 1))[::-1]])
    if rng.random() < 0.5:
        side = rng.choice([-1, 1])
        centre = (side * widths[count // 2], tall * rng.uniform(0.4, 0.7))
        ring = oval(centre, (rng.uniform(0.1, 0.4), rng.uniform(0.15, 0.4)))
        made_of.part(
            canvas, band(np.concatenate([ring, ring[:1]]), rng.uniform(0.02, 0.07))
        )
    made_of.part(canvas, body, contrast=rng.uniform(0.5, 1.0), roundness=1.0)
    if rng.random() < 0.5:
        low, high = np.sort(rng.uniform(0, tall, 2))
        label = right[(right[:, 1] >= low) & (right[:, 1] <= high)]
        if len(label) > 1:
            made_of.part(canvas, np.concatenate([label, (label * (-1, 1))[::-1]]))
    made_of.part(canvas, oval((0, tall), (widths[-1], widths[-1] * 0.2)), tone=0.4)


def _panel(canvas: Canvas, made_of: _Materials, rng: np.random.Generator) -> None:
    """A screen, book, box or board, seen from the side; some stand on a foot."""
    half, tall = rng.uniform(0.3, 1.1), rng.uniform(0.4, 1.5)
    foot = rng.uniform(0.1, 0.6) if rng.random() < 0.5 else 0.0
    skew, slant = rng.uniform(-0.3, 0.3), rng.uniform(-0.2, 0.2)
    corners = np.array(
        [
            (-half, foot),
            (half, foot + slant),
            (half + skew, foot + slant + tall),
            (-half + skew, foot + tall),
        ]
    )
    if foot:
        made_of.part(canvas, limb((0, 0), (0, foot + 0.1), (0.06, 0.04)))
        made_of.part(canvas, oval((0, 0.05), (half * rng.uniform(0.3, 0.8), 0.05)))
    deep = np.array([rng.uniform(-0.4, 0.4), rng.uniform(0.0, 0.3)])
    made_of.part(canvas, corners + deep, tone=0.6, contrast=0.1)
    for number in range(4):
        edge = corners[[number, (number + 1) % 4]]
        made_of.part(canvas, np.concatenate([edge, (edge + deep)[::-1]]), contrast=0.1)
    made_of.part(canvas, corners, contrast=0.2)
    middle = corners.mean(axis=0)
    if rng.random() < 0.7:
        inner = middle + (corners - middle) * rng.uniform(0.6, 0.95)
        made_of.part(canvas, inner, contrast=0.1)
    for _ in range(int(rng.integers(0, 6))):
        place = middle + (corners[int(rng.integers(4))] - middle) * rng.uniform(0, 0.8)
        made_of.part(canvas, _blob(place, rng.uniform(0.03, 0.2), rng))


def _vehicle(canvas: Canvas, made_of: _Materials, rng: np.random.Generator) -> None:
    """A car, cart or machine: a body with windows on wheels."""
    half, low, high = rng.uniform(0.6, 1.2), rng.uniform(0.1, 0.25), rng.uniform(0.5, 0.8)
    roof = high + rng.uniform(0.1, 0.6)
    front, rear = rng.uniform(0.2, 0.9, 2) * half
    body = [(-half, low), (half, low), (half, high * 0.9), (front, high),
            (front * 0.7, roof), (-rear * 0.8, roof), (-rear, high),
            (-half, high)]  # fmt: skip
    body = smooth(np.array(body), steps=4) if rng.random() < 0.6 else np.array(body)
    made_of.part(canvas, body, roundness=0.3)
    panes = int(rng.integers(1, 4))
    edges = np.linspace(-rear * 0.8, front * 0.7, panes + 1)
    glass = np.array([rng.uniform(15, 90)] * 3)
    for left, right in zip(edges[:-1], edges[1:], strict=True):
        pane = [(left + 0.03, high), (right - 0.03, high), (right - 0.06, roof - 0.05),
                (left + 0.06, roof - 0.05)]  # fmt: skip
        canvas.part(pane, glass, contrast=0.3)
    stripe = rng.uniform(low, high)
    made_of.part(canvas, limb((-half, stripe), (half, stripe), (0.02, 0.02)))
    radius = rng.uniform(0.12, 0.3)
    for x in (-half * 0.6, half * 0.6):
        canvas.part(oval((x, radius), (radius, radius)), np.array([28, 28, 30]))
        made_of.part(canvas, oval((x, radius), (radius * 0.55,) * 2))


def _creature(canvas: Canvas, made_of: _Materials, rng: np.random.Generator) -> None:
    """A trunk with a head, limbs and a tail, in fur, feathers or stone."""
    middle = np.array([0.0, rng.uniform(0.6, 1.1)])
    trunk = rng.uniform(0.3, 0.6)
    for _ in range(int(rng.integers(2, 7))):
        start = middle + rng.uniform(-0.7, 0.7, 2) * trunk
        stop = start + rng.uniform(-0.9, 0.9, 2) * (1, 0.9) - (0, 0.3)
        thick = rng.uniform(0.03, 0.14)
        made_of.part(
            canvas,
            limb(tuple(start), tuple(stop), (thick, thick * rng.uniform(0.3, 1.0))),
        )
    made_of.part(canvas, _blob(middle, trunk, rng), roundness=1.0)
    head = middle + (rng.choice([-1, 1]) * trunk, rng.uniform(0.1, 0.6))
    made_of.part(canvas, _blob(head, trunk * rng.uniform(0.3, 0.6), rng))
    for _ in range(int(rng.integers(0, 3))):
        place = head + rng.uniform(-0.15, 0.15, 2)
        made_of.part(canvas, oval(tuple(place), tuple(rng.uniform(0.02, 0.08, 2))))


_KINDS = (
    _furniture,
    _furniture,
    _tool,
    _tool,
    _vessel,
    _vessel,
    _panel,
    _vehicle,
    _creature,
)


def _blob(centre, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Return a closed smooth outline around a place."""
    angles = np.linspace(0, 2 * math.pi, int(rng.integers(5, 10)), endpoint=False)
    radii = radius * rng.uniform(0.6, 1.2, len(angles))
    around = np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
    return smooth(np.asarray(centre) + around * rng.uniform(0.6, 1.2, 2))


# === The whole picture ===


def _turned(rgba: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return it mirrored, and turned by up to 30 degrees, as tools lie."""
    if rng.random() < 0.5:
        rgba = rgba[:, ::-1]
    if rng.random() < 0.6:
        return np.pad(rgba, [(4, 4), (4, 4), (0, 0)])
    side = math.ceil(math.hypot(*rgba.shape[:2])) + 4
    height, width = rgba.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-30, 30), 1.0)
    turn[:, 2] += (side - width) / 2, (side - height) / 2
    solid = rgba.astype(np.float32)
    solid[..., :3] *= solid[..., 3:] / 255  # Colours beyond the outline are black.
    solid = cv2.warpAffine(solid, turn, (side, side), flags=cv2.INTER_LINEAR)
    solid[..., :3] *= 255 / np.maximum(solid[..., 3:], 1)
    solid = np.clip(solid + 0.5, 0, 255).astype(np.uint8)
    x, y, w, h = cv2.boundingRect(solid[..., 3])
    return np.pad(solid[y : y + h, x : x + w], [(4, 4), (4, 4), (0, 0)])


def _see_through(alpha: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the opacity of glass: less inside than at the outline."""
    solid = (alpha > 127).astype(np.uint8)
    inside = cv2.distanceTransform(solid, cv2.DIST_L2, 3)
    rim = np.exp(-inside / rng.uniform(2, 12))
    clear = rng.uniform(0.5, 0.9)
    return (alpha * (clear + (1 - clear) * rim)).astype(np.uint8)
