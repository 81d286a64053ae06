"""A seeded room as one camera sees it: the picture `bg` and its true `depth`."""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from keras_depthseg.datasets.rooms import geometry, lighting
from keras_depthseg.datasets.rooms.assembly import Support
from keras_depthseg.datasets.rooms.drawing import SUPERSAMPLING, colours
from keras_depthseg.datasets.rooms.geometry import Camera, Projection, Surface
from keras_depthseg.datasets.rooms.layout import make_layout
from keras_depthseg.datasets.rooms.lighting import Lighting, Solid

_ROOM, _MOVED = 1, 6
"""Keep the random streams of rooms and of their moved plates apart from those of
cutouts, samples and orders."""


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
        plate: (H, W, 3) uint8 RGB, the same room from a camera moved a little; `bg`
            itself without parallax.
    """

    bg: np.ndarray
    depth: np.ndarray
    fine_inverse: np.ndarray
    camera: Camera
    lighting: Lighting
    bounds: np.ndarray
    plate: np.ndarray
    solids: tuple[Solid, ...] = ()
    supports: tuple[Support, ...] = ()
    noise: float = 0.0


def make_room(seed: int, index: int, size: int, parallax: float = 0.0) -> Room:
    """Room `index` of `seed`; the same for the same numbers.

    Args:
        seed, index: any integers from 0.
        size: H = W, in pixels.
        parallax: centimetres that the camera of `plate` has moved, in a random
            direction, looking the same way; all else does not depend on it.
    """
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
        moved=moved_camera(seed, index, camera, parallax) if parallax else None,
    )


def moved_camera(
    seed: int, index: int, camera: Camera, parallax: float
) -> tuple[Camera, np.random.Generator]:
    """Return the moved camera, and random numbers for the noise of its sensor."""
    rng = np.random.default_rng([seed, _MOVED, index])
    way = rng.standard_normal(3)
    way *= 0.01 * parallax / np.linalg.norm(way)
    return dataclasses.replace(camera, position=camera.position + way), rng


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
    moved: tuple[Camera, np.random.Generator] | None = None,
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
        moved: the camera of the plate, and random numbers for its noise; needs `rng`.
    """
    projection = Projection(surfaces, camera)
    inverse, index = projection.rasterise(SUPERSAMPLING)
    seen, counts = _seen(index, len(surfaces))
    shown = [surfaces[number] for number in seen]
    maps = lighting.light_maps(shown, light, solids)
    exposure = _exposure(shown, counts, maps, brightness)
    gain = exposure ** (1 / 2.2)
    bg = plate = _picture(projection, index, dict(zip(seen, maps, strict=True)), gain)
    if rng is not None:
        lens = copy.deepcopy(rng)
        bg = plate = _sense(bg, noise, rng, rng)
        if moved is not None:
            beside = Projection(surfaces, moved[0])
            _, index = beside.rasterise(SUPERSAMPLING)
            seen, _ = _seen(index, len(surfaces))
            maps = lighting.light_maps([surfaces[n] for n in seen], light, solids)
            plate = _picture(beside, index, dict(zip(seen, maps, strict=True)), gain)
            plate = _sense(plate, noise, lens, moved[1])
    centre_inverse, _ = projection.rasterise()
    return Room(
        bg=bg,
        depth=geometry.depth_from_inverse(centre_inverse),
        fine_inverse=inverse,
        camera=camera,
        lighting=dataclasses.replace(light, exposure=exposure),
        bounds=light.bounds,
        plate=plate,
        solids=tuple(solids),
        supports=tuple(supports),
        noise=noise,
    )


def _seen(index: np.ndarray, surfaces: int) -> tuple[list[int], np.ndarray]:
    """Return the numbers of the surfaces in view, and how many samples show each."""
    counts = np.bincount(index.ravel() + 1, minlength=surfaces + 1)[1:]
    seen = np.flatnonzero(counts)
    return seen.tolist(), counts[seen]


def _picture(
    projection: Projection,
    index: np.ndarray,
    maps: Mapping[int, np.ndarray],
    gain: float,
) -> np.ndarray:
    """Return what falls on the sensor: (H, W, 3) uint8."""
    fine = colours(projection, index, maps, gain)
    size = projection.camera.size
    return cv2.resize(fine, (size, size), interpolation=cv2.INTER_AREA)


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


def _sense(
    bg: np.ndarray,
    noise: float,
    lens: np.random.Generator,
    sensor: np.random.Generator,
) -> np.ndarray:
    """Simulate lens and sensor: darker corners, a tint, noise."""
    side = bg.shape[0]
    axis = np.linspace(-1, 1, side, dtype=np.float32) ** 2
    vignette = 1 - np.float32(lens.uniform(0, 0.14)) * (axis[:, None] + axis[None, :])
    tint = lens.uniform(0.95, 1.05, 3).astype(np.float32)
    picture = bg * vignette[..., None]
    picture *= tint
    grain = sensor.standard_normal((side, side), np.float32)
    picture += (grain * np.float32(noise))[..., None]
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)
