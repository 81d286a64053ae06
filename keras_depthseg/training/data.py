"""The data of a training run: records, composites made while training, or a mixture."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_depthseg.datasets.compose import warn_left_out
from keras_depthseg.datasets.composites.configure import make_config
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.datasets.composites.endless import EndlessComposites
from keras_depthseg.datasets.inspection.damage import (
    Damage,
    open_without_damage,
    shown,
)
from keras_depthseg.datasets.missing_splits import tell_missing_splits
from keras_depthseg.datasets.mixture import Source
from keras_depthseg.datasets.opening import Records, open_records
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.errors import UserError
from keras_depthseg.pipeline import COMPOSITES, make_pipeline
from keras_depthseg.training.config import RunConfig

EPOCH_SAMPLES = 1024
"""Samples of an epoch of composites or of a mixture, unless the configuration says."""

_SHOWN = 20
"""Damaged records that a warning names; all of them are in the run folder."""

logger = logging.getLogger(__name__)


class TrainingData:
    """The opened data of a configuration.

    Args:
        config: names the records and the sources of composites.
        largest: largest resolution of the schedule, in pixels.
        damage: of each folder of records what is known to be damaged; with
            `config.skip_damaged` it is left out, and looked for if it is not given.

    Attributes:
        depth: meaning of the depth, see `records.DepthMetadata`; empty without depth.
        damage: of each folder of records what is left out.

    Raises:
        UserError: if the data cannot be used.
    """

    def __init__(
        self, config: RunConfig, largest: int, damage: Sequence[Damage] | None = None
    ):
        self._config = config
        self._records: list[Source] = []
        self.damage: list[Damage] = []
        for i, (path, weight) in enumerate(config.weighted_data):
            known = damage[i] if damage and i < len(damage) else None
            records, left_out = _opened(path, config.skip_damaged, known)
            self._records.append(Source(records, weight))
            self.damage.append(left_out)
        self._composites: EndlessComposites | None = None
        if config.composites is not None:
            options = dataclasses.replace(config.composites, size=largest)
            sources = make_config(options, warn_left_out)
            self._composites = EndlessComposites.of(sources)
        self.depth = self._depth()
        if not self.size("train"):
            raise UserError(
                f"{', '.join(config.data)}: the split 'train' is empty; there is nothing "
                "to train on."
            )
        self._check_loss()

    def _depth(self) -> Mapping[str, Any]:
        found = [_depth_of(records) for records in self.records]
        if self._composites is not None:
            metadata = self._composites.config.settings.depth_metadata
            found.append(dataclasses.asdict(metadata) if metadata else {})
        known = [depth for depth in found if depth]
        for depth in known[1:]:
            if depth != known[0]:
                raise UserError(
                    f"`data`: received depth of two meanings, {dict(known[0])} and "
                    f"{dict(depth)}; expected one, as one network cannot learn both. "
                    "Leave the depth of one of them out."
                )
        self._all_have_depth = len(known) == len(found)
        return known[0] if known else {}

    def _check_loss(self) -> None:
        loss = self._config.recipe.loss
        if self._all_have_depth:
            return
        if loss not in ("per_image", "outline"):
            raise UserError(
                f"`loss`: received {loss}, which counts unknown depth as 0, for samples "
                "without depth; choose per_image or outline, which leave it out, or "
                "give the depth (`depth`)."
            )
        if not self.depth:
            logger.warning("No sample has depth: only the mask is trained.")

    @property
    def records(self) -> list[Records]:
        """The opened records, in the order of the configuration."""
        return [source.data for source in self._records]  # pyright: ignore

    @property
    def fingerprints(self) -> list[dict[str, str]]:
        """`Records.fingerprint` of each."""
        return [dict(records.fingerprint) for records in self.records]

    @property
    def left_out(self) -> list[list[str]]:
        """The damaged records that are left out, of each folder of records."""
        return [damage.lines for damage in self.damage]

    def digest(self, depth_name: str | None = None) -> str | None:
        """Return what changes whenever a picture that is composed does.

        Args:
            depth_name: counts in place of the name of the folder of depth maps.

        Returns:
            `None` without composites.
        """
        if self._composites is None:
            return None
        config = self._composites.config
        depth = config.settings.depth
        if depth_name is not None and isinstance(depth, DepthFolder):
            depth = dataclasses.replace(depth, path=Path(depth_name))
            settings = dataclasses.replace(config.settings, depth=depth)
            config = dataclasses.replace(config, settings=settings)
        return config.fingerprint()

    @property
    def statistics(self) -> dict | None:
        """Mean and standard deviation of the only records; `None` if there are others."""
        if len(self._records) != 1 or self._composites is not None:
            return None
        (records,) = self.records
        return records.statistics

    @property
    def samples(self) -> dict[str, int]:
        """The number of samples of each split; of `train`, those of an epoch."""
        return {split: self.size(split) for split in SPLITS}

    def tell_missing_splits(self) -> None:
        """Log which splits are missing, and the remedy."""
        composed = self._config.composites
        only = composed if not self._records else None
        tell_missing_splits(
            self._config.described_data,
            self.samples,
            chosen=only is None or not only.unseen_fraction,
        )

    def size(self, split: str) -> int:
        """Return the number of samples of a split, see `samples`."""
        stored = sum(records.size(split) for records in self.records)
        composed = self._composites is not None and split in self._composites.splits
        if split == "train" and (stored or composed):
            return self._epoch_samples or stored
        return stored + (COMPOSITES if composed else 0)

    @property
    def _epoch_samples(self) -> int | None:
        """Samples drawn for an epoch; `None` where every stored one comes once."""
        several = len(self._records) > 1 or self._composites is not None
        return self._config.epoch_samples or (EPOCH_SAMPLES if several else None)

    def train_batches(self, resolution: int, **options: Any) -> tf.data.Dataset:
        """Return the batches of an epoch of `train`; options as for `make_pipeline`."""
        return make_pipeline(
            self._sources(resolution),
            "train",
            resolution=resolution,
            samples=self._epoch_samples,
            shuffle=True,
            unknown_depth=True,
            **options,
        )

    def split_batches(
        self, split: str, resolution: int, batch_size: int
    ) -> tf.data.Dataset:
        """Return the batches of a split, in order and without random changes."""
        return make_pipeline(
            self._sources(resolution),
            split,
            resolution=resolution,
            batch_size=batch_size,
            unknown_depth=True,
        )

    def _sources(self, resolution: int) -> list[Source]:
        if self._composites is None:
            return self._records
        if self._composites.size != resolution:
            # TensorFlow keeps the reader of the last phase, with all that it holds.
            self._composites.forget()
            self._composites = self._composites.with_size(resolution)
        composites = Source(self._composites, self._config.composites_weight)
        return [*self._records, composites]


def _opened(path: str, skip: bool, known: Damage | None) -> tuple[Records, Damage]:
    """Return records, and what is left out of them."""
    if not skip:
        return open_records(path), Damage()
    if known is None:
        records, damage = open_without_damage(path)
    else:
        try:
            records, damage = open_records(path, whole=known.whole), known
        except UserError:  # More is damaged since.
            records, damage = open_without_damage(path)
    if damage.lines:
        logger.warning(
            "%s: left out as they are damaged: %s",
            *(path, shown(damage.lines, _SHOWN)),
        )
    return records, damage


def _depth_of(records: Records) -> Mapping[str, Any]:
    return records.depth if records.has_depth else {}
