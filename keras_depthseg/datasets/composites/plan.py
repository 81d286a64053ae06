"""The background, cutout and place of every composite, its name and its split."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_depthseg.datasets.splits import SPLITS

_DRAW, _ORDER, _SPLIT = 1, 2, 4
"""Keep apart the random streams of the choice of composites, their order and their
splits; `maker` has 3 for the composites themselves."""


@dataclasses.dataclass(frozen=True)
class PlannedComposite:
    """A composite to be made.

    Attributes:
        number: among all combinations of the plan; gives it a random stream of its own.
        bg, fg: index of the background and of the cutout.
        flip: whether the cutout is mirrored.
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

    With `flip` there are twice as many places, and every second one has the cutout
    mirrored, as in the original: 100 backgrounds x 100 cutouts x 20 places x 2 =
    400,000. A plan takes 8 bytes a composite: only numbers are stored.

    Attributes:
        backgrounds, cutouts: the number of each.
        placements: of each cutout on each background.
        flip: see above.
        count: combinations drawn at random; `None` takes all.
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
        """The number of places of one cutout on one background."""
        return self.placements * (2 if self.flip else 1)

    @property
    def total(self) -> int:
        """The number of combinations."""
        return self.backgrounds * self.cutouts * self.places

    def bg_id(self, index: int) -> str:
        """Return the name of a background, such as `bg001` for 0."""
        return f"bg{index + 1:0{max(3, len(str(self.backgrounds)))}d}"

    def fg_id(self, index: int) -> str:
        """Return the name of a cutout, such as `fg001` for 0."""
        return f"fg{index + 1:0{max(3, len(str(self.cutouts)))}d}"

    def planned(self, number: int) -> PlannedComposite:
        """Return the `number`-th of all combinations."""
        pair, place = divmod(int(number), self.places)
        bg, fg = divmod(pair, self.cutouts)
        digits = max(2, len(str(self.places)))
        bg_id, fg_id = self.bg_id(bg), self.fg_id(fg)
        return PlannedComposite(
            number=int(number),
            bg=bg,
            fg=fg,
            flip=self.flip and place % 2 == 1,
            sample_id=f"{bg_id}_{fg_id}_{place + 1:0{digits}d}",
            bg_id=bg_id,
            fg_id=fg_id,
        )

    def numbers(self) -> np.ndarray:
        """Return the numbers of the chosen combinations, ascending, (N,) int64."""
        if self.count is None:
            return np.arange(self.total)
        rng = np.random.default_rng([self.seed, _DRAW])
        chosen = rng.choice(self.total, self.count, replace=False, shuffle=False)
        return np.sort(chosen)

    def held_out(
        self,
        bg_groups: Sequence[str],
        fg_groups: Sequence[str],
        unseen_fraction: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the backgrounds and the cutouts that `splits` keeps out of training.

        Args:
            bg_groups, fg_groups, unseen_fraction: as for `splits`.

        Returns:
            (backgrounds,) bool and (cutouts,) bool.
        """
        rng = np.random.default_rng([self.seed, _SPLIT])
        bg_group, unseen_bg = _grouped(bg_groups, unseen_fraction, rng)
        fg_group, unseen_fg = _grouped(fg_groups, unseen_fraction, rng)
        return unseen_bg[bg_group], unseen_fg[fg_group]

    def splits(
        self,
        bg_groups: Sequence[str],
        fg_groups: Sequence[str],
        *,
        val_fraction: float,
        unseen_fraction: float,
        by_identity: bool = True,
    ) -> dict[str, np.ndarray]:
        """Return the numbers of each split, shuffled; empty splits are left out.

        No split takes more than its fraction, but of two groups or more at least one is
        held out, and at least one is left for training.

        Args:
            bg_groups, fg_groups: the group of each background and each cutout. One
                group stays in one split: pictures of one place, near-duplicates.
            val_fraction: part of the composites of seen backgrounds and cutouts that is
                in `val`, a pair of groups always as a whole. Without `by_identity`,
                part of all composites.
            unseen_fraction: part of the backgrounds, and of the cutouts, kept out of
                `train` and `val`.
            by_identity: `False` splits composites at random into `train` and `val`, as
                the original did: every background and cutout is then in both.
        """
        numbers = self.numbers()
        rng = np.random.default_rng([self.seed, _SPLIT])
        if by_identity:
            bg, fg = divmod(numbers // self.places, self.cutouts)
            bg_group, unseen_bg = _grouped(bg_groups, unseen_fraction, rng)
            fg_group, unseen_fg = _grouped(fg_groups, unseen_fraction, rng)
            bg_group, fg_group = bg_group[bg], fg_group[fg]
            new_bg, new_fg = unseen_bg[bg_group], unseen_fg[fg_group]
            seen = ~new_bg & ~new_fg
            pairs = bg_group * len(unseen_fg) + fg_group
            _, pairs, sizes = np.unique(
                pairs[seen], return_inverse=True, return_counts=True
            )
            in_val = np.zeros(len(numbers), bool)
            in_val[seen] = _held_out(sizes, val_fraction, rng)[pairs]
            unseen = (new_bg & ~new_fg, ~new_bg & new_fg, new_bg & new_fg)
            # In the order of `SPLITS`.
            members = (seen & ~in_val, in_val, *unseen)
        else:
            in_val = _held_out(np.ones(len(numbers), int), val_fraction, rng)
            members = (~in_val, in_val)
        groups = {}
        for index, member in enumerate(members):
            rng = np.random.default_rng([self.seed, _ORDER, index])
            if member.any():
                groups[SPLITS[index]] = rng.permutation(numbers[member])
        return groups


def _grouped(
    names: Sequence[str], fraction: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of each one's group, and for each group whether it is held out."""
    index_of = {name: index for index, name in enumerate(sorted(set(names)))}
    group = np.array([index_of[name] for name in names], int)
    return group, _held_out(np.bincount(group), fraction, rng)


def _held_out(sizes: np.ndarray, fraction: float, rng: np.random.Generator) -> np.ndarray:
    """Choose groups at random that have `fraction` of all members together, or less.

    Where every group has more, the smallest is chosen. A single group never is.

    Args:
        sizes: members of each group, (N,) int.
        fraction: 0 or more, less than 1.
        rng: random numbers for the choice.

    Returns:
        (N,) bool.
    """
    held = np.zeros(len(sizes), bool)
    if len(sizes) < 2 or fraction <= 0:
        return held
    total = int(sizes.sum())
    left = min(round(total * fraction), total - 1)
    order = rng.permutation(len(sizes))
    for index, size in zip(order.tolist(), sizes[order].tolist(), strict=True):
        if size <= left:
            held[index] = True
            left -= size
    if not held.any():
        held[order[np.argmin(sizes[order])]] = True
    return held
