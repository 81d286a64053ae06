"""Names the samples of a source that cannot be used, or are doubtful."""

from __future__ import annotations

import collections
import logging
from collections.abc import Sequence
from pathlib import Path

from keras_depthseg.datasets.building.shards import Finding
from keras_depthseg.errors import UserError
from keras_depthseg.text import printable

MOST_NAMED = 20
FILE = "findings.txt"
"""In the folder of the records."""

logger = logging.getLogger(__name__)


def reasons(findings: Sequence[Finding]) -> list[str]:
    """Return each reason once: many samples may share a damaged background."""
    return list(dict.fromkeys(printable(finding.text) for finding in findings))


def refuse(findings: Sequence[Finding], samples: str) -> UserError:
    """Log up to 20 reasons; return the error that refuses a source.

    Args:
        findings: the samples that cannot be used.
        samples: of how many, in words.
    """
    first, *others = reasons(findings)
    first = first.removesuffix(".")
    if not others:
        return UserError(f"{first}; or leave it out by `skip_damaged`.")
    for line in others[: MOST_NAMED - 1]:
        logger.error("%s", line)
    named = "above" if len(others) < MOST_NAMED else "the first of them above"
    return UserError(
        f"{first}; {len(findings):,} of {samples} cannot be used, for "
        f"{len(others):,} more reasons, {named}. Correct or remove them, or leave them "
        "out by `skip_damaged`."
    )


def report(findings: Sequence[Finding], samples: int) -> None:
    """Warn of what is left out, and of what is doubtful: up to 20 lines of each."""
    left_out = [finding for finding in findings if finding.left_out]
    doubtful = [finding for finding in findings if not finding.left_out]
    for found, what in ((left_out, "left out"), (doubtful, "doubtful")):
        for line in reasons(found)[:MOST_NAMED]:
            logger.warning("%s: %s", what, line)
        if found:
            logger.warning(
                "%d of %s samples are %s, all of them named in %s beside the records",
                *(len(found), f"{samples:,}", what, FILE),
            )


def remind(folder: Path) -> None:
    """Warn of what was left out, or doubtful, when a data set was built."""
    if (folder / FILE).exists():
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines()
        found = collections.Counter(line.split("\t")[1] for line in lines)
        shown = ", ".join(f"{count:,} {what}" for what, count in found.items())
        logger.warning(
            "samples found when the data set was built: %s; named in %s",
            *(shown, folder / FILE),
        )


def write(findings: Sequence[Finding], folder: Path) -> None:
    """Write all findings, a line each, into the folder of the records."""
    if findings:
        rows = (
            (name, "left out" if is_left_out else "doubtful", text)
            for name, text, is_left_out in findings
        )
        lines = ("\t".join(map(printable, row)) + "\n" for row in rows)
        (folder / FILE).write_text("".join(lines), encoding="utf-8")
