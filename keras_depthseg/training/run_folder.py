"""The folder of a training run: the names of its files, its lock, errors of writing."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import filelock

from keras_depthseg.errors import UserError


class RunFolder(os.PathLike):
    """The folder of a training run.

    Only names: nothing is read or written before a method is called.

    Args:
        path: the folder; may be missing yet.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    # === Files ===
    @property
    def config(self) -> Path:
        """The configuration, as JSON."""
        return self.path / "config.json"

    @property
    def history(self) -> Path:
        """A row of values for each epoch, as CSV."""
        return self.path / "history.csv"

    @property
    def checkpoints(self) -> Path:
        """The folder with the weights of each epoch."""
        return self.path / "checkpoints"

    def weights(self, epoch: int) -> Path:
        """The weights of an epoch, which counts from 0; file names count from 1."""
        return self.checkpoints / f"epoch-{epoch + 1:03d}.weights.h5"

    @property
    def resume(self) -> Path:
        """The folder with the positions from which the run can be resumed."""
        return self.path / "resume"

    def position(self, number: int) -> Path:
        """The position with a number; numbers grow with time."""
        return self.resume / f"position-{number:06d}.npz"

    @property
    def damage(self) -> Path:
        """The damaged records of the data, as JSON, once they were looked for."""
        return self.path / "damaged.json"

    @property
    def tensorboard(self) -> Path:
        """The folder with TensorBoard's logs."""
        return self.path / "tensorboard"

    @property
    def pictures(self) -> Path:
        """The folder with pictures of predictions, drawn while the model trained."""
        return self.path / "pictures"

    def picture(self, epoch: int) -> Path:
        """The picture of an epoch, which counts from 0; file names count from 1."""
        return self.pictures / f"epoch-{epoch + 1:03d}.png"

    @property
    def model(self) -> Path:
        """The trained model."""
        return self.path / "model.keras"

    @property
    def curves(self) -> Path:
        """Losses and scores over epochs, as a picture."""
        return self.path / "curves.png"

    @property
    def predictions(self) -> Path:
        """Predictions of the trained model, as a picture."""
        return self.path / "predictions.png"

    @property
    def scores(self) -> Path:
        """Scores by split, as JSON."""
        return self.path / "scores.json"

    @property
    def report(self) -> Path:
        """The page that describes the run; written last."""
        return self.path / "report.html"

    @property
    def lr_range_table(self) -> Path:
        """The steps of learning-rate range tests, as CSV."""
        return self.path / "lr_range.csv"

    @property
    def lr_range_curves(self) -> Path:
        """Loss over learning rate, as a picture."""
        return self.path / "lr_range.png"

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    # === Use ===
    def check_new(self) -> None:
        """Check that a new run can use this folder; create nothing.

        Raises:
            UserError: if it is not a folder or not empty.
        """
        try:
            paths = list(self.path.iterdir()) if self.path.exists() else []
        except OSError as error:
            raise self._unusable(error) from error
        # A run that was stopped before it wrote anything leaves its lock.
        names = {path.name for path in paths} - {self._lock.name}
        if names:
            resume = (
                ", or resume the run in it with `resume`"
                if self.config.name in names
                else ""
            )
            raise UserError(
                f"{self}: this folder is not empty; a run needs a folder of its own, "
                f"choose another `run_dir`{resume}."
            )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Create the folder, if it is missing, and lock it for this process.

        The lock is the operating system's: it ends with the process, however that ends.

        Raises:
            UserError: if the folder cannot be created, or another run has locked it.
        """
        lock = filelock.FileLock(self._lock)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except filelock.Timeout:
            raise UserError(
                f"{self}: another run is using this folder; wait for its end, or choose "
                "another `run_dir`."
            ) from None
        except OSError as error:
            raise self._unusable(error) from error
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def writing(
        self, remedy: str = "free some space and resume with `resume`"
    ) -> Iterator[None]:
        """Turn an error of writing into one line.

        Args:
            remedy: how the user can continue.

        Raises:
            UserError: in place of an `OSError`, of the `RuntimeError` that HDF5 raises,
                or of an error of TensorFlow, which writes TensorBoard's files.
        """
        import tensorflow as tf

        try:
            yield
        except (OSError, RuntimeError, tf.errors.OpError) as error:
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            raise UserError(
                f"{self}: a file cannot be written ({reason}); those written before are "
                f"complete: {remedy}."
            ) from error

    def _unusable(self, error: OSError) -> UserError:
        return UserError(
            f"{self}: cannot be used as a run folder ({error.strerror}); choose another "
            "`run_dir`."
        )
