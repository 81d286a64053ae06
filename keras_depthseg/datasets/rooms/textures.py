"""Seeded materials: square pictures that repeat without a seam."""

from __future__ import annotations

import colorsys

import cv2
import numpy as np

TILE = 128
"""Side of a material's picture in pixels."""


def colour(
    rng: np.random.Generator,
    hue: tuple[float, float] = (0.0, 1.0),
    saturation: tuple[float, float] = (0.1, 0.7),
    value: tuple[float, float] = (0.3, 0.95),
) -> np.ndarray:
    """Return a random colour by hue, saturation and value: (3,) float32, 0..255."""
    rgb = colorsys.hsv_to_rgb(
        rng.uniform(*hue) % 1.0, rng.uniform(*saturation), rng.uniform(*value)
    )
    return np.array(rgb, np.float32) * 255


def wrap_noise(
    rng: np.random.Generator, cells: tuple[int, int], side: int = TILE
) -> np.ndarray:
    """Smooth noise that wraps around, (side, side) float32, about -1..1.

    Args:
        cells: rows and columns of random values; many make fine noise.
    """
    rows, columns = min(cells[0], side), min(cells[1], side)
    values = rng.standard_normal((rows, columns), np.float32) * 0.5
    values = np.pad(values, 2, mode="wrap")
    cell_y, cell_x = side / rows, side / columns
    shape = (round(cell_x * (columns + 4)), round(cell_y * (rows + 4)))
    big = cv2.resize(values, shape, interpolation=cv2.INTER_CUBIC)
    top, left = round(2 * cell_y), round(2 * cell_x)
    return big[top : top + side, left : left + side]


def fractal_noise(
    rng: np.random.Generator, coarse: int = 3, octaves: int = 4, side: int = TILE
) -> np.ndarray:
    """Sum of noises, each twice as fine and 0.6 times as strong; (side, side)."""
    total = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        cells = coarse * 2**octave
        total += wrap_noise(rng, (cells, cells), side) * np.float32(0.6**octave)
    return total


def _paint(base: np.ndarray, shade: np.ndarray) -> np.ndarray:
    """Colour(s) times (side, side) brightness -> uint8 picture."""
    return np.clip(base * shade[..., None], 0, 255).astype(np.uint8)


def _grid(count: int, side: int = TILE) -> tuple[np.ndarray, np.ndarray]:
    """Cell number and place in the cell (0..1) of each of `side` pixels."""
    place = (np.arange(side, dtype=np.float32) + 0.5) / side * count
    cell = np.floor(place)
    return cell.astype(np.intp), place - cell


def planks(rng: np.random.Generator) -> np.ndarray:
    """Boards along the picture's height, with grain and dark joints."""
    count = int(rng.integers(4, 9))
    base = colour(rng, (0.04, 0.12), (0.25, 0.7), (0.35, 0.85))
    cell, place = _grid(count)
    tone = rng.uniform(0.78, 1.12, count).astype(np.float32)[cell]
    grain = wrap_noise(rng, (5, 96)) * 0.09 + wrap_noise(rng, (2, 40)) * 0.07
    shade = tone[None, :] * (1 + grain)
    joint = np.minimum(place, 1 - place) < 0.02 * count / 4
    shade[:, joint] *= 0.55
    ends = rng.integers(0, TILE, count)
    for number, end in enumerate(ends):
        shade[end : end + 2, cell == number] *= 0.6
    return _paint(base, shade)


def tiles(rng: np.random.Generator) -> np.ndarray:
    """Square tiles in one or two colours, with grout."""
    count = int(rng.choice([2, 4, 6]))
    first = colour(rng, saturation=(0.0, 0.5), value=(0.5, 0.97))
    second = first * rng.uniform(0.5, 1.0)
    if rng.random() < 0.35:
        second = colour(rng, value=(0.2, 0.9))
    cell, place = _grid(count)
    checker = (cell[:, None] + cell[None, :]) % 2
    base = np.where(checker[..., None] == 0, first, second)
    tone = rng.uniform(0.9, 1.06, (count, count)).astype(np.float32)
    shade = tone[cell[:, None], cell[None, :]] * (1 + 0.05 * fractal_noise(rng, 4))
    edge = np.minimum(place, 1 - place)
    grout = np.minimum(edge[:, None], edge[None, :]) < 0.012 * count
    base = np.where(grout[..., None], colour(rng, (0, 1), (0, 0.1), (0.3, 0.9)), base)
    return _paint(base, shade)


def bricks(rng: np.random.Generator) -> np.ndarray:
    """A running bond."""
    rows, columns = 8, 4
    if rng.random() < 0.5:
        base = colour(rng, (0.0, 0.06), (0.3, 0.65), (0.4, 0.8))
    else:
        base = colour(rng, (0.05, 0.15), (0.0, 0.2), (0.6, 0.97))
    row, in_row = _grid(rows)
    place = (np.arange(TILE, dtype=np.float32) + 0.5) / TILE * columns
    place = place[None, :] + 0.5 * (row[:, None] % 2)
    column = np.floor(place).astype(np.intp)
    in_column = place - column
    tone = rng.uniform(0.75, 1.15, (rows, columns)).astype(np.float32)
    shade = tone[row[:, None], column % columns] * (1 + 0.12 * fractal_noise(rng, 8, 3))
    mortar = (np.minimum(in_column, 1 - in_column) < 0.03) | (
        np.minimum(in_row, 1 - in_row) < 0.07
    )[:, None]
    base = np.where(mortar[..., None], base * 0.4 + 95, base)
    return _paint(base, shade)


def plaster(rng: np.random.Generator) -> np.ndarray:
    """Nearly one colour, with faint clouds."""
    base = colour(rng, saturation=(0.0, 0.45), value=(0.6, 0.97))
    shade = 1 + 0.035 * fractal_noise(rng, 2, 5) + 0.02 * wrap_noise(rng, (128, 128))
    return _paint(base, shade)


def wallpaper(rng: np.random.Generator) -> np.ndarray:
    """Stripes, dots or diamonds in two tones."""
    first = colour(rng, saturation=(0.1, 0.55), value=(0.6, 0.95))
    second = first * rng.uniform(0.72, 0.9)
    if rng.random() < 0.4:
        second = colour(rng, saturation=(0.1, 0.6), value=(0.5, 0.95))
    count = int(rng.choice([4, 6, 8]))
    _, place = _grid(count)
    kind = rng.integers(3)
    if kind == 0:
        pattern = np.broadcast_to((place < rng.uniform(0.2, 0.6)), (TILE, TILE))
    elif kind == 1:
        radius = (place[:, None] - 0.5) ** 2 + (place[None, :] - 0.5) ** 2
        pattern = radius < rng.uniform(0.03, 0.1)
    else:
        pattern = np.abs(place[:, None] - 0.5) + np.abs(place[None, :] - 0.5) < 0.3
    base = np.where(pattern[..., None], second, first)
    return _paint(base, 1 + 0.02 * fractal_noise(rng, 4))


def carpet(rng: np.random.Generator) -> np.ndarray:
    """Strong fine noise."""
    base = colour(rng, saturation=(0.1, 0.6), value=(0.3, 0.75))
    shade = 1 + 0.13 * wrap_noise(rng, (TILE, TILE)) + 0.1 * wrap_noise(rng, (64, 64))
    return _paint(base, shade + 0.06 * fractal_noise(rng, 2, 3))


def fabric(rng: np.random.Generator) -> np.ndarray:
    """A weave, plain, striped or checked."""
    base = np.broadcast_to(colour(rng, saturation=(0.15, 0.8)), (TILE, TILE, 3))
    other = colour(rng, saturation=(0.0, 0.8), value=(0.2, 1.0))
    _, place = _grid(int(rng.integers(4, 12)))
    stripe = place < rng.uniform(0.2, 0.5)
    kind = rng.integers(4)
    if kind == 1:
        base = np.where(stripe[None, :, None], other, base)
    elif kind == 2:
        amount = (stripe[None, :] * 0.5 + stripe[:, None] * 0.5)[..., None]
        base = base * (1 - amount) + other * amount
    weave = wrap_noise(rng, (TILE, 24)) + wrap_noise(rng, (24, TILE))
    return _paint(base, 1 + 0.05 * weave + 0.06 * fractal_noise(rng, 3, 3))


def weave(rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """Cloth of one colour, (3,), with visible threads and worn patches."""
    threads = wrap_noise(rng, (TILE, 32)) * 0.08 + wrap_noise(rng, (32, TILE)) * 0.05
    return _paint(base, 1 + threads + 0.1 * wrap_noise(rng, (4, 4)))


def wood(rng: np.random.Generator) -> np.ndarray:
    """Furniture wood with wavy grain along the picture's height."""
    base = colour(rng, (0.03, 0.12), (0.25, 0.75), (0.25, 0.85))
    rings = wrap_noise(rng, (2, 6)) * 5 + wrap_noise(rng, (3, 30)) * 0.8
    shade = 1 + 0.09 * np.sin(rings * 4) + 0.05 * wrap_noise(rng, (8, 128))
    return _paint(base, shade)


def lacquer(rng: np.random.Generator) -> np.ndarray:
    """Painted or plastic: one colour, hardly any structure."""
    base = colour(rng, saturation=(0.0, 0.85), value=(0.2, 1.0))
    return _paint(base, 1 + 0.025 * fractal_noise(rng, 2, 3))


def concrete(rng: np.random.Generator) -> np.ndarray:
    """Grey to brown, blotchy."""
    base = colour(rng, (0.05, 0.15), (0.0, 0.15), (0.4, 0.8))
    shade = 1 + 0.09 * fractal_noise(rng, 3, 5) + 0.04 * wrap_noise(rng, (160, 160))
    return _paint(base, shade)


FLOORS = (planks, planks, tiles, carpet, concrete, fabric)
WALLS = (plaster, plaster, plaster, wallpaper, wallpaper, bricks, concrete, tiles)
FURNITURE = (wood, wood, wood, lacquer, lacquer, planks)
CLOTHS = (fabric, fabric, carpet, lacquer)


def pick(rng: np.random.Generator, materials: tuple) -> np.ndarray:
    """One material of a list, drawn and painted: (TILE, TILE, 3) uint8 RGB."""
    return materials[int(rng.integers(len(materials)))](rng)
