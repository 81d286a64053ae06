"""Lamps, shadows of furniture, and darkness in corners, sampled on each surface."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_depthseg.datasets.rooms.geometry import Surface

UNIT = 128
"""The stored brightness that leaves colours as they are."""


@dataclasses.dataclass(frozen=True)
class Lamp:
    """A point light.

    Attributes:
        position: (3,) metres.
        colour: (3,) linear RGB strength at one metre or less.
        reach: metres after which its light has halved.
    """

    position: np.ndarray
    colour: np.ndarray
    reach: float


@dataclasses.dataclass(frozen=True)
class Solid:
    """An upright box that blocks light; angles in radians, lengths in metres."""

    centre: np.ndarray
    half: np.ndarray
    yaw: float

    def to_local(self, vectors: np.ndarray) -> tuple[np.ndarray, ...]:
        """Turn (3, N) world vectors into the box's axes."""
        cos, sin = np.float32(np.cos(self.yaw)), np.float32(np.sin(self.yaw))
        x, y, z = vectors
        return cos * x - sin * z, y, sin * x + cos * z


@dataclasses.dataclass(frozen=True)
class Lighting:
    """The light of a room.

    Attributes:
        lamps: point lights.
        ambient: (3,) linear RGB from everywhere.
        bounds: (3, 2) the room's lowest and highest coordinates; corners darken.
        exposure: factor on the light before it is encoded.
    """

    lamps: tuple[Lamp, ...]
    ambient: np.ndarray
    bounds: np.ndarray
    exposure: float = 1.0

    def at(
        self, points: np.ndarray, normals: np.ndarray, solids: Sequence[Solid] = ()
    ) -> np.ndarray:
        """Linear RGB light on points (3, N) with unit normals (3, N): (N, 3) float32."""
        open_sky = self._openness(points, normals, solids)
        tilt = (0.85 + 0.15 * normals[1]) * open_sky
        total = tilt[:, None] * self.ambient.astype(np.float32)
        for lamp in self.lamps:
            way = lamp.position.astype(np.float32)[:, None] - points
            distance = np.sqrt((way * way).sum(axis=0)) + np.float32(1e-3)
            facing = (way * normals).sum(axis=0) / distance
            # A little light comes round the edge, as from a lamp with some size.
            strength = np.maximum(facing * 0.9 + 0.1, 0)
            strength /= 1 + (distance / lamp.reach) ** 2
            strength *= 0.25 + 0.75 * _visible(points, way, solids)
            strength *= 0.4 + 0.6 * open_sky
            total += strength[:, None] * lamp.colour.astype(np.float32)
        return total * np.float32(self.exposure)

    def _openness(
        self, points: np.ndarray, normals: np.ndarray, solids: Sequence[Solid]
    ) -> np.ndarray:
        """How much of the surroundings is open, (N,): less near walls and furniture."""
        openness = np.ones(points.shape[1], np.float32)
        for axis in range(3):
            for side in range(2):
                gap = np.abs(points[axis] - np.float32(self.bounds[axis, side]))
                # A wall does not darken itself, only surfaces at an angle to it.
                angle = 1 - np.abs(normals[axis])
                openness *= 1 - 0.45 * angle * np.exp(-gap / 0.35)
        for solid in solids:
            x, y, z = solid.to_local(points - solid.centre.astype(np.float32)[:, None])
            gap_x = np.maximum(np.abs(x) - np.float32(solid.half[0]), 0)
            gap_y = np.maximum(np.abs(y) - np.float32(solid.half[1]), 0)
            gap_z = np.maximum(np.abs(z) - np.float32(solid.half[2]), 0)
            gap = gap_x + gap_y + gap_z
            near = gap < 0.6
            if near.any():
                # Only solids in front of the surface darken it.
                ahead = -(normals[1] * np.sign(y) * (gap_y > 0))
                ahead = np.maximum(ahead, 0) + np.abs(normals[1]) * (gap_y == 0)
                openness -= near * ahead * 0.35 * np.exp(-gap / 0.16) * openness
        return openness


def _visible(points: np.ndarray, way: np.ndarray, solids: Sequence[Solid]) -> np.ndarray:
    """1 where the straight `way` (3, N) from `points` (3, N) is free, else 0."""
    free = np.ones(points.shape[1], np.float32)
    for solid in solids:
        start = solid.to_local(points - solid.centre.astype(np.float32)[:, None])
        step = solid.to_local(way)
        enter = np.full(points.shape[1], 0.01, np.float32)
        leave = np.full(points.shape[1], 0.99, np.float32)
        for axis in range(3):
            slope = np.where(np.abs(step[axis]) < 1e-5, 1e-5, step[axis])
            half = np.float32(solid.half[axis])
            first = (-half - start[axis]) / slope
            second = (half - start[axis]) / slope
            np.maximum(enter, np.minimum(first, second), out=enter)
            np.minimum(leave, np.maximum(first, second), out=leave)
        free[enter < leave] = 0
    return free


def _grid(surface: Surface) -> tuple[int, int]:
    """Return the rows and columns of light samples on a surface."""
    wide, tall = surface.extent()
    longest = max(wide, tall, 1e-6)
    columns = max(2, round(surface.detail * wide / longest))
    return max(2, round(surface.detail * tall / longest)), columns


def light_maps(
    surfaces: Sequence[Surface], lighting: Lighting, solids: Sequence[Solid]
) -> list[np.ndarray]:
    """Return the brightness of each surface as a small image, (rows, columns, 3) uint8.

    `UNIT` leaves the surface's colours as they are. Samples lie at cell centres, row 0
    at the top (t near 1).
    """
    points, normals, shapes = [], [], []
    for surface in surfaces:
        rows, columns = _grid(surface)
        s = (np.arange(columns) + 0.5) / columns
        t = 1 - (np.arange(rows) + 0.5) / rows
        grid = (
            surface.origin[:, None, None]
            + surface.up[:, None, None] * t[None, :, None]
            + surface.across[:, None, None] * s[None, None, :]
        )
        normal = np.repeat(surface.facing[:, None], rows * columns, axis=1)
        if surface.bend:
            turn = np.tile((s - 0.5) * surface.bend, rows)
            cos, sin = np.cos(turn), np.sin(turn)
            x, y, z = normal
            normal = np.stack([cos * x - sin * z, y, sin * x + cos * z])
        points.append(grid.reshape(3, -1) + 0.02 * normal)
        normals.append(normal)
        shapes.append((rows, columns))
    light = lighting.at(
        np.concatenate(points, axis=1).astype(np.float32),
        np.concatenate(normals, axis=1).astype(np.float32),
        solids,
    )
    maps, start = [], 0
    for surface, (rows, columns) in zip(surfaces, shapes, strict=True):
        part = light[start : start + rows * columns].reshape(rows, columns, 3)
        start += rows * columns
        if surface.emission:
            part = np.full_like(part, surface.emission)
        maps.append(encode(part))
    return maps


def encode(light: np.ndarray) -> np.ndarray:
    """Linear light -> factor on sRGB values in units of 1 / `UNIT`, uint8."""
    factor = np.power(np.maximum(light, 0), 1 / 2.2)
    return np.clip(factor * UNIT, 0, 255).astype(np.uint8)
