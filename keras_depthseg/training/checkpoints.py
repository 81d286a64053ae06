"""Saves a training run so that it can be resumed exactly.

Two kinds of files, both written atomically:

- `checkpoints/epoch-001.weights.h5`: the weights of an epoch, for use;
- `resume/position-000012.npz`: everything needed to resume, see `Position`. The last two
  are kept, in case the disk damages one.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_depthseg.archives import check_expansion
from keras_depthseg.backend import weights_file
from keras_depthseg.callbacks.resumable import Resumable
from keras_depthseg.errors import UserError
from keras_depthseg.files import replacing
from keras_depthseg.training.model_state import restore, snapshot
from keras_depthseg.training.run_files import write_history
from keras_depthseg.training.run_folder import RunFolder

logger = logging.getLogger(__name__)

# The best epoch has the highest; without validation it is the last epoch.
BEST = "val_mask_hard_iou"
_KEPT_STATES = 2


class TrainingInterruptedError(Exception):
    """The training was asked to stop; its position has been saved."""


@dataclasses.dataclass(frozen=True)
class Position:
    """The position of a training run, with everything needed to resume from it.

    Attributes:
        epoch, step: the next ones, from 0.
        rows: of the history, one for each epoch.
        arrays: of the model, see `snapshot`, and of callbacks, as `callbacks/NAME/…`.
    """

    epoch: int
    step: int
    rows: tuple[dict[str, float], ...]
    arrays: Mapping[str, np.ndarray]

    @classmethod
    def load(cls, path: str | Path) -> Position:
        """Read a file that `save` wrote.

        Raises:
            UserError: if there is no such file, or it is damaged.
        """
        try:
            check_expansion(path)
            # NumPy does not close a file whose format it does not know.
            with Path(path).open("rb") as file, np.load(file) as content:
                arrays = dict(content)
            about = json.loads(bytes(arrays.pop("about")))
            position = cls(about["epoch"], about["step"], tuple(about["rows"]), arrays)
            position._check()
            if about.get("arrays", sorted(arrays)) != sorted(arrays):
                raise KeyError("arrays are missing")
            return position
        # Damage leads the readers of zips and arrays to errors of all kinds.
        except Exception as error:
            raise UserError(
                f"{path}: this checkpoint cannot be read ({type(error).__name__}); "
                "`resume` takes the one before it."
            ) from error

    def _check(self) -> None:
        """Raise `TypeError` for values of other types than `save` writes."""
        numbers = [self.epoch, self.step, *(row["epoch"] for row in self.rows)]
        values = [value for row in self.rows for value in row.values()]
        if not (
            all(type(number) is int and number >= 0 for number in numbers)
            and all(type(value) in (int, float) for value in values)
            and all(isinstance(array, np.ndarray) for array in self.arrays.values())
        ):
            raise TypeError("values of other types")

    def restore_model(self, model: keras.Model) -> None:
        """Restore the variables of model, optimizer and metrics.

        Raises:
            UserError: if they are those of another model.
        """
        groups = ("model/", "optimizer/", "metrics/")
        arrays = {k: a for k, a in self.arrays.items() if k.startswith(groups)}
        try:
            restore(model, arrays)
        except ValueError as error:
            raise UserError(
                f"the saved position does not fit this run: {error} Start a new run."
            ) from error

    def save(self, path: str | Path) -> None:
        """Write one file: NumPy arrays, one of which is a JSON text.

        Raises:
            OSError: if the file cannot be written; the old one is left then.
        """
        about = {"epoch": self.epoch, "step": self.step, "rows": self.rows}
        # Of a zip whose list is damaged, arrays may be missing and nothing else wrong.
        about["arrays"] = sorted(self.arrays)
        encoded = np.frombuffer(json.dumps(about).encode(), np.uint8)
        with replacing(path) as part:
            np.savez(part, about=encoded, **dict[str, Any](self.arrays))


def latest(run_dir: str | os.PathLike) -> Position | None:
    """Return the last position that was saved, or `None` before the first.

    Damaged files after it are renamed, so that they do not count as one of the two that
    are kept.

    Raises:
        UserError: if there are positions and none can be read.
    """
    folder = RunFolder(run_dir)
    unreadable = {}
    for path in _positions(folder)[::-1]:
        try:
            position = Position.load(path)
        except UserError as error:
            logger.warning("%s", error)
            unreadable[path] = error
            continue
        with folder.writing():
            for bad, error in unreadable.items():
                # A file that cannot be opened may be undamaged.
                if not isinstance(error.__cause__, OSError):
                    bad.replace(bad.with_name(f"damaged-{bad.name}"))
        return position
    if unreadable:
        raise UserError(
            f"{folder.resume}: no position can be read; weights of the epochs are in "
            f"{folder.checkpoints}, start a new run."
        ) from unreadable.popitem()[1]
    return None


def _positions(folder: RunFolder) -> list[Path]:
    """The saved positions, in order of time."""
    return sorted(folder.resume.glob("position-*.npz"))


class Checkpoints(keras.callbacks.Callback):
    """Saves weights, history and positions, and restores a position.

    Must be the last callback: it saves the changes of the others.

    Args:
        run_dir: the run folder.
        resumable: the other callbacks that have a state, by the names that are stored.
        start: the position to resume from; `fit` must begin there.
        keep: epochs whose weights are kept, the last ones and the best; 0 keeps all.
        minutes: between two positions within an epoch; one follows each epoch.
        should_stop: called after each step; if true, the position is saved and
            `TrainingInterruptedError` is raised.

    Raises:
        UserError: if a file cannot be written; those written before are left.
    """

    # Set by Keras before the first call.
    model: keras.Model  # pyright: ignore[reportIncompatibleMethodOverride]
    params: dict[str, Any]

    def __init__(
        self,
        run_dir: str | os.PathLike,
        resumable: Mapping[str, Resumable],
        start: Position | None = None,
        *,
        keep: int = 0,
        minutes: float = 5.0,
        should_stop: Callable[[], bool] = lambda: False,
    ):
        super().__init__()
        self._folder = RunFolder(run_dir)
        self._resumable = dict(resumable)
        self._start = start
        self._keep = keep
        self._seconds = 60.0 * minutes
        self._should_stop = should_stop
        self.rows = list(start.rows) if start else []

    @property
    def best_epoch(self) -> int:
        """The epoch, from 0, with the highest `BEST`; without validation the last one."""
        scores = [row.get(BEST, float(row["epoch"])) for row in self.rows]
        # The later of two that are equal.
        return max(range(len(scores)), key=lambda epoch: (scores[epoch], epoch))

    @property
    def history(self) -> dict[str, list[float]]:
        """The values of all epochs by name, NaN where an epoch has none."""
        names = {name: None for row in self.rows for name in row}
        return {name: [row.get(name, math.nan) for row in self.rows] for name in names}

    def on_train_begin(self, logs=None):
        with self._folder.writing():
            self._folder.checkpoints.mkdir(exist_ok=True)
            self._folder.resume.mkdir(exist_ok=True)
        self._saved_at = time.monotonic()
        if self._start is None:
            return
        self._start.restore_model(self.model)
        for name, callback in self._resumable.items():
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
            # Keras has reset the metrics, and other callbacks have begun an epoch in its
            # middle: a learning rate may have been divided twice.
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
        with self._folder.writing():
            with replacing(self._folder.weights(epoch)) as part:
                part.write_bytes(weights_file(self.model))
            # Before the position: after the last epoch it would not be written again.
            write_history(self._folder.history, self.rows)
        self._save(epoch + 1, 0)
        self._forget_weights()
        if self._should_stop():
            raise TrainingInterruptedError

    def _save(self, epoch: int, step: int) -> None:
        arrays = snapshot(self.model)
        for name, callback in self._resumable.items():
            for key, array in callback.state().items():
                arrays[f"callbacks/{name}/{key}"] = array
        kept = _positions(self._folder)
        number = 1 + int(kept[-1].stem.split("-")[1]) if kept else 0
        with self._folder.writing():
            position = Position(epoch, step, tuple(self.rows), arrays)
            position.save(self._folder.position(number))
        for path in kept[: -(_KEPT_STATES - 1)]:
            path.unlink()
        self._saved_at = time.monotonic()

    def _forget_weights(self) -> None:
        if self._keep:
            kept = {*range(len(self.rows) - self._keep, len(self.rows)), self.best_epoch}
            for epoch in set(range(len(self.rows))) - kept:
                self._folder.weights(epoch).unlink(missing_ok=True)


def _plain(logs: Mapping[str, float]) -> dict[str, float]:
    return {k: v if isinstance(v, int) else float(v) for k, v in logs.items()}
