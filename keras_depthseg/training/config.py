"""The configuration of a training run, stored as config.json."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any

from keras_depthseg.augment.names import AUGMENTATIONS
from keras_depthseg.choices import check_choices
from keras_depthseg.datasets.composites.options import ROOMS, ComposeOptions
from keras_depthseg.datasets.locate import split_weight
from keras_depthseg.errors import UserError
from keras_depthseg.precision import Precision
from keras_depthseg.pretrained import is_pretrained
from keras_depthseg.schedule import DEFAULT_BATCH_SIZE, Phase, parse_schedule
from keras_depthseg.text import reason, split_option
from keras_depthseg.training.recipes import Recipe
from keras_depthseg.training.run_files import read_config, write_json
from keras_depthseg.training.run_folder import RunFolder

# A resumed run may have other values of these: no weight depends on them.
HOUSEKEEPING = ("keep", "checkpoint_minutes")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Data, recipe and everything else that decides the result of a run.

    The options of `depthseg train` are made from these fields and those of `Recipe`.

    Attributes:
        data: Folders of records, each with its weight in a mixture, `FOLDER,weight=2`; by
            default 1.
        recipe: Recipe.
        composites: Sources of composites that are made while training.
        composites_weight: Weight of the composites in a mixture with `data`.
        start_from: Start from the weights of this model in place of new ones: a run
            folder, a .keras file, or the name of trained weights; the option alone means
            small. Width and normalisation are the model's, and the recipe is fine_tune by
            default. Optimizer and schedule start anew.
        skip_damaged: Check every record before training, leave out what is damaged, and
            say so, as samples of the original layout that cannot be used; by default
            both are refused.
        epoch_samples: Samples of an epoch, drawn from all data by weight; 0 is every
            sample of the records once, or 1024 with composites or several data sets.
        batch_size: Batch size of the phases that give none.
        precision: Dtype policy; auto is mixed_bfloat16 where the GPU or the processor
            computes in it, and else float32.
        seed: Seed of weights, order and random changes; data and splits do not depend
            on it.
        deterministic: Compute the same bits every time, somewhat slower.
        xla: Compile the training step with XLA.
        keep: Keep the weights of the last epochs, this many, and of the best; 0 keeps
            all.
        checkpoint_minutes: Minutes between two positions to resume from within an
            epoch.

    Raises:
        UserError: if a value is not accepted.
    """

    data: tuple[str, ...]
    recipe: Recipe
    composites: ComposeOptions | None = None
    composites_weight: float = 1.0
    start_from: str | None = None
    skip_damaged: bool = False
    epoch_samples: int = dataclasses.field(default=0, metadata={"option": "--samples"})
    batch_size: int = DEFAULT_BATCH_SIZE
    precision: Precision = "auto"
    seed: int = 0
    deterministic: bool = False
    xla: bool = False
    keep: int = 0
    checkpoint_minutes: float = 5.0

    def __post_init__(self):
        if isinstance(self.data, str):
            object.__setattr__(self, "data", (self.data,))
        check_choices(self)
        if not self.data and self.composites is None:
            raise UserError("`data`: received none; give one, or `bg` and `fg`.")
        _ = self.weighted_data
        # Not infinity: JSON has integers that no float can hold.
        if not 0 < self.composites_weight <= sys.float_info.max:
            raise UserError(
                f"`composites_weight` must be above 0: received {self.composites_weight}."
            )
        if self.epoch_samples < 0:
            raise UserError(
                "`epoch_samples` must be 0 (all) or above: received "
                f"{self.epoch_samples}."
            )
        if not 0 <= self.seed < 2**32:
            raise UserError(
                f"`seed`: received {self.seed}; accepted are 0 to {2**32 - 1}; leave it "
                "out for 0."
            )
        if self.batch_size < 1:
            raise UserError(
                f"`batch_size` must be at least 1: received {self.batch_size}."
            )
        for name, text in (("keep", "epochs"), ("checkpoint_minutes", "minutes")):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(
                    f"`{name}` is a number of {text}, 0 or more: received "
                    f"{getattr(self, name)}."
                )

    @property
    def weighted_data(self) -> list[tuple[str, float]]:
        """The folders of records and their weights.

        Raises:
            UserError: if a weight is bad.
        """
        return [split_weight(data) for data in self.data]

    @property
    def described_data(self) -> str:
        """All data on one line, for people."""
        names = list(self.data)
        if self.composites is not None:
            made = f"composites of {self.composites.bg} and {self.composites.fg}"
            if self.data and self.composites_weight != 1:
                made += f",weight={self.composites_weight:g}"
            names.append(made)
        return "; ".join(names)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the recipe's schedule.

        Raises:
            UserError: if the schedule is bad.
        """
        return parse_schedule(self.recipe.schedule, self.batch_size)

    def save(self, run_dir: str | os.PathLike, **about: Any) -> None:
        """Write config.json; `about` is for people to read.

        Raises:
            OSError: if the file cannot be written.
        """
        content = {
            **_as_json(self),
            "phases": [dataclasses.asdict(phase) for phase in self.phases],
            **about,
        }
        write_json(RunFolder(run_dir).config, content)

    @classmethod
    def load(cls, run_dir: str | os.PathLike) -> RunConfig:
        """Read config.json of a run folder.

        Raises:
            UserError: if there is none, or the file is damaged.
        """
        folder = RunFolder(run_dir)
        content = read_config(folder)
        try:
            fields = {
                field.name: content[field.name]
                for field in dataclasses.fields(cls)
                # Earlier versions wrote fewer fields.
                if field.name in content or field.default is dataclasses.MISSING
            }
            fields["recipe"] = Recipe(**fields["recipe"])
            if isinstance(fields["data"], list):  # Version 0.1 wrote one text.
                fields["data"] = tuple(fields["data"])
            if sources := fields.pop("composites", None):
                # JSON has no paths.
                paths = {
                    name: Path(sources[name])
                    for name in ("fg", "fg_mask")
                    if sources[name] is not None
                }
                fields["composites"] = ComposeOptions(**{**sources, **paths})
            return cls(**fields)
        # Of values of other types: what they lead to differs.
        except (
            *(ArithmeticError, AttributeError, LookupError, TypeError, ValueError),
            UserError,
        ) as error:
            what = f"{type(error).__name__}: {reason(error, 300)}"
            raise UserError(
                f"{folder.config}: cannot be read ({what}); this run cannot be resumed, "
                "start a new one."
            ) from error

    def require_same(self, run_dir: str | os.PathLike) -> None:
        """Refuse to resume a run with a different configuration.

        Files and folders may be elsewhere: what is in them is compared by its digests.
        Damaged records may be left out from now on.

        Raises:
            UserError: naming the first field that differs.
        """
        stored = RunConfig.load(run_dir)
        ours, theirs = _placeless(self), _placeless(stored)
        for name, value in ours.items():
            turned_on = name == "skip_damaged" and value
            if value != theirs[name] and name not in HOUSEKEEPING and not turned_on:
                raise UserError(
                    f"{run_dir}: this run has another configuration: received {name} "
                    f"{value}, it has {theirs[name]}; leave the option out to resume, or "
                    "choose another `run_dir`."
                )

    def check_places(self, given: Container[str] = ()) -> None:
        """Check that the files and folders of a run that is resumed are still there.

        Args:
            given: options that have just been given, and are checked elsewhere.

        Raises:
            UserError: naming the first that is missing, and the option for its new place.
        """
        for option, path in _places(self):
            if option not in given and not os.path.exists(path):
                raise UserError(
                    f"{path}: this file or folder of the run is no longer there; put it "
                    f"back, or give its new place by `{option}`."
                )


def _as_json(config: RunConfig) -> dict[str, Any]:
    # Paths and tuples as JSON gives them back.
    return json.loads(json.dumps(dataclasses.asdict(config), default=str))


def _placeless(config: RunConfig) -> dict[str, Any]:
    """Return all fields by their names, without the places of files and folders."""
    fields = _as_json(config)
    recipe, composites = fields.pop("recipe"), fields["composites"]
    fields["data"] = [weight for _, weight in config.weighted_data]
    if recipe["augment"] not in AUGMENTATIONS:
        recipe["augment"] = "a file"
    if fields["start_from"] is not None and not is_pretrained(fields["start_from"]):
        fields["start_from"] = "a file"
    if composites is not None:
        if not ROOMS.fullmatch(composites["bg"]):
            composites["bg"] = "pictures"
        composites["fg"] = "pictures"
        composites["fg_mask"] = composites["fg_mask"] and "pictures"
        depth = composites["depth"]
        composites["depth"] = depth and ["maps", *split_option(depth)[1]]
    return {**recipe, **fields}


def _places(config: RunConfig) -> Iterator[tuple[str, str]]:
    """Yield the files and folders of a configuration, and the option that names each."""
    for path, _ in config.weighted_data:
        yield "data", path
    if config.recipe.augment not in AUGMENTATIONS:
        yield "augment", config.recipe.augment
    if config.start_from is not None and not is_pretrained(config.start_from):
        yield "start_from", config.start_from
    composites = config.composites
    if composites is not None:
        if not ROOMS.fullmatch(composites.bg):
            yield "bg", composites.bg
        yield "fg", str(composites.fg)
        if composites.fg_mask is not None:
            yield "fg_mask", str(composites.fg_mask)
        if composites.depth is not None:
            yield "depth", split_option(composites.depth)[0]
