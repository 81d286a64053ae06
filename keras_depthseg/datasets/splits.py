"""The names of the splits, and the split of each sample."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

SPLITS = ("train", "val", "unseen_bg", "unseen_fg", "unseen_both")


SPLITTINGS = ("identity", "random")
"""`identity` keeps some backgrounds and cutouts out of training; `random` splits samples
at random into `train` and `val`, as the original did: both have all identities."""


def random_split(sample_id: str, *, val_fraction: float, seed: int) -> str:
    """Return the split of a sample by `random`: `val_fraction` of them are `val`."""
    return "val" if hash_fraction(seed, sample_id) < val_fraction else "train"


def hash_fraction(*parts: object) -> float:
    """Return a number in [0, 1) that depends on `parts` only, on every machine."""
    text = "\0".join(map(str, parts)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") / 2**64


def held_out(ids: Sequence[str], fraction: float, seed: int) -> frozenset[str]:
    """Choose `fraction` of the distinct `ids`, at least one, by a seeded hash.

    Returns an empty set when there are fewer than two ids to choose from.
    """
    distinct = sorted(set(ids))
    if len(distinct) < 2 or fraction <= 0:
        return frozenset()
    count = max(1, round(len(distinct) * fraction))
    ranked = sorted(distinct, key=lambda name: hash_fraction(seed, name))
    return frozenset(ranked[: min(count, len(distinct) - 1)])


def assign_split(
    bg_id: str,
    fg_id: str,
    *,
    unseen_bg: frozenset[str],
    unseen_fg: frozenset[str],
    val_fraction: float,
    seed: int,
) -> str:
    """Return the split of a sample by the identity of its background and cutout.

    A background or a cutout that is in `unseen_bg` or `unseen_fg` is never in `train`
    or `val`. Of the others, `val_fraction` of the samples are `val` (seen background,
    seen cutout, unseen combination of the two).
    """
    match bg_id in unseen_bg, fg_id in unseen_fg:
        case True, True:
            return "unseen_both"
        case True, False:
            return "unseen_bg"
        case False, True:
            return "unseen_fg"
    # Hashing the pair and not the sample keeps all placements of one cutout on one
    # background on the same side.
    return "val" if hash_fraction(seed, bg_id, fg_id) < val_fraction else "train"
