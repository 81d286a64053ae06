"""The shadow of a cutout on everything the camera sees."""

from __future__ import annotations

import math

import cv2
import numpy as np

from keras_depthseg.datasets.rooms.cutouts import RoomCutout
from keras_depthseg.datasets.rooms.geometry import Surface
from keras_depthseg.datasets.rooms.scene import Room


def cast(
    room: Room, cutout: RoomCutout, surface: Surface, points: np.ndarray
) -> np.ndarray:
    """Return the part of each pixel's light that is lost, (H, W) float32, 0..0.9."""
    wide, tall = surface.extent()
    right = surface.across / wide
    normal = surface.facing
    foot, middle, spread = _foot(cutout)
    base = surface.origin + right * wide * middle
    total, shares = _shares(room, base)
    taken = np.zeros(room.depth.shape, np.float32)

    side = (points[0] - base[0]) * right[0] + (points[2] - base[2]) * right[2]
    ahead = (points[0] - base[0]) * normal[0] + (points[2] - base[2]) * normal[2]
    rise = points[1] - np.float32(base[1])

    silhouette = cv2.resize(
        cutout.rgba[..., 3], (64, 96), interpolation=cv2.INTER_AREA
    ).astype(np.float32)
    # A clear border: light passes beside the cutout.
    silhouette = cv2.copyMakeBorder(silhouette, 8, 8, 8, 8, cv2.BORDER_CONSTANT)
    silhouette = cv2.blur(cv2.blur(silhouette, (5, 5)), (5, 5)) / 255
    for lamp, share in zip(room.lighting.lamps, shares, strict=True):
        if share < 0.08 * total:
            continue
        to_lamp = lamp.position - base
        lamp_ahead, lamp_side = float(to_lamp @ normal), float(to_lamp @ right)
        lamp_rise = float(to_lamp[1])
        if abs(lamp_ahead) < 0.15:
            continue  # edge on, a flat cutout would cast a line
        # Where the way to the lamp meets the cutout's plane.
        part = ahead / np.where(
            np.abs(ahead - lamp_ahead) < 1e-4, 1e-4, ahead - lamp_ahead
        )
        across = side + part * (np.float32(lamp_side) - side)
        up = rise + part * (np.float32(lamp_rise) - rise)
        column = (across / wide + np.float32(middle)) * 64 + 7.5
        row = (1 - up / tall) * 96 + 7.5
        dark = cv2.remap(
            silhouette, column.astype(np.float32), row.astype(np.float32),
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=0,
        )  # fmt: skip
        dark[(part < 0.002) | (part > 1)] = 0
        taken += dark * np.float32(share / total)
    # Under the feet no light comes from anywhere.
    near = (side / (foot * wide + 0.05)) ** 2 + (ahead / (0.1 + spread)) ** 2
    near += (rise / 0.08) ** 2
    taken = 1 - (1 - np.minimum(taken, 0.9)) * (1 - 0.6 * np.exp(-near))
    taken = cv2.blur(np.minimum(taken, 0.9), (3, 3))
    taken[taken < 0.01] = 0
    return taken


def _foot(cutout: RoomCutout) -> tuple[float, float, float]:
    """Half width and middle (parts of the width) and depth (metres) of the foot."""
    rows = max(2, cutout.rgba.shape[0] // 16)
    columns = np.flatnonzero((cutout.rgba[-rows:, :, 3] > 64).any(axis=0))
    if not len(columns):
        return 0.2, 0.5, 0.05
    width = cutout.rgba.shape[1]
    half = (columns[-1] - columns[0] + 1) / 2 / width
    middle = (columns[-1] + columns[0] + 1) / 2 / width
    return half, middle, min(0.35 * half * cutout.width, 0.15)


def _shares(room: Room, base: np.ndarray) -> tuple[float, list[float]]:
    """Light on a level surface at `base`: of everything, and of each lamp."""
    shares = []
    for lamp in room.lighting.lamps:
        way = lamp.position - base
        distance = math.sqrt(float(way @ way)) + 1e-3
        facing = max(float(way[1]) / distance, 0.05)
        strength = facing / (1 + (distance / lamp.reach) ** 2)
        shares.append(strength * float(lamp.colour.mean()))
    return sum(shares) + float(room.lighting.ambient.mean()) + 1e-6, shares
