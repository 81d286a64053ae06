"""Streams of samples from records, from composites made on the way, or from both."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_depthseg.datasets.composites.endless import EndlessComposites
from keras_depthseg.datasets.frames import read_stretches
from keras_depthseg.datasets.opening import Records

# Of encoded samples, 20 to 60 kB each in the original's data set. TFDS writes samples in
# hashed order, so a buffer smaller than the data set still mixes well.
SHUFFLE_BUFFER_BYTES = 256 * 2**20

NOT_COMPOSED = -1
"""The number of a sample that is stored."""


@dataclasses.dataclass(frozen=True)
class Source:
    """Samples, and how often they are drawn.

    Attributes:
        data: records, or composites without end.
        weight: its share of the samples is its weight over the sum of all weights.
    """

    data: Records | EndlessComposites
    weight: float = 1.0

    def has(self, split: str) -> bool:
        """Return whether the split has samples."""
        if isinstance(self.data, Records):
            return self.data.size(split) > 0
        return split in self.data.splits


def one_pass(
    sources: Sequence[Source], split: str, order: dict | None, composed: int
) -> tuple[tf.data.Dataset, int]:
    """Return every stored sample of a split once, then the first composites.

    Args:
        sources: those that have the split.
        split: its name.
        order: `seed` and `reshuffle_each_iteration`; `None` keeps the stored order.
        composed: composites of each source of them, numbers from 0.

    Returns:
        A data set of `(serialized, number)`: a `tf.train.Example` and `NOT_COMPOSED`, or
        an empty one and the number of a composite; and the number of samples.
    """
    streams, count = [], 0
    for source in sources:
        if isinstance(source.data, Records):
            streams.append(_stored(source.data, split, order))
            count += source.data.size(split)
        else:
            streams.append(_composed(0, composed))
            count += composed
    stream = streams[0]
    for following in streams[1:]:
        stream = stream.concatenate(following)
    return stream, count


def mixed(
    sources: Sequence[Source],
    split: str,
    order: dict | None,
    samples: int,
    number: int,
    seed: int,
) -> tf.data.Dataset:
    """Return samples drawn from several sources by weight.

    Stored samples are read in passes: none comes again before all have come.

    Args:
        sources, split, order: as for `one_pass`.
        samples: number of samples.
        number: of the first composite; those of an epoch must not come again.
        seed: of the draw of sources.

    Returns:
        A data set as that of `one_pass`.
    """
    streams = [
        _stored(source.data, split, order).repeat()
        if isinstance(source.data, Records)
        else _composed(number, samples)
        for source in sources
    ]
    if len(streams) > 1:
        weights = np.array([source.weight for source in sources])
        stream = tf.data.Dataset.sample_from_datasets(
            streams,
            (weights / weights.sum()).tolist(),
            seed=seed,
            rerandomize_each_iteration=False,
        )
    else:
        (stream,) = streams
    return stream.take(samples)


def _composed(first: int, count: int) -> tf.data.Dataset:
    numbers = tf.data.Dataset.range(first, first + count)
    return numbers.map(lambda number: (tf.constant(b""), number))


def _stored(records: Records, split: str, order: dict | None) -> tf.data.Dataset:
    """Return the serialized samples of a split, shuffled if there is an `order`."""
    info = records.builder.info.splits[split]
    found = [
        (str(shard.path), stretches)
        for shard in records.shards()
        if shard.split == split
        and (stretches := [each for each in records.stretches(shard) if each.records])
    ]
    paths, stretches = zip(*found, strict=True)
    shards = tf.data.Dataset.from_tensor_slices(
        (list(paths), tf.ragged.constant(stretches, tf.int64, inner_shape=(2,)))
    )
    if order is not None:
        shards = shards.shuffle(len(found), **order)
    samples = shards.interleave(
        read_stretches,  # pyright: ignore[reportArgumentType]: of two parts
        cycle_length=min(len(found), 8),
        block_length=16,
    )
    if order is not None:
        affordable = SHUFFLE_BUFFER_BYTES * info.num_examples // info.num_bytes
        buffer = max(1, min(records.size(split), affordable))
        samples = samples.shuffle(buffer, **order)
    return samples.map(
        lambda serialized: (serialized, tf.constant(NOT_COMPOSED, tf.int64))
    )
