"""Seeded pictures that are shown once: paintings, views, book rows, cupboard fronts."""

from __future__ import annotations

import cv2
import numpy as np

from keras_depthseg.datasets.rooms import textures

SIDE = 96
"""Height of a panel in pixels."""


def _blank(base: np.ndarray, height: int = SIDE, width: int = SIDE) -> np.ndarray:
    return np.full((height, width, 3), np.asarray(base).astype(np.uint8))


def _rgb(value: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = value.astype(int).tolist()
    return red, green, blue


def view(rng: np.random.Generator) -> np.ndarray:
    """Bright outside: sky, hills, and trees or houses. (SIDE, 2 * SIDE, 3) uint8."""
    top = textures.colour(rng, (0.52, 0.64), (0.2, 0.6), (0.8, 1.0))
    bottom = textures.colour(rng, (0.05, 0.6), (0.0, 0.2), (0.9, 1.0))
    ramp = np.linspace(0, 1, SIDE, dtype=np.float32)[:, None, None]
    picture = np.repeat(top * (1 - ramp) + bottom * ramp, 2 * SIDE, axis=1)
    clouds = textures.fractal_noise(rng, 3, 4, 2 * SIDE)[:SIDE, :, None].clip(0, 1)
    picture = np.ascontiguousarray((picture + clouds * 70).clip(0, 255), np.float32)
    columns = np.arange(2 * SIDE)
    for layer in range(3):
        level = SIDE * (0.45 + 0.16 * layer)
        phase = rng.uniform(0, 6.28, 3)
        waves = (
            rng.uniform(1, 5) * np.sin(columns * f / 30 + p)
            for f, p in zip((1, 2.3, 5), phase, strict=True)
        )
        ridge = level + sum(waves, start=np.zeros(2 * SIDE))
        base = textures.colour(rng, (0.2, 0.4), (0.2, 0.6), (0.35, 0.75))
        below = np.arange(SIDE)[:, None] > ridge[None, :]
        noise = 1 + 0.12 * textures.wrap_noise(rng, (48, 48), 2 * SIDE)[:SIDE]
        picture = np.where(below[..., None], base * noise[..., None], picture)
        picture = np.ascontiguousarray(picture, np.float32)
        for _ in range(int(rng.integers(2, 7))):
            x = int(rng.integers(2 * SIDE))
            foot = int(ridge[x])
            tall = int(rng.integers(8, 26))
            tint = textures.colour(rng, (0.0, 0.4), (0.1, 0.7), (0.25, 0.85))
            if rng.random() < 0.5:
                cv2.rectangle(
                    picture, (x, foot - tall), (x + tall, foot), tint.tolist(), -1
                )
                for y in range(foot - tall + 3, foot - 3, 5):
                    cv2.rectangle(picture, (x + 3, y), (x + 5, y + 2), (60, 70, 90), -1)
            else:
                cv2.ellipse(
                    picture, (x, foot - tall // 2), (tall // 3, tall // 2), 0, 0, 360,
                    tint.tolist(), -1, cv2.LINE_AA,
                )  # fmt: skip
    return picture.clip(0, 255).astype(np.uint8)


def painting(rng: np.random.Generator) -> np.ndarray:
    """A landscape, shapes, a portrait or a poster, with a border. (SIDE, SIDE, 3)."""
    kind = rng.integers(4)
    if kind == 0:
        picture = np.ascontiguousarray(view(rng)[:, SIDE // 2 : SIDE // 2 + SIDE])
    else:
        picture = _blank(textures.colour(rng, saturation=(0.0, 0.6)))
        for _ in range(int(rng.integers(3, 12))):
            tint = _rgb(textures.colour(rng, saturation=(0.2, 1.0)))
            centre = tuple(int(v) for v in rng.integers(0, SIDE, 2))
            axes = tuple(int(v) for v in rng.integers(4, 34, 2))
            angle = float(rng.uniform(0, 180))
            if kind == 1:
                cv2.ellipse(picture, centre, axes, angle, 0, 360, tint, -1, cv2.LINE_AA)
            elif kind == 2:
                box = cv2.boxPoints((centre, axes, angle)).astype(np.int32)
                cv2.fillConvexPoly(picture, box, tint, cv2.LINE_AA)
            else:
                row = int(rng.integers(8, SIDE - 8))
                end = int(rng.integers(30, SIDE - 8))
                cv2.line(picture, (10, row), (end, row), tint, int(rng.integers(1, 6)))
    if rng.random() < 0.6:
        border = int(rng.integers(4, 14))
        mat = _rgb(textures.colour(rng, saturation=(0.0, 0.15), value=(0.85, 1.0)))
        cv2.rectangle(picture, (0, 0), (SIDE - 1, SIDE - 1), mat, border)
    return picture


def books(rng: np.random.Generator) -> np.ndarray:
    """Spines of a row of books. (SIDE // 2, 2 * SIDE, 3) uint8."""
    height = SIDE // 2
    picture = _blank(np.array([30, 26, 24]), height, 2 * SIDE)
    x = 0
    while x < 2 * SIDE:
        wide = int(rng.integers(5, 14))
        tall = int(rng.uniform(0.65, 1.0) * height)
        tint = textures.colour(rng, saturation=(0.05, 0.8), value=(0.2, 0.95))
        round_off = 1 - 0.35 * np.abs(np.linspace(-1, 1, wide)) ** 2
        spine = picture[height - tall :, x : x + wide]
        spine[:] = tint * round_off[: spine.shape[1], None]
        for band in rng.integers(2, tall - 4, 2):
            spine[band : band + 2] = 255 - tint * 0.4
        x += wide + int(rng.random() < 0.15) * 6
    return picture


def doors(rng: np.random.Generator, base: np.ndarray) -> np.ndarray:
    """A furniture front: drawers or doors with handles on `base`, a material."""
    picture = cv2.resize(base, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    columns, rows = int(rng.integers(1, 4)), int(rng.integers(1, 5))
    metal = _rgb(textures.colour(rng, (0.1, 0.15), (0.0, 0.4), (0.3, 0.95)))
    wide, tall = SIDE / columns, SIDE / rows
    shade = picture.astype(np.float32)
    for row in range(rows):
        for column in range(columns):
            x0, y0 = round(column * wide), round(row * tall)
            x1, y1 = round((column + 1) * wide) - 1, round((row + 1) * tall) - 1
            shade[y0:y1, x0:x1] *= rng.uniform(0.94, 1.04)
            cv2.rectangle(shade, (x0, y0), (x1, y1), (25, 20, 18), 1)
            cv2.line(shade, (x0 + 1, y0 + 1), (x1 - 1, y0 + 1), _rgb(base[0, 0] * 1.1))
            middle = ((x0 + x1) // 2, (y0 + y1) // 2)
            if rows > 1:
                reach = max(2, round(wide * 0.12))
                cv2.rectangle(
                    shade, (middle[0] - reach, middle[1] - 1),
                    (middle[0] + reach, middle[1] + 1), metal, -1,
                )  # fmt: skip
            else:
                knob = x1 - 5 if column % 2 == 0 else x0 + 5
                cv2.rectangle(
                    shade,
                    (knob - 1, middle[1] - 6),
                    (knob + 1, middle[1] + 6),
                    metal,
                    -1,
                )
    return shade.clip(0, 255).astype(np.uint8)


def house_door(rng: np.random.Generator) -> np.ndarray:
    """A closed door with panels and a handle. (SIDE, SIDE // 2, 3) uint8."""
    width = SIDE // 2
    base = textures.pick(rng, (textures.wood, textures.lacquer))
    picture = cv2.resize(base, (width, SIDE))
    dark, light = _rgb(base.mean((0, 1)) * 0.7), _rgb(base.mean((0, 1)) * 1.15)
    rows = int(rng.integers(1, 4))
    for row in range(rows):
        y0, y1 = 6 + row * (SIDE - 6) // rows, (row + 1) * (SIDE - 6) // rows
        cv2.rectangle(picture, (7, y0), (width - 8, y1), dark, 1)
        cv2.rectangle(picture, (8, y0 + 1), (width - 9, y1 - 1), light, 1)
    cv2.rectangle(
        picture, (width - 6, SIDE // 2), (width - 3, SIDE // 2 + 2), (225, 220, 190), -1
    )  # noqa: E501
    return picture


def screen(rng: np.random.Generator) -> np.ndarray:
    """A television: dark glass with a reflection, or a running picture."""
    if rng.random() < 0.4:
        picture = painting(rng)
    else:
        gloss = np.linspace(10, 50, SIDE)[:, None] + np.linspace(0, 30, SIDE)[None, :]
        picture = np.repeat(gloss[..., None], 3, axis=2).astype(np.uint8)
    cv2.rectangle(picture, (0, 0), (SIDE - 1, SIDE - 1), (15, 15, 17), 4)
    return picture


def disc(material: np.ndarray) -> np.ndarray:
    """A round cut of a material, RGBA: the top of a cylinder."""
    side = material.shape[0]
    alpha = np.zeros((side, side), np.uint8)
    cv2.circle(alpha, (side // 2, side // 2), side // 2 - 1, 255, -1)
    return np.dstack([material, alpha])
