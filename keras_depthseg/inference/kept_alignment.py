"""Keeps a plate aligned from frame to frame of a video."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from keras_depthseg.inference.alignment import Alignment, align
from keras_depthseg.inference.sizes import within

# The plate is aligned anew once the difference of what fits best has grown by this factor
# and by so many levels of 255: a camera that stands still is aligned once.
_GROWN, _LEVELS = 1.5, 2.0
# Share of the pixels that is compared, those that fit best: the rest may be foreground.
_COMPARED = 0.4
_SIDE = 160


class KeptAlignment:
    """Aligns a plate to the first frame of a video, and again when it fits no longer."""

    def __init__(self):
        self._found: Alignment | None = None
        self._bg: np.ndarray | None = None
        self._difference = 0.0

    def apply(self, bg: np.ndarray, fg_bg: np.ndarray) -> tuple[Alignment, np.ndarray]:
        """Return the alignment of a plate to the next frame, and the aligned plate.

        That is the same array as long as the alignment is the same.

        Args:
            bg, fg_bg: (H, W, 3) uint8 RGB, of one size; `bg` the same for all frames.
        """
        if self._found is not None and self._bg is not None:
            largest = max(_GROWN * self._difference, self._difference + _LEVELS)
            if _difference(self._bg, fg_bg) <= largest:
                return self._found, self._bg
        found = align(bg, fg_bg)
        self._found, self._bg = found, found.apply(bg, fg_bg)
        self._difference = _difference(self._bg, fg_bg)
        return found, self._bg

    @property
    def state(self) -> dict[str, np.ndarray]:
        """What the next frame needs, as arrays; `restore` takes it."""
        if self._found is None or self._bg is None:
            return {}
        found = {
            f"alignment_{field.name}": np.asarray(value)
            for field in dataclasses.fields(self._found)
            if (value := getattr(self._found, field.name)) is not None
        }
        return {**found, "bg": self._bg, "difference": np.asarray(self._difference)}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where another one was; with nothing in it, begin anew."""
        self._found = self._bg = None
        if "bg" not in state:
            return
        prefix = "alignment_"
        found: dict[str, Any] = {
            name.removeprefix(prefix): value
            for name, value in state.items()
            if name.startswith(prefix)
        }
        for name in ("residual", "size"):
            found[name] = tuple(found[name].tolist())
        self._found = Alignment(**found)
        self._bg, self._difference = state["bg"], float(state["difference"])


def _difference(bg: np.ndarray, fg_bg: np.ndarray) -> float:
    height, width = bg.shape[:2]
    size = within(height, width, _SIDE)
    small = [
        cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (bg, fg_bg)
    ]
    difference = np.sort(cv2.absdiff(*small).max(-1), axis=None)
    return float(difference[: max(1, round(_COMPARED * difference.size))].mean())
