"""Walls with their windows, doorways, curtains and pictures."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_depthseg.datasets.rooms import furniture, panels, textures
from keras_depthseg.datasets.rooms.assembly import Furnishing, Pose
from keras_depthseg.datasets.rooms.geometry import Surface
from keras_depthseg.datasets.rooms.lighting import Lamp

Hole = tuple[float, float, float, float]
"""x, y, width and height in a wall's frame, metres."""


@dataclasses.dataclass(frozen=True)
class Wall:
    """An inner wall: its frame's x runs along it, z points out of the room."""

    place: Pose
    length: float
    height: float

    def surface(
        self, x: float, y: float, out: float, size: tuple[float, float], **options
    ) -> Surface:
        """Return a rectangle parallel to the wall, seen from inside, metres."""
        return Surface(
            self.place.point(x, y, out),
            self.place.vector(size[0], 0, 0),
            np.array([0.0, size[1], 0.0]),
            **options,
        )


def light_colour(rng: np.random.Generator, warm: float) -> np.ndarray:
    """Return a lamp's colour, (3,); `warm` 1 is a bulb's yellow, -1 is blue sky."""
    tint = np.array([1 + 0.16 * warm, 1.0, 1 - 0.22 * warm])
    return tint * rng.uniform(0.96, 1.04, 3)


def cut_openings(
    rng: np.random.Generator, things: Furnishing, lamps: list[Lamp], wall: Wall
) -> list[tuple[float, float, float, float]]:
    """Cut windows or a doorway; return rectangles x, y, width, height in metres."""
    kind = rng.random()
    if kind < 0.38 and wall.length > 1.6:
        count = int(rng.integers(1, 1 + max(1, min(3, int(wall.length // 1.8)))))
        w = rng.uniform(0.7, min(1.8, 0.75 * wall.length / count))
        sill = rng.uniform(0.1, 1.1)
        h = min(rng.uniform(0.9, 1.8), wall.height - sill - 0.2)
        pitch = wall.length / count
        sky = panels.view(rng)
        frame = things.material(rng, (textures.lacquer,))
        holes = [(pitch * (i + 0.5) - w / 2, sill, w, h) for i in range(count)]
        curtain = things.material(rng, (textures.fabric,)) if rng.random() < 0.5 else None
        for hole in holes:
            _window(rng, things, wall, hole, frame)
            if curtain is not None:
                _curtains(rng, things, wall, hole, curtain)
        bright = rng.uniform(0.9, 1.7)
        things.surfaces.append(
            wall.surface(
                -8, -4.0, 5.0, (wall.length + 16, 11.0), picture=sky, emission=bright
            )
        )
        centre = wall.place.point(wall.length / 2, sill + h * 0.7, -0.25)
        strength = light_colour(rng, rng.uniform(-0.6, 0.3)) * rng.uniform(0.5, 1.4)
        lamps.append(Lamp(centre, strength, rng.uniform(1.5, 3.5)))
        return holes
    if kind < 0.58 and wall.length > 2.0:
        w, h = rng.uniform(0.8, min(1.8, wall.length - 0.6)), rng.uniform(2.0, 2.2)
        x = rng.uniform(0.2, wall.length - w - 0.2)
        hole = (x, 0.0, w, min(h, wall.height - 0.1))
        _next_room(rng, things, wall, hole)
        return [hole]
    if kind < 0.72 and wall.length > 1.4:
        x = rng.uniform(0.2, wall.length - 1.1)
        things.box(
            wall.place, (x, 0, -0.03), (0.85, 2.02, 0.03),
            things.material(rng, (textures.lacquer,)),
            front=panels.house_door(rng),
        )  # fmt: skip
        return [(x, 0.0, 0.0, 2.0)]
    return []


def _reveal(
    things: Furnishing,
    wall: Wall,
    hole: tuple[float, float, float, float],
    thick: float,
    picture: np.ndarray,
) -> None:
    """Add the four inner sides of a hole through a wall of some thickness."""
    x, y, w, h = hole
    point, vector = wall.place.point, wall.place.vector
    rise, out = np.array([0.0, h, 0.0]), vector(0, 0, thick)
    for origin, across, up in (
        (point(x, y, 0), out, rise),
        (point(x + w, y, thick), -out, rise),
        (point(x, y, 0), vector(w, 0, 0), out),
        (point(x, y + h, thick), vector(w, 0, 0), -out),
    ):
        things.surfaces.append(Surface(origin, across, up, picture, (1.0, 1.0), detail=4))


def _window(rng, things: Furnishing, wall: Wall, hole, frame: np.ndarray) -> None:
    x, y, w, h = hole
    _reveal(things, wall, hole, 0.22, frame)
    bars = [(x, y, 0.05, h), (x + w - 0.05, y, 0.05, h)]
    bars += [(x, y, w, 0.05), (x, y + h - 0.05, w, 0.05)]
    for part in range(1, int(rng.integers(1, 4))):
        bars.append((x + w * part / 3, y, 0.035, h))
    if rng.random() < 0.6:
        bars.append((x, y + h * rng.uniform(0.4, 0.75), w, 0.035))
    for left, foot, wide, tall in bars:
        things.box(wall.place, (left, foot, 0.1), (wide, tall, 0.04), frame)
    things.box(wall.place, (x - 0.05, y - 0.04, -0.1), (w + 0.1, 0.04, 0.2), frame)


def _curtains(rng, things: Furnishing, wall: Wall, hole, cloth: np.ndarray) -> None:
    x, y, w, h = hole
    top = min(y + h + 0.12, wall.height - 0.02)
    foot = 0.05 if rng.random() < 0.6 else max(y - 0.15, 0.05)
    drawn = rng.uniform(0.12, 0.35) * w
    for left in (x - 0.18, x + w + 0.18 - drawn):
        folds = max(4, round(drawn / 0.07))
        step = drawn / folds
        for fold in range(folds):
            near, far = (-0.14, -0.08) if fold % 2 else (-0.08, -0.14)
            start = wall.place.point(left + fold * step, foot, near)
            across = wall.place.vector(step, 0, far - near)
            rise = np.array([0.0, top - foot, 0.0])
            things.surfaces.append(
                Surface(start, across, rise, cloth, (0.6, 0.6), detail=5, one_sided=False)
            )


def _next_room(rng, things: Furnishing, wall: Wall, hole) -> None:
    """Add the passage or room behind a doorway, 1.5 to 4.5 m deep."""
    x, _, w, h = hole
    frame = things.material(rng, (textures.lacquer,))
    _reveal(things, wall, hole, 0.15, frame)
    deep, side = rng.uniform(1.5, 4.5), rng.uniform(0.1, 1.6)
    x, w, top = x - side, w + 2 * side, max(h + 0.1, wall.height)
    picture, ground = (
        textures.pick(rng, textures.WALLS),
        textures.pick(rng, textures.FLOORS),
    )
    point, vector = wall.place.point, wall.place.vector
    out, rise = vector(0, 0, deep), np.array([0.0, top, 0.0])
    for origin, across, up, shown in (
        (point(x, 0, 0.15), out, rise, picture),
        (point(x + w, 0, 0.15 + deep), -out, rise, picture),
        (point(x, 0, 0.15 + deep), vector(w, 0, 0), rise, picture),
        (point(x, 0, 0.15), vector(w, 0, 0), out, ground),
        (point(x, top, 0.15 + deep), vector(w, 0, 0), -out, picture),
    ):
        things.surfaces.append(Surface(origin, across, up, shown, (1.1, 1.1), detail=10))
    if rng.random() < 0.6:
        behind = wall.place.point(x + w / 2, 0, deep - 0.4)
        piece = furniture.cupboard if rng.random() < 0.5 else furniture.bookshelf
        piece(things, Pose(behind[0], behind[2], wall.place.yaw), rng)


def hang_pictures(
    rng: np.random.Generator, things: Furnishing, wall: Wall, holes
) -> None:
    """Hang up to three pictures between the openings."""
    taken = [(x - 0.2, x + w + 0.2) for x, _, w, _ in holes]
    for _ in range(int(rng.integers(0, 4))):
        w, h = rng.uniform(0.3, 1.1), rng.uniform(0.3, 0.9)
        if wall.length < w + 0.6:
            continue
        x = rng.uniform(0.3, wall.length - w - 0.3)
        y = rng.uniform(1.1, 1.5)
        if y + h > wall.height - 0.1 or any(x < b and x + w > a for a, b in taken):
            continue
        taken.append((x - 0.1, x + w + 0.1))
        things.box(
            wall.place, (x, y, -0.03), (w, h, 0.03),
            things.material(rng, (textures.wood,)),
            front=panels.painting(rng),
        )  # fmt: skip
