"""An experiment: the data, phases, model and batches that follow from a configuration."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_depthseg.augment.changes import make_augmentation
from keras_depthseg.augment.names import AUGMENTATIONS
from keras_depthseg.datasets.composites.options import ROOMS, ComposeOptions
from keras_depthseg.datasets.inspection.damage import Damage
from keras_depthseg.datasets.locate import split_weight
from keras_depthseg.model import TwoPictureNetwork
from keras_depthseg.model_file import ModelFile
from keras_depthseg.precision import check_xla, resolve_precision
from keras_depthseg.pretrained import is_pretrained
from keras_depthseg.schedule import Phase
from keras_depthseg.shapes import ceil_div
from keras_depthseg.text import split_option
from keras_depthseg.training.compiled_model import compiled_model
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.data import TrainingData

PICTURED_SAMPLES = 6


class Experiment:
    """A configuration with its data opened: all that a training run needs.

    Everything random follows from the seed of the configuration.

    Args:
        config: how to train on which data.
        damage: of each folder of records what is known to be damaged, see `TrainingData`.

    Attributes:
        config: the same, with absolute paths and the precision of this machine.
        data: the opened data.
        phases: the phases of the schedule.
        validation: the split to validate on; `None` where it is empty.
        start: the model whose weights the run starts from, if any.

    Raises:
        UserError: if the configuration or the data cannot be used.
    """

    def __init__(self, config: RunConfig, damage: Sequence[Damage] | None = None):
        recipe = config.recipe
        if recipe.augment not in AUGMENTATIONS:
            path = str(Path(recipe.augment).resolve())
            recipe = dataclasses.replace(recipe, augment=path)
        self.start, start_from = None, config.start_from
        if start_from is not None:
            # A name stays, as its file may be elsewhere when the run is resumed.
            named = is_pretrained(start_from)
            self.start = ModelFile.open(
                start_from if named else Path(start_from).resolve()
            )
            self.start.require_same(recipe.network, recipe.width)
            start_from = start_from if named else str(self.start.path)
        self.config = dataclasses.replace(
            config,
            recipe=recipe,
            data=tuple(map(_absolute, config.data)),
            composites=config.composites and _absolute_sources(config.composites),
            start_from=start_from,
            precision=resolve_precision(config.precision),
        )
        self.phases = self.config.phases
        # Refuses a file that is no pipeline before anything is written.
        make_augmentation(recipe.augment, self.phases[0].resolution)
        if config.xla:
            check_xla(self.config.precision)
        largest = max(phase.resolution for phase in self.phases)
        self.data = TrainingData(self.config, largest, damage)
        self.validation = "val" if self.data.size("val") else None

    @property
    def augment_digest(self) -> str | None:
        """The SHA-256 of the augmentation's file; `None` for one of our own."""
        augment = self.config.recipe.augment
        if augment in AUGMENTATIONS:
            return None
        return hashlib.sha256(Path(augment).read_bytes()).hexdigest()

    @property
    def start_digest(self) -> str | None:
        """The SHA-256 of the model that the run starts from, if any."""
        return self.start and self.start.sha256()

    @property
    def epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def samples(self) -> dict[str, int]:
        """The number of samples of each split."""
        return self.data.samples

    @property
    def steps(self) -> int:
        """Training steps of all phases together."""
        size = self.data.size("train")
        return sum(
            phase.epochs * ceil_div(size, phase.batch_size) for phase in self.phases
        )

    def model(self) -> TwoPictureNetwork:
        """Return a new compiled model, the same each time.

        Sets the seed of Python, NumPy and the backend for the whole process, and with
        `config.deterministic` TensorFlow's deterministic operations, which cannot be
        switched off again.
        """
        if self.config.deterministic:
            tf.config.experimental.enable_op_determinism()
        return compiled_model(
            self.config.recipe,
            self.steps,
            self.config.precision,
            self.config.seed,
            self.data.statistics,
            self.config.xla,
            depth=bool(self.data.depth),
            start=self.start,
        )

    def train_batches(self, phase: Phase, epoch: int, step: int = 0) -> tf.data.Dataset:
        """Return the batches of an epoch from a step on, as `make_pipeline` does.

        They follow from the seed and the epoch alone.

        Args:
            phase: gives resolution and batch size.
            epoch: from 0, counted over all phases.
            step: batches of this epoch to skip.
        """
        return self.data.train_batches(**self._train_options(phase, epoch, step))

    def sample_ids(self, phase: Phase, epoch: int, step: int) -> list[str]:
        """Return the ids of the samples of one training batch."""
        options = self._train_options(phase, epoch, step)
        batches = self.data.train_batches(whole_samples=True, **options)
        (batch,) = batches.take(1).as_numpy_iterator()
        return [name.decode() for name in batch["sample_id"]]

    def _train_options(self, phase: Phase, epoch: int, step: int) -> dict[str, Any]:
        return {
            "resolution": phase.resolution,
            "batch_size": phase.batch_size,
            "augment": self.config.recipe.augment,
            "seed": self.config.seed,
            "epoch": epoch,
            "skip": step,
        }

    def validation_batches(self, phase: Phase) -> tf.data.Dataset | None:
        """Return the batches to validate on; `None` without any."""
        if self.validation is None:
            return None
        return self.split_batches(self.validation, phase)

    def split_batches(self, split: str, phase: Phase) -> tf.data.Dataset:
        """Return the batches of a split, in order and without random changes."""
        return self.data.split_batches(split, phase.resolution, phase.batch_size)

    def pictured_samples(self, resolution: int) -> tuple[dict, dict]:
        """Return inputs and labels of the samples that are drawn: NumPy arrays.

        The first `PICTURED_SAMPLES` of `val`, or of `train` where that is empty.
        """
        batches = self.data.split_batches(
            self.validation or "train", resolution, PICTURED_SAMPLES
        )
        inputs, labels = next(iter(batches.take(1).as_numpy_iterator()))
        return inputs, labels


def _absolute(data: str) -> str:
    path, weight = split_weight(data)
    path = str(Path(path).resolve())
    return path if weight == 1 else f"{path},weight={weight:g}"


def _absolute_sources(options: ComposeOptions) -> ComposeOptions:
    """Return the options with absolute paths; names of rendered rooms stay."""
    depth = options.depth
    if depth is not None:
        name, pairs = split_option(depth)
        depth = ",".join([str(Path(name).resolve()), *pairs])
    bg = options.bg
    if not ROOMS.fullmatch(bg):
        bg = str(Path(bg).resolve())
    return dataclasses.replace(
        options,
        bg=bg,
        fg=Path(options.fg).resolve(),
        fg_mask=options.fg_mask and Path(options.fg_mask).resolve(),
        depth=depth,
    )
