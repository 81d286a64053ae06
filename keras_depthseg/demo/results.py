"""What the page shows of a prediction, and the files to download."""

from __future__ import annotations

import dataclasses
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from keras_depthseg.demo.adjusting import adjusted
from keras_depthseg.demo.points import write_points
from keras_depthseg.inference import outputs
from keras_depthseg.inference.confidence import LOW
from keras_depthseg.inference.photographs import Photograph
from keras_depthseg.inference.predictor import Prediction
from keras_depthseg.inference.replacement import new_background, replace_background
from keras_depthseg.inference.sizes import resized, within

SHOWN_SIDE = 1000
"""Longer side of what the page shows, in pixels."""


class Adjustments(NamedTuple):
    """Where the sliders are.

    Attributes:
        threshold, feather: as for `adjusting.adjusted`.
        new_bg: of `replacement.new_background`: a picture file, a colour or `blur`.
    """

    threshold: float
    feather: float
    new_bg: str


class Shown(NamedTuple):
    """Pictures of a prediction, (H, W, 3) uint8 or, of the cutout, (H, W, 4)."""

    overlay: np.ndarray
    mask: np.ndarray
    depth: np.ndarray
    cutout: np.ndarray
    replaced: np.ndarray


def reduced(prediction: Prediction) -> Prediction:
    """Return a prediction at the size at which the page shows it."""
    pixels = prediction.photograph.pixels
    size = within(pixels.shape[0], pixels.shape[1], SHOWN_SIDE)
    depth = prediction.depth
    return dataclasses.replace(
        prediction,
        photograph=Photograph(resized(pixels, size), prediction.photograph.name),
        bg=resized(prediction.bg, size),
        mask=resized(prediction.mask, size),
        depth=None if depth is None else resized(depth, size),
    )


def with_adjustments(prediction: Prediction, adjustments: Adjustments) -> Prediction:
    """Return a prediction with the mask that the sliders make of it.

    A feather is in pixels of what the page shows.
    """
    pixels = prediction.photograph.pixels
    scale = max(pixels.shape[:2]) / min(SHOWN_SIDE, max(pixels.shape[:2]))
    mask = adjusted(prediction.mask, adjustments.threshold, adjustments.feather * scale)
    return dataclasses.replace(prediction, mask=mask)


def show(prediction: Prediction, new_bg: str) -> Shown:
    """Return the pictures of a prediction."""
    pixels = prediction.photograph.pixels
    levels = np.rint(255 * prediction.mask).astype(np.uint8)
    depth = np.zeros_like(prediction.mask)
    if prediction.depth is not None:
        depth = prediction.depth
    return Shown(
        outputs.overlay(pixels, prediction.mask),
        np.dstack([levels] * 3),
        outputs.depth_colours(depth),
        prediction.cutout(),
        _replaced(prediction, new_bg),
    )


def words(prediction: Prediction) -> str:
    """Return what was found, in a sentence or two."""
    found = prediction.fit
    text = (
        f"{found[:1].upper()}{found[1:]}. The foreground covers "
        f"{100 * prediction.mask.mean():.1f} % of the photograph. Confidence "
        f"{prediction.confidence:.2f} of 1."
    )
    if prediction.confidence < LOW:
        text += " The plate does not seem to belong to this photograph."
    return text


def write_zip(folder: Path, prediction: Prediction, new_bg: str) -> Path:
    """Write all results at full size into one ZIP file of a folder."""
    name = prediction.photograph.name or "photograph"
    icc = prediction.photograph.icc
    paths = {kind: folder / f"{name}{end}" for kind, end in outputs.ENDINGS.items()}
    outputs.write_mask(paths["mask"], prediction.mask)
    outputs.write_cutout(paths["cutout"], prediction.cutout(), icc)
    pixels = prediction.photograph.pixels
    outputs.write_overlay(paths["overlay"], pixels, prediction.mask, icc)
    outputs.write_photograph(paths["replaced"], _replaced(prediction, new_bg), icc)
    if prediction.depth is not None:
        outputs.write_depth(paths["depth"], prediction.depth)
        outputs.write_depth_colour(paths["depth_colour"], prediction.depth)
        paths["points"] = folder / f"{name}_points.glb"
        write_points(paths["points"], prediction)
    return zip_files(folder / f"{name}.zip", [p for p in paths.values() if p.exists()])


def zip_files(path: Path, files: list[Path]) -> Path:
    """Write files into one ZIP file, and remove them."""
    # They are compressed already.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for file in files:
            archive.write(file, file.name)
            file.unlink()
    return path


def _replaced(prediction: Prediction, new_bg: str) -> np.ndarray:
    new = new_background(new_bg, prediction.bg, prediction.photograph.icc)
    return replace_background(prediction.foreground, prediction.mask, new)
