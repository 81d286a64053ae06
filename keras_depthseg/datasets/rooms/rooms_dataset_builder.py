"""Rooms rendered by this package: composites with true metric depth."""

from __future__ import annotations

import collections
import dataclasses
import functools
import os
from collections.abc import Iterator
from concurrent import futures

import cv2
import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import records
from keras_depthseg.datasets.building import CleanBuilder
from keras_depthseg.datasets.rooms import cutouts, geometry, plan, render, scene

SCALE = geometry.FAR
"""Metres at the full scale of the stored depth."""

# Of a room of 224 pixels this keeps about 1 MB.
_KEPT_ROOMS = 160
_KEPT_CUTOUTS = 256


@dataclasses.dataclass(eq=False)
class RoomsConfig(tfds.core.BuilderConfig):
    """How many samples, how large, and from which random numbers.

    Attributes:
        num_samples: in all splits together; one room and one cutout for every eight.
        size: height and width of the pictures in pixels.
        seed: the same seed gives the same records.
        workers: threads that render; `None` takes one for each core. The records do
            not depend on it.
    """

    num_samples: int = 1200
    size: int = 224
    seed: int = 0
    workers: int | None = None

    def __post_init__(self):
        if self.num_samples < 1:
            raise ValueError(
                "a data set of rooms needs samples. "
                f"Received: num_samples={self.num_samples!r}. "
                "Accepted: 1 or more. Pass e.g. num_samples=1200."
            )
        if self.size < 1:
            raise ValueError(
                "the pictures need a size in pixels. "
                f"Received: size={self.size!r}. "
                "Accepted: 1 or more. Pass e.g. size=128."
            )
        if self.seed < 0:
            raise ValueError(
                "random streams start from a non-negative integer. "
                f"Received: seed={self.seed!r}. Accepted: 0 or more. Pass e.g. seed=0."
            )


class Builder(CleanBuilder):
    """Builds the data set `rooms`; nothing is downloaded."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        RoomsConfig(
            name="small", description="240 samples of 96 px.", num_samples=240, size=96
        ),
        RoomsConfig(
            name="medium",
            description="1,200 samples of 128 px.",
            num_samples=1200,
            size=128,
        ),
        RoomsConfig(
            name="large",
            description="6,000 samples of 224 px.",
            num_samples=6000,
            size=224,
        ),
    ]

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=records.sample_features(np.uint16),
            metadata=records.sample_metadata(
                records.DepthMetadata(unit="metre", scale=SCALE)
            ),
            supervised_keys=None,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        del dl_manager  # everything is rendered here
        config = self.builder_config
        groups = plan.splits(plan.entries(config.num_samples, config.seed), config.seed)
        # Splits share rooms and cutouts.
        room = functools.lru_cache(_KEPT_ROOMS)(scene.make_room)
        cutout = functools.lru_cache(_KEPT_CUTOUTS)(cutouts.make_cutout)
        return {
            name: self._generate_examples(name, group, room, cutout)
            for name, group in groups.items()
        }

    def _generate_examples(
        self, split: str, group: list[plan.Entry], room, cutout
    ) -> Iterator[tuple[str, dict]]:
        config = self.builder_config

        def make(entry: plan.Entry) -> tuple[plan.Entry, render.Composite, dict]:
            composite = render.make_composite(
                room(config.seed, entry.room, config.size),
                cutout(config.seed, entry.cutout, config.size),
                config.seed,
                entry.index,
            )
            return entry, composite, encode(composite)

        statistics = {name: records.ImageStatistics() for name in ("bg", "fg_bg")}
        for entry, composite, images in _ordered_map(make, group, config.workers):
            if split == "train":
                statistics["bg"].update(composite.bg)
                statistics["fg_bg"].update(composite.fg_bg)
            ymin, xmin, ymax, xmax = map(float, composite.box)
            yield (
                entry.sample_id,
                {
                    **images,
                    "sample_id": entry.sample_id,
                    "bg_id": entry.bg_id,
                    "fg_id": entry.fg_id,
                    "box": tfds.features.BBox(ymin, xmin, ymax, xmax),
                },
            )
        if split == "train":
            self.info.metadata["statistics"] = {
                name: values.result() for name, values in statistics.items()
            }


def _ordered_map(function, items, workers: int | None) -> Iterator:
    """`map` over threads, in order, with only a few results ahead of the consumer.

    Threads and not processes: OpenCV and NumPy let go of the interpreter for most of
    the work, a fork after TensorFlow has started its own threads can hang, and a fresh
    process would import the caller's main module again.
    """
    workers = workers or os.cpu_count() or 1
    with futures.ThreadPoolExecutor(workers) as pool:
        waiting = collections.deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 4 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def encode(composite: render.Composite) -> dict[str, bytes]:
    """The image fields of a record as encoded files.

    Depth is linear in metres, 65,535 at `SCALE`; the pictures are JPEG of quality 95
    at full colour resolution.
    """
    depth = np.clip(composite.depth / SCALE, 0, 1) * 65535
    # Full colour resolution: halved, colours bleed over the mask's edge.
    quality = (
        cv2.IMWRITE_JPEG_QUALITY, 95,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    )  # fmt: skip
    # Rooms have large smooth areas: the lowest level is nearly as small, and faster.
    level = (cv2.IMWRITE_PNG_COMPRESSION, 1)
    return {
        "bg": _file(".jpg", composite.bg[..., ::-1], quality),
        "fg_bg": _file(".jpg", composite.fg_bg[..., ::-1], quality),
        "mask": _file(".png", composite.mask, level),
        "depth": _file(".png", np.round(depth).astype(np.uint16), level),
    }


def _file(kind: str, image: np.ndarray, options: tuple[int, ...]) -> bytes:
    _, data = cv2.imencode(kind, np.ascontiguousarray(image), options)
    return data.tobytes()
