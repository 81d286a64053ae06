"""Cameras, flat surfaces and the rasteriser that finds the nearest one of each pixel.

World coordinates are in metres: x right, y up, z into the room. A surface is a
parallelogram, so the map from a pixel to its place on it is one 3x3 matrix, and both
that place over depth and one over depth are linear in the pixel's coordinates.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

NEAR = 0.05
"""The nearest depth that is drawn, in metres."""

FAR = 12.0
"""The largest depth, in metres; everything beyond is stored at this depth."""


@dataclasses.dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Pixel (row i, column j) covers [j, j + 1) x [i, i + 1); its centre is at
    (j + 0.5, i + 0.5).

    Attributes:
        position: (3,) world coordinates, metres.
        axes: (3, 3), rows are the camera's right, down and forward directions.
        focal: focal length in pixels.
        size: height and width of the picture in pixels.
    """

    position: np.ndarray
    axes: np.ndarray
    focal: float
    size: int

    @classmethod
    def look(
        cls,
        position: Sequence[float] | np.ndarray,
        yaw: float,
        pitch: float,
        field_of_view: float,
        size: int,
        roll: float = 0.0,
    ) -> Camera:
        """Return a camera by its angles in degrees.

        Args:
            position: world coordinates, metres.
            yaw: turn to the right; at 0 the camera looks along +z.
            pitch: tilt up; negative looks down.
            field_of_view: across the picture's width.
            size: height and width in pixels.
            roll: turn about the viewing direction.
        """
        yaw, pitch, roll = map(math.radians, (yaw, pitch, roll))
        forward = np.array(
            [
                math.sin(yaw) * math.cos(pitch),
                math.sin(pitch),
                math.cos(yaw) * math.cos(pitch),
            ]
        )
        right = np.array([math.cos(yaw), 0.0, -math.sin(yaw)])
        down = np.cross(right, forward)
        down *= -1.0 if down[1] > 0 else 1.0
        turned = math.cos(roll) * right + math.sin(roll) * down
        down = math.cos(roll) * down - math.sin(roll) * right
        focal = 0.5 * size / math.tan(math.radians(field_of_view) / 2)
        axes = np.stack([turned, down, forward])
        return cls(np.asarray(position, np.float64), axes, focal, size)

    def pixel_to_ray(self) -> np.ndarray:
        """(3, 3): (x, y, 1) in pixels -> world direction whose z depth is 1."""
        centre = self.size / 2
        inverse = np.array(
            [
                [1 / self.focal, 0.0, -centre / self.focal],
                [0.0, 1 / self.focal, -centre / self.focal],
                [0.0, 0.0, 1.0],
            ]
        )
        return self.axes.T @ inverse

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """World points (N, 3) -> pixel coordinates (N, 2) and z depth (N,) in metres."""
        local = (np.asarray(points, np.float64) - self.position) @ self.axes.T
        depth = local[:, 2]
        pixels = local[:, :2] / depth[:, None] * self.focal + self.size / 2
        return pixels, depth

    def world_points(self, depth: np.ndarray) -> np.ndarray:
        """World coordinates (3, H, W) float32 of the pixel centres at `depth` (H, W)."""
        xs, ys = _pixel_centres(0, self.size, 1), _pixel_centres(0, self.size, 1)
        matrix = self.pixel_to_ray()
        points = np.empty((3, self.size, self.size), np.float32)
        for axis in range(3):
            direction = _linear(matrix[axis], xs, ys)
            np.multiply(direction, depth, out=points[axis])
            points[axis] += np.float32(self.position[axis])
        return points

    def inverse_depth(self, pixel_map: np.ndarray, scale: int) -> np.ndarray:
        """One over a plane's z depth, (H * scale, W * scale) float32, 1/metre.

        Args:
            pixel_map: (3, 3) of the plane, see `Projection.maps`.
            scale: samples along each side of a pixel.
        """
        centres = _pixel_centres(0, self.size * scale, scale)
        return _linear(pixel_map[2], centres, centres)


@dataclasses.dataclass(eq=False)
class Surface:
    """A flat parallelogram with a picture on it.

    Its points are origin + s * across + t * up with s, t in [0, 1].

    Attributes:
        origin, across, up: (3,) world vectors, metres.
        picture: (h, w, 3 or 4) uint8 RGB(A); row 0 is at t = 1. Where alpha is below
            half there is a hole.
        tile: width and height in metres of one repeat of the picture, or `None` to
            stretch it over the surface once.
        facing: (3,) unit normal on the side that is lit and seen; by default up x across.
        holes: rectangles (s0, t0, s1, t1) cut out of the surface.
        emission: brightness of its own, 0 for a surface that is only lit.
        detail: samples of light along the longer side.
        bend: angle in radians over which the normal turns from s = 0 to s = 1, for
            a facet that stands for a piece of a round wall.
        one_sided: not drawn when seen from behind.
    """

    origin: np.ndarray
    across: np.ndarray
    up: np.ndarray
    picture: np.ndarray
    tile: tuple[float, float] | None = None
    facing: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    holes: tuple[tuple[float, float, float, float], ...] = ()
    emission: float = 0.0
    detail: int = 6
    bend: float = 0.0
    one_sided: bool = True

    def __post_init__(self):
        self.origin = np.asarray(self.origin, np.float64)
        self.across = np.asarray(self.across, np.float64)
        self.up = np.asarray(self.up, np.float64)
        if not self.facing.size:
            # Written out: `np.cross` takes ten times as long on three numbers.
            (a, b, c), (d, e, f) = self.across.tolist(), self.up.tolist()
            x, y, z = c * e - b * f, a * f - c * d, b * d - a * e
            length = math.sqrt(x * x + y * y + z * z)
            self.facing = np.array([x / length, y / length, z / length])

    def extent(self) -> tuple[float, float]:
        """Return the lengths of its two sides in metres."""
        return math.hypot(*self.across.tolist()), math.hypot(*self.up.tolist())

    def corners(self) -> np.ndarray:
        """(4, 3) in order around the surface."""
        o, a, u = self.origin, self.across, self.up
        return np.stack([o, o + a, o + a + u, o + u])


def _pixel_centres(start: int, stop: int, scale: int) -> np.ndarray:
    """Pixel coordinates of the samples `start` to `stop`, `scale` samples a pixel."""
    return (np.arange(start, stop, dtype=np.float64) + 0.5) / scale


def _linear(row: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """row . (x, y, 1) on a grid, (len(ys), len(xs)) float32."""
    across = (row[0] * xs + row[2]).astype(np.float32)
    return across[None, :] + (row[1] * ys).astype(np.float32)[:, None]


class Projection:
    """Surfaces as one camera sees them, all projected at once.

    Attributes:
        surfaces: as given.
        camera: as given.
        maps: (N, 3, 3), (x, y, 1) in pixels -> (s / depth, t / depth, 1 / depth).
        shown: numbers of the surfaces that face the camera and may be in the picture.
    """

    def __init__(self, surfaces: Sequence[Surface], camera: Camera):
        self.surfaces = surfaces
        self.camera = camera
        origin = np.stack([surface.origin for surface in surfaces]) - camera.position
        across = np.stack([surface.across for surface in surfaces])
        up = np.stack([surface.up for surface in surfaces])
        facing = np.stack([surface.facing for surface in surfaces])
        one_sided = np.array([surface.one_sided for surface in surfaces])
        distance = -(origin * facing).sum(axis=1)
        # A camera in a surface's plane sees only its edge: nothing.
        seen = np.where(one_sided, distance, np.abs(distance)) > 1e-5

        basis = np.stack([across, up, origin], axis=2)
        basis[~seen] = np.eye(3)
        self.maps = np.linalg.inv(basis) @ camera.pixel_to_ray()

        corners = np.stack([origin, origin + across, origin + across + up, origin + up])
        low, high = self._bounds(corners @ camera.axes.T)
        seen &= ((high > 0) & (low < camera.size) & (low < high)).all(axis=1)
        self._low, self._high = low, high
        self.shown: list[int] = np.flatnonzero(seen).tolist()

    def _bounds(self, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest x, y in pixels, (N, 2), of quads (4, N, 3) cut at NEAR."""
        following = np.roll(corners, -1, axis=0)
        gap = following[..., 2:] - corners[..., 2:]
        part = (NEAR - corners[..., 2:]) / np.where(gap == 0, 1.0, gap)
        cuts = corners + part * (following - corners)
        crosses = (corners[..., 2] >= NEAR) != (following[..., 2] >= NEAR)
        points = np.concatenate([corners, cuts])
        valid = np.concatenate([corners[..., 2] >= NEAR, crosses])[..., None]
        depth = np.maximum(points[..., 2:], NEAR)
        pixels = points[..., :2] / depth * self.camera.focal + self.camera.size / 2
        low = np.where(valid, pixels, np.inf).min(axis=0)
        return low, np.where(valid, pixels, -np.inf).max(axis=0)

    def window(self, number: int, scale: int) -> tuple[int, int, int, int]:
        """Return the samples y0, y1, x0, x1 around the visible part of a surface."""
        limit = self.camera.size * scale
        (x0, y0), (x1, y1) = self._low[number].tolist(), self._high[number].tolist()
        return (
            max(0, math.floor(y0 * scale)),
            min(limit, math.ceil(y1 * scale)),
            max(0, math.floor(x0 * scale)),
            min(limit, math.ceil(x1 * scale)),
        )

    def rasterise(self, scale: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Find the nearest surface of every sample.

        Args:
            scale: samples along each side of a pixel; at 1 they lie at pixel centres.

        Returns:
            One over z depth, (H * scale, W * scale) float32 in 1/metre, 0 where there
            is nothing, and the number of the surface, int16, -1 where there is none.
        """
        side = self.camera.size * scale
        nearest = np.zeros((side, side), np.float32)
        index = np.full((side, side), -1, np.int16)
        centres = _pixel_centres(0, side, scale)
        for number in self.shown:
            y0, y1, x0, x1 = self.window(number, scale)
            rows = self.maps[number]
            xs, ys = centres[x0:x1], centres[y0:y1]
            inverse = _linear(rows[2], xs, ys)
            window = nearest[y0:y1, x0:x1]
            wins = inverse > window
            if not wins.any():
                continue
            s_over_z, t_over_z = _linear(rows[0], xs, ys), _linear(rows[1], xs, ys)
            wins &= _covers(self.surfaces[number], s_over_z, t_over_z, inverse)
            np.copyto(window, inverse, where=wins)
            np.copyto(index[y0:y1, x0:x1], np.int16(number), where=wins)
        return nearest, index


def _covers(
    surface: Surface,
    s_over_z: np.ndarray,
    t_over_z: np.ndarray,
    inverse: np.ndarray,
) -> np.ndarray:
    """Return the samples that the surface covers; all arguments on one grid."""
    inside = s_over_z >= 0
    inside &= s_over_z <= inverse
    inside &= t_over_z >= 0
    inside &= t_over_z <= inverse
    for s0, t0, s1, t1 in surface.holes:
        hole = s_over_z > s0 * inverse
        hole &= s_over_z < s1 * inverse
        hole &= t_over_z > t0 * inverse
        hole &= t_over_z < t1 * inverse
        inside &= ~hole
    if surface.picture.shape[2] == 4:
        safe = np.maximum(inverse, 1e-6)
        height, width = surface.picture.shape[:2]
        columns = (s_over_z / safe * width).clip(0, width - 1).astype(np.intp)
        rows = ((1 - t_over_z / safe) * height).clip(0, height - 1).astype(np.intp)
        inside &= surface.picture[rows, columns, 3] >= 128
    return inside


def depth_from_inverse(inverse: np.ndarray) -> np.ndarray:
    """Return z depth in metres, float32, at most `FAR`; `FAR` where there is nothing."""
    return 1.0 / np.maximum(inverse, np.float32(1 / FAR))
