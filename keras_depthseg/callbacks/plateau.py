"""A learning rate that falls on a plateau, resumably."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import numpy as np


class ReduceLROnPlateau(keras.callbacks.ReduceLROnPlateau):
    """`keras.callbacks.ReduceLROnPlateau` as a `Resumable`."""

    def state(self) -> dict[str, np.ndarray]:
        """Return the best value so far and the epochs since then."""
        best = np.nan if self.best is None else self.best
        return {
            "best": np.asarray(best, np.float64),
            "wait": np.asarray(self.wait, np.int64),
            "cooldown_counter": np.asarray(self.cooldown_counter, np.int64),
        }

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore a state; call it after `on_train_begin`, which resets the callback."""
        self.best = None if np.isnan(state["best"]) else float(state["best"])
        self.wait = int(state["wait"])
        self.cooldown_counter = int(state["cooldown_counter"])
