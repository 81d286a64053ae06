"""The room, the cutout and the split of every sample."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from keras_depthseg.datasets.splits import SPLITS, assign_split, held_out
from keras_depthseg.shapes import ceil_div

PER_ROOM = 8
"""Samples that share a room, and about as many share a cutout."""

_PLAN = 4
"""Keeps this random stream apart from those of rooms, cutouts and samples."""


@dataclasses.dataclass(frozen=True)
class RoomSample:
    """A sample to be rendered; `index` gives it a random stream of its own."""

    index: int
    room: int
    cutout: int
    sample_id: str
    bg_id: str
    fg_id: str


def planned_samples(num_samples: int, seed: int) -> list[RoomSample]:
    """Return all samples of a data set, those of one room next to each other."""
    rooms = max(2, ceil_div(num_samples, PER_ROOM))
    rng = np.random.default_rng([seed, _PLAN])
    result = []
    # Every cutout is used once before any is used again.
    shuffled = [rng.permutation(rooms) for _ in range(PER_ROOM)]
    for index in range(num_samples):
        room, number = divmod(index * rooms * PER_ROOM // num_samples, PER_ROOM)
        cutout = int(shuffled[number][room])
        bg_id, fg_id = f"room{room:04d}", f"cutout{cutout:04d}"
        sample_id = f"{bg_id}_{fg_id}_{number:02d}"
        result.append(RoomSample(index, room, cutout, sample_id, bg_id, fg_id))
    return result


def splits(
    plan: list[RoomSample],
    seed: int,
    unseen_fraction: float = 0.15,
    val_fraction: float = 0.1,
) -> dict[str, list[RoomSample]]:
    """Assign samples to splits by the identity of their room and cutout.

    With few samples a random choice can leave a split empty, so choices are tried in
    a fixed order until none is. With very few samples some splits stay empty and are
    left out; `train` never is.

    Args:
        plan: from `planned_samples`.
        seed: of the data set.
        unseen_fraction: part of the rooms, and of the cutouts, that are only in
            `unseen_*`.
        val_fraction: part of the other samples that is in `val`.
    """
    best: dict[str, list[RoomSample]] = {}
    for attempt in range(64):
        salt = seed + attempt * 1_000_003
        unseen_bg = held_out([sample.bg_id for sample in plan], unseen_fraction, salt)
        unseen_fg = held_out([sample.fg_id for sample in plan], unseen_fraction, salt)
        groups = collections.defaultdict(list)
        for sample in plan:
            name = assign_split(
                sample.bg_id,
                sample.fg_id,
                unseen_bg=unseen_bg,
                unseen_fg=unseen_fg,
                val_fraction=val_fraction,
                seed=salt,
            )
            groups[name].append(sample)
        if "train" in groups and len(groups) > len(best):
            best = {name: groups[name] for name in SPLITS if name in groups}
        if len(best) == len(SPLITS):
            break
    return best or {"train": plan}
