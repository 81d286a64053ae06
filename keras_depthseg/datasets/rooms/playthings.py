"""Seeded playthings, standing or in the air."""

from __future__ import annotations

import math

import numpy as np

from keras_depthseg.datasets.rooms import brush, textures
from keras_depthseg.datasets.rooms.brush import Canvas

_Light = tuple[float, float]


def umbrella(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """Open, on its stick."""
    tall, wide = rng.uniform(0.8, 1.1), rng.uniform(0.4, 0.6)
    canvas = Canvas(wide * 2.1, tall * 1.1, size / tall * 0.8, light)
    cloth, other = textures.fabric(rng), textures.colour(rng, saturation=(0.3, 1.0))
    steel = textures.colour(rng, saturation=(0.0, 0.5), value=(0.1, 0.5))
    hook = brush.smooth(
        [(0, tall * 0.7), (0, 0.08), (0.03, 0.02), (0.08, 0.03), (0.09, 0.09)],
        closed=False,
    )
    canvas.part(brush.band(hook, 0.011), steel)
    edge, peak = tall * 0.62, tall
    count = int(rng.integers(5, 9))
    xs = np.linspace(-wide, wide, count + 1)
    for number in range(count):
        a, b = xs[number], xs[number + 1]
        shape = [(a, edge), ((a + b) / 2, edge + 0.05), (b, edge)]
        for part in (0.35, 0.7):
            shape.append(
                (
                    b * math.cos(part * 1.57),
                    edge + (peak - edge) * math.sin(part * 1.57),
                )
            )
        shape.append((0, peak))
        for part in (0.7, 0.35):
            shape.append(
                (
                    a * math.cos(part * 1.57),
                    edge + (peak - edge) * math.sin(part * 1.57),
                )
            )
        skin = other if number % 2 and count % 2 else cloth
        side = 1 + 0.35 * light[0] * (a + b) / 2 / wide
        canvas.part(shape, skin, 0.4, tone=side, contrast=0.35)
    canvas.part(brush.limb((0, peak), (0, peak + 0.05), (0.008, 0.004)), steel)
    return canvas


def balloons(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """One to six balloons on strings."""
    tall = rng.uniform(1.0, 1.6)
    canvas = Canvas(tall * 1.2, tall * 1.1, size / tall, light)
    string = np.array([215, 215, 215])
    for _ in range(int(rng.integers(1, 7))):
        radius = rng.uniform(0.1, 0.17)
        centre = (rng.normal(0, 0.17) * tall, tall * rng.uniform(0.65, 0.87))
        rubber = textures.colour(rng, saturation=(0.4, 1.0), value=(0.5, 1.0))
        line = brush.smooth(
            [(0, 0.0), (centre[0] * 0.3, 0.3 * tall), (centre[0], centre[1] - radius)],
            closed=False,
        )
        canvas.part(brush.band(line, 0.004), string, contrast=0.0)
        canvas.part(brush.oval(centre, (radius, radius * 1.2)), rubber, contrast=0.9)
        spot = (
            centre[0] + light[0] * radius * 0.5,
            centre[1] + light[1] * radius * 0.6,
        )
        canvas.part(
            brush.oval(spot, (radius * 0.16, radius * 0.24), 0.5),
            rubber * 0.4 + 150,
            contrast=0.2,
        )
    return canvas


def guitar(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """Upright, with a sound hole and strings."""
    tall = rng.uniform(0.9, 1.15)
    canvas = Canvas(0.55, tall * 1.05, size / tall, light)
    wood = textures.pick(rng, (textures.wood, textures.planks, textures.lacquer))
    dark = np.array([50, 32, 22]) * rng.uniform(0.6, 1.4)
    wide = rng.uniform(0.17, 0.21)
    body = [(0, 0), (wide, 0.1), (wide * 0.9, 0.24), (wide * 0.62, 0.31),
            (wide * 0.75, 0.42),
            (0.06, 0.5), (-0.06, 0.5), (-wide * 0.75, 0.42), (-wide * 0.62, 0.31),
            (-wide * 0.9, 0.24), (-wide, 0.1)]  # fmt: skip
    canvas.part(brush.smooth(body), dark, contrast=0.3)
    canvas.part(
        brush.smooth(np.array(body) * 0.93 + (0, 0.016)), wood, 0.4, contrast=0.25
    )
    canvas.part(brush.oval((0, 0.33), (0.05, 0.05)), np.array([25, 18, 15]))
    canvas.part(
        [(-0.026, 0.4), (0.026, 0.4), (0.022, tall - 0.16), (-0.022, tall - 0.16)], dark
    )
    canvas.part(
        [(-0.03, tall - 0.17), (0.03, tall - 0.17), (0.045, tall), (-0.045, tall)],
        wood,
        0.3,
    )
    canvas.part([(-0.07, 0.13), (0.07, 0.13), (0.07, 0.15), (-0.07, 0.15)], dark)
    for string in np.linspace(-0.016, 0.016, 4):
        canvas.part(
            brush.limb((string, 0.14), (string, tall - 0.08), (0.0016,) * 2),
            np.array([215, 210, 195]), contrast=0.0,
        )  # fmt: skip
    return canvas


def fan(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """A fan on a stand: a cage of thin wires with gaps between the blades."""
    tall, radius = rng.uniform(0.7, 1.4), rng.uniform(0.17, 0.26)
    canvas = Canvas(radius * 2.4, tall * 1.05, size / tall, light)
    body = textures.colour(rng, saturation=(0.0, 0.6), value=(0.2, 1.0))
    steel = np.array([185, 188, 192]) * rng.uniform(0.6, 1.1)
    hub = (0.0, tall - radius)
    canvas.part(brush.oval((0, 0.02), (radius * 0.8, 0.025)), body)
    canvas.part(brush.limb((0, 0.02), hub, (0.017, 0.014)), body, tone=0.8)
    start = rng.uniform(0, 2)
    for turn in np.arange(4) * math.pi / 2 + start:
        centre = (
            hub[0] + 0.5 * radius * math.cos(turn),
            hub[1] + 0.5 * radius * math.sin(turn),
        )
        canvas.part(
            brush.oval(centre, (radius * 0.4, radius * 0.2), turn), body, contrast=0.6
        )
    for turn in np.linspace(0, 2 * math.pi, 18, endpoint=False):
        end = (hub[0] + radius * math.cos(turn), hub[1] + radius * math.sin(turn))
        canvas.part(brush.limb(hub, end, (0.0025,) * 2), steel, contrast=0.1)
    for part in (0.55, 1.0):
        ring = brush.oval(hub, (radius * part,) * 2)
        ring = np.concatenate([ring, ring[:2]])
        canvas.part(brush.band(ring, 0.005), steel, contrast=0.2)
    canvas.part(brush.oval(hub, (0.04, 0.04)), body)
    return canvas


PLAYTHINGS = (umbrella, balloons, guitar, fan)
