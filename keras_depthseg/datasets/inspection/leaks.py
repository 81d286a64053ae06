"""Whether what a split calls unseen was seen: identities and pictures over the splits."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy as np

from keras_depthseg.pictures.near_duplicates import groups

SEEN = ("train", "val")

_KINDS = {
    "background": ("unseen_bg", "unseen_both"),
    "cutout": ("unseen_fg", "unseen_both"),
}


class Identities:
    """Which backgrounds or cutouts are in which splits, and what they look like.

    Args:
        kind: `"background"` or `"cutout"`.
    """

    def __init__(self, kind: str):
        self.kind = kind
        self.splits: dict[str, set[str]] = collections.defaultdict(set)
        self.hashes: dict[str, np.ndarray] = {}
        # Ids by the digest of the encoded picture.
        self._same: dict[bytes, set[str]] = collections.defaultdict(set)

    def add(
        self,
        name: str,
        split: str,
        picture_hash: np.ndarray | None,
        digest: bytes | None = None,
    ) -> None:
        """Adds what a sample shows; of several hashes of one id the first counts."""
        self.splits[name].add(split)
        if picture_hash is not None:
            self.hashes.setdefault(name, picture_hash)
        if digest:
            self._same[digest].add(name)

    def leaks(self) -> list[str]:
        """One line for each identity of an unseen split that training may have seen."""
        lines = []
        told = set()
        for name in sorted(self.splits):
            if self._unseen(name) and self._seen(name):
                told.add(name)
                lines.append(
                    f"leak: {self.kind} {self._shown(name)}: {self._held_out()} must "
                    f"not be in {' or '.join(SEEN)}"
                )
        same = sorted(sorted(names) for names in self._same.values() if len(names) > 1)
        alike = collections.defaultdict(list)
        for name, first in groups(self.hashes).items():
            alike[first].append(name)
        for members, how in (
            *((names, "the same picture") for names in same),
            *((names, "the same or nearly the same picture") for names in alike.values()),
        ):
            lines += self._across(members, how, told)
        return lines

    def _across(self, members: Iterable[str], how: str, told: set[str]) -> list[str]:
        """Those of `members` that are unseen while another one is seen."""
        seen = next((name for name in members if self._seen(name)), None)
        unseen = [name for name in members if self._unseen(name) and name not in told]
        if seen is None:
            return []
        told.update(unseen)
        return [
            f"leak: {self.kind}s {self._shown(name)} and {self._shown(seen)}: {how}"
            for name in unseen
        ]

    def _seen(self, name: str) -> bool:
        return not self.splits[name].isdisjoint(SEEN)

    def _unseen(self, name: str) -> bool:
        return not self.splits[name].isdisjoint(_KINDS[self.kind])

    def _held_out(self) -> str:
        return f"what is in {' or '.join(_KINDS[self.kind])}"

    def _shown(self, name: str) -> str:
        return f"{name!r} ({', '.join(sorted(self.splits[name]))})"
