"""From records to batches at one resolution.

Images stay uint8 up to the model, which normalises them: four float32 planes a sample
would make the reader memory-bound. The seed (and TensorFlow's global seed, if set)
determines everything random: same seeds and same data, same batches.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_depthseg.augment.changes import BatchChange, make_augmentation
from keras_depthseg.backend import untuned
from keras_depthseg.datasets.opening import Records, open_records, require_depth
from keras_depthseg.datasets.records import IMAGE_FIELDS
from keras_depthseg.errors import UserError
from keras_depthseg.pictures.decode import Decoder, background_cache
from keras_depthseg.shapes import ceil_div

# Of encoded samples, 20 to 60 kB each in the original's data set. TFDS writes samples in
# hashed order, so a buffer smaller than the data set still mixes well.
SHUFFLE_BUFFER_BYTES = 256 * 2**20


def make_pipeline(
    data: str | Path | Records,
    split: str = "train",
    *,
    resolution: int = 224,
    batch_size: int = 16,
    augment: str | BatchChange = "none",
    shuffle: bool = False,
    seed: int = 0,
    epoch: int | None = None,
    skip: int = 0,
    whole_samples: bool = False,
) -> tf.data.Dataset:
    """Return batches for `fit`, `evaluate` and `predict`, one pass over a split.

    The last batch may be smaller; every sample comes exactly once. Images that are not
    square are squeezed to squares.

    Args:
        data: a folder of records, or the result of `open_records`.
        split: `train`, `val`, `unseen_bg`, `unseen_fg` or `unseen_both`.
        resolution: side of the square images, in pixels.
        batch_size: samples a batch.
        augment: random changes, as `augment.changes.make_augmentation` takes them: one of
            `AUGMENTATIONS`, or the path of a pipeline saved by albumentations; or a
            change itself.
        shuffle: another order every pass, the same passes for the same seed.
        seed: of the order and the random changes.
        epoch: number of the pass, from 0, which determines its order and random changes
            however often the data set is iterated; without it every iteration is another
            pass.
        skip: batches left out at the beginning of each pass, without decoding them.
        whole_samples: whether elements are dicts of all fields, `sample_id`, ids and
            `box` included. Where random changes move the foreground, its `box` follows.

    Returns:
        A `tf.data.Dataset` of known length with elements `(inputs, labels)`: `inputs` a
        dict of `bg`, `fg_bg` (B, resolution, resolution, 3) uint8, `labels` a dict of
        `depth`, `mask` (B, resolution, resolution, 1) float32 in [0, 1]; or with elements
        that hold the fields of whole samples.

    Raises:
        UserError: if the data set is missing or cut short, or lacks depth or the split,
            or `augment` is wrong.
    """
    records = data if isinstance(data, Records) else open_records(data)
    require_depth(records)
    size = _require_samples(records, split)
    passes_differ = epoch is None
    if epoch is not None:
        seed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    order = {"seed": seed, "reshuffle_each_iteration": passes_differ}
    samples = _serialized(records, split, order if shuffle else None)
    # Decoding comes after shuffling (encoded samples are a tenth the size) and works on
    # whole batches: one call into Python a batch, most of it in OpenCV, which releases
    # the interpreter lock.
    if isinstance(augment, str):
        change = make_augmentation(augment, resolution)
    else:
        change = augment
    decode = _decoding(records, resolution, change)
    # Draws differ from batch to batch and from pass to pass, whatever the timing.
    draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=passes_differ)
    batches = (
        tf.data.Dataset.zip(samples.batch(batch_size), draws)
        .skip(skip)
        .map(decode, num_parallel_calls=os.cpu_count())
    )
    count = max(0, ceil_div(size, batch_size) - skip)
    batches = batches.apply(tf.data.experimental.assert_cardinality(count))
    if not whole_samples:
        batches = batches.map(inputs_and_labels)
    # Two batches wait ready, one decoded on each core beside them.
    return batches.prefetch(2).with_options(untuned())


def inputs_and_labels(sample: dict) -> tuple[dict, dict]:
    """Split a sample, or a batch of samples, into the model's inputs and labels."""
    return (
        {"bg": sample["bg"], "fg_bg": sample["fg_bg"]},
        {"depth": sample["depth"], "mask": sample["mask"]},
    )


def _require_samples(records: Records, split: str) -> int:
    """Return the number of samples of a split, which must not be empty."""
    size = records.size(split)
    if not size:
        available = [name for name in records.builder.info.splits if records.size(name)]
        raise UserError(
            f"{records.builder.data_path}: no samples in split {split!r}; it has "
            f"{', '.join(available) or 'none'}."
        )
    return size


def _serialized(records: Records, split: str, order: dict | None) -> tf.data.Dataset:
    """Return the serialized samples of a split, shuffled if there is an `order`."""
    info = records.builder.info.splits[split]
    files = info.file_instructions
    shards = tf.data.Dataset.from_tensor_slices([str(file.filename) for file in files])
    if order is not None:
        shards = shards.shuffle(len(files), **order)
    samples = shards.interleave(
        tf.data.TFRecordDataset, cycle_length=min(len(files), 8), block_length=16
    )
    if order is None:
        return samples
    affordable = SHUFFLE_BUFFER_BYTES * info.num_examples // info.num_bytes
    return samples.shuffle(max(1, min(info.num_examples, affordable)), **order)


def _decoding(
    records: Records, resolution: int, change: BatchChange | None
) -> Callable[..., dict]:
    """Return the function from serialized samples and a random number to a batch."""
    read_images = _BatchReader(resolution, change)
    # Features are always a FeaturesDict here.
    spec = records.builder.info.features.tf_example_spec  # pyright: ignore

    def decode(serialized, draw):
        # One call a batch: TFDS's own reader parses sample by sample, which cost as much
        # as a quarter of the decoding.
        batch = tf.io.parse_example(serialized, spec)
        boxes = batch.get("box", tf.zeros([tf.size(serialized), 4]))
        images, labels, boxes = tf.numpy_function(
            read_images,
            [*(batch[name] for name in IMAGE_FIELDS), boxes, draw],
            [tf.uint8, tf.float32, tf.float32],
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
        return batch

    return decode


class _BatchReader:
    """Decodes the images of a batch and changes them at random."""

    def __init__(self, resolution: int, change: BatchChange | None):
        self._resolution = resolution
        self._decode_bg = Decoder(3, resolution)
        self._decode_fg_bg = Decoder(3, resolution)
        self._decode_label = Decoder(1, resolution)
        self._change = change

    def __call__(self, bg, fg_bg, mask, depth, boxes, draw):
        """Decode a batch.

        Args:
            bg, fg_bg, mask, depth: encoded images (B,).
            boxes: (B, 4), top, left, bottom and right as shares of the sides.
            draw: the random number of the batch.

        Returns:
            `bg` and `fg_bg`, (2, B, H, W, 3) uint8; `mask` and `depth`,
            (2, B, H, W, 1) float32 in [0, 1]; and `boxes`.
        """
        # Two large blocks of memory instead of four smaller ones: NumPy asks for huge
        # pages from 4 MB on; touching new small pages took a third of the time at 224 px.
        side = self._resolution
        images = np.empty((2, len(bg), side, side, 3), np.uint8)
        labels = np.empty((2, len(bg), side, side, 1), np.float32)
        for i, pair in enumerate(zip(bg, fg_bg, strict=True)):
            images[0, i] = background_cache(pair[0], self._decode_bg)
            images[1, i] = self._decode_fg_bg(pair[1])
        for i, pair in enumerate(zip(mask, depth, strict=True)):
            for kind, encoded in enumerate(pair):
                label = self._decode_label(encoded)
                full_scale = np.float32(np.iinfo(label.dtype).max)
                np.divide(label, full_scale, out=labels[kind, i])
        if self._change is not None:
            boxes = boxes.copy()
            self._change(images, labels, boxes, seed=int(draw) % 2**63)
        return images, labels, boxes
