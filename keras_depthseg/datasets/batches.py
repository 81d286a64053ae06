"""From serialized samples and numbers of composites to arrays at one resolution."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_depthseg.datasets.composites.endless import EndlessComposites
from keras_depthseg.datasets.opening import Records
from keras_depthseg.datasets.records import IMAGE_FIELDS
from keras_depthseg.pictures.decode import Decoder, background_cache
from keras_depthseg.pictures.headers import has_end, stored_shape

Change = Callable[..., None]
"""Changes `images`, `labels` and `boxes` in place, see `augment.changes.BatchChange`."""

_IDS = ("sample_id", "bg_id", "fg_id")


def decoding(
    records: Sequence[Records],
    composites: EndlessComposites | None,
    split: str,
    resolution: int,
    change: Change | None,
) -> Callable[..., dict[str, Any]]:
    """Return the function from a batch of a stream to a batch of samples.

    Args:
        records: those whose samples are in the stream.
        composites: those whose numbers are in the stream, of the resolution.
        split: of the composites.
        resolution: side of the images, in pixels.
        change: random change of a batch.

    Returns:
        A function of the two parts of a stream of `mixture`, batched, and of the random
        number of the batch; it returns the fields of samples: images (B, H, W, 3) uint8,
        `mask` and `depth` (B, H, W, 1) float32 in [0, 1], unknown depth 0.
    """
    read_images = _BatchReader(composites, split, resolution, change)
    spec = _spec(records, composites is not None)

    def decode(parts, draw):
        serialized, numbers = parts
        # One call a batch: TFDS's own reader parses sample by sample, which cost as much
        # as a quarter of the decoding.
        batch = tf.io.parse_example(serialized, spec)
        count = tf.size(serialized)
        empty = tf.fill([count], b"")
        boxes = batch.get("box", tf.zeros([count, 4]))
        ids = tf.stack([batch.get(name, empty) for name in _IDS])
        images, labels, boxes, ids = tf.numpy_function(
            read_images,
            [
                *(batch.get(name, empty) for name in IMAGE_FIELDS),
                *(boxes, ids, numbers, draw),
            ],
            [tf.uint8, tf.float32, tf.float32, tf.string],
            stateful=False,
        )
        # TensorFlow does not know the shapes of a Python function's results.
        images.set_shape([2, None, resolution, resolution, 3])
        labels.set_shape([2, None, resolution, resolution, 1])
        decoded = (images[0], images[1], labels[0], labels[1])
        batch |= zip(IMAGE_FIELDS, decoded, strict=True)
        if "box" in batch:
            boxes.set_shape(batch["box"].shape)
            batch["box"] = boxes
        for i, name in enumerate(_IDS):
            if name in batch:
                batch[name] = tf.ensure_shape(ids[i], [None])
        return batch

    return decode


def _spec(records: Sequence[Records], composed: bool) -> dict[str, Any]:
    """Return the features to parse; with several sources a sample may lack some."""
    # Features are always a FeaturesDict here.
    specs = [each.builder.info.features.tf_example_spec for each in records]  # pyright: ignore
    if len(specs) == 1 and not composed:
        return specs[0]
    names = (*IMAGE_FIELDS, *_IDS)
    spec: dict[str, Any] = {
        name: tf.io.FixedLenFeature([], tf.string, default_value=b"") for name in names
    }
    spec["box"] = tf.io.FixedLenFeature([4], tf.float32, default_value=[0.0] * 4)
    return spec


class _BatchReader:
    """Decodes or composes the images of a batch, and changes them at random."""

    def __init__(
        self,
        composites: EndlessComposites | None,
        split: str,
        resolution: int,
        change: Change | None,
    ):
        self._composites = composites
        self._split = split
        self._resolution = resolution
        self._decode_bg = Decoder(3, resolution)
        self._decode_fg_bg = Decoder(3, resolution)
        self._decode_label = Decoder(1, resolution)
        self._change = change

    def __call__(self, bg, fg_bg, mask, depth, boxes, ids, numbers, draw):
        """Decode or compose a batch.

        Args:
            bg, fg_bg, mask, depth: encoded images (B,); empty for composites, `depth`
                also without depth.
            boxes: (B, 4), top, left, bottom and right as shares of the sides.
            ids: (3, B), sample, background and cutout.
            numbers: (B,), those of composites, negative for stored samples.
            draw: the random number of the batch.

        Returns:
            `bg` and `fg_bg`, (2, B, H, W, 3) uint8; `mask` and `depth`,
            (2, B, H, W, 1) float32 in [0, 1]; `boxes` and `ids`.
        """
        # Two large blocks of memory instead of four smaller ones: NumPy asks for huge
        # pages from 4 MB on; touching new small pages took a third of the time at 224 px.
        side = self._resolution
        images = np.empty((2, len(numbers), side, side, 3), np.uint8)
        labels = np.empty((2, len(numbers), side, side, 1), np.float32)
        boxes, ids = boxes.copy(), ids.copy()
        for i, number in enumerate(numbers.tolist()):
            if number >= 0:
                self._compose(number, images[:, i], labels[:, i], boxes[i], ids[:, i])
                continue
            _check(bg[i], fg_bg[i], mask[i], depth[i])
            images[0, i] = background_cache(bg[i], self._decode_bg)
            images[1, i] = self._decode_fg_bg(fg_bg[i])
            for kind, encoded in enumerate((mask[i], depth[i])):
                if not encoded:  # Unknown depth.
                    labels[kind, i] = 0
                    continue
                label = self._decode_label(encoded)
                full_scale = np.float32(np.iinfo(label.dtype).max)
                np.divide(label, full_scale, out=labels[kind, i])
        if self._change is not None:
            self._change(images, labels, boxes, seed=int(draw) % 2**63)
        return images, labels, boxes, ids

    def _compose(self, number, images, labels, box, ids) -> None:
        if self._composites is None:
            raise ValueError("a number of a composite came without composites.")
        sample = self._composites.sample(self._split, number)
        sample.write(images, labels, box)
        ids[:] = [
            name.encode() for name in (sample.sample_id, sample.bg_id, sample.fg_id)
        ]


def check_readable(bg: bytes, fg_bg: bytes, mask: bytes, depth: bytes) -> None:
    """Raise an error for pictures of which no batch can be made; `depth` may be empty."""
    _check(bg, fg_bg, mask, depth)
    for channels, picture in ((3, bg), (3, fg_bg), (1, mask), (1, depth)):
        if picture:
            Decoder(channels, 32)(picture)


def _check(bg: bytes, fg_bg: bytes, mask: bytes, depth: bytes) -> None:
    """Refuse what OpenCV would fill with grey, and what would be squeezed otherwise.

    Takes 13 µs a sample; decoding one of 64 px takes 700.
    """
    known = (bg, fg_bg, mask, depth) if depth else (bg, fg_bg, mask)
    if not all(map(has_end, known)):
        raise ValueError("a record holds a picture that is cut short")
    # `None` of a picture of another form, about which its decoder says more.
    shapes = {stored_shape(picture) for picture in known} - {None}
    if len(shapes) > 1:
        raise ValueError(f"a record holds pictures of unequal sizes {shapes}")
