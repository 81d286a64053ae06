"""Finds leaks: unseen backgrounds or cutouts that are also in `train` or `val`."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy as np

from keras_depthseg.pictures.near_duplicates import groups
from keras_depthseg.text import shortened

SEEN = ("train", "val")

_KINDS = {
    "background": ("unseen_bg", "unseen_both"),
    "cutout": ("unseen_fg", "unseen_both"),
}


class Identities:
    """Backgrounds or cutouts, with their splits and the hashes of their pictures.

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
        """Add the background or cutout of a sample; the first hash of an id counts."""
        self.splits[name].add(split)
        if picture_hash is not None:
            self.hashes.setdefault(name, picture_hash)
        if digest:
            self._same[digest].add(name)

    def leaks(self) -> list[str]:
        """Return a line for each unseen identity that training may have seen."""
        lines = []
        reported = set()
        for name in sorted(self.splits):
            if self._unseen(name) and self._seen(name):
                reported.add(name)
                lines.append(
                    f"leak: {self.kind} {self._shown(name)}: a {self.kind} of "
                    f"{' or '.join(_KINDS[self.kind])} must not be in {' or '.join(SEEN)}"
                )
        same = sorted(sorted(names) for names in self._same.values() if len(names) > 1)
        alike = collections.defaultdict(list)
        for name, first in groups(self.hashes).items():
            alike[first].append(name)
        for members, how in (
            *((names, "the same picture") for names in same),
            *((names, "the same or nearly the same picture") for names in alike.values()),
        ):
            lines += self._across(members, how, reported)
        return lines

    def _across(self, members: Iterable[str], how: str, reported: set[str]) -> list[str]:
        """Report the unseen `members` if another member is seen."""
        seen = next((name for name in members if self._seen(name)), None)
        unseen = [name for name in members if self._unseen(name) and name not in reported]
        if seen is None:
            return []
        reported.update(unseen)
        return [
            f"leak: {self.kind}s {self._shown(name)} and {self._shown(seen)}: {how}"
            for name in unseen
        ]

    def _seen(self, name: str) -> bool:
        return not self.splits[name].isdisjoint(SEEN)

    def _unseen(self, name: str) -> bool:
        return not self.splits[name].isdisjoint(_KINDS[self.kind])

    def _shown(self, name: str) -> str:
        return f"{shortened(name)!r} ({', '.join(sorted(self.splits[name]))})"
