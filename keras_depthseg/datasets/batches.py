"""From serialized samples and numbers of composites to arrays at one resolution."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_depthseg.datasets.composites.endless import EndlessComposites
from keras_depthseg.datasets.opening import Records
from keras_depthseg.datasets.records import IMAGE_FIELDS
from keras_depthseg.datasets.stored_sample import StoredSample, parse
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
    features = [each.features for each in records]
    # Composites have all fields; with several sources a sample may lack some.
    every = frozenset(StoredSample._fields)
    names = every if composites is not None else frozenset().union(*features)
    optional = names - every.intersection(*features)
    read = _BatchReader(composites, split, resolution, change, names, optional)

    def decode(parts, draw):
        images, labels, boxes, ids = tf.numpy_function(
            read,
            [*parts, draw],
            [tf.uint8, tf.float32, tf.float32, tf.string],
            stateful=False,
        )
        # TensorFlow does not know the shapes of a Python function's results.
        images.set_shape([2, None, resolution, resolution, 3])
        labels.set_shape([2, None, resolution, resolution, 1])
        boxes.set_shape([None, 4])
        ids.set_shape([len(_IDS), None])
        decoded = (images[0], images[1], labels[0], labels[1])
        batch: dict[str, Any] = dict(zip(IMAGE_FIELDS, decoded, strict=True))
        if "box" in names:
            batch["box"] = boxes
        return batch | {name: ids[i] for i, name in enumerate(_IDS) if name in names}

    return decode


class _BatchReader:
    """Decodes or composes the images of a batch, and changes them at random."""

    def __init__(
        self,
        composites: EndlessComposites | None,
        split: str,
        resolution: int,
        change: Change | None,
        features: Collection[str],
        optional: Collection[str],
    ):
        self._composites = composites
        self._split = split
        self._resolution = resolution
        self._decode_bg = Decoder(3, resolution)
        self._decode_fg_bg = Decoder(3, resolution)
        self._decode_label = Decoder(1, resolution)
        self._change = change
        self._features, self._optional = features, optional

    def __call__(self, records, numbers, draw):
        """Decode or compose a batch.

        Args:
            records: (B,), serialized samples; empty for composites.
            numbers: (B,), those of composites, negative for stored samples.
            draw: the random number of the batch.

        Returns:
            `bg` and `fg_bg`, (2, B, H, W, 3) uint8; `mask` and `depth`,
            (2, B, H, W, 1) float32 in [0, 1]; boxes, (B, 4): top, left, bottom and right
            as shares of the sides; ids, (3, B): sample, background and cutout.
        """
        # Two large blocks of memory instead of four smaller ones: NumPy asks for huge
        # pages from 4 MB on; touching new small pages took a third of the time at 224 px.
        side = self._resolution
        images = np.empty((2, len(numbers), side, side, 3), np.uint8)
        labels = np.empty((2, len(numbers), side, side, 1), np.float32)
        boxes = np.zeros((len(numbers), 4), np.float32)
        ids = np.full((len(_IDS), len(numbers)), b"", object)
        # All before the first picture: in turn with them, which take the interpreter's
        # lock again and again, a batch took 8 % longer.
        samples = [
            None if number >= 0 else parse(record, self._features, self._optional)
            for number, record in zip(numbers, records, strict=True)
        ]
        for i, number in enumerate(numbers.tolist()):
            place = images[:, i], labels[:, i], boxes[i], ids[:, i]
            if number >= 0:
                self._compose(number, *place)
            else:
                self._decode(samples[i], *place)
        if self._change is not None:
            self._change(images, labels, boxes, seed=int(draw) % 2**63)
        return images, labels, boxes, ids

    def _decode(self, sample, images, labels, box, ids) -> None:
        _check(sample.bg, sample.fg_bg, sample.mask, sample.depth)
        images[0] = background_cache(sample.bg, self._decode_bg)
        images[1] = self._decode_fg_bg(sample.fg_bg)
        for kind, encoded in enumerate((sample.mask, sample.depth)):
            if not encoded:  # Unknown depth.
                labels[kind] = 0
                continue
            label = self._decode_label(encoded)
            full_scale = np.float32(np.iinfo(label.dtype).max)
            np.divide(label, full_scale, out=labels[kind])
        if sample.box is not None:
            box[:] = sample.box
        ids[:] = [(getattr(sample, name) or "").encode() for name in _IDS]

    def _compose(self, number, images, labels, box, ids) -> None:
        if self._composites is None:
            raise ValueError("a number of a composite came without composites.")
        sample = self._composites.sample(self._split, number)
        sample.write(images, labels, box)
        ids[:] = [
            name.encode() for name in (sample.sample_id, sample.bg_id, sample.fg_id)
        ]


def check_readable(bg: bytes, fg_bg: bytes, mask: bytes, depth: bytes | None) -> None:
    """Raise an error for pictures of which no batch can be made; depth may be missing."""
    _check(bg, fg_bg, mask, depth)
    for channels, picture in ((3, bg), (3, fg_bg), (1, mask), (1, depth)):
        if picture:
            Decoder(channels, 32)(picture)


def _check(bg: bytes, fg_bg: bytes, mask: bytes, depth: bytes | None) -> None:
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
