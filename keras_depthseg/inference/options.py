"""The options of `depthseg predict`.

The command line reads this module before it imports a network: nothing heavy here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Literal

from keras_depthseg.choices import check_choices
from keras_depthseg.errors import UserError
from keras_depthseg.pretrained import DEFAULT

PHOTOGRAPH_RESULTS = ("mask", "cutout", "depth", "depth_colour", "overlay")
VIDEO_RESULTS = ("mask", "cutout", "depth_colour", "overlay")


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """What to predict, with which plate and network, and what to write.

    The options of `depthseg predict` are made from these fields.

    Attributes:
        image: Photograph, folder of photographs, video, or the number of a webcam.
        out: Folder for the results.
        model: Run folder, .keras file, name of trained weights, or what depthseg export
            wrote.
        bg: Plate: the same view without the foreground. For a video it may be left out:
            the plate is made from the video.
        write: Results to write, separated by commas: mask, cutout, depth, depth_colour,
            overlay; by default all for photographs, and mask for videos.
        replace_bg: Write photographs with another background: a picture, a colour such as
            green or #00ff00, or blur.
        order: Where the foreground stands in the new background: before all of it, or
            behind what is nearer by depth.
        cutout_format: Format of a video's cutout: WebM (VP9), QuickTime (ProRes 4444), or
            a folder of PNG files.
        no_align: Leave the plate as it is: for a tripod and fixed exposure.
        no_smoothing: Leave the masks of a video as they are, without averaging them over
            time where they are unsure.
        engine: Program that runs the network; auto is OpenVINO where it is installed.
        force: Replace results that exist.

    Raises:
        UserError: if a value, or a combination, is not accepted.
    """

    image: str
    out: Path
    model: str = DEFAULT
    bg: Path | None = None
    write: str | None = None
    replace_bg: str | None = None
    order: Literal["front", "depth"] = "front"
    cutout_format: Literal["webm", "mov", "png"] = "webm"
    no_align: bool = False
    no_smoothing: bool = False
    engine: Literal["auto", "openvino", "keras"] = "auto"
    force: bool = False

    def __post_init__(self):
        check_choices(self)
        self.kinds(PHOTOGRAPH_RESULTS)
        if self.order == "depth" and self.replace_bg is None:
            raise UserError(
                "`order`: received depth without a new background; accepted with "
                "`replace_bg` only. Give both, or neither."
            )

    def kinds(self, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return the kinds of results to write.

        Args:
            default: what is written if `write` is not given.
        """
        if self.write is None:
            return default if self.replace_bg is None else (*default, "replaced")
        kinds = tuple(part.strip() for part in self.write.split(",") if part.strip())
        unknown = [kind for kind in kinds if kind not in PHOTOGRAPH_RESULTS]
        if unknown or not (kinds or self.replace_bg):
            raise UserError(
                f"`write`: received {', '.join(unknown) or 'nothing'}; accepted are "
                f"{', '.join(PHOTOGRAPH_RESULTS)}. Separate them by commas."
            )
        return kinds if self.replace_bg is None else (*kinds, "replaced")
