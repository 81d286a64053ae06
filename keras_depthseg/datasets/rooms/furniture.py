"""Seeded furniture, each piece with its own sizes and the room's materials."""

from __future__ import annotations

import numpy as np

from keras_depthseg.datasets.rooms import panels, textures
from keras_depthseg.datasets.rooms.assembly import Furnishing, Pose, Support


def table(into: Furnishing, place: Pose, rng: np.random.Generator) -> None:
    """A dining table, desk or low table with four legs."""
    w, d = rng.uniform(0.7, 1.8), rng.uniform(0.5, 0.95)
    h = rng.uniform(0.65, 0.78) if rng.random() < 0.7 else rng.uniform(0.35, 0.5)
    thick, leg = rng.uniform(0.03, 0.06), rng.uniform(0.04, 0.08)
    top = into.material(rng, textures.FURNITURE)
    legs = top if rng.random() < 0.6 else into.material(rng, (textures.lacquer,))
    into.box(place, (-w / 2, h, -d / 2), (w, thick, d), top, support=True)
    for x in (-w / 2 + 0.02, w / 2 - 0.02 - leg):
        for z in (-d / 2 + 0.02, d / 2 - 0.02 - leg):
            into.box(place, (x, 0, z), (leg, h, leg), legs)
    if rng.random() < 0.4:
        into.box(
            place, (-w / 2 + 0.05, h - 0.12, -d / 2 + 0.03), (w - 0.1, 0.12, 0.03), legs
        )


def round_table(into: Furnishing, place: Pose, rng: np.random.Generator) -> None:
    """A round top on one leg."""
    radius, h = rng.uniform(0.3, 0.6), rng.uniform(0.5, 0.76)
    top = into.material(rng, textures.FURNITURE)
    into.cylinder(place, (0, 0, 0), 0.05, h, top, sides=8)
    into.cylinder(place, (0, 0, 0), radius * 0.6, 0.03, top)
    into.cylinder(place, (0, h, 0), radius, 0.04, top, sides=14)
    half = radius * 0.65
    into.supports.append(Support(place.point(0, h + 0.04, 0), (half, half), place.yaw))


def chair(into: Furnishing, place: Pose, rng: np.random.Generator) -> None:
    """Seat, back and four legs."""
    w, h, leg = rng.uniform(0.4, 0.5), rng.uniform(0.42, 0.48), 0.04
    wood = into.material(rng, textures.FURNITURE)
    seat = into.material(rng, textures.CLOTHS) if rng.random() < 0.5 else wood
    back = rng.uniform(0.35, 0.55)
    into.box(place, (-w / 2, h - 0.04, -w / 2), (w, 0.05, w), seat, support=True)
    for x in (-w / 2, w / 2 - leg):
        into.box(place, (x, 0, -w / 2), (leg, h - 0.04, leg), wood)
        into.box(place, (x, 0, w / 2 - leg), (leg, h + back, leg), wood)
    bars = int(rng.integers(1, 4))
    for bar in range(bars):
        y = h + back * (bar + 0.6) / bars - 0.1
        into.box(place, (-w / 2, y, w / 2 - leg), (w, back / bars * 0.6, 0.03), seat)


def cupboard(into: Furnishing, place: Pose, rng: np.random.Generator) -> None:
    """A wardrobe, a chest of drawers or a sideboard."""
    w, d = rng.uniform(0.6, 1.7), rng.uniform(0.35, 0.6)
    h = rng.uniform(1.5, 2.1) if rng.random() < 0.4 else rng.uniform(0.5, 1.1)
    body = into.material(rng, textures.FURNITURE)
    base = body if rng.random() < 0.7 else into.material(rng, textures.FURNITURE)
    foot = rng.uniform(0.03, 0.12)
    into.box(place, (-w / 2 + 0.03, 0, -d / 2 + 0.04), (w - 0.06, foot, d - 0.08), body)
    into.box(
        place, (-w / 2, foot, -d / 2), (w, h, d), body,
        front=panels.doors(rng, base), support=h < 1.3,
    )  # fmt: skip
    if h < 1.2 and rng.random() < 0.35:
        into.box(
            place, (-0.4, foot + h + 0.06, 0), (0.8, 0.46, 0.05),
            into.material(rng, (textures.lacquer,)),
            front=panels.screen(rng),
        )  # fmt: skip


def bookshelf(into: Furnishing, place: Pose, rng: np.random.Generator) -> None:
    """Open shelves with rows of books and boxes."""
    w, d, h = rng.uniform(0.6, 1.3), rng.uniform(0.26, 0.36), rng.uniform(0.8, 2.1)
    wood, t = into.material(rng, textures.FURNITURE), 0.03
    into.box(place, (-w / 2, 0, d / 2 - 0.02), (w, h, 0.02), wood)
    for x in (-w / 2, w / 2 - t):
        into.box(place, (x, 0, -d / 2), (t, h, d), wood)
    count = max(2, round(h / rng.uniform(0.3, 0.42)))
    gap = h / count
    for shelf in range(count + 1):
        y = min(shelf * gap, h - t)
        into.box(
            place,
            (-w / 2, y, -d / 2),
            (w, t, d),
            wood,
            support=shelf == count and h < 1.3,
        )
        if shelf < count and rng.random() < 0.85:
            long = (w - 2 * t) * rng.uniform(0.4, 1.0)
            tall = (gap - t) * rng.uniform(0.6, 0.92)
            size = (long, tall, d * 0.7)
            corner = (-w / 2 + t, y + t, -d / 2 + d * rng.uniform(0.05, 0.25))
            if rng.random() < 0.8:
                into.box(
                    place,
                    corner,
                    size,
                    into.material(rng, (textures.lacquer,)),
                    front=panels.books(rng),
                )
            else:
                into.box(place, corner, size, into.material(rng, textures.CLOTHS), 0.5)


def sofa(into: Furnishing, place: Pose, rng: np.random.Generator) -> None:
    """A sofa or an armchair with cushions."""
    w, d = rng.choice([0.9, 1.6, 2.1]) * rng.uniform(0.9, 1.1), rng.uniform(0.8, 0.95)
    cloth = into.material(rng, textures.CLOTHS)
    arm, seat, back = rng.uniform(0.12, 0.22), 0.42, rng.uniform(0.7, 0.9)
    tile = rng.uniform(0.5, 1.0)
    into.box(place, (-w / 2, 0.06, -d / 2), (w, 0.22, d), cloth, tile)
    into.box(place, (-w / 2, 0.1, d / 2 - 0.22), (w, back - 0.1, 0.22), cloth, tile)
    for x in (-w / 2, w / 2 - arm):
        into.box(place, (x, 0.1, -d / 2), (arm, seat + 0.1, d), cloth, tile)
    count = max(1, round((w - 2 * arm) / 0.65))
    wide = (w - 2 * arm) / count
    for number in range(count):
        x = -w / 2 + arm + number * wide
        into.box(
            place, (x + 0.01, 0.28, -d / 2), (wide - 0.02, seat - 0.28, d - 0.24), cloth,
            tile, support=True,
        )  # fmt: skip
        if rng.random() < 0.5:
            into.box(
                place, (x + 0.08, seat, d / 2 - 0.36), (0.4, 0.36, 0.12),
                into.material(rng, textures.CLOTHS), 0.6,
            )  # fmt: skip


def bed(into: Furnishing, place: Pose, rng: np.random.Generator) -> None:
    """Frame, mattress, cover, pillows and headboard (at the back)."""
    w, d = rng.uniform(0.9, 1.7), 2.0
    wood = into.material(rng, textures.FURNITURE)
    cloth = into.material(rng, textures.CLOTHS)
    sheet = np.full((8, 8, 3), 235, np.uint8)
    into.box(place, (-w / 2, 0.05, -d / 2), (w, 0.22, d), wood)
    into.box(place, (-w / 2 + 0.03, 0.27, -d / 2), (w - 0.06, 0.18, d), sheet)
    into.box(place, (-w / 2, 0.3, -d / 2 - 0.02), (w, 0.19, d * 0.7), cloth, support=True)
    into.box(place, (-w / 2, 0, d / 2), (w, rng.uniform(0.7, 1.2), 0.06), wood)
    for x in (-w / 4, w / 4) if w > 1.2 else (0.0,):
        into.box(place, (x - 0.28, 0.45, d / 2 - 0.45), (0.56, 0.12, 0.36), sheet)


def crates(into: Furnishing, place: Pose, rng: np.random.Generator) -> None:
    """Two to five boxes, some on top of others, each turned a little."""
    y = 0.0
    for number in range(int(rng.integers(2, 6))):
        w, h, d = rng.uniform(0.25, 0.7, 3)
        turned = Pose(place.x, place.z, place.yaw + rng.uniform(-0.5, 0.5))
        picture = into.material(rng, textures.FURNITURE + textures.CLOTHS)
        x = rng.uniform(-0.1, 0.1) if y else rng.uniform(-0.2, 0.2)
        into.box(turned, (x - w / 2, y, -d / 2), (w, h, d), picture, 0.8, support=True)
        y = y + h if rng.random() < 0.6 and y + h < 1.2 else 0.0
        if y == 0.0:
            place = Pose(place.x + 0.6 * (-1) ** number, place.z + 0.15, place.yaw)


def floor_lamp(into: Furnishing, place: Pose, rng: np.random.Generator) -> None:
    """A thin pole with a glowing shade."""
    h, metal = rng.uniform(1.2, 1.7), into.material(rng, (textures.lacquer,))
    shade = into.material(rng, (textures.fabric, textures.plaster))
    into.cylinder(place, (0, 0, 0), 0.15, 0.03, metal)
    into.cylinder(place, (0, 0, 0), 0.015, h, metal, sides=6)
    radius = rng.uniform(0.14, 0.26)
    into.cylinder(
        place, (0, h - 0.05, 0), radius, 0.3, shade,
        emission=rng.uniform(0.9, 1.5),
    )  # fmt: skip


def pillar(into: Furnishing, place: Pose, rng: np.random.Generator) -> None:
    """A round or square column higher than any room."""
    side = rng.uniform(0.25, 0.5)
    picture = into.material(rng, textures.WALLS)
    if rng.random() < 0.5:
        into.box(place, (-side / 2, 0, -side / 2), (side, 5.0, side), picture)
    else:
        into.cylinder(place, (0, 0, 0), side / 2, 5.0, picture, sides=14)


AT_WALLS = (cupboard, cupboard, bookshelf, bookshelf, sofa, table, bed, crates)
IN_THE_OPEN = (
    table, table, round_table, chair, chair, crates, sofa, floor_lamp, pillar,
)  # fmt: skip
