"""What a run was told to do, as it is kept in its folder."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from keras_depthseg.choices import check_choices
from keras_depthseg.errors import UserError
from keras_depthseg.files import replacing
from keras_depthseg.precision import Precision
from keras_depthseg.schedule import DEFAULT_BATCH_SIZE, Phase, parse_schedule
from keras_depthseg.training.recipes import Recipe
from keras_depthseg.training.run_folder import CONFIG

# Of these a run that goes on may be told something else: no weight depends on them.
HOUSEKEEPING = ("keep", "checkpoint_minutes")


@dataclasses.dataclass(frozen=True)
class RunConfig:
    """Data, recipe and everything else that decides the result of a run.

    The options of `depthseg train` are made from these fields and those of `Recipe`.

    Attributes:
        data: Folder of records.
        recipe: Recipe.
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

    data: str
    recipe: Recipe
    batch_size: int = DEFAULT_BATCH_SIZE
    precision: Precision = "auto"
    seed: int = 0
    deterministic: bool = False
    xla: bool = False
    keep: int = 0
    checkpoint_minutes: float = 5.0

    def __post_init__(self):
        check_choices(self)
        if not 0 <= self.seed < 2**32:
            raise UserError(
                f"`seed`: received {self.seed}; accepted are 0 to {2**32 - 1}; leave it "
                "out for 0."
            )
        for name, text in (("keep", "epochs"), ("checkpoint_minutes", "minutes")):
            if not 0 <= getattr(self, name) < float("inf"):
                raise UserError(
                    f"`{name}` is a number of {text}, 0 or more: received "
                    f"{getattr(self, name)}."
                )

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the recipe's schedule.

        Raises:
            UserError: if the schedule is bad.
        """
        return parse_schedule(self.recipe.schedule, self.batch_size)

    def save(self, run_dir: Path, **about) -> None:
        """Writes config.json; `about` is for people to read."""
        content = {
            **dataclasses.asdict(self),
            "phases": [dataclasses.asdict(phase) for phase in self.phases],
            **about,
        }
        with replacing(run_dir / CONFIG) as part:
            part.write_text(json.dumps(content, indent=2) + "\n")

    @classmethod
    def load(cls, run_dir: str | Path) -> RunConfig:
        """Reads config.json of a run folder.

        Raises:
            UserError: if there is none or it is damaged.
        """
        path = Path(run_dir) / CONFIG
        try:
            content = json.loads(path.read_text())
            fields = {f.name: content[f.name] for f in dataclasses.fields(cls)}
            return cls(**{**fields, "recipe": Recipe(**fields["recipe"])})
        except FileNotFoundError:
            raise UserError(
                f"{run_dir}: not a run folder, it has no {CONFIG}; give the --run-dir of "
                "a run that was stopped."
            ) from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{path}: cannot be read ({type(error).__name__}: {error}); this run "
                "cannot go on, start a new one."
            ) from error

    def require_same(self, run_dir: str | Path) -> None:
        """Looks whether the run in a folder was told the same.

        Raises:
            UserError: naming the first thing that differs.
        """
        ours, theirs = _flat(self), _flat(RunConfig.load(run_dir))
        for name, value in ours.items():
            if value != theirs[name] and name not in HOUSEKEEPING:
                raise UserError(
                    f"{run_dir}: this run was told otherwise: received {name} {value}, "
                    f"it has {theirs[name]}; leave the option out to go on, or choose "
                    "another --run-dir."
                )


def _flat(config: RunConfig) -> dict:
    fields = dataclasses.asdict(config)
    return {**fields.pop("recipe"), **fields}
