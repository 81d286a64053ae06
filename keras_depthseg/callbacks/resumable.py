"""Callbacks whose state is stored in checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Resumable(Protocol):
    """A callback that a training can resume with the state it had."""

    def state(self) -> dict[str, np.ndarray]:
        """Return the state as arrays by name."""
        ...

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the state; call it after `on_train_begin`, which resets callbacks."""
        ...
