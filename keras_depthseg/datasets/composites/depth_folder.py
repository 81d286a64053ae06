"""A folder of depth maps, one for each background, and the meaning of their numbers."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np

from keras_depthseg.datasets.records import NEAREST_DEPTH, DepthMetadata
from keras_depthseg.errors import UserError
from keras_depthseg.text import printable, split_option

DEFAULT_SCALE = 10.0
"""Metres stored as 1: the range of depth cameras."""

_KEYS = ("step", "scale", "larger")
_METRES = (1e-6, 1e6)
"""The accepted range: far from the limits of float32."""


@dataclasses.dataclass(frozen=True)
class DepthFolder:
    """Depth maps of 8 or 16 bit; 0 where nothing was measured.

    Attributes:
        path: the folder or zip.
        step: metres of one grey level, such as 0.001 for millimetres; `None` for
            relative depth, where full scale is 1.
        scale: metres stored as 1, like everything beyond. `None` for relative depth.
        larger: `"farther"` or, relative depth only, `"nearer"`.
    """

    path: Path
    step: float | None = None
    scale: float | None = None
    larger: str = "farther"

    @property
    def metadata(self) -> DepthMetadata:
        """The meaning of the stored depth."""
        return DepthMetadata("relative" if self.step is None else "metre", self.scale)

    def normalise(self, levels: np.ndarray) -> np.ndarray:
        """Convert grey levels, uint8 or uint16, to float32 in [0, 1], larger = farther.

        0 stays 0, unknown; known depth is at least `records.NEAREST_DEPTH`.
        """
        if self.step is not None and self.scale is not None:
            depth = levels * np.float32(self.step / self.scale)
        else:
            depth = levels / np.float32(np.iinfo(levels.dtype).max)
            if self.larger == "nearer":
                depth = 1 - depth
        depth = np.clip(depth, NEAREST_DEPTH, 1).astype(np.float32)
        depth[levels == 0] = 0
        return depth

    def check(self, levels: np.ndarray, where: str) -> None:
        """Refuse a wrong `step`, with which all known depth would be stored as 1.

        Args:
            levels: as for `normalise`, not all 0.
            where: the file, for messages.

        Raises:
            UserError: every depth is `scale` or more.
        """
        if self.step is None or self.normalise(levels)[levels > 0].min() < 1:
            return
        raise UserError(
            f"{where}: received depths of {levels[levels > 0].min() * self.step:.4g} m "
            f"and more with step={self.step:g}; expected some nearer than "
            f"scale={self.scale:g}. Correct step (0.001 for millimetres), or give a "
            "larger scale."
        )


def parse_depth_folder(text: str) -> DepthFolder:
    """Parse `FOLDER,step=METRES[,scale=METRES]` or `FOLDER,larger=farther|nearer`.

    Raises:
        UserError: no folder, an unknown key, a bad value, or neither `step` nor
            `larger`, so that the meaning of the numbers is unknown.
    """
    name, options = split_option(text)
    if not name:
        raise UserError(
            f"`depth`: received {text!r} without a folder; expected one before the first "
            "comma. For instance depth_maps,step=0.001"
        )
    values = {}
    for option in options:
        key, _, value = option.partition("=")
        if key not in _KEYS or key in values:
            raise _refused(name, f"{option!r}", f"each of {', '.join(_KEYS)} once")
        values[key] = value
    if "step" in values:
        step = _metres(name, "step", values["step"])
        scale = _metres(name, "scale", values.get("scale", str(DEFAULT_SCALE)))
        if values.get("larger", "farther") != "farther":
            raise _refused(name, "larger=nearer with step", "metres, larger is farther")
        return DepthFolder(Path(name), step, scale)
    if "scale" in values:
        raise _refused(name, "scale without step", "step=METRES of one grey level")
    if values.get("larger") not in ("farther", "nearer"):
        raise _refused(
            name,
            f"larger={values['larger']}" if "larger" in values else "no more",
            "step=METRES of one grey level (0.001 for millimetres), or "
            "larger=farther or larger=nearer for relative depth",
        )
    return DepthFolder(Path(name), larger=values["larger"])


def _metres(name: str, key: str, value: str) -> float:
    try:
        metres = float(value)
    except ValueError:
        metres = math.nan
    low, high = _METRES
    if not low <= metres <= high:
        raise _refused(name, f"{key}={value}", f"metres, {low:g} to {high:,.0f}")
    return metres


def _refused(name: str, received: str, accepted: str) -> UserError:
    return UserError(
        printable(
            f"`depth` {name}: received {received}; accepted: {accepted}. For instance "
            f"{name},step=0.001"
        )
    )
