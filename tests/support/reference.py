"""Numbers of the original PyTorch network, computed once on a CPU in float32.

`data/reference.npz` holds inputs after normalisation, head outputs and targets;
`data/reference.json` the names and shapes of the original's parameters, and the values
of its losses and metrics.
"""

import functools
import json
from pathlib import Path

import numpy as np

_DATA = Path(__file__).parent.parent / "data"

# With these the normalisation inside DSResNet is the identity.
NO_NORMALISATION = {
    branch: {"mean": (0.0,) * 3, "std": (1 / 255,) * 3} for branch in ("bg", "fg_bg")
}


@functools.cache
def arrays() -> dict[str, np.ndarray]:
    with np.load(_DATA / "reference.npz") as archive:
        return dict(archive)


@functools.cache
def _document() -> dict:
    return json.loads((_DATA / "reference.json").read_text())


def numbers() -> dict:
    return _document()["numbers"]


def state_dict(width: int = 16) -> dict[str, np.ndarray]:
    """The weights the numbers were taken with, or ones for another width alike."""
    return {
        name: _filled(k, name, [_scaled(size, width) for size in shape])
        for k, (name, shape) in enumerate(_document()["weights"])
    }


def _scaled(size: int, width: int) -> int:
    return size * width // 16 if size >= 16 else size


def _filled(k: int, name: str, shape: list[int]) -> np.ndarray:
    random = np.random.RandomState(7000 + k)
    if name.endswith("running_mean"):
        values = 0.1 * random.standard_normal(shape)
    elif name.endswith("running_var"):
        values = random.uniform(0.5, 1.5, shape)
    elif name.endswith("bias"):
        values = 0.05 * random.standard_normal(shape)
    elif len(shape) == 1:
        values = random.uniform(0.5, 1.5, shape)
    else:
        values = random.standard_normal(shape) * np.sqrt(1 / np.prod(shape[1:]))
    return values.astype("float32")
