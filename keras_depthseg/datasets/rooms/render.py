"""Putting a cutout into a room: hidden by nearer surfaces, lit alike, with a shadow."""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np

from keras_depthseg.datasets.rooms import lighting, placement, shadows
from keras_depthseg.datasets.rooms.cutouts import RoomCutout
from keras_depthseg.datasets.rooms.drawing import SUPERSAMPLING
from keras_depthseg.datasets.rooms.geometry import FAR, Projection, Surface
from keras_depthseg.datasets.rooms.placement import Placement
from keras_depthseg.datasets.rooms.scene import Room

SMALLEST, LARGEST = 0.01, 0.45
"""The least and the most of the image that a foreground covers, mean of the mask."""

_SAMPLE = 3
"""Keeps the random stream of samples apart from those of rooms and cutouts."""

_TOLERANCE = 0.02
"""A cutout hides surfaces up to so many metres nearer: the ground it stands on."""


@dataclasses.dataclass(frozen=True, eq=False)
class RoomComposite:
    """One sample.

    Attributes:
        bg: (H, W, 3) uint8 RGB, the room; with parallax from a moved camera.
        fg_bg: (H, W, 3) uint8 RGB, the room with the cutout.
        mask: (H, W) uint8, 255 times the cutout's visible opacity.
        depth: (H, W) float32, z depth in metres; the cutout's where mask >= 128.
        box: (4,) float32 ymin, xmin, ymax, xmax of mask > 0, in 0..1.
        shadow: (H, W) float32, the part of the room's light that the cutout takes; 0
            where fg_bg equals the unmoved room (but for the cutout itself).
    """

    bg: np.ndarray
    fg_bg: np.ndarray
    mask: np.ndarray
    depth: np.ndarray
    box: np.ndarray
    shadow: np.ndarray


def make_composite(
    room: Room, cutout: RoomCutout, seed: int, index: int
) -> RoomComposite:
    """Return sample `index` of `seed`: the cutout at a random place in the room.

    The mean of the mask is `SMALLEST` to `LARGEST`. A size is drawn first, then several
    places, of which the one with the closest size is taken: this spreads the sizes.
    """
    rng = np.random.default_rng([seed, _SAMPLE, index])
    points = room.camera.world_points(room.depth)
    shadowless = bool(rng.random() < 0.12)
    wanted = math.exp(rng.uniform(math.log(0.02), math.log(0.35)))
    floor = placement.floor_pixels(room, points)
    for _ in range(4):
        places = []
        for _ in range(16):
            place = placement.propose(room, cutout, points, floor, rng)
            if place is not None:
                area = placement.expected_area(room, cutout, place)
                if 1.3 * SMALLEST < area < LARGEST:
                    places.append((abs(math.log(area / wanted)), place))
        for _, place in sorted(places, key=lambda item: item[0])[:4]:
            shown = show(room, cutout, place)
            if _fits(shown.alpha):
                return lay_over(room, cutout, place, shown, rng, points, not shadowless)
    for area in (0.1, 0.2, 0.3):
        place = placement.last_resort(room, cutout, area)
        shown = show(room, cutout, place)
        if _fits(shown.alpha):
            break
    return lay_over(room, cutout, place, shown, rng, points, not shadowless)


def _fits(alpha: np.ndarray) -> bool:
    return SMALLEST <= float(alpha.mean()) <= LARGEST


@dataclasses.dataclass(frozen=True, eq=False)
class Shown:
    """A cutout as the camera sees it, without its hidden parts; all (H, W, ...) float32.

    Attributes:
        colour: RGB times opacity before hiding, 0..255.
        opacity: before hiding, 0..1.
        alpha: after hiding, 0..1.
        inverse: one over the depth of its plane, 1/metre.
        relief: metres that it stands out from its plane.
    """

    colour: np.ndarray
    opacity: np.ndarray
    alpha: np.ndarray
    inverse: np.ndarray
    relief: np.ndarray


def show(room: Room, cutout: RoomCutout, place: Placement) -> Shown:
    """Draw the cutout in perspective and hide the parts behind surfaces of the room."""
    surface = place.surface(room, cutout)
    camera = room.camera
    matrix = Projection([surface], camera).maps[0]
    # Shrunk first: sampling a much larger image would skip pixels.
    middle = surface.origin + 0.5 * (surface.across + surface.up)
    _, depth = camera.project(middle[None])
    tall = surface.extent()[1] * camera.focal / max(float(depth[0]), 0.1)
    factor = min(1.0, 1.1 * tall / cutout.rgba.shape[0])
    opacity = cutout.rgba[..., 3:].astype(np.float32) / 255
    picture = np.dstack([cutout.rgba[..., :3] * opacity, opacity])
    relief = cutout.relief
    if factor < 1:
        shape = [max(2, round(side * factor)) for side in opacity.shape[1::-1]]
        picture = cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)
        relief = cv2.resize(relief, shape, interpolation=cv2.INTER_AREA)
    height, width = picture.shape[:2]
    to_picture = np.array(
        [[width, 0.0, -0.5], [0.0, -height, height - 0.5], [0.0, 0.0, 1.0]]
    )
    to_centre = np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.5], [0.0, 0.0, 1.0]])
    warp = to_picture @ matrix @ to_centre
    shape, flags = (camera.size,) * 2, cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    picture = cv2.warpPerspective(picture, warp, shape, flags=flags)
    relief = cv2.warpPerspective(relief, warp, shape, flags=flags)

    fine = camera.inverse_depth(matrix, SUPERSAMPLING)
    # z <= z_room + tolerance, written with inverse depths.
    before = fine * (1 + _TOLERANCE * fine) >= room.fine_inverse
    before &= fine > 0
    visible = cv2.resize(before.astype(np.float32), shape, interpolation=cv2.INTER_AREA)
    opacity = picture[..., 3]
    return Shown(
        colour=picture[..., :3],
        opacity=opacity,
        alpha=opacity * visible,
        inverse=camera.inverse_depth(matrix, 1),
        relief=relief,
    )


def lay_over(
    room: Room,
    cutout: RoomCutout,
    place: Placement,
    shown: Shown,
    rng: np.random.Generator,
    points: np.ndarray,
    shadow: bool,
) -> RoomComposite:
    """Compose a drawn cutout over the room.

    Args:
        room, cutout, place: as for `show`.
        shown: the result of `show`.
        rng: random numbers for the sensor's noise and the match of the light.
        points: the room's points in the world, see `Camera.world_points`.
        shadow: whether the cutout takes light from the room.
    """
    surface = place.surface(room, cutout)
    mask = np.round(shown.alpha * 255).astype(np.uint8)
    # The stored opacity, so that mask == 0 leaves bg as it is.
    alpha = (mask.astype(np.float32) / 255)[..., None]

    lit = _light_on(room, surface) * np.float32(rng.uniform(0.9, 1.12))
    colour = shown.colour / np.maximum(shown.opacity, 1e-3)[..., None] * lit
    grain = rng.standard_normal(mask.shape, np.float32) * np.float32(room.noise)
    colour += grain[..., None]

    base = room.bg.astype(np.float32)
    taken = np.zeros(mask.shape, np.float32)
    if shadow:
        taken = shadows.cast(room, cutout, surface, points)
        base *= np.power(1 - taken, np.float32(1 / 2.2))[..., None]
    mixed = np.clip(base + alpha * (colour - base) + 0.5, 0, 255).astype(np.uint8)
    untouched = (mask == 0) & (taken == 0)
    fg_bg = np.where(untouched[..., None], room.bg, mixed)

    depth = 1 / np.maximum(shown.inverse, 1 / FAR) - shown.relief
    depth = np.where(mask >= 128, np.maximum(depth, 0.05), room.depth)
    return RoomComposite(
        bg=room.plate,
        fg_bg=fg_bg,
        mask=mask,
        depth=depth.astype(np.float32),
        box=_box(mask),
        shadow=taken,
    )


def _box(mask: np.ndarray) -> np.ndarray:
    """Return ymin, xmin, ymax, xmax of mask > 0 in 0..1; all 0 for an empty mask."""
    x, y, w, h = cv2.boundingRect(mask)
    height, width = mask.shape
    return np.array(
        [y / height, x / width, (y + h) / height, (x + w) / width], np.float32
    )


def _light_on(room: Room, surface: Surface) -> np.ndarray:
    """Return the factor of the lamps on the cutout's colours: (3,) float32."""
    middle = surface.origin + 0.5 * surface.across
    points = np.stack([middle + part * surface.up for part in (0.3, 0.7)], axis=1)
    towards = room.camera.position - middle
    normal = towards / np.linalg.norm(towards) + np.array([0.0, 0.7, 0.0])
    normal /= np.linalg.norm(normal)
    normals = np.repeat(normal[:, None], 2, axis=1)
    light = room.lighting.at(
        points.astype(np.float32), normals.astype(np.float32), room.solids
    )
    factor = lighting.encode(light.mean(axis=0)).astype(np.float32) / lighting.UNIT
    # The room always reflects some light, and the drawing has shades already.
    return np.clip(1.2 * factor, 0.3, 1.5)
