"""TensorFlow Datasets builder for the original assignment's folder layout."""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import records
from keras_depthseg.datasets.building.clean_builder import data_set_path, prepare
from keras_depthseg.datasets.building.partial import remove_leftover
from keras_depthseg.datasets.building.sharded import ShardedBuilder
from keras_depthseg.datasets.building.shards import Finding, Shard, parts, shard_count
from keras_depthseg.datasets.original_layout import (
    left_out,
    masks,
    reader,
    survey,
    tables,
)
from keras_depthseg.datasets.original_layout.depth import LARGER
from keras_depthseg.datasets.original_layout.examples import ExampleReader, LayoutShard
from keras_depthseg.datasets.splits import (
    SPLITS,
    SPLITTINGS,
    assign_split,
    hash_fraction,
    held_out,
    random_split,
)
from keras_depthseg.errors import UserError


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
        larger: what a larger number of the depth pictures means, `"farther"` or
            `"nearer"`; records are written with larger = farther.
        skip_damaged: leave samples out that cannot be used, and name them, in place of
            refusing all.
        workers: threads that read and check; `None` takes one for each core. The records
            do not depend on the number.
    """

    source: Path | str | None = None
    val_fraction: float = 0.1
    unseen_fraction: float = 0.1
    splitting: str = "identity"
    seed: int = 0
    depth_dtype: str = "uint8"
    larger: str = "farther"
    skip_damaged: bool = False
    workers: int | None = None

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
        if self.larger not in LARGER:
            raise UserError(
                f"`larger`: received {self.larger!r}; expected 'farther', where bright "
                "depth is far, or 'nearer'. Choose one."
            )
        if self.depth_dtype not in ("uint8", "uint16"):
            raise UserError(
                f"`depth_dtype`: received {self.depth_dtype!r}; expected 'uint8' or "
                "'uint16'. Choose the type of the depth pictures."
            )


class Builder(ShardedBuilder):
    """Builds a data set from a source folder in the original layout.

    Mistakes in the source raise `UserError` and leave nothing behind; a build that was
    killed is resumed. `num_shards` of the download configuration is the number of files
    of each split, by default one for each 256 samples.
    """

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {
        "1.1.0": "Masks are brought to one scale, what is left out is named.",
        "1.0.0": "Initial release.",
    }
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        "Put file_map.txt, bg/, fg_bg/, fg_bg_mask/ and fg_bg_depth/ into manual_dir, "
        "or pass config=OriginalLayoutConfig(name=…, source=…)."
    )

    _asked: tfds.download.DownloadConfig = tfds.download.DownloadConfig()

    @property
    def _config(self) -> OriginalLayoutConfig:
        return self.builder_config or OriginalLayoutConfig(name="manual")

    # TFDS wraps its own method for logging, which changes the type.
    def download_and_prepare(  # pyright: ignore[reportIncompatibleVariableOverride]
        self,
        *,
        download_config: tfds.download.DownloadConfig | None = None,
        **kwargs,
    ) -> None:
        """Build the data set, see `ShardedBuilder`."""
        self._asked = download_config or tfds.download.DownloadConfig()
        try:
            super().download_and_prepare(download_config=download_config, **kwargs)
        finally:
            reader.close_zips()

    def _fingerprint(self) -> str:
        source = self._config.source or self._asked.manual_dir
        settings = super()._fingerprint(), self._asked.num_shards
        # Without either, a folder of TFDS holds the source.
        return reader.fingerprint(Path(source), settings) if source else repr(settings)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            features=records.sample_features(np.dtype(self._config.depth_dtype).type),
            metadata=records.sample_metadata(records.DepthMetadata()),
        )

    def _shards(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Shard]]:
        config = self._config
        source = reader.Layout(config.source or Path(dl_manager.manual_dir))
        splits = _splits(source, config)
        if not config.skip_damaged:
            _check_complete(source)
        opaque = masks.opaque_values(survey.mask_peaks(source))
        dtype = np.dtype(config.depth_dtype).type
        examples = ExampleReader(source, dtype, config.larger, opaque)
        found = survey.look(examples, source, config.larger)
        # Hardly anything can be used: said now, and not after an hour.
        bad = len(left_out.reasons(found))
        if bad >= left_out.MOST_NAMED and not config.skip_damaged:
            looked_at = len(survey.some(source.samples))
            raise left_out.refuse(found, f"{looked_at} samples looked at")
        return {
            split: [
                LayoutShard(examples, part)
                for part in parts(
                    _ordered(splits[split], config.seed),
                    self._asked.num_shards or shard_count(len(splits[split])),
                )
            ]
            for split in SPLITS
            if split in splits
        }

    def _review(
        self, findings: Sequence[Finding], splits: Mapping[str, Sequence[dict]]
    ) -> None:
        refused = [finding for finding in findings if finding.left_out]
        used = {
            split: sum(summary["samples"] for summary in summaries)
            for split, summaries in splits.items()
        }
        total = sum(used.values()) + len(refused)
        if refused and not (self._config.skip_damaged and used["train"]):
            raise left_out.refuse(refused, f"{total:,} samples")
        left_out.report(findings, total)
        left_out.write(findings, Path(self.data_path))
        if findings:
            metadata: Any = self.info.metadata
            metadata["left_out"] = len(refused)
            metadata["doubtful"] = len(findings) - len(refused)


def _splits(
    source: reader.Layout, config: OriginalLayoutConfig
) -> dict[str, list[tables.MapRow]]:
    """Return the samples of each split.

    Raises:
        UserError: none is left for training.
    """
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
    return dict(splits)


def _check_complete(source: reader.Layout) -> None:
    """Refuse pictures and boxes that are missing, before any picture is read."""
    findings = []
    for sample in source.samples:
        try:
            source.check(sample)
        except UserError as error:
            findings.append(Finding(sample.fg_bg, str(error), left_out=True))
    if findings:
        samples = f"{len(source.samples):,} samples"
        raise left_out.refuse(findings, samples)


def _ordered(samples: Sequence[tables.MapRow], seed: int) -> list[tables.MapRow]:
    """Return samples in a random order, those of a few backgrounds together.

    So that a shard opens few zips, and batches have many backgrounds.
    """
    backgrounds = sorted(
        {sample.bg for sample in samples}, key=lambda name: hash_fraction(seed, name)
    )
    group = {
        name: index // reader.BACKGROUNDS_TOGETHER
        for index, name in enumerate(backgrounds)
    }
    return sorted(
        samples, key=lambda row: (group[row.bg], hash_fraction(seed, row.fg_bg))
    )


def build(
    source: Path | str,
    data_dir: Path | str,
    *,
    val_fraction: float = 0.1,
    unseen_fraction: float = 0.1,
    splitting: str = "identity",
    seed: int = 0,
    larger: str = "farther",
    skip_damaged: bool = False,
) -> Path:
    """Build the data set of a source, or find it when it has been built already.

    The folder's name holds a hash of the settings and of the source: its path, its
    tables, and its files' names, sizes and modification times. A changed source is
    therefore built anew, beside the old data set.

    Args:
        source: a folder as `reader` describes it.
        data_dir: where data sets are; created when missing.
        val_fraction, unseen_fraction, splitting, seed, larger, skip_damaged: see
            `OriginalLayoutConfig`.

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
        "larger": larger,
    }
    path = _place(source, data_dir, settings)
    # Where nothing was damaged, nothing was left out.
    if skip_damaged and not path.exists():
        settings["skip_damaged"] = True
        path = _place(source, data_dir, settings)
    if path.exists():
        remove_leftover(path)
        left_out.remind(path)
        return path
    config = OriginalLayoutConfig(name=path.parent.name, source=source, **settings)
    config.depth_dtype = survey.depth_dtype(reader.Layout(source))
    return prepare(Builder, config, data_dir)


def _place(source: Path, data_dir: Path | str, settings: dict[str, Any]) -> Path:
    """Return the folder of the data set of a source."""
    digest = reader.fingerprint(source, *settings.items())[:16]
    # TFDS names a folder after the configuration.
    readable = re.sub(r"[^A-Za-z0-9-]+", "_", source.resolve().name)[:40]
    config = OriginalLayoutConfig(name=f"{readable}-{digest}", source=source, **settings)
    return data_set_path(Builder, config, data_dir)
