"""The configuration of a data set of composites, and the protocols of its sources."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import records, rooms
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.plan import Plan
from keras_depthseg.datasets.teacher.teacher import TeacherSettings
from keras_depthseg.errors import UserError

# Of the builder; part of the fingerprint, so that a new version composes anew.
VERSION = "1.0.0"


class BackgroundSource(Protocol):
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


class CutoutSource(Protocol):
    """A cutout to compose, such as `gather.Cutout`; attributes as of `Background`."""

    name: str
    digest: str
    group: str

    def read(self, height: int, largest: int) -> Layer:
        """As high as `height` pixels, or less where it would be wider than `largest`."""


@dataclasses.dataclass(frozen=True)
class CompositeSettings:
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

    backgrounds: Sequence[BackgroundSource] = ()
    cutouts: Sequence[CutoutSource] = ()
    recipe: CompositeSettings = CompositeSettings()
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
            [VERSION, self.settings, dict(self.licences), sources],
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
