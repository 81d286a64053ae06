"""TensorFlow Datasets builder for the original assignment's folder layout."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import records
from keras_depthseg.datasets.building.clean_builder import (
    CleanBuilder,
    data_set_path,
    prepare,
)
from keras_depthseg.datasets.original_layout import reader, tables
from keras_depthseg.datasets.original_layout.examples import ExampleReader
from keras_depthseg.datasets.splits import (
    SPLITS,
    SPLITTINGS,
    assign_split,
    held_out,
    random_split,
)
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import checks


@dataclasses.dataclass(eq=False)
class OriginalLayoutConfig(tfds.core.BuilderConfig):
    """The source of a data set, and how it is split.

    Attributes:
        source: a folder as `reader` describes it; `None` takes the `manual_dir` of the
            download configuration.
        val_fraction: part of the samples with a seen background and a seen cutout
            that is in `val`; 0 or more, less than 1.
        unseen_fraction: part of the backgrounds, and of the cutouts, that is kept out
            of `train` and `val`; 0 or more, less than 1.
        splitting: one of `SPLITTINGS`; by `random`, `val_fraction` is of all
            samples.
        seed: of the splits.
        depth_dtype: `"uint8"`, or `"uint16"` when the depth pictures are 16-bit PNGs.
    """

    source: Path | str | None = None
    val_fraction: float = 0.1
    unseen_fraction: float = 0.1
    splitting: str = "identity"
    seed: int = 0
    depth_dtype: str = "uint8"

    def __post_init__(self):
        for name in ("val_fraction", "unseen_fraction"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise UserError(
                    f"`{name}`: received {value!r}; expected a number of at least 0 and "
                    "less than 1. Choose a smaller part, such as 0.1."
                )
        if self.splitting not in SPLITTINGS:
            raise UserError(
                f"`splitting`: received {self.splitting!r}; expected "
                f"{' or '.join(map(repr, SPLITTINGS))}. Choose one."
            )
        if self.depth_dtype not in ("uint8", "uint16"):
            raise UserError(
                f"`depth_dtype`: received {self.depth_dtype!r}; expected 'uint8' or "
                "'uint16'. Choose the type of the depth pictures."
            )


# TFDS wraps its own download_and_prepare for logging, which changes the type.
class Builder(  # pyright: ignore[reportIncompatibleVariableOverride]
    CleanBuilder, tfds.core.GeneratorBasedBuilder
):
    """Builds a data set from a source folder in the original layout.

    Mistakes in the source raise `UserError` and leave nothing behind.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "Initial release."}
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put file_map.txt, bg/, fg_bg/, fg_bg_mask/ and fg_bg_depth/ into manual_dir, "
        "or pass config=OriginalLayoutConfig(name=…, source=…)."
    )

    @property
    def _config(self) -> OriginalLayoutConfig:
        return self.builder_config or OriginalLayoutConfig(name="manual")

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=records.sample_features(np.dtype(self._config.depth_dtype).type),
            metadata=records.sample_metadata(records.DepthMetadata()),
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager):
        config = self._config
        source = reader.Layout(config.source or Path(dl_manager.manual_dir))
        unseen = {
            kind: held_out(ids, config.unseen_fraction, config.seed)
            for kind, ids in {
                "unseen_bg": [sample.bg_id for sample in source.samples],
                "unseen_fg": [sample.fg_id for sample in source.samples],
            }.items()
        }
        splits = collections.defaultdict(list)
        for sample in source.samples:
            if config.splitting == "random":
                split = random_split(
                    sample.fg_bg, val_fraction=config.val_fraction, seed=config.seed
                )
            else:
                split = assign_split(
                    sample.bg_id,
                    sample.fg_id,
                    **unseen,
                    val_fraction=config.val_fraction,
                    seed=config.seed,
                )
            splits[split].append(sample)
        if "train" not in splits:
            raise UserError(
                f"{source.root / tables.FILE_MAP}: no sample is left for training; "
                f"received {len(source.samples)} samples, `val_fraction` "
                f"{config.val_fraction}, `unseen_fraction` {config.unseen_fraction}. Add "
                "samples or choose smaller fractions."
            )
        examples = ExampleReader(source, np.dtype(config.depth_dtype).type)
        return {
            split: self._generate_examples(examples, splits[split], split == "train")
            for split in SPLITS
            if split in splits
        }

    def _generate_examples(
        self, examples: ExampleReader, samples: Sequence[tables.MapRow], is_train: bool
    ) -> Iterator[tuple[str, dict]]:
        total = {
            "bg": records.ImageStatistics(),
            "fg_bg": records.ImageStatistics(),
        }
        for example in examples.examples(samples):
            for field, statistics in total.items():
                statistics += getattr(example, field)
            yield example.features["sample_id"], example.features
        if is_train:
            metadata: Any = self.info.metadata
            metadata["statistics"] = {
                field: statistics.result() for field, statistics in total.items()
            }


def build(
    source: Path | str,
    data_dir: Path | str,
    *,
    val_fraction: float = 0.1,
    unseen_fraction: float = 0.1,
    splitting: str = "identity",
    seed: int = 0,
) -> Path:
    """Build the data set of a source, or find it when it has been built already.

    The folder's name holds a hash of the settings and of the source: its path, its
    tables, and its files' names, sizes and modification times. A changed source is
    therefore built anew, beside the old data set.

    Args:
        source: a folder as `reader` describes it.
        data_dir: where data sets are; created when missing.
        val_fraction, unseen_fraction, splitting, seed: see `OriginalLayoutConfig`.

    Returns:
        The folder that `tfds.builder_from_directory` opens.

    Raises:
        UserError: the source or an argument cannot be used.
    """
    source = Path(source)
    settings = {
        "val_fraction": val_fraction,
        "unseen_fraction": unseen_fraction,
        "splitting": splitting,
        "seed": seed,
    }
    digest = reader.fingerprint(source, *settings.items())[:16]
    # TFDS names a folder after the configuration.
    readable = re.sub(r"[^A-Za-z0-9-]+", "_", source.resolve().name)[:40]
    config = OriginalLayoutConfig(name=f"{readable}-{digest}", source=source, **settings)
    path = data_set_path(Builder, config, data_dir)
    if not path.exists():
        config.depth_dtype = _depth_dtype(source)
        prepare(Builder, config, data_dir)
    return path


def _depth_dtype(source: Path) -> str:
    """Return the dtype of the first depth picture; the others must have it too."""
    with reader.Layout(source) as pictures:
        _, data = pictures.read("depth", pictures.samples[0])
    return f"uint{checks.bits_per_channel(data)}"
