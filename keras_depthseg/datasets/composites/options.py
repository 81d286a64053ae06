"""The options of `depthseg data compose`.

The command line reads this module before it imports TensorFlow: nothing heavy here.
"""

from __future__ import annotations

import dataclasses
import os
import re
from pathlib import Path
from typing import Literal

from keras_depthseg.choices import check_choices
from keras_depthseg.errors import UserError

# Rendered rooms, and placements of a cutout on a background.
MOST_ROOMS = 100_000

ROOMS = re.compile(r"rooms(?::(\d+))?", re.ASCII)
"""A value of `bg` that means rendered rooms, and their number."""


@dataclasses.dataclass(frozen=True)
class ComposeOptions:
    """Sources, number and form of the composites; the defaults are the original's.

    The options of `depthseg data compose` are made from these fields.

    Attributes:
        bg: Folder or zip of backgrounds; pictures of one sub-folder count as one place
            and stay in one split. Or rooms[:COUNT], rendered ones with true depth.
        fg: Folder or zip of cutouts with an alpha channel, or with `fg_mask` of any
            pictures.
        fg_mask: Folder or zip of the cutouts' masks, if they have no alpha channel.
        depth: DIR,step=METRES: a depth map of each background, METRES a grey level
            (0.001 for millimetres), 0 where unknown; with scale=METRES stored as 1.0
            (by default 10). Or DIR,larger=farther|nearer: relative depth. Or
            NETWORK,larger=farther|nearer: a pretrained network (keras-hub preset, .keras,
            SavedModel, .onnx, .tflite) labels the composites, see the documentation. By
            default there is no depth, but that of rendered rooms.
        variety: plain: one cutout of one height, as in the original; or rich: up to three
            cutouts of any height, turned, relit, with holes, thin parts or the colours
            of the background, on parts of the backgrounds, and a few pairs empty.
        placements: Places of each cutout on each background.
        flip: Make as many samples again with the cutout mirrored.
        count: Draw this many of all these samples at random; by default all.
        size: Height and width of the images, in pixels.
        fg_height: Height of the cutouts, in pixels; by default 108 at size 224, as in
            the original.
        placement: anywhere, wholly inside the image; or standing, on the ground, sized
            by distance, which needs the backgrounds' depth.
        shadow: Share of the samples with a cast shadow, 0 to 1.
        lossless: Write PNG instead of JPEG of quality 95.
        split: identity: some backgrounds and cutouts are kept out of training; random:
            as the original did, all are in training and validation.
        val_fraction: Share of the samples with seen backgrounds and cutouts that
            validate.
        unseen_fraction: Share of backgrounds, and of cutouts, kept out of training.
        layout: records, for training; or original, the original's folders of pictures.
        zip: Write a zip for each background instead of single files; only with `layout`
            original.
        bg_licence: Licence of the backgrounds, for the data card.
        fg_licence: Licence of the cutouts, for the data card.
        seed: Seed of all that is drawn; the same seed gives the same bytes.
        workers: Threads; by default one for each core.
        beam: Run on Apache Beam with these options of a pipeline, for instance
            "--runner=DirectRunner --direct_num_workers=4
            --direct_running_mode=multi_processing"; by default in threads. Only with
            `layout` records.

    Raises:
        UserError: if a value is not accepted.
        TypeError: if `bg` or `depth` is neither text nor a path.
    """

    bg: str
    fg: Path
    fg_mask: Path | None = None
    depth: str | None = None
    variety: Literal["plain", "rich"] = "plain"
    placements: int = 20
    flip: bool = False
    count: int | None = None
    size: int = 224
    fg_height: int | None = None
    placement: Literal["anywhere", "standing"] = "anywhere"
    shadow: float = 0.0
    lossless: bool = False
    split: Literal["identity", "random"] = "identity"
    val_fraction: float = 0.1
    unseen_fraction: float = 0.1
    layout: Literal["records", "original"] = "records"
    zip: bool = False
    bg_licence: str | None = None
    fg_licence: str | None = None
    seed: int = 0
    workers: int | None = None
    beam: str | None = None

    def __post_init__(self):
        bg = os.fspath(self.bg)
        if not isinstance(self.bg, str) and ROOMS.fullmatch(bg):
            # A path means a folder, and drops the ./ that would say so.
            bg = os.path.join(os.curdir, bg)
        object.__setattr__(self, "bg", bg)
        if self.depth is not None:
            object.__setattr__(self, "depth", os.fspath(self.depth))
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
        check_choices(self)
        if self.variety == "rich":
            only = "only with `variety` plain, as rich cutouts differ in it"
            self._check("flip", not self.flip, only)
            self._check("fg_height", height is None, only)
            self._check("placement", self.placement == "anywhere", only)
            self._check(
                "layout",
                self.layout == "records",
                "records with `variety` rich, as each pair has a background of its own",
            )
        original = self.layout == "original"
        self._check("zip", original or not self.zip, "only with `layout` original")
        self._check(
            "beam", self.beam is None or not original, "only with `layout` records"
        )

    def _check(self, name: str, fine: bool, accepted: str) -> None:
        if not fine:
            raise UserError(
                f"`{name}`: received {getattr(self, name)}; accepted: {accepted}. Change "
                "it, or leave it out."
            )
