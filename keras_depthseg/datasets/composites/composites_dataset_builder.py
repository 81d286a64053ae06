"""Composites of cutouts on backgrounds, as a TensorFlow Datasets builder."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import encode, records, rooms
from keras_depthseg.datasets.composites import paste, placing
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.plan import Entry, Plan
from keras_depthseg.datasets.composites.scene import Scene
from keras_depthseg.datasets.records import ImageStatistics
from keras_depthseg.datasets.sharded import Shard, ShardedBuilder, parts, shard_count
from keras_depthseg.datasets.teacher import Teacher, TeacherSettings, load_teacher
from keras_depthseg.errors import UserError

# Of what a `Maker` keeps decoded, of backgrounds and of cutouts each.
_CACHE_BYTES = 2**28
# Labelled at a time.
_BATCH = 16
_SAMPLE = 3
"""Keeps the random streams of samples apart from those of the plan."""


class Background(Protocol):
    """A background to compose on, such as `gather.Background`; can be pickled.

    Attributes:
        name: for the metadata.
        digest: changes when the picture or its depth does.
        group: what has one group stays in one split.
    """

    name: str
    digest: str
    group: str

    def read(self, size: int) -> tuple[np.ndarray, np.ndarray | None]:
        """(size, size, 3) uint8 RGB, and (size, size) float32 depth in [0, 1], larger =
        farther, 0 where unknown; `None` without depth."""


class Cutout(Protocol):
    """A cutout to compose, such as `gather.Cutout`; attributes as of `Background`."""

    name: str
    digest: str
    group: str

    def read(self, height: int, largest: int) -> Layer:
        """As high as `height` pixels, or less where it would be wider than `largest`."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How composites are made of backgrounds and cutouts.

    Attributes:
        size: height and width of the pictures, in pixels.
        fg_height: of the cutouts, in pixels; of a standing one at the usual distance.
        placement: one of `placing.PLACEMENTS`.
        shadow: part of the composites with a cast shadow, 0..1.
        lossless: `bg` and `fg_bg` as PNG instead of JPEG of quality 95.
        depth: what gives depth: a folder of maps, a network, `"rooms"` or `"sensor"`,
            which the backgrounds have, or nothing.
        seed: of the places.
    """

    size: int = 224
    fg_height: int = 108
    placement: str = "anywhere"
    shadow: float = 0.0
    lossless: bool = False
    depth: DepthFolder | TeacherSettings | str | None = None
    seed: int = 0

    @property
    def depth_metadata(self) -> records.DepthMetadata | None:
        """What the stored depth means; `None` without depth."""
        if isinstance(self.depth, DepthFolder | TeacherSettings):
            return self.depth.metadata
        if self.depth == "rooms":
            return records.DepthMetadata("metre", rooms.SCALE)
        return None


@dataclasses.dataclass(eq=False)
class CompositesConfig(tfds.core.BuilderConfig):
    """What is composed, how, and how it is split.

    Attributes:
        backgrounds, cutouts: what is composed.
        recipe: how composites are made.
        placements: places of each cutout on each background.
        flip: as many again with the cutout mirrored.
        count: draws so many of all combinations; `None` takes all.
        splitting: `"identity"` keeps backgrounds and cutouts out of `train`;
            `"random"` splits composites at random, as the original did.
        val_fraction, unseen_fraction: see `Plan.splits`.
        licences: by `bg` and `fg`, as the user gave them.
        workers: threads that compose; `None` takes one for each core. The records do
            not depend on it.
    """

    backgrounds: Sequence[Background] = ()
    cutouts: Sequence[Cutout] = ()
    recipe: Recipe = Recipe()
    placements: int = 20
    flip: bool = True
    count: int | None = None
    splitting: str = "identity"
    val_fraction: float = 0.1
    unseen_fraction: float = 0.1
    licences: Mapping[str, str] = dataclasses.field(default_factory=dict)
    workers: int | None = None

    @property
    def plan(self) -> Plan:
        return Plan(
            backgrounds=len(self.backgrounds),
            cutouts=len(self.cutouts),
            placements=self.placements,
            flip=self.flip,
            count=self.count,
            seed=self.recipe.seed,
        )

    @property
    def settings(self) -> dict[str, Any]:
        """Everything but the pictures, as JSON can hold it."""
        recipe = dataclasses.asdict(self.recipe)
        if isinstance(self.recipe.depth, DepthFolder):
            # Where it lies does not count; each map's digest does.
            recipe["depth"]["path"] = self.recipe.depth.path.name
        elif isinstance(self.recipe.depth, TeacherSettings):
            recipe["depth"] = {
                **recipe["depth"],
                "network": self.recipe.depth.network.rpartition("/")[2],
                "fingerprint": self.recipe.depth.fingerprint(),
                "range": self.recipe.depth.range,
            }
        return {
            **recipe,
            "placements": self.placements,
            "flip": self.flip,
            "count": self.count,
            "splitting": self.splitting,
            "val_fraction": self.val_fraction,
            "unseen_fraction": self.unseen_fraction,
        }

    @property
    def sources(self) -> dict[str, dict[str, str]]:
        """What each background and cutout is, by its id, for the metadata."""
        return {
            name(index): {"file": source.name, "sha256": source.digest}
            for name, found in (
                (self.plan.bg_id, self.backgrounds),
                (self.plan.fg_id, self.cutouts),
            )
            for index, source in enumerate(found)
        }

    def fingerprint(self) -> str:
        """64 hexadecimal digits that change whenever the records do."""
        sources = [
            (source.name, source.digest, source.group)
            for source in (*self.backgrounds, *self.cutouts)
        ]
        text = json.dumps(
            [str(Builder.VERSION), self.settings, dict(self.licences), sources],
            sort_keys=True,
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def splits(self) -> dict[str, np.ndarray]:
        """The numbers of the plan's entries, by split.

        Raises:
            UserError: nothing is left for training.
        """
        splits = self.plan.splits(
            [found.group for found in self.backgrounds],
            [found.group for found in self.cutouts],
            val_fraction=self.val_fraction,
            unseen_fraction=self.unseen_fraction,
            by_identity=self.splitting == "identity",
        )
        if "train" not in splits:
            raise UserError(
                f"splits: received {len(self.backgrounds)} backgrounds, "
                f"{len(self.cutouts)} cutouts and {len(self.plan.numbers())} samples, "
                "of which none is left for training; expected more of them. Add "
                "pictures, or choose smaller fractions."
            )
        return splits


class Builder(ShardedBuilder):
    """Builds the data set `composites`."""

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}

    @property
    def _config(self) -> CompositesConfig:
        return self.builder_config or CompositesConfig(name="empty")

    def _fingerprint(self) -> str:
        return self._config.fingerprint()

    def _info(self) -> tfds.core.DatasetInfo:
        config = self._config
        depth = config.recipe.depth_metadata
        metadata = records.sample_metadata(depth)
        metadata["composed"] = config.settings
        metadata["licences"] = dict(config.licences)
        metadata["sources"] = config.sources
        return self.dataset_info_from_configs(
            features=records.sample_features(np.uint16 if depth else None),
            metadata=metadata,
            supervised_keys=None,
        )

    def _shards(
        self, dl_manager: tfds.download.DownloadManager
    ) -> Mapping[str, Sequence[Shard]]:
        del dl_manager  # the pictures are here
        return composites_shards(self._config)


def composites_shards(config: CompositesConfig) -> dict[str, list[Shard]]:
    """The shards of each split, for a builder of any sources.

    Raises:
        UserError: nothing is left for training.
    """
    maker = Maker.of(config)
    return {
        split: [
            _CompositesShard(maker, part)
            for part in parts(numbers, shard_count(len(numbers)))
        ]
        for split, numbers in config.splits().items()
    }


@dataclasses.dataclass(frozen=True, eq=False)
class Maker:
    """Makes composites one by one; each depends on its number and the recipe only.

    Keeps the pictures that it has read last; threads may share it. Can be pickled before
    it is used.
    """

    recipe: Recipe
    plan: Plan
    backgrounds: Sequence[Background]
    cutouts: Sequence[Cutout]

    @classmethod
    def of(cls, config: CompositesConfig) -> Maker:
        """For the composites of a configuration."""
        return cls(config.recipe, config.plan, config.backgrounds, config.cutouts)

    @functools.cached_property
    def scene(self) -> Callable[[int], Scene]:
        """Gives the background of an index."""
        # 4 bytes a pixel; with depth, its holes filled and ground 10 more.
        largest = (4 if self.recipe.depth is None else 14) * self.recipe.size**2
        return functools.lru_cache(max(1, _CACHE_BYTES // largest))(
            lambda index: make_scene(self.backgrounds[index], self.recipe)
        )

    @functools.cached_property
    def _layer(self) -> Callable[[int], Layer]:
        # Nearer standing ones are higher; shrinking is better than enlarging.
        factor = 2 if self.recipe.placement == "standing" else 1
        size = factor * self.recipe.fg_height, factor * self.recipe.size
        return functools.lru_cache(max(1, _CACHE_BYTES // (4 * size[0] * size[1])))(
            lambda index: self.cutouts[index].read(*size)
        )

    def composites(
        self, numbers: np.ndarray
    ) -> Iterator[tuple[Entry, Scene, paste.Composite]]:
        """Composites of entries of the plan, in order, labelled if there is a teacher."""
        teacher = None
        if isinstance(self.recipe.depth, TeacherSettings):
            teacher = _teacher(self.recipe.depth)
        for start in range(0, len(numbers), _BATCH):
            batch = numbers[start : start + _BATCH].tolist()
            made = [self._composite(number) for number in batch]
            if teacher is None:
                yield from made
                continue
            depths = teacher.label(np.stack([it.fg_bg for _, _, it in made]))
            depths = np.maximum(depths, np.float32(records.NEAREST_DEPTH))
            for (entry, scene, composite), depth in zip(made, depths, strict=True):
                yield entry, scene, dataclasses.replace(composite, depth=depth)

    def _composite(self, number: int) -> tuple[Entry, Scene, paste.Composite]:
        entry = self.plan.entry(number)
        scene = self.scene(entry.bg)
        cutout = self._layer(entry.fg)
        composite = placing.make_composite(
            scene,
            cutout.flipped() if entry.flip else cutout,
            self.recipe.fg_height,
            self.recipe.placement,
            self.recipe.shadow,
            np.random.default_rng([self.recipe.seed, _SAMPLE, number]),
        )
        return entry, scene, composite


@dataclasses.dataclass(frozen=True, eq=False)
class _CompositesShard(Shard):
    """Entries of the plan, by their numbers, (N,) int64."""

    maker: Maker
    numbers: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def examples(self) -> Iterator[records.Example]:
        for entry, scene, composite in self.maker.composites(self.numbers):
            height, width = composite.mask.shape
            top, left, bottom, right = composite.box
            features = {
                "bg": scene.encoded,
                "fg_bg": scene.encode(composite.fg_bg, *composite.changed),
                "mask": encode.encode_mask(composite.mask),
                "sample_id": entry.sample_id,
                "bg_id": entry.bg_id,
                "fg_id": entry.fg_id,
                "box": tfds.features.BBox(
                    top / height, left / width, bottom / height, right / width
                ),
            }
            if composite.depth is not None:
                features["depth"] = encode.encode_depth(composite.depth)
            yield records.Example(
                features, scene.statistics, ImageStatistics.of(composite.fg_bg)
            )


def make_scene(background: Background, recipe: Recipe) -> Scene:
    """Reads a background, and its depth where that is known before composing."""
    return Scene.of(*background.read(recipe.size), recipe.lossless)


_loading = threading.Lock()
_load_teacher = functools.lru_cache(1)(load_teacher)


def _teacher(settings: TeacherSettings) -> Teacher:
    # Threads that want it at once wait for one network and do not each load their own.
    with _loading:
        return _load_teacher(settings)
