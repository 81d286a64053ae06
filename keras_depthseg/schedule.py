"""Training in phases of growing resolution: `96:3,160:5,224:3`."""

from __future__ import annotations

import dataclasses
import re

from keras_depthseg.errors import UserError
from keras_depthseg.shapes import SIDE_MULTIPLE

DEFAULT_BATCH_SIZE = 16

_PHASE = re.compile(r"(\d+):(\d+)(?::(\d+))?", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Phase:
    """A number of epochs at one resolution.

    Attributes:
        resolution: side of the square images, in pixels, a multiple of 32.
        epochs: at least 1.
        batch_size: images a step, at least 1.
    """

    resolution: int
    epochs: int
    batch_size: int = DEFAULT_BATCH_SIZE

    def __post_init__(self):
        if self.resolution < SIDE_MULTIPLE or self.resolution % SIDE_MULTIPLE:
            lower = max(SIDE_MULTIPLE, self.resolution // SIDE_MULTIPLE * SIDE_MULTIPLE)
            raise UserError(
                f"resolution must be a multiple of {SIDE_MULTIPLE}, at least "
                f"{SIDE_MULTIPLE}: received {self.resolution}; the nearest are {lower} "
                f"and {lower + SIDE_MULTIPLE}."
            )
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(
                    f"{name} of a phase must be at least 1: received "
                    f"{getattr(self, name)} at resolution {self.resolution}."
                )

    def __str__(self):
        return f"{self.resolution}:{self.epochs}:{self.batch_size}"


def parse_schedule(
    text: str, default_batch_size: int = DEFAULT_BATCH_SIZE
) -> tuple[Phase, ...]:
    """Parse `resolution:epochs[:batch],…`, for instance `96:3,160:5,224:3:8`.

    Args:
        text: the phases in order; resolutions may repeat and shrink.
        default_batch_size: batch size of the phases without one.

    Raises:
        UserError: if a phase does not have that form or a number is out of range.
    """
    phases = []
    for part in text.split(","):
        match = _PHASE.fullmatch(part.strip())
        if not match:
            raise UserError(
                f"`schedule` {text!r}: received {part.strip()!r}; a phase is "
                "resolution:epochs or resolution:epochs:batch, phases are separated by "
                "commas, for instance 96:3,160:5,224:3."
            )
        resolution, epochs, batch_size = match.groups()
        try:
            phases.append(
                Phase(
                    int(resolution),
                    int(epochs),
                    default_batch_size if batch_size is None else int(batch_size),
                )
            )
        except UserError as error:
            raise UserError(f"`schedule` {text!r}: {error}") from None
    return tuple(phases)


def format_schedule(phases: tuple[Phase, ...]) -> str:
    """Return the text that `parse_schedule` parses to these phases."""
    return ",".join(map(str, phases))
