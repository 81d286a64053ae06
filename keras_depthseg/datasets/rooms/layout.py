"""Random rooms: walls with openings, furniture along them and in the open."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from keras_depthseg.datasets.rooms import furniture, panels, textures
from keras_depthseg.datasets.rooms.assembly import Furnishing, Pose, Support
from keras_depthseg.datasets.rooms.geometry import Surface
from keras_depthseg.datasets.rooms.lighting import Lamp, Solid
from keras_depthseg.datasets.rooms.walls import (
    Wall,
    cut_openings,
    hang_pictures,
    light_colour,
)


@dataclasses.dataclass
class RoomLayout:
    """A room before it is lit and drawn.

    Attributes:
        bounds: (3, 2) lowest and highest coordinates of the inside, metres.
        things: surfaces, light-blocking solids and supports.
        lamps: the lights, before exposure.
        ambient: (3,) light from everywhere.
    """

    bounds: np.ndarray
    things: Furnishing
    lamps: list[Lamp]
    ambient: np.ndarray


def make_layout(
    rng: np.random.Generator, eye: np.ndarray, bounds: np.ndarray
) -> RoomLayout:
    """Furnish a room.

    Args:
        rng: the only source of chance.
        eye: (3,) where the camera is; furniture keeps away from it.
        bounds: (3, 2) the room's inside, metres.
    """
    layout = RoomLayout(bounds, Furnishing(), [], np.zeros(3))
    (x0, x1), (_, height), (z0, z1) = bounds
    walls = (
        Wall(Pose(x0, z1, 0.0), x1 - x0, height),
        Wall(Pose(x0, z0, -math.pi / 2), z1 - z0, height),
        Wall(Pose(x1, z1, math.pi / 2), z1 - z0, height),
        Wall(Pose(x1, z0, math.pi), x1 - x0, height),
    )
    _shell(rng, layout, walls)
    _lamps(rng, layout)
    _furnish(rng, layout, walls, eye)
    return layout


def _shell(rng: np.random.Generator, layout: RoomLayout, walls: tuple[Wall, ...]) -> None:
    """Add floor, ceiling and walls, with windows, doorways and pictures."""
    (x0, x1), (_, height), (z0, z1) = layout.bounds
    things = layout.things
    surfaces = things.surfaces
    wide, deep = x1 - x0, z1 - z0
    tile = rng.uniform(0.8, 1.5)
    floor, ceiling = textures.pick(rng, textures.FLOORS), textures.plaster(rng)
    if rng.random() < 0.5:
        ceiling = np.maximum(ceiling, 255 - (255 - ceiling) // 4)
    if rng.random() < 0.12:
        ceiling = textures.planks(rng)
    if rng.random() < 0.5:
        floor = np.ascontiguousarray(floor.transpose(1, 0, 2))
    detail = int(np.clip(max(wide, deep) * 6, 12, 44))
    surfaces.append(
        Surface(
            np.array((x0, 0, z0)),
            np.array((wide, 0, 0)),
            np.array((0, 0, deep)),
            floor,
            (tile, tile),
            detail=detail,
        )
    )
    surfaces.append(
        Surface(
            np.array((x0, height, z1)),
            np.array((wide, 0, 0)),
            np.array((0, 0, -deep)),
            ceiling,
            (tile, tile),
            detail=detail // 2,
        )
    )
    common = textures.pick(rng, textures.WALLS)
    tile = rng.uniform(0.7, 1.4)
    skirting = things.material(rng, (textures.lacquer,)) if rng.random() < 0.6 else None
    for number, wall in enumerate(walls):
        picture = common
        if rng.random() < 0.25:
            picture = textures.pick(rng, textures.WALLS)
        holes = cut_openings(rng, things, layout.lamps, wall) if number < 3 else []
        fractions = tuple(
            (x / wall.length, y / height, (x + w) / wall.length, (y + h) / height)
            for x, y, w, h in holes
        )
        surfaces.append(
            wall.surface(
                0,
                0,
                0,
                (wall.length, height),
                picture=picture,
                tile=(tile, tile),
                holes=fractions,
                detail=int(np.clip(wall.length * 6, 10, 40)),
            )  # fmt: skip
        )
        if skirting is not None:
            gaps = tuple((s0, -1.0, s1, 2.0) for s0, t0, s1, _ in fractions if t0 <= 0)
            surfaces.append(
                wall.surface(
                    0,
                    0,
                    -0.015,
                    (wall.length, 0.09),
                    picture=skirting,
                    tile=(1.0, 1.0),
                    holes=gaps,
                    detail=12,
                )  # fmt: skip
            )
        hang_pictures(rng, things, wall, holes)
    if rng.random() < 0.4:
        _rug(rng, layout)
    if rng.random() < 0.15:
        beam = textures.pick(rng, (textures.wood, textures.concrete))
        for z in np.arange(z0 + 0.8, z1, rng.uniform(1.0, 1.8)):
            layout.things.box(Pose(x0, z), (0, height - 0.2, 0), (wide, 0.2, 0.18), beam)


def _rug(rng: np.random.Generator, layout: RoomLayout) -> None:
    (x0, x1), _, (z0, z1) = layout.bounds
    w, d = rng.uniform(1.0, 2.4), rng.uniform(1.0, 2.4)
    centre = Pose(
        rng.uniform(x0 + 0.8, x1 - 0.8),
        rng.uniform(z0 + 1.5, z1 - 0.8),
        rng.uniform(-0.6, 0.6),
    )
    kinds = (textures.fabric, textures.wallpaper, textures.carpet)
    cloth = layout.things.material(rng, kinds)
    if rng.random() < 0.3:
        cloth, tile = panels.disc(cloth), None
    else:
        tile = (0.7, 0.7)
    layout.things.surfaces.append(
        Surface(
            centre.point(-w / 2, 0.008, -d / 2),
            centre.vector(w, 0, 0),
            centre.vector(0, 0, d),
            cloth,
            tile,
            detail=14,
        )  # fmt: skip
    )


def _lamps(rng: np.random.Generator, layout: RoomLayout) -> None:
    """One or two ceiling lamps, some hanging, and light from everywhere."""
    (x0, x1), (_, height), (z0, z1) = layout.bounds
    things = layout.things
    warm = rng.uniform(-0.5, 1.0)
    for _ in range(int(rng.integers(1, 3))):
        x, z = rng.uniform(x0 + 0.5, x1 - 0.5), rng.uniform(z0 + 0.8, z1 - 0.5)
        drop = rng.uniform(0.3, 0.8) if rng.random() < 0.5 else 0.06
        radius = rng.uniform(0.1, 0.25)
        shade = things.material(rng, (textures.plaster,))
        place = Pose(x, z)
        if drop > 0.1:
            things.cylinder(place, (0, height - drop, 0), 0.01, drop, shade, sides=4)
        things.cylinder(
            place, (0, height - drop - 0.1, 0), radius, 0.12, shade,
            emission=rng.uniform(1.2, 2.0), solid=False,
        )  # fmt: skip
        strength = light_colour(rng, warm) * rng.uniform(0.7, 1.3)
        position = np.array([x, height - drop - 0.15, z])
        layout.lamps.append(Lamp(position, strength, rng.uniform(1.5, 4.0)))
    layout.ambient = light_colour(rng, warm * 0.5) * rng.uniform(0.1, 0.45)


def _put(piece: Furnishing, place: Pose, into: Furnishing) -> None:
    """Move a piece built at the origin to `place` and add it."""
    base, turn = np.array([place.x, 0.0, place.z]), place.turn()
    for surface in piece.surfaces:
        surface.origin = turn @ surface.origin + base
        surface.across = turn @ surface.across
        surface.up = turn @ surface.up
        surface.facing = turn @ surface.facing
    into.surfaces += piece.surfaces
    into.solids += [
        Solid(turn @ solid.centre + base, solid.half, solid.yaw + place.yaw)
        for solid in piece.solids
    ]
    into.supports += [
        Support(turn @ s.centre + base, s.half, s.yaw + place.yaw) for s in piece.supports
    ]


def _footprint(piece: Furnishing) -> np.ndarray:
    """(2, 2): lowest and highest x, then z, of everything in the piece."""
    origin = np.stack([surface.origin for surface in piece.surfaces])
    across = np.stack([surface.across for surface in piece.surfaces])
    up = np.stack([surface.up for surface in piece.surfaces])
    corners = np.concatenate([origin, origin + across, origin + up, origin + across + up])
    return np.stack([corners.min(axis=0), corners.max(axis=0)], axis=1)[[0, 2]]


def _turned(footprint: np.ndarray, place: Pose) -> np.ndarray:
    """Return the upright rectangle around a footprint at `place`, (2, 2)."""
    x, z = np.meshgrid(*footprint)
    cos, sin = math.cos(place.yaw), math.sin(place.yaw)
    there = np.stack([cos * x + sin * z, cos * z - sin * x]).reshape(2, 4)
    there += np.array([[place.x], [place.z]])
    return np.stack([there.min(axis=1), there.max(axis=1)], axis=1)


def _furnish(
    rng: np.random.Generator, layout: RoomLayout, walls, eye: np.ndarray
) -> None:
    """Put pieces along the walls and into the open where they fit."""
    (x0, x1), _, (z0, z1) = layout.bounds
    taken: list[np.ndarray] = []
    area = (x1 - x0) * (z1 - z0)
    at_walls = int(rng.integers(1, 3 + area // 9))
    in_open = int(rng.integers(0, 2 + area // 9))
    for number in range(at_walls + in_open):
        along = number < at_walls
        makers = furniture.AT_WALLS if along else furniture.IN_THE_OPEN
        piece = Furnishing(materials=layout.things.materials)
        makers[int(rng.integers(len(makers)))](piece, Pose(0, 0), rng)
        footprint = _footprint(piece)
        (low_x, high_x), (_, high_z) = footprint
        for _ in range(6):
            if along:
                wall = walls[int(rng.integers(3))]
                room = wall.length - (high_x - low_x)
                if room < 0.1:
                    continue
                spot = wall.place.point(
                    rng.uniform(0.05, room) - low_x, 0, -high_z - 0.04
                )
                place = Pose(spot[0], spot[2], wall.place.yaw)
            else:
                place = Pose(
                    rng.uniform(x0, x1), rng.uniform(z0, z1), rng.uniform(-3.1, 3.1)
                )
            taking = _turned(footprint, place)
            inside = x0 - 0.01 < taking[0, 0] and taking[0, 1] < x1 + 0.01
            inside &= z0 - 0.01 < taking[1, 0] and taking[1, 1] < z1 + 0.01
            away = max(
                max(taking[0, 0] - eye[0], eye[0] - taking[0, 1]),
                max(taking[1, 0] - eye[2], eye[2] - taking[1, 1]),
            )
            apart = all(
                (taking[:, 0] > other[:, 1]).any() or (taking[:, 1] < other[:, 0]).any()
                for other in taken
            )
            if inside and away > 0.9 and apart:
                taken.append(taking)
                _put(piece, place, layout.things)
                break
