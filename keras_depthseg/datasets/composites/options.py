"""The options of `depthseg data compose`."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from keras_depthseg.datasets.composites.placing import PLACEMENTS
from keras_depthseg.datasets.splits import SPLITTINGS
from keras_depthseg.errors import UserError

LAYOUTS = ("records", "original")
# Rendered rooms, and placements of a cutout on a background.
MOST_ROOMS = 100_000


@dataclasses.dataclass(frozen=True)
class ComposeOptions:
    """What to compose and how; the defaults are the original's.

    Attributes:
        bg: folder or zip of backgrounds; or `rooms` (100) or `rooms:COUNT`, rendered
            ones with true depth.
        fg: folder or zip of cutouts with an alpha channel, or with `fg_mask` of any
            pictures.
        fg_mask: folder or zip of the cutouts' masks.
        depth: `FOLDER,step=…` for maps of the backgrounds, see `depth_folder`;
            `NETWORK,…` for a teacher, see `teacher`; `None` for none, and with rooms.
        placements, flip, count: see `Plan`.
        size: height and width of the pictures, in pixels.
        fg_height: of the cutouts, in pixels; `None` for 108 at 224, as in the original.
        placement: `"anywhere"` or `"standing"`, see `placing`.
        shadow: part of the composites with a cast shadow, 0..1.
        lossless: PNG instead of JPEG.
        split: `"identity"` or `"random"`, see `CompositesConfig`.
        val_fraction, unseen_fraction: see `Plan.splits`.
        layout: `"records"`, or `"original"` for the original's folders.
        zip: one zip a background in the original's folders.
        bg_licence, fg_licence: told on the data card.
        seed: the same seed gives the same bytes.
        workers: threads; `None` takes one for each core.
        beam: options of an Apache Beam pipeline, such as
            `--runner=DirectRunner --direct_num_workers=4`; `None` for threads.

    Raises:
        UserError: a value is not accepted.
    """

    bg: str
    fg: Path
    fg_mask: Path | None = None
    depth: str | None = None
    placements: int = 20
    flip: bool = False
    count: int | None = None
    size: int = 224
    fg_height: int | None = None
    placement: str = "anywhere"
    shadow: float = 0.0
    lossless: bool = False
    split: str = "identity"
    val_fraction: float = 0.1
    unseen_fraction: float = 0.1
    layout: str = "records"
    zip: bool = False
    bg_licence: str | None = None
    fg_licence: str | None = None
    seed: int = 0
    workers: int | None = None
    beam: str | None = None

    def __post_init__(self):
        size = self.size
        self._check("size", 32 <= size <= 4096, "32 to 4096 pixels")
        height = self.fg_height
        self._check(
            "fg_height", height is None or 1 <= height <= size, f"1 to {size} pixels"
        )
        self._check(
            "placements", 1 <= self.placements <= MOST_ROOMS, f"1 to {MOST_ROOMS:,}"
        )
        self._check("count", self.count is None or self.count >= 1, "1 or more")
        self._check("workers", self.workers is None or self.workers >= 1, "1 or more")
        self._check("seed", 0 <= self.seed < 2**32, f"0 to {2**32 - 1}")
        self._check("shadow", 0 <= self.shadow <= 1, "0 to 1")
        for name in ("val_fraction", "unseen_fraction"):
            self._check(name, 0 <= getattr(self, name) < 1, "0 or more, less than 1")
        for name, values in (
            ("placement", PLACEMENTS),
            ("split", SPLITTINGS),
            ("layout", LAYOUTS),
        ):
            self._check(name, getattr(self, name) in values, " or ".join(values))
        original = self.layout == "original"
        self._check("zip", original or not self.zip, "only with --layout original")
        self._check(
            "beam", self.beam is None or not original, "only with --layout records"
        )

    def _check(self, name: str, fine: bool, accepted: str) -> None:
        if not fine:
            option = f"--{name.replace('_', '-')}"
            raise UserError(
                f"{option}: received {getattr(self, name)}; accepted: {accepted}. Change "
                "it, or leave it out."
            )
