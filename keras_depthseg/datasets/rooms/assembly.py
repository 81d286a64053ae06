"""Boxes and cylinders put together in frames of their own, at places in a room.

A piece is built in its own frame: x to its right, y up, z to its back; its front looks
along -z. `Place` turns that frame and puts it on the floor.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from keras_depthseg.datasets.rooms import panels
from keras_depthseg.datasets.rooms.geometry import Surface
from keras_depthseg.datasets.rooms.lighting import Solid

# Boxes thinner than this cast no shadow on surfaces: the light is sampled too coarsely.
_THIN = 0.08


@dataclasses.dataclass(frozen=True)
class Pose:
    """Where a piece stands: floor position in metres, turn in radians."""

    x: float
    z: float
    yaw: float = 0.0

    def turn(self) -> np.ndarray:
        """(3, 3): directions of the piece's frame -> world axes."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])

    def vector(self, x: float, y: float, z: float) -> np.ndarray:
        """Return a direction of the piece's frame in world axes."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([cos * x + sin * z, y, -sin * x + cos * z])

    def point(self, x: float, y: float, z: float) -> np.ndarray:
        """Return a point of the piece's frame in world coordinates."""
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([self.x + cos * x + sin * z, y, self.z - sin * x + cos * z])


@dataclasses.dataclass(frozen=True)
class Support:
    """A level rectangle something can stand on.

    Attributes:
        centre: (3,) metres.
        half: half width and half depth in metres.
        yaw: turn in radians.
    """

    centre: np.ndarray
    half: tuple[float, float]
    yaw: float


@dataclasses.dataclass
class Furnishing:
    """The furnishing of a room, added piece by piece."""

    surfaces: list[Surface] = dataclasses.field(default_factory=list)
    solids: list[Solid] = dataclasses.field(default_factory=list)
    supports: list[Support] = dataclasses.field(default_factory=list)
    materials: dict[str, list[np.ndarray]] = dataclasses.field(default_factory=dict)

    def material(self, rng: np.random.Generator, kinds: tuple) -> np.ndarray:
        """One of a list of materials, in one of the room's two versions of it.

        Furniture of one room goes together, and painting a material is slow.
        """
        kind = kinds[int(rng.integers(len(kinds)))]
        version = int(rng.integers(2))
        known = self.materials.setdefault(kind.__name__, [])
        if version >= len(known):
            known.append(kind(rng))
        return known[min(version, len(known) - 1)]

    def box(
        self,
        place: Pose,
        low: tuple[float, float, float],
        size: tuple[float, float, float],
        picture: np.ndarray,
        tile: float = 1.0,
        front: np.ndarray | None = None,
        emission: float = 0.0,
        support: bool = False,
    ) -> None:
        """Add a box by its lowest corner and its width, height and depth in metres.

        Args:
            picture: a material, repeated every `tile` metres.
            front: a picture stretched over the front instead.
            support: things may stand on its top.
        """
        (x, y, z), (w, h, d) = low, size
        sides = (
            ((x, y, z), (w, 0, 0), (0, h, 0)),
            ((x + w, y, z), (0, 0, d), (0, h, 0)),
            ((x + w, y, z + d), (-w, 0, 0), (0, h, 0)),
            ((x, y, z + d), (0, 0, -d), (0, h, 0)),
            ((x, y + h, z), (w, 0, 0), (0, 0, d)),
            ((x, y, z + d), (w, 0, 0), (0, 0, -d)),
        )
        for number, (corner, across, up) in enumerate(sides):
            if number == 5 and y < 0.2:
                continue  # a bottom so near the floor is never seen
            shown = front if number == 0 and front is not None else picture
            longest = max(map(abs, across + up))
            self.surfaces.append(
                Surface(
                    place.point(*corner),
                    place.vector(*across),
                    place.vector(*up),
                    shown,
                    None if shown is front else (tile, tile),
                    emission=emission,
                    detail=min(max(int(longest * 7), 2), 12),
                )
            )
        centre = place.point(x + w / 2, y + h / 2, z + d / 2)
        if min(w, d) >= _THIN or (w * h > 0.3 or h * d > 0.3):
            half = np.array([w, h, d]) / 2
            self.solids.append(Solid(centre, half, place.yaw))
        if support:
            top = place.point(x + w / 2, y + h, z + d / 2)
            self.supports.append(Support(top, (w / 2, d / 2), place.yaw))

    def cylinder(
        self,
        place: Pose,
        centre: tuple[float, float, float],
        radius: float,
        height: float,
        picture: np.ndarray,
        tile: float = 1.0,
        emission: float = 0.0,
        sides: int = 10,
        solid: bool = True,
    ) -> None:
        """Add a round upright body by its foot's centre, radius and height in metres.

        Args:
            picture: a material, repeated every `tile` metres.
            emission: brightness of its own.
            sides: flat facets around it; their light bends with the round wall.
            solid: blocks light, unless it is very thin.
        """
        x, y, z = centre
        step = 2 * math.pi / sides
        ring = [
            (radius * math.cos(side * step), radius * math.sin(side * step))
            for side in range(sides + 1)
        ]
        for (a, b), (c, d) in zip(ring[:-1], ring[1:], strict=True):
            self.surfaces.append(
                Surface(
                    place.point(x + a, y, z + b),
                    place.vector(c - a, 0, d - b),
                    np.array([0.0, height, 0.0]),
                    picture,
                    (tile, tile),
                    emission=emission,
                    detail=4,
                    bend=step,
                )
            )
        if radius > 0.02:
            cap = panels.disc(picture)
            across = place.vector(2 * radius, 0, 0)
            for level, side in ((y + height, 1), (y, -1)):
                if side < 0 and y < 0.2:
                    continue  # a bottom so near the floor is never seen
                self.surfaces.append(
                    Surface(
                        place.point(x - radius, level, z - side * radius),
                        across,
                        place.vector(0, 0, side * 2 * radius),
                        cap,
                        emission=emission,
                        detail=4,
                    )
                )
        if solid and radius * 2 >= _THIN:
            half = np.array([radius * 0.85, height / 2, radius * 0.85])
            middle = place.point(x, y + height / 2, z)
            self.solids.append(Solid(middle, half, place.yaw))
