"""Trained weights that have a name, found and checked without Keras.

They are accepted wherever a model file is: `Predictor("small")`, `--model small`. A text
that is such a name means the weights, whatever lies in the current folder; `./small`, or
a `Path`, is the file or the folder of that name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeGuard

from keras_depthseg.errors import UserError
from keras_depthseg.files import default_cache_dir, sha256

WEIGHTS = {
    "small": "fb1f5894e08d9e1e514be70c2a06b89f9c9bd998341936e7a254494e85c81314",
}
"""The SHA-256 of the file of each name. `docs/make_weights.py` writes file and digest."""

DEFAULT = "small"
NAMES = ", ".join(WEIGHTS)

# Those in the wheel; others would be in the cache folder.
FOLDER = Path(__file__).parent / "networks" / "weights"


def pretrained_card() -> str:
    """Return the model card of the trained weights, Markdown."""
    return (FOLDER / "README.md").read_text("utf-8")


def is_pretrained(model: Any) -> TypeGuard[str]:
    """Return whether a model is given by the name of trained weights."""
    return isinstance(model, str) and model in WEIGHTS


def pretrained_path(name: str) -> Path:
    """Return the `.keras` file of trained weights, whose bytes have been checked.

    It is in the package, or else in the folder `weights` of the cache folder.

    Raises:
        UserError: there are no weights of that name, or their file is missing or damaged.
    """
    if not is_pretrained(name):
        raise UserError(
            f"`name`: received {name!r}; accepted: {NAMES}. Read a file of your own by "
            "keras.saving.load_model."
        )
    cache = default_cache_dir() / "weights"
    paths = [folder / f"{name}.keras" for folder in (FOLDER, cache)]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise UserError(
            f"{name}: the file of these weights is missing; put {name}.keras into "
            f"{cache}, or install keras_depthseg again if it came with it."
        )
    try:
        received = sha256(path)
    except OSError as error:
        raise UserError(
            f"{path}: the weights {name} cannot be read ({error.strerror}); make the "
            "file readable."
        ) from error
    if received != WEIGHTS[name]:
        raise UserError(
            f"{path}: the weights {name} are damaged: received a file with the SHA-256 "
            f"{received[:12]}…, expected {WEIGHTS[name][:12]}…; install keras_depthseg "
            "again, or get the file again."
        )
    return path
