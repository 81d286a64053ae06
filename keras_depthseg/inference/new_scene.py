"""Puts the foreground of predictions into one new scene."""

from __future__ import annotations

import numpy as np

from keras_depthseg.inference.predictor import Prediction, Predictor
from keras_depthseg.inference.replacement import new_background, replace_background


class NewScene:
    """A background that takes the place of the plate, for many photographs.

    Args:
        choice: a picture file, a colour, or `blur`, see `replacement.new_background`.
        by_depth: whether things of the new scene that are nearer than the foreground hide
            it; the network gives the depth of the scene.
        predictor: for that depth.

    Raises:
        UserError: the choice is none of these, or its file cannot be read.
    """

    def __init__(self, choice: str, by_depth: bool, predictor: Predictor):
        # A mistake is told before the work.
        new_background(choice, np.zeros((1, 1, 3), np.uint8))
        self.needs_depth = by_depth
        self._choice = choice
        self._predictor = predictor
        self._made: tuple[np.ndarray, np.ndarray | None] | None = None
        self._made_for: tuple[np.ndarray, bytes | None] | None = None

    def replace(self, prediction: Prediction) -> np.ndarray:
        """Return the photograph with the new background, (H, W, 3) uint8."""
        new, new_depth = self._scene(prediction)
        depth = prediction.depth if self.needs_depth else None
        foreground, mask = prediction.foreground, prediction.mask
        return replace_background(foreground, mask, new, depth, new_depth)

    def _scene(self, prediction: Prediction) -> tuple[np.ndarray, np.ndarray | None]:
        bg, icc = prediction.bg, prediction.photograph.icc
        # The plate of a video is one array for all frames.
        kept = self._made_for
        if self._made is None or kept is None or kept[0] is not bg or kept[1] != icc:
            new = new_background(self._choice, bg, icc)
            depth = None
            if self.needs_depth:
                depth = self._predictor.predict(new, new, align=False).depth
            self._made, self._made_for = (new, depth), (bg, icc)
        return self._made
