"""Where a cutout stands: on the floor, on furniture or in the air."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from keras_depthseg.datasets.rooms.cutouts import RoomCutout
from keras_depthseg.datasets.rooms.geometry import Surface
from keras_depthseg.datasets.rooms.lighting import Solid
from keras_depthseg.datasets.rooms.scene import Room


@dataclasses.dataclass(frozen=True)
class Placement:
    """A cutout's place in a room.

    Attributes:
        base: (3,) world coordinates of the middle of its lower edge, metres.
        turn: radians away from facing the camera.
        scale: factor on the cutout's real size, 1 but for the last resort.
    """

    base: np.ndarray
    turn: float = 0.0
    scale: float = 1.0

    def surface(self, room: Room, cutout: RoomCutout) -> Surface:
        """Return the upright rectangle that carries the cutout's image."""
        way = self.base - room.camera.position
        angle = math.atan2(way[0], way[2]) + self.turn
        right = np.array([math.cos(angle), 0.0, -math.sin(angle)])
        width, height = cutout.width * self.scale, cutout.height * self.scale
        return Surface(
            self.base - right * width / 2,
            right * width,
            np.array([0.0, height, 0.0]),
            cutout.rgba,
            one_sided=False,
        )


def expected_area(room: Room, cutout: RoomCutout, placement: Placement) -> float:
    """Estimate the part of the image that the cutout covers if nothing hides it, 0..1."""
    middle = placement.base + np.array([0.0, cutout.height / 2, 0.0])
    pixels, depth = room.camera.project(middle[None])
    if depth[0] < 0.7:
        return 0.0
    per_metre = room.camera.focal / depth[0] * placement.scale
    wide, tall = cutout.width * per_metre, cutout.height * per_metre
    x, y, size = *pixels[0], room.camera.size
    shown_x = min(x + wide / 2, size) - max(x - wide / 2, 0)
    shown_y = min(y + tall / 2, size) - max(y - tall / 2, 0)
    if shown_x < 0.5 * min(wide, size) or shown_y < 0.5 * min(tall, size):
        return 0.0
    opaque = float(cutout.rgba[..., 3].mean()) / 255
    return opaque * shown_x * shown_y / size**2


def floor_pixels(room: Room, points: np.ndarray) -> np.ndarray:
    """Flat numbers of the pixels that show the floor, (K,)."""
    return np.flatnonzero((points[1] < 0.02) & (room.depth < 0.95 * room.depth.max()))


def propose(
    room: Room,
    cutout: RoomCutout,
    points: np.ndarray,
    floor: np.ndarray,
    rng: np.random.Generator,
) -> Placement | None:
    """One random place, or `None` where the draw finds nothing to stand on.

    Args:
        points: (3, H, W) world coordinates of the room's pixels.
        floor: the pixels of `floor_pixels`.
    """
    turn = float(rng.normal(0, 0.25))
    kind = rng.random()
    if kind < (0.7 if cutout.floats else 0.08):
        return _in_the_air(room, cutout, points, rng, turn)
    if kind < 0.24 and cutout.height < 1.1 and room.supports:
        support = room.supports[int(rng.integers(len(room.supports)))]
        x, z = rng.uniform(-0.7, 0.7, 2) * support.half
        cos, sin = math.cos(support.yaw), math.sin(support.yaw)
        offset = np.array([cos * x + sin * z, 0.0, cos * z - sin * x])
        return Placement(support.centre + offset, turn)
    if kind < 0.5:
        return _anywhere_on_floor(room, rng, turn)
    if not len(floor):
        return None
    # Pixels crowd where the floor is near; drawing the depth first spreads them.
    some = floor[rng.integers(len(floor), size=16)]
    depth = room.depth.ravel()[some]
    wanted = rng.uniform(1.0, max(1.5, float(depth.max())))
    best = some[int(np.argmin(np.abs(depth - wanted)))]
    base = points.reshape(3, -1)[:, best].astype(np.float64)
    base[1] = 0.0
    return Placement(base, turn)


def _anywhere_on_floor(
    room: Room, rng: np.random.Generator, turn: float
) -> Placement | None:
    """Also where furniture hides the feet, but not inside furniture."""
    (x0, x1), _, (z0, z1) = room.bounds
    base = np.array([rng.uniform(x0 + 0.2, x1 - 0.2), 0.0, rng.uniform(z0, z1 - 0.2)])
    if any(_inside(solid, base) for solid in room.solids):
        return None
    return Placement(base, turn)


def _inside(solid: Solid, base: np.ndarray) -> bool:
    x, _, z = solid.to_local((base - solid.centre)[:, None])
    return bool(abs(x[0]) < solid.half[0] + 0.1 and abs(z[0]) < solid.half[2] + 0.1)


def _in_the_air(
    room: Room,
    cutout: RoomCutout,
    points: np.ndarray,
    rng: np.random.Generator,
    turn: float,
) -> Placement:
    """Propose a place between the camera and the surfaces behind."""
    row, column = rng.integers(room.camera.size, size=2)
    behind = points[:, row, column].astype(np.float64)
    part = rng.uniform(0.3, 0.9)
    middle = room.camera.position + part * (behind - room.camera.position)
    foot = max(middle[1] - cutout.height / 2, 0.0)
    return Placement(np.array([middle[0], foot, middle[2]]), turn)


def last_resort(room: Room, cutout: RoomCutout, area: float) -> Placement:
    """In front of everything in the picture's middle, scaled to cover about `area`."""
    camera = room.camera
    depth = max(0.7 * float(room.depth.min()), 0.1)
    opaque = max(float(cutout.rgba[..., 3].mean()) / 255, 1e-3)
    shape = cutout.width * cutout.height
    # At most as high and as wide as the picture.
    side = camera.size / camera.focal * depth
    scale = math.sqrt(area * side**2 / (opaque * shape))
    scale = min(scale, 0.95 * side / cutout.height, 0.95 * side / cutout.width)
    middle = camera.position + depth * camera.axes[2]
    base = middle - np.array([0.0, cutout.height * scale / 2, 0.0])
    return Placement(base, scale=scale)
