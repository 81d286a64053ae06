"""Says which splits are missing, before hours go into what cannot be scored."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from keras_depthseg.datasets.splits import SPLITS

_REMEDY = (
    "Add backgrounds and cutouts, three of each at least; those of one sub-folder and "
    "near-duplicates count as one"
)
_NEW = {"unseen_bg": "backgrounds", "unseen_fg": "cutouts"}

logger = logging.getLogger(__name__)


def tell_missing_splits(
    where: str, samples: Mapping[str, int], chosen: bool = True
) -> None:
    """Log what cannot be validated or scored, and the remedy, if there is anything.

    Args:
        where: the data, for messages.
        samples: the number of samples by split.
        chosen: whether `unseen_*` may be missing on purpose, which is no warning then.
    """
    received = ", ".join(f"{split} {samples.get(split, 0)}" for split in SPLITS)
    scored = [split for split in SPLITS[1:] if samples.get(split)]
    new = [name for split, name in _NEW.items() if not samples.get(split)]
    if "val" not in scored:
        scores = f"scores are of {', '.join(scored)}" if scored else "there are no scores"
        logger.warning(
            "%s: received %s samples: nothing validates the training, and %s; expected "
            "some in val. %s; or split at random.",
            *(where, received, scores, _REMEDY),
        )
    elif new:
        logger.log(
            # With a camera that stays in one room there are no other backgrounds.
            logging.INFO if chosen or len(new) == 1 else logging.WARNING,
            "%s: received %s samples: scores say nothing about new %s. For such scores: "
            "%s.",
            *(where, received, " and new ".join(new), _REMEDY[0].lower() + _REMEDY[1:]),
        )
