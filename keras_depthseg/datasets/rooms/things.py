"""Seeded things: furniture, plants, animals, toys; some with thin parts and holes."""

from __future__ import annotations

import math

import numpy as np

from keras_depthseg.datasets.rooms import brush, textures
from keras_depthseg.datasets.rooms.brush import Canvas

_Light = tuple[float, float]


def _cloth(rng: np.random.Generator) -> np.ndarray:
    return textures.pick(rng, (textures.fabric, textures.lacquer, textures.wood))


def _pot(canvas: Canvas, rng, wide: float, tall: float) -> None:
    """A flowerpot on the floor."""
    clay = textures.pick(rng, (textures.lacquer, textures.concrete, textures.fabric))
    foot = wide * rng.uniform(0.6, 0.95)
    canvas.part(
        [(-foot, 0), (foot, 0), (wide, tall), (-wide, tall)], clay, 0.3, contrast=0.7
    )
    rim = brush.limb((-wide, tall), (wide, tall), (0.02, 0.02))
    canvas.part(rim, clay, 0.3, tone=1.1)


def plant(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """Pointed or round leaves on bent stems."""
    tall = rng.uniform(0.5, 1.7)
    canvas = Canvas(tall * 1.3, tall * 1.15, size / tall, light)
    pot = rng.uniform(0.15, 0.28) * tall
    leaf = textures.colour(rng, (0.2, 0.42), (0.35, 0.85), (0.3, 0.75))
    blade = rng.random() < 0.5
    for _ in range(int(rng.integers(9, 22))):
        angle = rng.normal(0, 0.55)
        long = (tall - pot) * rng.uniform(0.5, 1.0)
        bend = angle + rng.normal(0, 0.5)
        way = np.linspace(0, 1, 7)
        turn = angle + (bend - angle) * way
        stem = np.cumsum(np.stack([np.sin(turn), np.cos(turn)], 1), axis=0) * long / 7
        stem += (rng.normal(0, 0.02), pot * 0.9)
        tint = leaf * rng.uniform(0.65, 1.25, 3)
        if blade:
            widths = 0.045 * tall * np.sin(np.pi * (0.12 + 0.88 * way)) + 0.002
            canvas.part(brush.band(stem, widths), tint, contrast=0.6)
            canvas.part(brush.band(stem, 0.004 * tall), tint, tone=0.7)
        else:
            canvas.part(brush.band(stem, 0.006 * tall), tint, tone=0.6)
            for number in range(2, 7):
                radius = rng.uniform(0.03, 0.06) * tall
                turned = rng.uniform(0, 3)
                centre = stem[number] + rng.normal(0, 0.03 * tall, 2)
                shape = brush.oval(tuple(centre), (radius, radius * 0.55), turned)
                canvas.part(shape, leaf * rng.uniform(0.6, 1.3), contrast=0.6)
                if rng.random() < 0.06:
                    bloom = textures.colour(rng, saturation=(0.5, 1.0), value=(0.7, 1.0))
                    canvas.part(brush.oval(tuple(centre), (radius * 0.6,) * 2), bloom)
    _pot(canvas, rng, rng.uniform(0.1, 0.17) * tall, pot)
    return canvas


def lamp(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """A floor lamp: thin pole, shade."""
    tall = rng.uniform(1.1, 1.8)
    canvas = Canvas(0.8, tall * 1.05, size / tall, light)
    metal = textures.colour(rng, (0.05, 0.15), (0.0, 0.5), (0.2, 0.9))
    canvas.part(brush.oval((0, 0.02), (0.16, 0.025)), metal, contrast=0.6)
    bend = rng.uniform(-0.15, 0.15)
    pole = brush.smooth([(0, 0.02), (bend, tall * 0.5), (0, tall - 0.15)], closed=False)
    canvas.part(brush.band(pole, 0.012), metal)
    top, bottom = rng.uniform(0.08, 0.2), rng.uniform(0.18, 0.3)
    high = rng.uniform(0.2, 0.35)
    shade = [(-bottom, tall - high), (bottom, tall - high), (top, tall), (-top, tall)]
    canvas.part(shade, textures.fabric(rng), 0.25, tone=1.25, contrast=0.5)
    return canvas


def chair(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """A chair from an angle: four legs, open back."""
    tall, seat = rng.uniform(0.8, 1.1), rng.uniform(0.42, 0.5)
    canvas = Canvas(0.8, tall * 1.08, size / tall, light)
    wood = textures.pick(rng, textures.FURNITURE)
    half, skew, rise = rng.uniform(0.19, 0.24), rng.uniform(-0.14, 0.14), 0.1
    leg = rng.uniform(0.012, 0.022)
    for side in (-1, 1):
        x = side * half + skew
        canvas.part(
            brush.limb((x, rise), (x, tall - 0.02), (leg, leg)), wood, 0.2, tone=0.8
        )
    bars = int(rng.integers(2, 6))
    if rng.random() < 0.5:
        for number in range(bars):
            y = seat + rise + (tall - seat - rise) * (number + 0.7) / bars
            ends = ((skew - half, y), (skew + half, y))
            canvas.part(brush.limb(ends[0], ends[1], (leg, leg)), wood, 0.2, tone=0.9)
    else:
        for number in range(bars):
            x = skew + half * (2 * (number + 0.5) / bars - 1)
            bar = brush.limb((x, seat), (x, tall - 0.04), (leg * 0.7,) * 2)
            canvas.part(bar, wood, 0.2, tone=0.85)
        rail = brush.limb(
            (skew - half, tall - 0.03), (skew + half, tall - 0.03), (0.03,) * 2
        )
        canvas.part(rail, wood, 0.2)
    top = [(-half - 0.02, seat), (half + 0.02, seat), (half + skew, seat + rise),
           (-half + skew, seat + rise)]  # fmt: skip
    canvas.part(top, _cloth(rng), 0.3, contrast=0.2)
    front = brush.limb((-half, seat), (half, seat), (0.02, 0.02))
    canvas.part(front, wood, 0.2, tone=0.9)
    for side in (-1, 1):
        canvas.part(
            brush.limb((side * half, 0), (side * half, seat), (leg, leg)), wood, 0.2
        )
    return canvas


def ladder(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """A stepladder, or a rack: all holes."""
    tall = rng.uniform(1.0, 2.1)
    foot, top = rng.uniform(0.22, 0.34), rng.uniform(0.12, 0.26)
    canvas = Canvas(1.0, tall * 1.05, size / tall, light)
    metal = textures.pick(rng, (textures.wood, textures.lacquer))
    back = rng.uniform(0.05, 0.2)
    for side in (-1, 1):
        pole = brush.limb((side * foot + back, 0.06), (side * top, tall), (0.014, 0.012))
        canvas.part(pole, metal, 0.3, tone=0.7)
    count = int(rng.integers(4, 9))
    for number in range(count):
        part = (number + 0.6) / count
        wide = foot + (top - foot) * part
        step = brush.limb((-wide, tall * part), (wide, tall * part), (0.022, 0.022))
        canvas.part(step, metal, 0.3, tone=0.95)
    for side in (-1, 1):
        pole = brush.limb((side * foot, 0), (side * top, tall), (0.026, 0.02))
        canvas.part(pole, metal, 0.3)
    return canvas


def ball(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """A ball with stripes, patches or a weave."""
    radius = rng.uniform(0.1, 0.45)
    canvas = Canvas(2.2 * radius, 2.1 * radius, size / (2 * radius) * 0.7, light)
    skin = textures.pick(rng, (textures.fabric, textures.wallpaper, textures.lacquer))
    centre = (0.0, radius)
    canvas.part(brush.oval(centre, (radius, radius)), skin, radius, contrast=0.9)
    other = textures.colour(rng, saturation=(0.0, 1.0))
    if rng.random() < 0.5:
        for turn in np.arange(3) * 1.05 + rng.uniform(0, 1):
            arc = brush.oval(centre, (radius * 0.99, radius * 0.35), turn)
            canvas.part(brush.band(arc, radius * 0.035), other, contrast=0.2)
    gleam = (light[0] * radius * 0.4, radius + light[1] * radius * 0.4)
    for step in range(3):
        spot = brush.oval(gleam, (radius * (0.2 - 0.05 * step),) * 2)
        canvas.part(spot, skin, radius, tone=1.15 + 0.12 * step, contrast=0.05)
    return canvas


def vase(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """A body of revolution, sometimes with dry twigs or handles."""
    tall = rng.uniform(0.3, 1.0)
    twigs = rng.random() < 0.5
    full = tall * (1.7 if twigs else 1.05)
    canvas = Canvas(full, full * 1.05, size / full, light)
    if twigs:
        tint = textures.colour(rng, (0.0, 0.2), (0.2, 0.7), (0.3, 0.8))
        for _ in range(int(rng.integers(5, 14))):
            end = (rng.normal(0, 0.22) * tall, full * rng.uniform(0.75, 1.0))
            canvas.part(brush.limb((0, tall * 0.8), end, (0.006, 0.003)), tint, tone=0.7)
            for part in rng.uniform(0.5, 1.0, 4):
                spot = (end[0] * part, tall * 0.8 + (end[1] - tall * 0.8) * part)
                canvas.part(brush.oval(spot, (0.03 * tall, 0.02 * tall), part * 9), tint)
    widths = rng.uniform(0.06, 0.3, 5) * tall
    ys = np.linspace(0, tall, 5)
    right = brush.smooth(np.stack([widths, ys], 1), closed=False)
    body = np.concatenate([right, (right * (-1, 1))[::-1]])
    glaze = textures.pick(rng, (textures.lacquer, textures.wallpaper, textures.concrete))
    if rng.random() < 0.4:
        for side in (-1, 1):
            handle = brush.oval(
                (side * widths[2], tall * 0.55), (0.12 * tall, 0.2 * tall)
            )
            canvas.part(brush.band(handle, 0.02 * tall), glaze, 0.3)
    canvas.part(body, glaze, 0.3, contrast=0.9)
    mouth = brush.oval((0, tall), (widths[-1], widths[-1] * 0.2))
    canvas.part(mouth, np.array([30, 25, 22]))
    return canvas


def case(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """A suitcase, a parcel or a crate, seen from a corner."""
    wide, tall = rng.uniform(0.3, 0.8), rng.uniform(0.3, 0.9)
    canvas = Canvas(wide * 1.7, tall * 1.4, size / max(tall, wide) * 0.8, light)
    skin = textures.pick(rng, textures.FURNITURE + textures.CLOTHS + (textures.bricks,))
    side, rise = wide * rng.uniform(0.15, 0.4), tall * rng.uniform(0.05, 0.15)
    half = wide / 2
    canvas.part(
        [(half, 0), (half + side, rise), (half + side, tall + rise), (half, tall)],
        skin, 0.5, tone=0.68, contrast=0.15,
    )  # fmt: skip
    canvas.part(
        [(-half, tall), (half, tall), (half + side, tall + rise),
         (-half + side, tall + rise)],
        skin, 0.5, tone=1.2, contrast=0.1,
    )  # fmt: skip
    canvas.part(
        [(-half, 0), (half, 0), (half, tall), (-half, tall)], skin, 0.5, contrast=0.2
    )
    strip = textures.colour(rng, value=(0.2, 0.95))
    for x in rng.uniform(-half * 0.8, half * 0.8, int(rng.integers(0, 4))):
        canvas.part(
            [(x, 0), (x + 0.03, 0), (x + 0.03, tall), (x, tall)], strip, contrast=0.2
        )
    if rng.random() < 0.6:
        grip = brush.smooth(
            [(-0.1, tall), (-0.09, tall + 0.09), (0.09, tall + 0.09), (0.1, tall)],
            closed=False,
        )
        canvas.part(brush.band(grip + (side / 2, rise / 2), 0.012), strip, tone=0.7)
    return canvas


def bicycle(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """Two spoked wheels and a frame of tubes."""
    radius = rng.uniform(0.24, 0.35)
    tall = radius * 3.0
    canvas = Canvas(radius * 5.6, tall * 1.1, size / tall * 0.75, light)
    tyre, steel = np.array([35, 35, 38]), np.array([170, 172, 178])
    paint = textures.colour(rng, saturation=(0.4, 1.0), value=(0.4, 1.0))
    back, front = (-radius * 1.6, radius), (radius * 1.6, radius)
    for hub in (back, front):
        start = rng.uniform(0, 1)
        for turn in np.linspace(0, 2 * math.pi, 14, endpoint=False) + start:
            end = (hub[0] + radius * math.cos(turn), hub[1] + radius * math.sin(turn))
            canvas.part(brush.limb(hub, end, (0.0035, 0.0035)), steel, contrast=0.1)
        angle = np.linspace(0, 2 * math.pi, 49)
        ring = np.stack([np.cos(angle), np.sin(angle)], 1)
        canvas.part(brush.band(hub + ring * radius * 0.9, 0.007), steel, contrast=0.2)
        canvas.part(brush.band(hub + ring * (radius - 0.02), 0.019), tyre, contrast=0.2)
        canvas.part(brush.oval(hub, (0.03, 0.03)), steel)
    crank, saddle = (-radius * 0.2, radius * 0.95), (-radius * 0.65, radius * 2.4)
    head = (radius * 1.15, radius * 2.3)
    tubes = (
        (back, crank),
        (back, saddle),
        (crank, saddle),
        (crank, head),
        (saddle, head),
    )
    for start, stop in tubes:
        canvas.part(brush.limb(start, stop, (0.016, 0.016)), paint, contrast=0.7)
    canvas.part(
        brush.limb(front, (head[0] - 0.03, head[1] + 0.12), (0.015, 0.015)), paint
    )
    bar = (head[0] - 0.03, head[1] + 0.14)
    canvas.part(brush.limb(bar, (bar[0] + 0.14, bar[1] + 0.03), (0.014, 0.018)), tyre)
    seat = (saddle[0], saddle[1] + 0.05)
    canvas.part(
        brush.limb((seat[0] - 0.1, seat[1]), (seat[0] + 0.1, seat[1]), (0.04, 0.02)),
        tyre,
    )
    canvas.part(brush.oval(crank, (0.07, 0.07)), steel)
    canvas.part(brush.limb(crank, (crank[0] + 0.1, crank[1] - 0.12), (0.012, 0.02)), tyre)
    return canvas


THINGS = (plant, plant, lamp, chair, ladder, ball, vase, case, bicycle)
