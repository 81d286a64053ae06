"""The options of `depthseg evaluate`.

The command line reads this module before it imports TensorFlow: nothing heavy here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from keras_depthseg.augment.effects import parse_strengths
from keras_depthseg.augment.names import PRESETS
from keras_depthseg.errors import UserError
from keras_depthseg.pretrained import DEFAULT
from keras_depthseg.shapes import SIDE_MULTIPLE

SWEEP = "sweep"
SWEEP_SAMPLES = 16
"""Samples of each split that a sweep uses by default."""
PAIRS_RESOLUTION = 352


@dataclasses.dataclass(frozen=True)
class EvaluateOptions:
    """The program to score, the data to score it on, and how.

    The options of `depthseg evaluate` are made from these fields.

    Attributes:
        model: Run folder, .keras file, or the name of trained weights, small; left out
            with `predictions`.
        data: Folder of records, or another data set as for depthseg train.
        pairs: Folder or zip of photographs with true masks: NAME/bg, NAME/fg_bg and
            NAME/mask of any format, where 128 in the mask is unknown; index.csv with the
            columns name and scene, or folders, group pairs by scene.
        split: Splits to score, separated by commas; by default all but train.
        samples: Use at most this many samples of each split, or pairs; by default all,
            in a sweep 16.
        resolution: Side of the samples in pixels, a multiple of 32; by default that at
            which the model was trained last, else 224. For `pairs` the longer side to
            which larger photographs are reduced, by default 352.
        capture: Score clean samples and, beside them, samples changed as between two
            photographs: tripod, handheld, phone or aligned; or strengths,
            shift=2,jpeg=40. Or sweep: score against strength for each effect by itself.
        predictions: Folder of masks and depth maps that any other program wrote, by
            sample or pair; scored in place of a model.
        no_baselines: Leave out the simple programs, which take most of the time.
        batch_size: Samples predicted at once.
        seed: Seed of the changes by `capture` and of the intervals.

    Raises:
        UserError: if a value, or a combination, is not accepted.
    """

    model: str | None = None
    data: str | None = None
    pairs: Path | None = None
    split: str | None = None
    samples: int | None = None
    resolution: int | None = None
    capture: str | None = None
    predictions: Path | None = None
    no_baselines: bool = False
    batch_size: int = 16
    seed: int = 0

    def __post_init__(self):
        if (self.data is None) == (self.pairs is None):
            received = "none of them" if self.data is None else "both"
            raise UserError(f"`data`, `pairs`: received {received}; give one of the two.")
        if self.model is None and self.predictions is None:
            raise UserError(
                "received no model; give a run folder, a .keras file or the name "
                f"{DEFAULT}, or the maps of another program by `predictions`."
            )
        if self.model is not None and self.predictions is not None:
            raise UserError(
                f"`predictions`: received with the model {self.model}; evaluate one "
                "after the other."
            )
        for name in ("capture", "split"):
            if getattr(self, name) is not None and self.pairs is not None:
                raise UserError(
                    f"`{name}`: received {getattr(self, name)} with `pairs`; it is for "
                    "`data`, leave it out."
                )
        if self.capture is not None:
            self._check_capture(self.capture)
        self._check("samples", self.samples is None or self.samples >= 1, "1 or more")
        self._check("batch_size", self.batch_size >= 1, "1 or more")
        self._check("seed", 0 <= self.seed < 2**32, f"0 to {2**32 - 1}")
        side, multiple = self.resolution, SIDE_MULTIPLE if self.pairs is None else 1
        self._check(
            "resolution",
            side is None or (side >= SIDE_MULTIPLE and side % multiple == 0),
            f"multiples of {multiple}" if multiple > 1 else f"{SIDE_MULTIPLE} or more",
        )

    def _check_capture(self, capture: str) -> None:
        if self.predictions is not None:
            raise UserError(
                f"`capture`: received {capture} with `predictions`, which are of samples "
                "as they are; leave one of them out."
            )
        if capture != SWEEP and capture not in PRESETS:
            parse_strengths(capture)

    def _check(self, name: str, fine: bool, accepted: str) -> None:
        if not fine:
            raise UserError(
                f"`{name}`: received {getattr(self, name)}; accepted: {accepted}. Change "
                "it, or leave it out."
            )
