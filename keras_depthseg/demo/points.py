"""Photographs with depth as points in space."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from keras_depthseg.inference.predictor import Prediction
from keras_depthseg.runtimes import import_optional

FIELD_OF_VIEW = 60.0
"""Assumed of the camera, across the longer side of the photograph, in degrees."""

MOST_POINTS = 60_000


def points_of(prediction: Prediction) -> tuple[np.ndarray, np.ndarray]:
    """Return places, (N, 3) float32, and colours, (N, 3) uint8, of the pixels.

    A pinhole camera looks along -z from the origin, y is up. Distances are relative, as
    depth is.

    Args:
        prediction: with depth.
    """
    if prediction.depth is None:
        raise ValueError("the prediction has no depth")
    height, width = prediction.depth.shape
    step = max(1, math.ceil(math.sqrt(height * width / MOST_POINTS)))
    depth = prediction.depth[::step, ::step]
    rows, columns = np.mgrid[0:height:step, 0:width:step]
    focal = max(height, width) / 2 / math.tan(math.radians(FIELD_OF_VIEW) / 2)
    places = np.stack(
        [
            (columns - (width - 1) / 2) / focal * depth,
            ((height - 1) / 2 - rows) / focal * depth,
            -depth,
        ],
        axis=-1,
    )
    colours = prediction.photograph.pixels[::step, ::step]
    return places.reshape(-1, 3).astype(np.float32), colours.reshape(-1, 3)


def write_points(path: Path, prediction: Prediction) -> None:
    """Write the points as a binary glTF file, `.glb`, whose colours are linear light."""
    trimesh = import_optional("trimesh", str(path), '"keras_depthseg[demo]"')
    places, colours = points_of(prediction)
    trimesh.PointCloud(places, _linear(colours)).export(str(path))


def _linear(colours: np.ndarray) -> np.ndarray:
    """Return sRGB colours as linear light, both uint8 (IEC 61966-2-1)."""
    srgb = np.arange(256) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return np.rint(255 * linear).astype(np.uint8)[colours]
