"""A seeded cutout: a person, an animal or a thing, with its real size."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from keras_depthseg.datasets.rooms import creatures, people, playthings, things

_CUTOUT = 2
"""Keeps the random stream of cutouts apart from those of rooms and samples."""

_THICKEST = 0.12
"""Half the thickness of the thickest cutout, in metres."""


@dataclasses.dataclass(frozen=True, eq=False)
class RoomCutout:
    """An image to put into a room.

    Attributes:
        rgba: (h, w, 4) uint8, colours not multiplied by alpha; its lowest row stands
            on the floor.
        width, height: of the whole image, metres.
        relief: (h, w) float32, metres that the front stands out from the image's
            plane, 0 at the outline.
        kind: e.g. `person`.
        floats: seen in the air more often than on the floor.
    """

    rgba: np.ndarray
    width: float
    height: float
    relief: np.ndarray
    kind: str
    floats: bool = False


def make_cutout(seed: int, index: int, size: int) -> RoomCutout:
    """Return cutout `index` of `seed`; the same for the same integers.

    Args:
        seed: of the data set.
        index: any number.
        size: side in pixels of the images it is for; it is about as high.
    """
    rng = np.random.default_rng([seed, _CUTOUT, index])
    light = (float(rng.uniform(-0.8, 0.8)), float(rng.uniform(0.2, 0.7)))
    chance = rng.random()
    if chance < 0.5:
        maker = people.person
    elif chance < 0.65:
        maker = creatures.CREATURES[int(rng.integers(len(creatures.CREATURES)))]
    elif chance < 0.75:
        maker = playthings.PLAYTHINGS[int(rng.integers(len(playthings.PLAYTHINGS)))]
    else:
        maker = things.THINGS[int(rng.integers(len(things.THINGS)))]
    canvas = maker(rng, size, light)
    rgba, width, height = canvas.finish()
    if rng.random() < 0.5:
        rgba = np.ascontiguousarray(rgba[:, ::-1])
    return RoomCutout(
        rgba=rgba,
        width=width,
        height=height,
        relief=_relief(rgba[..., 3], width),
        kind=maker.__name__,
        floats=maker in (playthings.balloons, playthings.umbrella),
    )


def _relief(alpha: np.ndarray, width: float) -> np.ndarray:
    """Return half its thickness, most in the middle: (h, w) float32, metres."""
    solid = (alpha >= 128).astype(np.uint8)
    solid = cv2.copyMakeBorder(solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    inside = cv2.distanceTransform(solid, cv2.DIST_L2, 3)[1:-1, 1:-1]
    metres = inside * np.float32(width / alpha.shape[1])
    return np.minimum(cv2.blur(metres, (5, 5)), _THICKEST) * (alpha >= 128)
