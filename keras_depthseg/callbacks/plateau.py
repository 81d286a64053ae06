"""Reduces the learning rate on a plateau, resumably."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np


class ReduceLROnPlateau(keras.callbacks.ReduceLROnPlateau):
    """`keras.callbacks.ReduceLROnPlateau` that can be saved and go on later."""

    def state(self) -> dict[str, np.ndarray]:
        """The best value so far, and how long ago it was."""
        best = np.nan if self.best is None else self.best
        return {
            "best": np.float64(best),
            "wait": np.int64(self.wait),
            "cooldown_counter": np.int64(self.cooldown_counter),
        }

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Goes on from what `state` gave; after `on_train_begin`, which resets it."""
        self.best = None if np.isnan(state["best"]) else float(state["best"])
        self.wait = int(state["wait"])
        self.cooldown_counter = int(state["cooldown_counter"])
