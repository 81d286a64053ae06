"""Random changes by a pipeline that was saved with albumentations."""

from __future__ import annotations

import copy
import os
import random
import threading
from pathlib import Path

import numpy as np

from keras_depthseg.augment.boxes import bounds
from keras_depthseg.errors import UserError

# Calls that check the pipeline: a transform of probability p is missed by all of them
# with probability (1 - p)**_TRIALS.
_TRIALS = 8


class SavedPipeline:
    """A pipeline saved by `albumentations.save`, applied to one sample at a time.

    `fg_bg` is the pipeline's `image`, `bg` a further image, `mask` and `depth` (float32)
    are masks, so that the four share geometry, and the two images share colours.
    albumentations moves masks by the nearest pixel, and fills them with 0: background,
    and unknown depth. Where the mask changes, the box becomes that of its pixels above 0.

    Results depend on the seed, the place of a sample in the batch and the file only.

    Args:
        path: a YAML file (.yaml, .yml) or a JSON file (.json).
        resolution: side of the images, in pixels.

    Raises:
        UserError: if the file is missing, or not a pipeline, or fails on a sample, or
            changes the size or type of images.
    """

    def __init__(self, path: str | Path, resolution: int):
        self._path = path
        self._pipeline = _load(Path(path))
        # A pipeline holds its random state: each thread has a copy.
        self._of_thread = threading.local()
        self._check(resolution)

    def _check(self, resolution: int) -> None:
        images = np.zeros((2, _TRIALS, resolution, resolution, 3), np.uint8)
        labels = np.zeros((2, _TRIALS, resolution, resolution, 1), np.float32)
        try:
            self(images, labels, np.zeros((_TRIALS, 4), np.float32), seed=0)
        except UserError:
            raise
        except Exception as error:  # Transforms raise anything.
            raise UserError(
                f"{self._path}: this pipeline fails on a sample: {_one_line(error)}; "
                "accepted are transforms of images (uint8) and masks."
            ) from error

    def __call__(
        self, images: np.ndarray, labels: np.ndarray, boxes: np.ndarray, seed: int
    ) -> None:
        """Change a batch in place; arguments as in `changes.BatchChange`."""
        if not hasattr(self._of_thread, "pipeline"):
            self._of_thread.pipeline = copy.deepcopy(self._pipeline)
        pipeline = self._of_thread.pipeline
        for i in range(images.shape[1]):
            generator = np.random.default_rng([seed, i])
            pipeline.set_random_state(
                generator, random.Random(int(generator.integers(2**63)))
            )
            changed = pipeline(
                image=images[1, i],
                bg=images[0, i],
                mask=labels[0, i],
                depth=labels[1, i],
            )
            mask = self._checked(changed["mask"], labels[0, i])
            if not np.array_equal(mask, labels[0, i]):
                boxes[i] = bounds(mask[..., 0])
            labels[0, i] = mask
            labels[1, i] = self._checked(changed["depth"], labels[1, i])
            images[0, i] = self._checked(changed["bg"], images[0, i])
            images[1, i] = self._checked(changed["image"], images[1, i])

    def _checked(self, array: np.ndarray, before: np.ndarray) -> np.ndarray:
        if array.shape[:2] != before.shape[:2] or array.size != before.size:
            raise UserError(
                f"{self._path}: this pipeline must not change the size of images: "
                f"received {array.shape} for {before.shape}; leave out crops, resizing "
                "and the like, or end with a Resize to the resolution."
            )
        if array.dtype != before.dtype:
            raise UserError(
                f"{self._path}: this pipeline must not change the type of images: "
                f"received {array.dtype} for {before.dtype}; leave out Normalize and "
                "ToFloat, the model normalises."
            )
        return array.reshape(before.shape)


def _load(path: Path):
    # When imported, albumentations asks the package index for a newer version of itself
    # and warns if it cannot. Imported here: it takes seconds where PyTorch is installed.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    import albumentations

    if not path.is_file():
        raise UserError(
            f"`augment`: {path}: no such file; accepted is a pipeline written by "
            "albumentations.save."
        )
    data_format = "json" if path.suffix.lower() == ".json" else "yaml"
    try:
        loaded = albumentations.load(path, data_format=data_format)
        return albumentations.Compose(
            [loaded],  # pyright: ignore[reportArgumentType] (`load` is typed `object`)
            additional_targets={"bg": "image", "depth": "mask"},
        )
    except Exception as error:  # Of the parsers, and of any transform's arguments.
        raise UserError(
            f"{path}: not a pipeline of albumentations ({_one_line(error)}); write one "
            f"with albumentations.save(pipeline, path, data_format={data_format!r})."
        ) from error


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}"
