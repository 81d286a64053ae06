"""Random places for cutouts: anywhere in the picture, or standing on the ground."""

from __future__ import annotations

import numpy as np

from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.paste import Composite, Place, cast_shadow, paste
from keras_depthseg.datasets.composites.scene import Scene
from keras_depthseg.datasets.records import NEAREST_DEPTH

PLACEMENTS = ("anywhere", "standing")

LEAST_SEEN = 0.25
"""A place where less of the cutout is seen is given up for another."""

_TRIES = 20


def make_composite(
    scene: Scene,
    cutout: Layer,
    height: int,
    placement: str,
    shadow: float,
    rng: np.random.Generator,
) -> Composite:
    """The cutout at a random place where enough of it is seen.

    Args:
        scene: the background.
        cutout: what is placed; a standing one best larger than `height`.
        height: of the cutout, in pixels; of a standing one at the usual distance.
        placement: `"anywhere"`, wholly inside the picture, as the original does; where
            depth is known, at some distance before what is usual there. `"standing"`,
            with its lower edge on the ground, sized by its distance; anywhere where
            there is no ground.
        shadow: how likely it casts one, 0..1.
        rng: what places are drawn from.
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
    # Before everything else.
    nearest = float(scene.surfaces.min()) if scene.depth is not None else None
    place = _anywhere(scene, fitted, rng)
    return paste(scene, fitted, Place(place.top, place.left, nearest))


def _anywhere(scene: Scene, cutout: Layer, rng: np.random.Generator) -> Place:
    height, width = scene.bg.shape[:2]
    tall, wide = cutout.height, cutout.width
    top = int(rng.integers(height - tall + 1))
    left = int(rng.integers(width - wide + 1))
    if scene.depth is None:
        return Place(top, left)
    behind = scene.surfaces[top : top + tall, left : left + wide]
    depth = float(rng.uniform(0.3, 0.95) * np.median(behind))
    return Place(top, left, max(depth, NEAREST_DEPTH))


def _standing(
    scene: Scene, cutout: Layer, height: int, rng: np.random.Generator
) -> tuple[Layer, Place]:
    side = scene.bg.shape[0]
    some = scene.ground[rng.integers(len(scene.ground), size=16)]
    depths = scene.depth[some[:, 0], some[:, 1]]
    # Pixels crowd where the ground is near; drawing the depth first spreads them.
    best = int(np.argmin(np.abs(depths - rng.uniform(depths.min(), depths.max()))))
    (row, column), depth = some[best], float(depths[best])
    scale = scene.usual_depth / depth
    # The higher and the wider side must fit.
    largest = 0.95 * side * min(1, cutout.height / cutout.width)
    tall = max(1, round(float(np.clip(height * scale, 0.1 * side, largest))))
    wide = max(1, round(cutout.width * tall / cutout.height))
    place = Place(int(row) + 1 - tall, int(column) - wide // 2, depth)
    return cutout.resized(tall, wide), place
