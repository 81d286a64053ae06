"""Which room and which cutout each sample shows, and the split it belongs to."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np

from keras_depthseg.datasets.splits import SPLITS, assign_split, held_out

PER_ROOM = 8
"""Samples that share a room, and about as many share a cutout."""

_PLAN = 4
"""Keeps this random stream apart from those of rooms, cutouts and samples."""


@dataclasses.dataclass(frozen=True)
class RoomSample:
    """One sample to make; `index` gives it its own random stream."""

    index: int
    room: int
    cutout: int
    sample_id: str
    bg_id: str
    fg_id: str


def entries(num_samples: int, seed: int) -> list[RoomSample]:
    """All samples of a data set, those of one room beside one another."""
    rooms = max(2, -(-num_samples // PER_ROOM))
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
    """Assigns samples to splits by the identity of what they show.

    With few samples a random choice can leave a split empty, so choices are tried in
    a fixed order until none is; with very few samples some stay empty and are left
    out, never `train`.

    Args:
        plan: from `entries`.
        seed: of the data set.
        unseen_fraction: part of the rooms, and of the cutouts, that are in `unseen_*`
            only.
        val_fraction: part of the other samples that is `val`.
    """
    best: dict[str, list[RoomSample]] = {}
    for attempt in range(64):
        salt = seed + attempt * 1_000_003
        unseen_bg = held_out([e.bg_id for e in plan], unseen_fraction, salt)
        unseen_fg = held_out([e.fg_id for e in plan], unseen_fraction, salt)
        groups = collections.defaultdict(list)
        for entry in plan:
            name = assign_split(
                entry.bg_id,
                entry.fg_id,
                unseen_bg=unseen_bg,
                unseen_fg=unseen_fg,
                val_fraction=val_fraction,
                seed=salt,
            )
            groups[name].append(entry)
        if "train" in groups and len(groups) > len(best):
            best = {name: groups[name] for name in SPLITS if name in groups}
        if len(best) == len(SPLITS):
            break
    return best or {"train": plan}
