"""The speed of each phase of a run, and what limits it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from keras_depthseg.training.history import History, epoch_count, phases_of, values_of

# Above this share of its time spent waiting for input, a step is limited by input.
LIMITING_INPUT_WAIT = 0.1


def phase_speeds(
    phases: Sequence[Mapping[str, Any]], history: History
) -> list[dict[str, Any]]:
    """Return the speed of each phase, and what limited it.

    Args:
        phases: `resolution`, `epochs` and `batch_size` of each; without any they follow
            from the history.
        history: with `phase`, `resolution` and the values of `StepTimes`.

    Returns:
        Each phase with `done`, the number of its epochs that are in the history; with
        `step_seconds`, `images_per_second` and `input_wait`, medians over those epochs,
        `None` if there are none; and with `limit`: `"input"`, `"computing"` or `None`.
    """
    if not phases:
        phases = [
            {"resolution": resolution, "epochs": len(epochs), "batch_size": None}
            for epochs, resolution in phases_of(history)
        ]
    speeds, start = [], 0
    for phase in phases:
        end = start + (phase["epochs"] or 0)
        medians = {}
        for name in ("step_seconds", "images_per_second", "input_wait"):
            values = values_of(history, name)[start:end]
            values = values[np.isfinite(values)]
            medians[name] = float(np.median(values)) if len(values) else None
        done = max(min(end, epoch_count(history)) - start, 0)
        speeds.append({**phase, **medians, "done": done, "limit": None})
        if medians["input_wait"] is not None:
            waits = medians["input_wait"] > LIMITING_INPUT_WAIT
            speeds[-1]["limit"] = "input" if waits else "computing"
        start = end
    return speeds


def speed_summary(phases: Sequence[Mapping[str, Any]], history: History) -> str:
    """Return a line for each phase that has epochs in the history."""
    remedy = (
        "; records on a local disk, more processor cores, and no random changes "
        "(`augment` none) help"
    )
    return "\n".join(
        f"{speed['resolution']} px: {speed['images_per_second']:.1f} images/s, "
        f"{1000 * speed['step_seconds']:.0f} ms a step, {speed['input_wait']:.1%} of it "
        f"waiting for input: limited by {speed['limit']}"
        + (remedy if speed["limit"] == "input" else "")
        for speed in phase_speeds(phases, history)
        if speed["limit"] is not None
    )
