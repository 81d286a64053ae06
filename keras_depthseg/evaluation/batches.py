"""Batches to score: of the splits of a data set, or of pairs of photographs."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np

from keras_depthseg.augment.capture import Capture
from keras_depthseg.augment.changes import CaptureChange
from keras_depthseg.augment.effects import SIDE
from keras_depthseg.datasets.inspection.damage import naming_damage
from keras_depthseg.datasets.opening import Records
from keras_depthseg.evaluation.baselines import Example
from keras_depthseg.evaluation.pairs import PairFiles, read_pairs
from keras_depthseg.pipeline import make_pipeline
from keras_depthseg.shapes import SIDE_MULTIPLE, ceil_div


@dataclasses.dataclass(frozen=True)
class Batch:
    """Samples of one group, or one pair.

    Attributes:
        sample_ids, bg_ids, fg_ids: B names each.
        group: the split, or the scene.
        bg, fg_bg: (B, H, W, 3) uint8.
        mask: (B, H, W, 1) float32 in [0, 1].
        depth: (B, H, W, 1) float32 in [0, 1], 0 = unknown; `None` where there is none.
        known: (B, H, W, 1) bool, where the mask is known; `None`: everywhere.
        inputs: `bg` and `fg_bg` for the network, whose sides are multiples of 32.
    """

    sample_ids: Sequence[str]
    bg_ids: Sequence[str]
    fg_ids: Sequence[str]
    group: str
    bg: np.ndarray
    fg_bg: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None
    known: np.ndarray | None
    inputs: dict[str, np.ndarray]


def record_batches(
    records: Records,
    split: str,
    *,
    resolution: int,
    batch_size: int,
    samples: int | None = None,
    capture: Capture | None = None,
    seed: int = 0,
) -> Iterator[Batch]:
    """Yield the batches of a split.

    Args:
        records: the data set.
        split: its name.
        resolution: side of the square images.
        batch_size: samples a batch; the last has fewer.
        samples: how many at most; `None` for all.
        capture: changes the samples, with lengths in pixels of 224.
        seed: of the changes.

    Raises:
        UserError: if the split is empty, or a record is damaged.
    """
    change = CaptureChange(capture, resolution / SIDE) if capture else "none"
    has_depth = records.has_depth
    pipeline = make_pipeline(
        records,
        split,
        resolution=resolution,
        batch_size=batch_size,
        augment=change,
        seed=seed,
        epoch=0,
        whole_samples=True,
        unknown_depth=not has_depth,
    )
    left = min(records.size(split), samples or records.size(split))
    batches: Any = pipeline.take(ceil_div(left, batch_size)).as_numpy_iterator()
    for batch in _naming_damage(records, batches):
        batch = {name: values[:left] for name, values in batch.items()}
        left -= len(batch["mask"])
        sample_ids = _texts(batch["sample_id"])
        yield Batch(
            sample_ids,
            _texts(batch["bg_id"]),
            _texts(batch["fg_id"]) if "fg_id" in batch else sample_ids,
            split,
            **{name: batch[name] for name in ("bg", "fg_bg", "mask")},
            depth=batch["depth"] if has_depth else None,
            known=None,
            inputs={name: batch[name] for name in ("bg", "fg_bg")},
        )


def _naming_damage(records: Records, batches: Iterator[Any]) -> Iterator[Any]:
    with naming_damage([records]):
        yield from batches


def pair_batches(pairs: Sequence[PairFiles], resolution: int) -> Iterator[Batch]:
    """Yield a batch a pair, of the pair's own sides.

    Args:
        pairs: their files.
        resolution: the longer side to which larger pairs are reduced.

    Raises:
        UserError: if a pair cannot be used.
    """
    for pair in read_pairs(pairs, resolution):
        yield Batch(
            *([pair.name] for _ in range(3)),
            group=pair.scene,
            bg=pair.bg[None],
            fg_bg=pair.fg_bg[None],
            mask=pair.mask[None, ..., None],
            depth=None,
            known=pair.known[None, ..., None],
            inputs={
                "bg": _for_network(pair.bg)[None],
                "fg_bg": _for_network(pair.fg_bg)[None],
            },
        )


def examples(batches: Iterator[Batch]) -> Iterator[Example]:
    """Yield the samples one by one, to choose the settings of baselines by."""
    for batch in batches:
        for i in range(len(batch.mask)):
            depth = None if batch.depth is None else batch.depth[i, ..., 0]
            yield Example(batch.bg[i], batch.fg_bg[i], batch.mask[i, ..., 0], depth)


def restored(maps: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Resize maps (B, H, W, 1) of the network to the height and width of their images."""
    if maps.shape[1:3] == tuple(shape):
        return maps
    height, width = shape
    resized = [cv2.resize(each, (width, height)) for each in maps[..., 0]]
    return np.stack(resized)[..., None]


def _for_network(image: np.ndarray) -> np.ndarray:
    """Resize an image (H, W, 3) to the nearest multiples of 32."""
    height, width = (
        max(1, round(side / SIDE_MULTIPLE)) * SIDE_MULTIPLE for side in image.shape[:2]
    )
    if image.shape[:2] == (height, width):
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def _texts(values: np.ndarray) -> list[str]:
    return [value.decode() for value in values]
