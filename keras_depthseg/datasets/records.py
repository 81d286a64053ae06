"""The one place that knows the fields of a sample and of a data set's metadata.

A data set is a folder written by a TensorFlow Datasets builder: TFRecord shards,
`features.json`, `dataset_info.json` and `metadata.json`. It is readable anywhere with
`tfds.builder_from_directory`.

One sample:

| field | stored as | meaning |
|---|---|---|
| `bg` | JPEG or PNG, (H, W, 3) uint8 | RGB, the clean background plate |
| `fg_bg` | JPEG or PNG, (H, W, 3) uint8 | RGB, the same view, something in front |
| `mask` | JPEG or PNG, (H, W, 1) uint8 | foreground opacity, 0..255 for 0..1 |
| `depth` | (H, W, 1) uint8 or uint16 | larger = farther, 0..1; may be missing |
| `sample_id` | text | unique in the data set, e.g. `bg001_fg001_01` |
| `bg_id`, `fg_id` | text | the background's and the cutout's identity |
| `box` | 4 float32 | the foreground's ymin, xmin, ymax, xmax, in 0..1 |

Images that reach a builder as encoded bytes are stored byte for byte.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2, tf_feature_pb2

IMAGE_FIELDS = ("bg", "fg_bg", "mask", "depth")
NEAREST_DEPTH = 2e-4
"""The least that a known depth is stored as: 0 means unknown, and metrics leave out what
is not above 1e-4, as the original does."""

SPLITS = ("train", "val", "unseen_bg", "unseen_fg", "unseen_both")


@dataclasses.dataclass(frozen=True)
class DepthMetadata:
    """What the numbers of a data set's `depth` mean.

    Attributes:
        unit: `"relative"`, or `"metre"` when depth is metric.
        scale: metres at full scale (`depth == 1`) when metric, else `None`.
        direction: always `"larger is farther"`; stored so that a reader of the
            records need not guess.
    """

    unit: str = "relative"
    scale: float | None = None
    direction: str = "larger is farther"

    def __post_init__(self):
        if self.unit not in ("relative", "metre"):
            raise ValueError(
                f"depth unit must be 'relative' or 'metre'. Received: unit={self.unit!r}"
            )
        if (self.unit == "metre") != (self.scale is not None):
            raise ValueError(
                "metric depth needs a scale in metres and relative depth has none. "
                f"Received: unit={self.unit!r}, scale={self.scale!r}"
            )


@dataclasses.dataclass
class ImageStatistics:
    """Streaming mean and standard deviation per channel, over images in 0..1."""

    count: int = 0
    total: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))
    total_squares: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(3))

    def update(self, image: np.ndarray) -> None:
        """Adds one image, (H, W, 3) uint8."""
        # Exact sums of integers, in half the time of OpenCV's meanStdDev.
        squares = [cv2.norm(channel, cv2.NORM_L2SQR) for channel in cv2.split(image)]
        self.count += image.shape[0] * image.shape[1]
        self.total += np.array(cv2.sumElems(image)[:3]) / 255.0
        self.total_squares += np.array(squares) / 255.0**2

    @classmethod
    def of(cls, image: np.ndarray) -> ImageStatistics:
        """Of one image, (H, W, 3) uint8."""
        statistics = cls()
        statistics.update(image)
        return statistics

    def __iadd__(self, other: ImageStatistics) -> ImageStatistics:
        self.count += other.count
        self.total += other.total
        self.total_squares += other.total_squares
        return self

    def to_json(self) -> dict:
        """The sums as plain numbers; `from_json` makes the same object of them."""
        return {
            "count": self.count,
            "total": self.total.tolist(),
            "total_squares": self.total_squares.tolist(),
        }

    @classmethod
    def from_json(cls, sums: Mapping) -> ImageStatistics:
        """The object of which `to_json` gave `sums`."""
        return cls(
            sums["count"], np.array(sums["total"]), np.array(sums["total_squares"])
        )

    def result(self) -> dict[str, list[float]]:
        """`{"mean": [r, g, b], "std": [r, g, b]}` in units of 0..1.

        `std` is at least one grey level, 1/255: a plate of one colour, such as a green
        screen, must not be divided by zero.
        """
        mean = self.total / self.count
        variance = np.maximum(self.total_squares / self.count - np.square(mean), 0.0)
        return {
            "mean": mean.tolist(),
            "std": np.maximum(np.sqrt(variance), 1 / 255).tolist(),
        }


class Example(NamedTuple):
    """A sample on its way into a file.

    Attributes:
        features: the fields of `sample_features`, pictures as encoded bytes.
        bg, fg_bg: the statistics of its two RGB pictures.
    """

    features: dict[str, Any]
    bg: ImageStatistics
    fg_bg: ImageStatistics


def sample_features(depth_dtype: type | None = np.uint8) -> tfds.features.FeaturesDict:
    """The features of one sample; see the table at the head of this file.

    Args:
        depth_dtype: `np.uint8`, or `np.uint16` (then stored as PNG); `None` for
            samples without depth.
    """
    image = tfds.features.Image
    features = {
        "bg": image(shape=(None, None, 3)),
        "fg_bg": image(shape=(None, None, 3)),
        "mask": image(shape=(None, None, 1)),
        "sample_id": tfds.features.Text(),
        "bg_id": tfds.features.Text(),
        "fg_id": tfds.features.Text(),
        "box": tfds.features.BBoxFeature(),
    }
    if depth_dtype is not None:
        features["depth"] = image(shape=(None, None, 1), dtype=depth_dtype)
    return tfds.features.FeaturesDict(features)


def serialize(features: Mapping[str, Any]) -> bytes:
    """A sample as a `tf.train.Example`, as TFDS serializes `sample_features`.

    In a fifth of TFDS's time, and its fields in order of their names: TFDS's are in
    another order in each process, so that no two builds have the same bytes.

    Args:
        features: of an `Example`: bytes, text and the box.
    """
    fields = {}
    for name, value in features.items():
        if isinstance(value, str):
            value = value.encode()
        if isinstance(value, bytes):
            values = tf_feature_pb2.BytesList(value=[value])
            fields[name] = tf_feature_pb2.Feature(bytes_list=values)
        else:
            box = (value.ymin, value.xmin, value.ymax, value.xmax)
            values = tf_feature_pb2.FloatList(value=box)
            fields[name] = tf_feature_pb2.Feature(float_list=values)
    example = tf_example_pb2.Example(features=tf_feature_pb2.Features(feature=fields))
    return example.SerializeToString(deterministic=True)


def sample_metadata(
    depth: DepthMetadata | None,
    statistics: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
) -> tfds.core.MetadataDict:
    """The metadata of a data set.

    Args:
        depth: meaning of the depth values; `None` for samples without depth.
        statistics: `{"bg": {"mean": …, "std": …}, "fg_bg": …}` over the `train`
            split, in units of 0..1. A builder that learns them while it generates
            sets `info.metadata["statistics"]` then.
    """
    return tfds.core.MetadataDict(
        depth=dataclasses.asdict(depth) if depth else {},
        statistics=dict(statistics or {}),
    )


SPLITTINGS = ("identity", "random")
"""`identity` keeps some backgrounds and cutouts out of training; `random` splits samples
at random into `train` and `val`, as the original did: all are then in both."""


def random_split(sample_id: str, *, val_fraction: float, seed: int) -> str:
    """The split of a sample by `random`: `val_fraction` of the samples are `val`."""
    return "val" if _hash_fraction(seed, sample_id) < val_fraction else "train"


def _hash_fraction(*parts: object) -> float:
    """A number in [0, 1) that depends on `parts` only, the same on every machine."""
    text = "\0".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") / 2**64


def held_out(ids: Sequence[str], fraction: float, seed: int) -> frozenset[str]:
    """Chooses `fraction` of the distinct `ids`, at least one, by a seeded hash.

    Returns an empty set when there are fewer than two ids to choose from.
    """
    distinct = sorted(set(ids))
    if len(distinct) < 2 or fraction <= 0:
        return frozenset()
    count = max(1, round(len(distinct) * fraction))
    ranked = sorted(distinct, key=lambda name: _hash_fraction(seed, name))
    return frozenset(ranked[: min(count, len(distinct) - 1)])


def assign_split(
    bg_id: str,
    fg_id: str,
    *,
    unseen_bg: frozenset[str],
    unseen_fg: frozenset[str],
    val_fraction: float,
    seed: int,
) -> str:
    """The split a sample belongs to, by the identity of what it shows.

    A background or a cutout that is in `unseen_bg` or `unseen_fg` is never in `train`
    or `val`. Of the others, `val_fraction` of the samples are `val` (seen background,
    seen cutout, unseen combination of the two).
    """
    match bg_id in unseen_bg, fg_id in unseen_fg:
        case True, True:
            return "unseen_both"
        case True, False:
            return "unseen_bg"
        case False, True:
            return "unseen_fg"
    # Hashing the pair and not the sample keeps all placements of one cutout on one
    # background on the same side.
    return "val" if _hash_fraction(seed, bg_id, fg_id) < val_fraction else "train"
