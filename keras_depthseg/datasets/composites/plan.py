"""Which background, cutout and place each composite shows, its name and its split."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from keras_depthseg.datasets import records

_DRAW, _ORDER = 1, 2
"""Keep apart the random streams of the choice of samples and of their order."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One composite.

    Attributes:
        number: among all combinations of the plan; gives it its own random stream.
        bg, fg: index of the background and of the cutout.
        flip: the cutout is mirrored.
        sample_id, bg_id, fg_id: as in the original, such as `bg001_fg001_01`.
    """

    number: int
    bg: int
    fg: int
    flip: bool
    sample_id: str
    bg_id: str
    fg_id: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """Every background with every cutout at several random places.

    With `flip` every second place has the cutout mirrored, and there are twice as many,
    as in the original: 100 backgrounds x 100 cutouts x 20 places x 2 = 400,000. Entries
    are worked out when asked for: a plan takes a few bytes a sample.

    Attributes:
        backgrounds, cutouts: how many there are.
        placements: of each cutout on each background.
        flip: see above.
        count: draws so many of all combinations at random; `None` takes all.
        seed: of the draw, the order and the splits.
    """

    backgrounds: int
    cutouts: int
    placements: int = 20
    flip: bool = True
    count: int | None = None
    seed: int = 0

    @property
    def places(self) -> int:
        """Samples of one cutout on one background, if all are taken."""
        return self.placements * (2 if self.flip else 1)

    @property
    def total(self) -> int:
        """Number of combinations."""
        return self.backgrounds * self.cutouts * self.places

    def bg_id(self, index: int) -> str:
        return f"bg{index + 1:0{max(3, len(str(self.backgrounds)))}d}"

    def fg_id(self, index: int) -> str:
        return f"fg{index + 1:0{max(3, len(str(self.cutouts)))}d}"

    def entry(self, number: int) -> Entry:
        """The `number`-th of all combinations."""
        pair, place = divmod(int(number), self.places)
        bg, fg = divmod(pair, self.cutouts)
        digits = max(2, len(str(self.places)))
        bg_id, fg_id = self.bg_id(bg), self.fg_id(fg)
        return Entry(
            number=int(number),
            bg=bg,
            fg=fg,
            flip=self.flip and place % 2 == 1,
            sample_id=f"{bg_id}_{fg_id}_{place + 1:0{digits}d}",
            bg_id=bg_id,
            fg_id=fg_id,
        )

    def numbers(self) -> np.ndarray:
        """The chosen combinations, in order, (N,) int64."""
        if self.count is None:
            return np.arange(self.total)
        rng = np.random.default_rng([self.seed, _DRAW])
        chosen = rng.choice(self.total, self.count, replace=False, shuffle=False)
        return np.sort(chosen)

    def splits(
        self,
        bg_groups: Mapping[int, str],
        fg_groups: Mapping[int, str],
        *,
        val_fraction: float,
        unseen_fraction: float,
        by_identity: bool = True,
    ) -> dict[str, np.ndarray]:
        """The chosen combinations of each split, shuffled; empty splits are left out.

        Args:
            bg_groups, fg_groups: a name for each background and each cutout by index;
                what has one name stays on one side: the same place, near-duplicates.
            val_fraction: of the samples with seen backgrounds and cutouts; without
                `by_identity` of all samples.
            unseen_fraction: of the groups of backgrounds, and of cutouts, that are kept
                out of `train` and `val`.
            by_identity: `False` splits samples at random into `train` and `val`, as
                the original did: every background and cutout is then in both.
        """
        numbers = self.numbers()
        if by_identity:
            # Only of what was drawn: all pairs may be many millions.
            pairs, inverse = np.unique(numbers // self.places, return_inverse=True)
            of_pair = self._pair_splits(
                pairs, bg_groups, fg_groups, val_fraction, unseen_fraction
            )
            indices = of_pair[inverse]
        else:
            rng = np.random.default_rng([self.seed, _DRAW, 1])
            in_val = rng.permutation(len(numbers)) < round(len(numbers) * val_fraction)
            indices = in_val.astype(np.int8)
        groups = {}
        for index, name in enumerate(records.SPLITS):
            chosen = numbers[indices == index]
            rng = np.random.default_rng([self.seed, _ORDER, index])
            if len(chosen):
                groups[name] = rng.permutation(chosen)
        return groups

    def _pair_splits(
        self,
        pairs: np.ndarray,
        bg_groups: Mapping[int, str],
        fg_groups: Mapping[int, str],
        val_fraction: float,
        unseen_fraction: float,
    ) -> np.ndarray:
        """Index of the split of each pair of a background and a cutout, (pairs,) int8."""
        unseen_bg = records.held_out(list(bg_groups.values()), unseen_fraction, self.seed)
        unseen_fg = records.held_out(list(fg_groups.values()), unseen_fraction, self.seed)
        splits = np.empty(len(pairs), np.int8)
        for position, pair in enumerate(pairs.tolist()):
            bg, fg = divmod(pair, self.cutouts)
            name = records.assign_split(
                bg_groups[bg],
                fg_groups[fg],
                unseen_bg=unseen_bg,
                unseen_fg=unseen_fg,
                val_fraction=val_fraction,
                seed=self.seed,
            )
            splits[position] = records.SPLITS.index(name)
        return splits


def parts(items: Sequence | np.ndarray, count: int) -> list:
    """`count` parts of `items`, in order, that differ by one item at most."""
    bounds = [len(items) * index // count for index in range(count + 1)]
    return [items[start:end] for start, end in itertools.pairwise(bounds)]
