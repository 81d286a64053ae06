"""Random places for cutouts: anywhere in the image, or standing on the ground."""

from __future__ import annotations

import numpy as np

from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.paste import Composite, Place, cast_shadow, paste
from keras_depthseg.datasets.composites.scene import Scene
from keras_depthseg.datasets.records import NEAREST_DEPTH

PLACEMENTS = ("anywhere", "standing")

LEAST_SEEN = 0.25
"""A place where a smaller part of the cutout is visible is rejected."""

_TRIES = 20


def make_composite(
    scene: Scene,
    cutout: Layer,
    height: int,
    placement: str,
    shadow: float,
    rng: np.random.Generator,
) -> Composite:
    """Paste the cutout at a random place where enough of it is visible.

    Args:
        scene: the background.
        cutout: the image to place; a standing one is best larger than `height`.
        height: of the cutout, in pixels; of a standing one at the usual distance.
        placement: `"anywhere"`: wholly inside the image, as in the original; with
            depth, nearer than the median depth of the covered pixels. `"standing"`:
            with its lower edge on the ground, sized by its distance; a scene without
            ground is treated as `"anywhere"`.
        shadow: probability of a cast shadow, 0..1.
        rng: random numbers for place and shadow.
    """
    casts = rng.random() < shadow
    stands = placement == "standing" and len(scene.ground) > 0
    fitted = cutout.fitted(height, scene.bg.shape[1])
    for _ in range(_TRIES):
        if stands:
            picture, place = _standing(scene, cutout, height, rng)
        else:
            picture, place = fitted, _anywhere(scene, fitted, rng)
        taken = cast_shadow(scene, picture, place, rng) if casts else None
        composite = paste(scene, picture, place, taken)
        if composite.seen >= LEAST_SEEN:
            return composite
    # In front of everything: nothing hides it.
    nearest = float(scene.surfaces.min()) if scene.depth is not None else None
    place = _anywhere(scene, fitted, rng)
    return paste(scene, fitted, Place(place.top, place.left, nearest))


def _anywhere(scene: Scene, cutout: Layer, rng: np.random.Generator) -> Place:
    height, width = scene.bg.shape[:2]
    tall, wide = cutout.height, cutout.width
    top = int(rng.integers(height - tall + 1))
    left = int(rng.integers(width - wide + 1))
    return Place(top, left, place_depth(scene, top, left, cutout, rng))


def place_depth(
    scene: Scene, top: int, left: int, cutout: Layer, rng: np.random.Generator
) -> float | None:
    """Return a random depth, nearer than the median behind; `None` without depth."""
    if scene.depth is None:
        return None
    behind = scene.surfaces[
        max(top, 0) : top + cutout.height, max(left, 0) : left + cutout.width
    ]
    return max(float(rng.uniform(0.3, 0.95) * np.median(behind)), NEAREST_DEPTH)


def _standing(
    scene: Scene, cutout: Layer, height: int, rng: np.random.Generator
) -> tuple[Layer, Place]:
    side = scene.bg.shape[0]
    chosen = rng.integers(len(scene.ground), size=16)
    some, depths = scene.ground[chosen], scene.ground_depth[chosen]
    # Near ground has most of the pixels; drawing the depth first spreads the places.
    best = int(np.argmin(np.abs(depths - rng.uniform(depths.min(), depths.max()))))
    (row, column), depth = some[best], float(depths[best])
    scale = scene.usual_depth / depth
    # The longer side must fit into the image.
    largest = 0.95 * side * min(1, cutout.height / cutout.width)
    tall = max(1, round(float(np.clip(height * scale, 0.1 * side, largest))))
    wide = max(1, round(cutout.width * tall / cutout.height))
    place = Place(int(row) + 1 - tall, int(column) - wide // 2, depth)
    return cutout.resized(tall, wide), place
