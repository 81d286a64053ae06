"""Random views of a background: a square part of it, mirrored, its depth with it."""

from __future__ import annotations

import cv2
import numpy as np

from keras_depthseg.datasets.composites.scene import Scene

LARGEST = 1.5
"""A background is kept at so many times the side of a view: the smallest part is then
shown pixel by pixel and nothing is enlarged."""


def random_view(scene: Scene, size: int, rng: np.random.Generator) -> Scene:
    """Return a random square of a scene, 1 / `LARGEST` to 1 of its side.

    Args:
        scene: the whole background, a square of `size` pixels or more.
        size: side of the result, in pixels.
        rng: random numbers for the part, and whether it is mirrored.
    """
    side = scene.bg.shape[0]
    part = int(rng.integers(min(round(side / LARGEST), side), side + 1))
    top, left = rng.integers(side - part + 1, size=2).tolist()
    mirrored = bool(rng.random() < 0.5)

    def view(image: np.ndarray, kind: int) -> np.ndarray:
        image = image[top : top + part, left : left + part]
        shown = cv2.resize(image, (size, size), interpolation=kind)
        return cv2.flip(shown, 1) if mirrored else shown

    bg = view(scene.bg, cv2.INTER_AREA)
    if scene.depth is None:
        return Scene(bg)
    # A mean of two surfaces lies on neither.
    depth, surfaces = (
        view(image, cv2.INTER_NEAREST) for image in (scene.depth, scene.surfaces)
    )
    return Scene(bg, depth=depth, filled=surfaces)
