"""From two folders of pictures to a data set: what `depthseg data compose` does."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from keras_depthseg.datasets.building import data_set_path, quiet
from keras_depthseg.datasets.composites import gather
from keras_depthseg.datasets.composites.composites_dataset_builder import (
    SPLITTINGS,
    Builder,
    CompositesConfig,
    Recipe,
    make_scene,
)
from keras_depthseg.datasets.composites.depth_folder import (
    DepthFolder,
    parse_depth_folder,
)
from keras_depthseg.datasets.composites.original_layout import write_original_layout
from keras_depthseg.datasets.composites.placing import PLACEMENTS
from keras_depthseg.datasets.teacher import TeacherSettings, parse_teacher
from keras_depthseg.errors import UserError

LAYOUTS = ("records", "original")

FG_HEIGHT = 108 / 224
"""Of the original's cutouts, as part of the picture's height."""

_ROOMS = re.compile(r"rooms(?::(\d+))?", re.ASCII)
_DEFAULT_ROOMS = 100
_FINGERPRINT = "fingerprint.json"


def _tell(line: str) -> None:
    print(f"left out: {line}", file=sys.stderr)


@dataclasses.dataclass(frozen=True)
class ComposeOptions:
    """What to compose and how; the defaults are the original's.

    Attributes:
        bg: folder or zip of backgrounds; or `rooms` or `rooms:COUNT`, rendered ones
            with true depth.
        fg: folder or zip of cutouts with an alpha channel, or with `fg_mask` of any
            pictures.
        fg_mask: folder or zip of the cutouts' masks.
        depth: `FOLDER,step=…` for maps of the backgrounds, see `depth_folder`;
            `NETWORK,…` for a teacher, see `teacher`; `None` for none.
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
        self._check("placements", self.placements >= 1, "1 or more")
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
        self._check("zip", original or not self.zip, "only with layout=original")
        self._check("beam", not (original and self.beam), "only with layout=records")

    def _check(self, name: str, fine: bool, accepted: str) -> None:
        if not fine:
            option = f"--{name.replace('_', '-')}"
            raise UserError(
                f"{option}: received {getattr(self, name)}; accepted: {accepted}."
            )


def compose(
    options: ComposeOptions, out: Path, refuse: Callable[[str], None] = _tell
) -> Path:
    """Composes a data set into `out`, or goes on with one that was interrupted.

    Until it is finished it grows in `.OUT.partial` beside `out`. Calling again after a
    crash goes on there; calling again after the end changes nothing.

    Args:
        options: what to compose and how.
        out: the folder of the data set; must not exist, unless it is this one.
        refuse: told, in a line each, which pictures are left out and why.

    Returns:
        `out`: a folder that `train.py --data` takes.

    Raises:
        UserError: an option, a source or `out` cannot be used.
    """
    out = out.absolute()
    config = make_config(options, refuse)
    identity = {
        "fingerprint": config.fingerprint(),
        "layout": options.layout,
        "zip": options.zip,
    }
    if _finished(out, identity):
        return out
    partial = out.with_name(f".{out.name}.partial")
    try:
        _start(partial, identity)
        if options.layout == "original":
            finished = partial / "original"
            write_original_layout(config, finished, options.zip)
        else:
            finished = data_set_path(Builder, config, partial)
            with quiet():
                builder = Builder(config=config, data_dir=partial)
                builder.download_and_prepare(download_config=_beam(options.beam))
        (finished / _FINGERPRINT).write_text(json.dumps(identity))
        os.replace(finished, out)
        shutil.rmtree(partial)
    except OSError as error:
        raise UserError(
            f"{out}: the data set cannot be written there "
            f"({error.strerror or error}); free some space or choose another folder. "
            "The same command goes on where it stopped."
        ) from error
    return out


def make_config(
    options: ComposeOptions, refuse: Callable[[str], None] = _tell
) -> CompositesConfig:
    """Reads and checks all sources; see `compose` for arguments and errors."""
    depth = _parse_depth(options)
    recipe = Recipe(
        size=options.size,
        fg_height=options.fg_height or max(1, round(FG_HEIGHT * options.size)),
        placement=options.placement,
        shadow=options.shadow,
        lossless=options.lossless,
        depth=depth,
        seed=options.seed,
    )
    cutouts = gather.gather_cutouts(options.fg, options.fg_mask, refuse)
    if depth == "rooms":
        count = int(_ROOMS.fullmatch(options.bg)[1] or _DEFAULT_ROOMS)
        backgrounds = tuple(
            gather.RenderedRoom(options.seed, index) for index in range(count)
        )
    else:
        maps = depth if isinstance(depth, DepthFolder) else None
        backgrounds = gather.gather_backgrounds(Path(options.bg), maps, refuse)
    if options.placement == "standing":
        backgrounds = _with_ground(backgrounds, recipe, refuse)
    licences = {"bg": options.bg_licence, "fg": options.fg_licence}
    config = CompositesConfig(
        name="composites",
        backgrounds=backgrounds,
        cutouts=cutouts,
        recipe=recipe,
        placements=options.placements,
        flip=options.flip,
        count=options.count,
        splitting=options.split,
        val_fraction=options.val_fraction,
        unseen_fraction=options.unseen_fraction,
        licences={kind: text for kind, text in licences.items() if text},
        workers=options.workers,
    )
    if (options.count or 0) > config.plan.total:
        raise UserError(
            f"--count: received {options.count}; {len(backgrounds)} backgrounds and "
            f"{len(cutouts)} cutouts at {config.plan.places} places make "
            f"{config.plan.total} samples at most. Choose fewer, or more --placements."
        )
    return config


def _parse_depth(options: ComposeOptions) -> DepthFolder | TeacherSettings | str | None:
    if _ROOMS.fullmatch(options.bg):
        if options.depth not in (None, "rooms"):
            raise UserError(
                f"--depth: received {options.depth} for rendered rooms, which have "
                "their true depth; leave it out."
            )
        return "rooms"
    depth = None
    if options.depth is not None:
        folder = Path(options.depth.split(",")[0])
        is_network = any(
            (folder / name).exists() for name in ("saved_model.pb", "config.json")
        )
        maps = folder.is_dir() and not is_network
        if maps or folder.suffix.lower() == ".zip":
            depth = parse_depth_folder(options.depth)
        else:
            depth = parse_teacher(options.depth)
    if options.placement == "standing" and not isinstance(depth, DepthFolder):
        raise UserError(
            "--placement: received standing, but the depth of the backgrounds is not "
            "known; expected --depth FOLDER,step=… or --bg rooms. Give it, or place "
            "anywhere."
        )
    return depth


def _with_ground(backgrounds, recipe: Recipe, refuse: Callable[[str], None]):
    """Those in whose depth there is ground to stand on."""
    found = []
    for background in backgrounds:
        if len(make_scene(background, recipe).ground):
            found.append(background)
        else:
            refuse(
                f"{background.name}: received depth without level ground; needed to "
                "stand on. Use --placement anywhere for it."
            )
    if not found:
        raise UserError(
            "--placement: received standing, but no background has level ground in its "
            "depth; place anywhere, or check --depth."
        )
    return tuple(found)


def _beam(options: str | None) -> tfds.download.DownloadConfig | None:
    if options is None:
        return None
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
    except ImportError as error:
        raise UserError(
            "--beam: Apache Beam is not installed; install it by "
            'pip install "keras_depthseg[beam]", or leave --beam out.'
        ) from error
    return tfds.download.DownloadConfig(beam_options=PipelineOptions(options.split()))


def _finished(out: Path, identity: dict[str, Any]) -> bool:
    """Whether `out` is this data set; `False` if there is nothing."""
    if not out.exists():
        return False
    with contextlib.suppress(OSError, ValueError):
        if json.loads((out / _FINGERPRINT).read_text()) == identity:
            return True
    raise UserError(
        f"--out: {out} exists and is not the data set of these options; nothing is "
        "overwritten. Choose another folder, or remove it."
    )


def _start(partial: Path, identity: dict[str, Any]) -> None:
    """Makes the folder of an unfinished build, or finds the one of the same build."""
    mark = partial / _FINGERPRINT
    if mark.exists() and mark.read_text() != json.dumps(identity):
        raise UserError(
            f"--out: {partial} is an unfinished data set of other options or pictures; "
            "finish it with those, or remove it."
        )
    partial.mkdir(parents=True, exist_ok=True)
    mark.write_text(json.dumps(identity))
