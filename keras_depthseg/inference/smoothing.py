"""Calm the masks of a video where a network is unsure and nothing moves."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

# 1 - the entropy of a probability, as a polynomial of (p - 0.5)^2.
_CERTAINTY = np.array([-624.717, 291.309, -57.8051, -0.748699, 5.68842, 0.0], np.float32)
# Of the differences between two frames the lower quartile is noise's, as long as a
# quarter of the image is still; this multiple of it is four times noise's median.
_NOISE, _LEAST_NOISE = 8.0, 2.0
_STATE = ("mask", "grey")


class TemporalSmoothing:
    """Mixes each mask with the one before, by how unsure it is and how still the image.

    Where p is the new mask, the result is p + (before - p) u(p) s exp(-d / n): u is its
    entropy, 1 at 0.5 and 0 at 0 and 1, s the strength, d by how many levels the image
    has changed and n the noise of the two images. Sure pixels stay as they are, so
    nothing leaves a ghost; at edges that move the last mask does not count.

    The mixing is MediaPipe's `segmentation_smoothing_calculator`; the factor of motion
    is added here.

    Args:
        strength: share of the last mask where the new one is 0.5, from 0 to 1.
    """

    def __init__(self, strength: float = 0.9):
        self._strength = strength
        # Mask and grey image of the last frame.
        self._last: tuple[np.ndarray, np.ndarray] | None = None

    def __call__(self, mask: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Return the mask smoothed, (h, w) float32.

        Args:
            mask: (h, w) float32 in [0, 1], of the next frame.
            image: (h, w, 3) uint8 RGB, the frame, of the same size.
        """
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        # A new size is a new video.
        if self._last is not None and self._last[0].shape == mask.shape:
            last, last_grey = self._last
            # Without a blur: it would take what is beside an edge for moving.
            change = cv2.absdiff(grey, last_grey).astype(np.float32)
            noise = max(_LEAST_NOISE, _NOISE * float(np.quantile(change, 0.25)))
            share = self._strength * _uncertainty(mask) * np.exp(-change / noise)
            mask = mask + (last - mask) * share
        mask = mask.astype(np.float32)
        self._last = mask, grey
        return mask

    @property
    def state(self) -> dict[str, np.ndarray]:
        """What the next frame needs; `restore` takes it."""
        return {} if self._last is None else dict(zip(_STATE, self._last, strict=True))

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on where another smoothing was; with nothing in it, begin anew."""
        self._last = (state["mask"], state["grey"]) if state else None


def _uncertainty(mask: np.ndarray) -> np.ndarray:
    certainty = np.polyval(_CERTAINTY, np.square(np.float32(mask) - 0.5))
    return 1 - np.clip(certainty, 0, 1)
