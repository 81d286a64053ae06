"""The configuration of a data set of composites, and the protocols of its sources."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import records
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.plan import Plan
from keras_depthseg.datasets.rooms import rooms_dataset_builder
from keras_depthseg.datasets.teacher.teacher import TeacherSettings
from keras_depthseg.errors import UserError

# Of the builder. Part of the fingerprint: another version composes again.
VERSION = "1.0.0"


class BackgroundSource(Protocol):
    """A background to compose on, such as `gather.FolderBackground`; can be pickled."""

    @property
    def name(self) -> str:
        """For the metadata."""
        ...

    @property
    def digest(self) -> str:
        """Changes whenever the image or its depth does."""
        ...

    @property
    def group(self) -> str:
        """All backgrounds of one group stay in one split."""
        ...

    def read(self, size: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the image and its depth.

        Returns:
            (size, size, 3) uint8 RGB, and (size, size) float32 in [0, 1], larger =
            farther, 0 where unknown; `None` without depth.
        """
        ...


class CutoutSource(Protocol):
    """A cutout to compose, such as `gather.FolderCutout`; can be pickled.

    `name`, `digest` and `group` are those of a `BackgroundSource`.
    """

    @property
    def name(self) -> str: ...

    @property
    def digest(self) -> str: ...

    @property
    def group(self) -> str: ...

    def read(self, height: int, largest: int) -> Layer:
        """Return it `height` pixels high, or less where it were wider than `largest`."""
        ...


@dataclasses.dataclass(frozen=True)
class CompositeSettings:
    """The settings of composites of backgrounds and cutouts.

    Attributes:
        size: height and width of the images, in pixels.
        fg_height: of the cutouts, in pixels; of a standing one at the usual distance.
        placement: one of `placing.PLACEMENTS`.
        shadow: part of the composites with a cast shadow, 0..1.
        lossless: `bg` and `fg_bg` as PNG instead of JPEG of quality 95.
        depth: the source of depth: a folder of maps, a network, `"rooms"` or `"sensor"`
            for backgrounds that bring their own, or `None`.
        seed: of the places.
        variety: `"plain"`, one cutout of one height as in the original, or `"rich"`, see
            `rich.make_rich`, which has heights and places of its own.
    """

    size: int = 224
    fg_height: int = 108
    placement: str = "anywhere"
    shadow: float = 0.0
    lossless: bool = False
    depth: DepthFolder | TeacherSettings | str | None = None
    seed: int = 0
    variety: str = "plain"

    @property
    def depth_metadata(self) -> records.DepthMetadata | None:
        """The meaning of the stored depth; `None` without depth."""
        if isinstance(self.depth, DepthFolder | TeacherSettings):
            return self.depth.metadata
        if self.depth == "rooms":
            return records.DepthMetadata("metre", rooms_dataset_builder.SCALE)
        return None


@dataclasses.dataclass(eq=False)
class CompositesConfig(tfds.core.BuilderConfig):
    """The sources of a data set of composites, its settings and its splits.

    Attributes:
        backgrounds, cutouts: the sources.
        settings: how composites are made of them.
        placements: places of each cutout on each background.
        flip: as many again with the cutout mirrored.
        count: composites drawn from all combinations; `None` takes all.
        splitting: `"identity"` keeps some backgrounds and cutouts out of `train`;
            `"random"` splits composites at random, as the original did.
        val_fraction, unseen_fraction: see `Plan.splits`.
        licences: by `bg` and `fg`, as the user gave them.
        workers: threads that compose; `None` takes one for each core. The records do
            not depend on the number.
    """

    backgrounds: Sequence[BackgroundSource] = ()
    cutouts: Sequence[CutoutSource] = ()
    settings: CompositeSettings = CompositeSettings()
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
        """The combinations of backgrounds, cutouts and places."""
        return Plan(
            backgrounds=len(self.backgrounds),
            cutouts=len(self.cutouts),
            placements=self.placements,
            flip=self.flip,
            count=self.count,
            seed=self.settings.seed,
        )

    def to_json(self) -> dict[str, Any]:
        """Return everything but the sources, as JSON can hold it."""
        settings = dataclasses.asdict(self.settings)
        if self.settings.variety == "plain":
            # Data sets of versions without it keep their fingerprints.
            del settings["variety"]
        depth = self.settings.depth
        if isinstance(depth, DepthFolder):
            # The folder's place does not count; the digest of each map does.
            settings["depth"]["path"] = depth.path.name
        elif isinstance(depth, TeacherSettings):
            settings["depth"] = {
                **settings["depth"],
                "network": depth.network.rpartition("/")[2],
                "fingerprint": depth.fingerprint(),
                "range": depth.range,
            }
        return {
            **settings,
            "placements": self.placements,
            "flip": self.flip,
            "count": self.count,
            "splitting": self.splitting,
            "val_fraction": self.val_fraction,
            "unseen_fraction": self.unseen_fraction,
        }

    def sources(self) -> dict[str, dict[str, str]]:
        """Return file and digest of each source by its id, for the metadata."""
        return {
            name(index): {"file": source.name, "sha256": source.digest}
            for name, found in (
                (self.plan.bg_id, self.backgrounds),
                (self.plan.fg_id, self.cutouts),
            )
            for index, source in enumerate(found)
        }

    def fingerprint(self) -> str:
        """Return 64 hexadecimal digits that change whenever the records do."""
        sources = [
            (source.name, source.digest, source.group)
            for source in (*self.backgrounds, *self.cutouts)
        ]
        text = json.dumps(
            [VERSION, self.to_json(), dict(self.licences), sources],
            sort_keys=True,
        )
        return hashlib.sha256(text.encode()).hexdigest()

    def held_out(self) -> tuple[np.ndarray, np.ndarray]:
        """Return which backgrounds and which cutouts are kept out of training.

        Returns:
            (backgrounds,) bool and (cutouts,) bool; none where splits are random.
        """
        return self.plan.held_out(
            [found.group for found in self.backgrounds],
            [found.group for found in self.cutouts],
            self.unseen_fraction if self.splitting == "identity" else 0.0,
        )

    def splits(self) -> dict[str, np.ndarray]:
        """Return the numbers of the planned composites by split.

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
