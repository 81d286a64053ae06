"""A seeded room as one camera sees it: the picture `bg` and its true `depth`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from keras_depthseg.datasets.rooms import geometry, lighting
from keras_depthseg.datasets.rooms.assembly import Support
from keras_depthseg.datasets.rooms.geometry import Camera, Projection, Surface
from keras_depthseg.datasets.rooms.layout import make_layout
from keras_depthseg.datasets.rooms.lighting import Lighting, Solid

SUPERSAMPLING = 2
"""Colour samples along each side of a pixel."""

_ROOM = 1
"""Keeps the random stream of rooms apart from those of cutouts and samples."""


@dataclasses.dataclass(frozen=True, eq=False)
class Room:
    """A drawn room.

    Attributes:
        bg: (H, W, 3) uint8 RGB.
        depth: (H, W) float32, z depth at pixel centres in metres, at most `FAR`.
        fine_inverse: (2H, 2W) float32, one over z depth, samples beside the centres.
        camera: who sees it.
        lighting: the lamps, in the exposure of `bg`.
        bounds: (3, 2) lowest and highest coordinates of the inside, metres.
        solids: furniture that blocks light and where nothing else can stand.
        supports: level tops of furniture.
        noise: standard deviation of the sensor's noise in `bg`, 0..255.
    """

    bg: np.ndarray
    depth: np.ndarray
    fine_inverse: np.ndarray
    camera: Camera
    lighting: Lighting
    bounds: np.ndarray
    solids: tuple[Solid, ...] = ()
    supports: tuple[Support, ...] = ()
    noise: float = 0.0


def make_room(seed: int, index: int, size: int) -> Room:
    """Room `index` of `seed`, H = W = `size` pixels; the same for the same integers."""
    rng = np.random.default_rng([seed, _ROOM, index])
    bounds = np.array(
        [
            [0.0, rng.uniform(2.6, 6.5)],
            [0.0, rng.uniform(2.3, 3.3)],
            [0.0, rng.uniform(3.6, 8.0)],
        ]
    )
    camera = _camera(rng, bounds, size)
    layout = make_layout(rng, camera.position, bounds)
    light = Lighting(tuple(layout.lamps), layout.ambient, bounds)
    return render_room(
        layout.things.surfaces,
        camera,
        light,
        solids=layout.things.solids,
        supports=layout.things.supports,
        brightness=rng.uniform(0.35, 0.85),
        noise=rng.uniform(0.3, 2.2),
        rng=rng,
    )


def _camera(rng: np.random.Generator, bounds: np.ndarray, size: int) -> Camera:
    """Return a camera near one end of the room that looks at the other half."""
    (_, x1), (_, height), (_, z1) = bounds
    position = np.array(
        [
            rng.uniform(0.25, 0.75) * x1 if rng.random() < 0.6 else
            rng.choice([0.35, x1 - 0.35]),
            min(rng.choice([rng.uniform(0.7, 1.3), rng.uniform(1.3, 1.8),
                            rng.uniform(1.8, 2.4)]), height - 0.25),
            rng.uniform(0.15, 0.9),
        ]
    )  # fmt: skip
    target = np.array(
        [
            rng.uniform(0.25, 0.75) * x1,
            rng.uniform(0.4, 1.3),
            rng.uniform(0.55, 0.95) * z1,
        ]
    )
    way = target - position
    yaw = math.degrees(math.atan2(way[0], way[2]))
    pitch = math.degrees(math.atan2(way[1], math.hypot(way[0], way[2])))
    roll = rng.normal(0, 0.7)
    return Camera.look(position, yaw, pitch, rng.uniform(48, 82), size, roll)


def render_room(
    surfaces: Sequence[Surface],
    camera: Camera,
    light: Lighting,
    *,
    solids: Sequence[Solid] = (),
    supports: Sequence[Support] = (),
    brightness: float = 0.5,
    noise: float = 0.0,
    rng: np.random.Generator | None = None,
) -> Room:
    """Draw surfaces under lamps.

    Args:
        surfaces: all surfaces of the room.
        camera: the point of view.
        light: lamps in any unit; they are scaled to `brightness`.
        solids: boxes that cast shadows.
        supports: stored for placing cutouts.
        brightness: mean light on the surfaces in view; 1 shows a surface's colours as
            they are.
        noise: standard deviation of the sensor's noise, 0..255; needs `rng`.
        rng: random numbers for the sensor's noise.
    """
    projection = Projection(surfaces, camera)
    inverse, index = projection.rasterise(SUPERSAMPLING)
    counts = np.bincount(index.ravel() + 1, minlength=len(surfaces) + 1)[1:]
    seen = np.flatnonzero(counts).tolist()
    shown = [surfaces[number] for number in seen]
    maps = lighting.light_maps(shown, light, solids)
    exposure = _exposure(shown, counts[seen], maps, brightness)
    light = dataclasses.replace(light, exposure=exposure)
    gain = exposure ** (1 / 2.2)
    picture = _colours(projection, index, dict(zip(seen, maps, strict=True)), gain)
    bg = cv2.resize(picture, (camera.size, camera.size), interpolation=cv2.INTER_AREA)
    if rng is not None:
        bg = _sense(bg, noise, rng)
    centre_inverse, _ = projection.rasterise()
    return Room(
        bg=bg,
        depth=geometry.depth_from_inverse(centre_inverse),
        fine_inverse=inverse,
        camera=camera,
        lighting=light,
        bounds=light.bounds,
        solids=tuple(solids),
        supports=tuple(supports),
        noise=noise,
    )


def _exposure(
    surfaces: Sequence[Surface],
    counts: np.ndarray,
    maps: Sequence[np.ndarray],
    brightness: float,
) -> float:
    """Return the factor on linear light for a mean `brightness` of the view."""
    total, weight = 0.0, 1e-6
    for surface, count, light in zip(surfaces, counts, maps, strict=True):
        if not surface.emission:
            total += count * float(light.mean()) / lighting.UNIT
            weight += count
    mean = (total / weight) ** 2.2
    return brightness / mean if mean > 1e-6 else 1.0


def _colours(
    projection: Projection,
    index: np.ndarray,
    maps: Mapping[int, np.ndarray],
    gain: float,
) -> np.ndarray:
    """Return pictures times light for every sample of `index`: (2H, 2W, 3) uint8."""
    result = np.full((*index.shape, 3), 225, np.uint8)
    smaller: dict[tuple[int, int], np.ndarray] = {}
    for number, light_map in maps.items():
        surface = projection.surfaces[number]
        y0, y1, x0, x1 = projection.window(number, SUPERSAMPLING)
        seen = (index[y0:y1, x0:x1] == number).view(np.uint8)
        x, y, w, h = cv2.boundingRect(seen)
        seen = np.ascontiguousarray(seen[y : y + h, x : x + w])
        x, y = x + x0, y + y0
        # Sample numbers -> pixel coordinates -> place on the surface.
        offset = np.array(
            [
                [1 / SUPERSAMPLING, 0, (x + 0.5) / SUPERSAMPLING],
                [0, 1 / SUPERSAMPLING, (y + 0.5) / SUPERSAMPLING],
                [0, 0, 1],
            ]
        )
        matrix = projection.maps[number] @ offset
        repeats = _repeats(surface)
        level = _level(surface, matrix, repeats, (w, h))
        key = (id(surface.picture), level)
        if key not in smaller:
            smaller[key] = _shrink(surface.picture, level)
        border = cv2.BORDER_WRAP if surface.tile else cv2.BORDER_REPLICATE
        albedo = _warp(smaller[key], matrix, repeats, (w, h), border)
        light = _warp(light_map, matrix, (1.0, 1.0), (w, h), cv2.BORDER_REPLICATE)
        factor = (1.0 if surface.emission else gain) / lighting.UNIT
        shaded = cv2.multiply(albedo, light, scale=factor)
        cv2.copyTo(shaded, seen, result[y : y + h, x : x + w])
    return result


def _repeats(surface: Surface) -> tuple[float, float]:
    if surface.tile is None:
        return 1.0, 1.0
    wide, tall = surface.extent()
    return wide / surface.tile[0], tall / surface.tile[1]


def _level(surface, matrix: np.ndarray, repeats, shape: tuple[int, int]) -> int:
    """How often to halve a picture so that it has about a pixel a sample."""
    s, t, w = matrix @ (shape[0] / 2, shape[1] / 2, 1.0)
    (sx, sy, _), (tx, ty, _), (wx, wy, _) = matrix.tolist()
    # Area of the surface under one sample at the window's middle.
    area = (sx * w - s * wx) * (ty * w - t * wy) - (sy * w - s * wy) * (tx * w - t * wx)
    area = abs(area) / max(w**4, 1e-30)
    height, width = surface.picture.shape[:2]
    pixels = area * repeats[0] * repeats[1] * height * width
    return min(max(round(0.5 * math.log2(max(pixels, 1e-9)) - 0.2), 0), 4)


def _shrink(picture: np.ndarray, level: int) -> np.ndarray:
    picture = picture[..., :3]
    if level:
        shape = [max(2, side >> level) for side in picture.shape[1::-1]]
        picture = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(picture)


def _warp(picture, matrix, repeats, shape, border) -> np.ndarray:
    """Draw a picture stretched over a surface, row 0 at t = 1: (h, w, 3) uint8."""
    height, width = picture.shape[:2]
    columns, rows = width * repeats[0], height * repeats[1]
    to_picture = np.array(
        [[columns, 0.0, -0.5], [0.0, -rows, rows - 0.5], [0.0, 0.0, 1.0]]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(
        picture, to_picture @ matrix, shape, flags=flags, borderMode=border
    )


def _sense(bg: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Simulate lens and sensor: darker corners, a tint, noise."""
    side = bg.shape[0]
    axis = np.linspace(-1, 1, side, dtype=np.float32) ** 2
    vignette = 1 - np.float32(rng.uniform(0, 0.14)) * (axis[:, None] + axis[None, :])
    tint = rng.uniform(0.95, 1.05, 3).astype(np.float32)
    picture = bg * vignette[..., None]
    picture *= tint
    grain = rng.standard_normal((side, side), np.float32)
    picture += (grain * np.float32(noise))[..., None]
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)
