"""From records to batches at one resolution.

Images stay uint8 up to the model, which normalises them: four float32 planes a sample
would make the reader memory-bound. Everything that is drawn at random follows from the
seed (and from TensorFlow's global one, if set): same seeds and same data, same batches.
"""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from keras_depthseg.augment.changes import RandomChanges, make_augmentation
from keras_depthseg.backend import untuned
from keras_depthseg.datasets.opening import Records, open_records, require_depth
from keras_depthseg.datasets.records import IMAGE_FIELDS
from keras_depthseg.errors import UserError
from keras_depthseg.pictures.decode import Decoder, background_cache

# Of encoded samples, 20 to 60 kB each in the original's data set. TFDS writes samples in
# hashed order, so a buffer smaller than the data set still mixes well.
SHUFFLE_BUFFER_BYTES = 256 * 2**20


def make_pipeline(
    data: str | Path | Records,
    split: str = "train",
    *,
    resolution: int = 224,
    batch_size: int = 16,
    augment: str = "none",
    shuffle: bool = False,
    seed: int = 0,
    epoch: int | None = None,
    shard: tuple[int, int] = (0, 1),
    skip: int = 0,
) -> tf.data.Dataset:
    """Batches for `fit`, `evaluate` and `predict`, one pass over a split.

    The last batch may be smaller; every sample comes exactly once. Pictures that are not
    square are squeezed to squares. OpenCV's own threads are switched off in this process:
    batches are decoded side by side.

    Args:
        data: a folder of records, or what `open_records` gave for it.
        split: `train`, `val`, `unseen_bg`, `unseen_fg` or `unseen_both`.
        resolution: side of the square images, in pixels.
        batch_size: samples a batch.
        augment: random changes, one of `augment.AUGMENTATIONS`.
        shuffle: another order every pass, the same passes for the same seed.
        seed: of the order and the random changes.
        epoch: number of the pass, from 0: its order and random changes, however often the
            data set is iterated; without it every iteration is another pass.
        shard: `(index, count)`: the index-th of `count` parts that together are the
            split, for one of several readers. Parts differ by one sample at most.
        skip: batches left out at the beginning of each pass, without decoding them.

    Returns:
        A `tf.data.Dataset` of known length with elements `(inputs, labels)`: `inputs` a
        dict of `bg`, `fg_bg` (B, resolution, resolution, 3) uint8, `labels` a dict of
        `depth`, `mask` (B, resolution, resolution, 1) float32 in [0, 1].

    Raises:
        UserError: if the data set is missing or cut short, or lacks depth or the split.
    """
    samples = sample_batches(
        data,
        split,
        resolution=resolution,
        batch_size=batch_size,
        augment=augment,
        shuffle=shuffle,
        seed=seed,
        epoch=epoch,
        shard=shard,
        skip=skip,
    )
    # Two batches wait ready, one decoded on each core beside them.
    return samples.map(inputs_and_labels).prefetch(2).with_options(untuned())


def inputs_and_labels(sample: dict) -> tuple[dict, dict]:
    """Splits a sample, or a batch of them, into what the model takes and predicts."""
    return (
        {"bg": sample["bg"], "fg_bg": sample["fg_bg"]},
        {"depth": sample["depth"], "mask": sample["mask"]},
    )


def sample_batches(
    data: str | Path | Records,
    split: str = "train",
    *,
    resolution: int = 224,
    batch_size: int = 16,
    augment: str = "none",
    shuffle: bool = False,
    seed: int = 0,
    epoch: int | None = None,
    shard: tuple[int, int] = (0, 1),
    skip: int = 0,
) -> tf.data.Dataset:
    """As `make_pipeline`, but whole samples, `sample_id`, ids and `box` included.

    Returns:
        A `tf.data.Dataset` whose elements are dicts of batched fields. Where a sample is
        mirrored, so is its `box`.
    """
    records = data if isinstance(data, Records) else open_records(data)
    require_depth(records)
    passes_differ = epoch is None
    if epoch is not None:
        seed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    order = {"seed": seed, "reshuffle_each_iteration": passes_differ}
    samples, size = _read(records, split, order if shuffle else None, shard)
    if shuffle:
        whole = records.builder.info.splits[split]
        affordable = SHUFFLE_BUFFER_BYTES * whole.num_examples // whole.num_bytes
        samples = samples.shuffle(max(1, min(size, affordable)), **order)
    # Decoding comes after shuffling (encoded samples are a tenth the size) and works on
    # whole batches: one call into Python a batch, which OpenCV spends outside the
    # interpreter lock.
    read_images = _BatchReader(resolution, make_augmentation(augment))
    # Draws differ from batch to batch and from pass to pass, whatever the timing.
    draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=passes_differ)

    spec = records.builder.info.features.tf_example_spec

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
        # Nothing is known statically of what a Python function returns.
        images.set_shape([2, None, resolution, resolution, 3])
        labels.set_shape([2, None, resolution, resolution, 1])
        decoded = (images[0], images[1], labels[0], labels[1])
        batch |= zip(IMAGE_FIELDS, decoded, strict=True)
        if "box" in batch:
            boxes.set_shape(batch["box"].shape)
            batch["box"] = boxes
        return batch

    batches = (
        tf.data.Dataset.zip(samples.batch(batch_size), draws)
        .skip(skip)
        .map(decode, num_parallel_calls=os.cpu_count())
    )
    count = max(0, -(-size // batch_size) - skip)
    return batches.apply(tf.data.experimental.assert_cardinality(count))


def _read(records: Records, split: str, order: dict | None, shard):
    """Serialized samples of a part of a split, and their number."""
    if not records.size(split):
        available = [name for name in records.builder.info.splits if records.size(name)]
        raise UserError(
            f"{records.builder.data_path}: no samples in split {split!r}; it has "
            f"{', '.join(available) or 'none'}."
        )
    index, count = shard
    if not 0 <= index < count:
        raise UserError(
            f"shard must be (index, count) with 0 <= index < count: received {shard}."
        )
    part = tfds.even_splits(split, n=count)[index]
    size = records.builder.info.splits[part].num_examples
    if not size:
        raise UserError(
            f"shard {shard}: this part of {split!r} is empty: the split has "
            f"{records.size(split)} samples; use fewer parts."
        )
    files = records.builder.info.splits[part].file_instructions
    shards = tf.data.Dataset.from_tensor_slices(
        {
            "path": [str(file.filename) for file in files],
            "skip": np.array([file.skip for file in files], np.int64),
            "take": np.array([file.take for file in files], np.int64),
        }
    )
    if order is not None:
        shards = shards.shuffle(len(files), **order)
    serialized = shards.interleave(
        lambda file: (
            tf.data.TFRecordDataset(file["path"]).skip(file["skip"]).take(file["take"])
        ),
        cycle_length=min(len(files), 8),
        block_length=16,
    )
    return serialized, size


class _BatchReader:
    """Decodes the images of a batch and changes them."""

    def __init__(self, resolution: int, changes: RandomChanges | None):
        self._resolution = resolution
        self._decode_bg = background_cache(resolution)
        self._decode_rgb = Decoder(3, resolution)
        self._decode_label = Decoder(1, resolution)
        self._changes = changes
        # Batches are decoded side by side; threads of OpenCV's own would only compete.
        cv2.setNumThreads(1)

    def __call__(self, bg, fg_bg, mask, depth, boxes, draw):
        """Decodes a batch.

        Args:
            bg, fg_bg, mask, depth: encoded images (B,).
            boxes: (B, 4), top, left, bottom and right as shares of the sides.
            draw: the random number of the batch.

        Returns:
            `bg` and `fg_bg`, (2, B, H, W, 3) uint8; `mask` and `depth`,
            (2, B, H, W, 1) float32 in [0, 1]; and `boxes`.
        """
        # Two large blocks of memory, filled image by image, and not four smaller ones:
        # NumPy asks for huge pages from 4 MB on, and touching fresh small pages took a
        # third of the time at 224 px.
        side = self._resolution
        images = np.empty((2, len(bg), side, side, 3), np.uint8)
        labels = np.empty((2, len(bg), side, side, 1), np.float32)
        for i, pair in enumerate(zip(bg, fg_bg, strict=True)):
            images[0, i] = self._decode_bg(pair[0])
            images[1, i] = self._decode_rgb(pair[1])
        for i, pair in enumerate(zip(mask, depth, strict=True)):
            for kind, encoded in enumerate(pair):
                label = self._decode_label(encoded)
                full_scale = np.float32(np.iinfo(label.dtype).max)
                np.divide(label, full_scale, out=labels[kind, i])
        if self._changes is not None:
            boxes = boxes.copy()
            self._changes(images, labels, boxes, seed=int(draw) % 2**63)
        return images, labels, boxes
