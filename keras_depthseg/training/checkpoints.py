"""Saving a training so that it goes on as if it had never been stopped.

Two kinds of files, each whole or not there:

- `checkpoints/epoch-001.weights.h5`: weights of an epoch, for use;
- `resume/position-000012.npz`: all it takes to go on, see `Position`.
  The last two are kept, so that one is left if the disk damages the other.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import keras
import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.files import replacing
from keras_depthseg.training.model_state import restore, snapshot
from keras_depthseg.training.run_folder import HISTORY, writing_to

WEIGHTS = "checkpoints"
RESUME = "resume"
# What tells the best epoch; without validation it is the last.
BEST = "val_mask_hard_iou"
_KEPT_STATES = 2


class Stateful(Protocol):
    """A callback that can go on later."""

    def state(self) -> dict[str, np.ndarray]: ...

    def set_state(self, state: Mapping[str, np.ndarray]) -> None: ...


class TrainingInterruptedError(Exception):
    """The training was asked to stop, has been saved and can go on."""


@dataclasses.dataclass(frozen=True)
class Position:
    """Where a training is, and all it needs to go on from there.

    Attributes:
        epoch, step: the next ones, from 0.
        rows: of the history, one an epoch.
        arrays: of the model, `capture`'s, and of the callbacks, as `callbacks/NAME/…`.
    """

    epoch: int
    step: int
    rows: tuple[dict[str, float], ...]
    arrays: Mapping[str, np.ndarray]

    @classmethod
    def load(cls, path: str | Path) -> Position:
        """Reads what `save` wrote.

        Raises:
            UserError: if the file is damaged or no such file.
        """
        try:
            # A file that NumPy cannot make out it would not close.
            with Path(path).open("rb") as file, np.load(file) as content:
                arrays = dict(content)
            about = json.loads(bytes(arrays.pop("about")))
            return cls(about["epoch"], about["step"], tuple(about["rows"]), arrays)
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{path}: this checkpoint cannot be read ({type(error).__name__}); "
                "--resume takes the one before it."
            ) from error

    def restore_model(self, model: keras.Model) -> None:
        """Puts back variables of model, optimizer and metrics."""
        groups = ("model/", "optimizer/", "metrics/")
        restore(model, {k: a for k, a in self.arrays.items() if k.startswith(groups)})

    def save(self, path: str | Path) -> None:
        """Writes one file: NumPy arrays, and a JSON text among them.

        Raises:
            OSError: if it cannot be written; what was there is left.
        """
        about = {"epoch": self.epoch, "step": self.step, "rows": self.rows}
        encoded = np.frombuffer(json.dumps(about).encode(), np.uint8)
        with replacing(path) as part:
            np.savez(part, about=encoded, **self.arrays)


def latest(run_dir: str | Path) -> Position | None:
    """The last position that was saved, or `None` before the first.

    Damaged ones after it are moved aside, so that they do not count as one of those that
    are kept.

    Raises:
        UserError: if there are some and none can be read.
    """
    unreadable = {}
    for path in sorted((Path(run_dir) / RESUME).glob("position-*.npz"), reverse=True):
        try:
            position = Position.load(path)
        except UserError as error:
            print(f"warning: {error}")
            unreadable[path] = error
            continue
        with writing_to(run_dir):
            for bad, error in unreadable.items():
                # What cannot be opened may be whole.
                if not isinstance(error.__cause__, OSError):
                    bad.replace(bad.with_name(f"damaged-{bad.name}"))
        return position
    if unreadable:
        raise UserError(
            f"{Path(run_dir) / RESUME}: no checkpoint can be read; weights of the epochs "
            f"are in {Path(run_dir) / WEIGHTS}, start a new run."
        ) from unreadable.popitem()[1]
    return None


class Checkpoints(keras.callbacks.Callback):
    """Writes weights, history and positions, and goes on from one.

    It comes last, so that what others do at the same moment is in what it saves.

    Args:
        run_dir: the run folder.
        stateful: the other callbacks that have a state, by name.
        start: the position to go on from; `fit` must begin there.
        keep: epochs whose weights are kept, the last ones and the best; 0 keeps all.
        minutes: between two positions within an epoch; there is one after each epoch.
        should_stop: asked after each step; if so the position is saved and
            `TrainingInterruptedError` raised.

    Raises:
        UserError: if a file cannot be written; those written before are left.
    """

    def __init__(
        self,
        run_dir: str | Path,
        stateful: Mapping[str, Stateful],
        start: Position | None = None,
        *,
        keep: int = 0,
        minutes: float = 5.0,
        should_stop: Callable[[], bool] = lambda: False,
    ):
        super().__init__()
        self._run_dir = Path(run_dir)
        self._stateful = dict(stateful)
        self._start = start
        self._keep = keep
        self._seconds = 60.0 * minutes
        self._should_stop = should_stop
        self.rows = list(start.rows) if start else []

    @property
    def best_epoch(self) -> int:
        """The epoch, from 0, with the highest `BEST`; without validation the last."""
        scores = [row.get(BEST, float(row["epoch"])) for row in self.rows]
        # The later of two that are equal.
        return max(range(len(scores)), key=lambda epoch: (scores[epoch], epoch))

    @property
    def history(self) -> dict[str, list[float]]:
        """Values of all epochs by name, `nan` where an epoch has none."""
        names = {name: None for row in self.rows for name in row}
        return {name: [row.get(name, math.nan) for row in self.rows] for name in names}

    def on_train_begin(self, logs=None):
        with writing_to(self._run_dir):
            for folder in (WEIGHTS, RESUME):
                (self._run_dir / folder).mkdir(exist_ok=True)
        self._saved_at = time.monotonic()
        if self._start is None:
            return
        self._start.restore_model(self.model)
        for name, callback in self._stateful.items():
            prefix = f"callbacks/{name}/"
            callback.set_state(
                {
                    key.removeprefix(prefix): array
                    for key, array in self._start.arrays.items()
                    if key.startswith(prefix)
                }
            )

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch
        if self._start is not None and self._start.step:
            # Keras has set the metrics to zero, and other callbacks have begun an epoch
            # that is not at its beginning: a learning rate may have been divided twice.
            self._start.restore_model(self.model)
        self._start = None

    def on_train_batch_end(self, batch, logs=None):
        if batch + 1 == self.params["steps"]:
            return  # The epoch's end is next.
        stop = self._should_stop()
        if stop or time.monotonic() - self._saved_at >= self._seconds:
            self._save(self._epoch, batch + 1)
        if stop:
            raise TrainingInterruptedError

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch, **_plain(logs or {})})
        with writing_to(self._run_dir):
            with replacing(self._weights_path(epoch)) as part:
                self.model.save_weights(part)
            # Before the position: after the last epoch nothing would write it again.
            self._write_history()
        self._save(epoch + 1, 0)
        self._forget_weights()
        if self._should_stop():
            raise TrainingInterruptedError

    def _save(self, epoch: int, step: int) -> None:
        arrays = snapshot(self.model)
        for name, callback in self._stateful.items():
            for key, array in callback.state().items():
                arrays[f"callbacks/{name}/{key}"] = array
        folder = self._run_dir / RESUME
        # Numbered in order of time, whatever the steps of an epoch.
        kept = sorted(folder.glob("position-*.npz"))
        number = 1 + int(kept[-1].stem.split("-")[1]) if kept else 0
        with writing_to(self._run_dir):
            position = Position(epoch, step, tuple(self.rows), arrays)
            position.save(folder / f"position-{number:06d}.npz")
        for path in kept[: -(_KEPT_STATES - 1)]:
            path.unlink()
        self._saved_at = time.monotonic()

    def _write_history(self) -> None:
        names = {name: None for row in self.rows for name in row}
        text = io.StringIO()
        writer = csv.DictWriter(text, names, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        with replacing(self._run_dir / HISTORY) as part:
            part.write_text(text.getvalue())

    def _weights_path(self, epoch: int) -> Path:
        return self._run_dir / WEIGHTS / f"epoch-{epoch + 1:03d}.weights.h5"

    def _forget_weights(self) -> None:
        if self._keep:
            kept = {*range(len(self.rows) - self._keep, len(self.rows)), self.best_epoch}
            for epoch in set(range(len(self.rows))) - kept:
                self._weights_path(epoch).unlink(missing_ok=True)


def _plain(logs: Mapping[str, float]) -> dict[str, float]:
    return {k: v if isinstance(v, int) else float(v) for k, v in logs.items()}
