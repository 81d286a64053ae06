"""The fields of a sample, and the metadata of a data set.

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

# pyright: reportAttributeAccessIssue=false
# protobuf creates the classes of its modules at run time.

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2, tf_feature_pb2

from keras_depthseg.datasets.statistics import ImageStatistics

IMAGE_FIELDS = ("bg", "fg_bg", "mask", "depth")
REQUIRED_FIELDS = ("bg", "fg_bg", "mask", "sample_id", "bg_id")
"""Fields without which a data set cannot be used."""
NEAREST_DEPTH = 2e-4
"""The least stored value of a known depth: 0 means unknown, and metrics leave out values
up to 1e-4, as the original does."""


@dataclasses.dataclass(frozen=True)
class DepthMetadata:
    """The meaning of the numbers of a data set's `depth`.

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


class Example(NamedTuple):
    """A sample that a builder writes.

    Attributes:
        features: the fields of `sample_features`, pictures as encoded bytes.
        bg, fg_bg: the statistics of its two RGB pictures.
    """

    features: dict[str, Any]
    bg: ImageStatistics
    fg_bg: ImageStatistics


def sample_features(depth_dtype: type | None = np.uint8) -> tfds.features.FeaturesDict:
    """Return the features of one sample; see the table at the head of this file.

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
    """Serialize a sample as a `tf.train.Example`, as TFDS does with `sample_features`.

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
    """Return the metadata of a data set.

    Args:
        depth: meaning of the depth values; `None` for samples without depth.
        statistics: `{"bg": {"mean": …, "std": …}, "fg_bg": …}` over the `train`
            split, in units of 0..1. A builder that computes them while it generates
            sets `info.metadata["statistics"]` at the end.
    """
    return tfds.core.MetadataDict(
        depth=dataclasses.asdict(depth) if depth else {},
        statistics=dict(statistics or {}),
    )
