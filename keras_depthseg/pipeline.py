"""From records to batches at one resolution.

Images stay uint8 up to the model, which normalises them: four float32 planes a sample
would make the reader memory-bound. The seed (and TensorFlow's global seed, if set)
determines everything random: same seeds and same data, same batches.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_depthseg.augment.changes import BatchChange, make_augmentation
from keras_depthseg.backend import untuned
from keras_depthseg.datasets.batches import decoding
from keras_depthseg.datasets.composites.endless import EndlessComposites
from keras_depthseg.datasets.mixture import Source, mixed, one_pass
from keras_depthseg.datasets.opening import Records, open_records, require_depth
from keras_depthseg.errors import UserError
from keras_depthseg.shapes import ceil_div

# Composites of other seeds have other numbers. Seeds are below 2**32, numbers int64.
_SEED_SHIFT = 31
COMPOSITES = 256
"""Composites of a pass over a split, unless `samples` says how many."""


def make_pipeline(
    data: str | Path | Records | EndlessComposites | Sequence[Source],
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
    samples: int | None = None,
    unknown_depth: bool = False,
) -> tf.data.Dataset:
    """Return batches for `fit`, `evaluate` and `predict`, one pass over a split.

    The last batch may be smaller; every sample comes exactly once. Images that are not
    square are squeezed to squares.

    Args:
        data: a folder of records, or the result of `open_records`; composites that are
            made on the way; or several of these, with weights.
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
        samples: with `shuffle` the samples of a pass, drawn from all sources by weight,
            composites being others in each `epoch`; by default, and without `shuffle`,
            every stored sample comes once, then this many composites, or `COMPOSITES`.
        unknown_depth: whether samples may have no depth; it is 0 then.

    Returns:
        A `tf.data.Dataset` of known length with elements `(inputs, labels)`: `inputs` a
        dict of `bg`, `fg_bg` (B, resolution, resolution, 3) uint8, `labels` a dict of
        `depth`, `mask` (B, resolution, resolution, 1) float32 in [0, 1]; or with elements
        that hold the fields of whole samples.

    Raises:
        UserError: if the data set is missing or cut short, or lacks depth or the split,
            or `augment` is wrong.
    """
    sources = _sources(data, split)
    stored = [source.data for source in sources if isinstance(source.data, Records)]
    if not unknown_depth:
        for records in stored:
            require_depth(records)
    composites = _composites(sources, resolution)
    passes_differ = epoch is None
    first = 0
    if epoch is not None:
        first = (seed << _SEED_SHIFT) + epoch * (samples or 0)
        seed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    order = {"seed": seed, "reshuffle_each_iteration": passes_differ} if shuffle else None
    if samples is None or not shuffle:
        stream, size = one_pass(sources, split, order, samples or COMPOSITES)
    else:
        stream, size = mixed(sources, split, order, samples, first, seed), samples
    # Decoding comes after shuffling (encoded samples are a tenth the size) and works on
    # whole batches: one call into Python a batch, most of it in OpenCV, which releases
    # the interpreter lock.
    change = augment
    if isinstance(change, str):
        change = make_augmentation(change, resolution)
    decode = decoding(stored, composites, split, resolution, change)
    # Draws differ from batch to batch and from pass to pass, whatever the timing.
    draws = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=passes_differ)
    batches = (
        tf.data.Dataset.zip(stream.batch(batch_size), draws)
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


def _sources(
    data: str | Path | Records | EndlessComposites | Sequence[Source], split: str
) -> list[Source]:
    """Return the sources that have the split; there must be one."""
    if isinstance(data, str | Path):
        data = open_records(data)
    if isinstance(data, Records | EndlessComposites):
        data = [Source(data)]
    found = [source for source in data if source.has(split)]
    if not found:
        (named, *_) = [source.data for source in data]
        if isinstance(named, Records):
            where = named.builder.data_path
            available = [name for name in named.builder.info.splits if named.size(name)]
        else:
            where, available = "composites", list(named.splits)
        raise UserError(
            f"{where}: no samples in split {split!r}; it has "
            f"{', '.join(available) or 'none'}."
        )
    return found


def _composites(sources: Sequence[Source], resolution: int) -> EndlessComposites | None:
    found = [
        source.data for source in sources if isinstance(source.data, EndlessComposites)
    ]
    if len(found) > 1:
        raise ValueError(
            f"data may hold one source of composites. Received: {len(found)}. Put their "
            "pictures into one folder."
        )
    if not found or found[0].size == resolution:
        return found[0] if found else None
    return found[0].with_size(resolution)
