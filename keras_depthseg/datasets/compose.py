"""From two folders of pictures to a data set: what `depthseg data compose` does."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from keras_depthseg.datasets.building.clean_builder import data_set_path, quiet
from keras_depthseg.datasets.building.partial import only_builder, remove_partial
from keras_depthseg.datasets.composites import gather
from keras_depthseg.datasets.composites.composites_dataset_builder import Builder
from keras_depthseg.datasets.composites.depth_folder import (
    DepthFolder,
    parse_depth_folder,
)
from keras_depthseg.datasets.composites.maker import make_scene
from keras_depthseg.datasets.composites.options import MOST_ROOMS, ComposeOptions
from keras_depthseg.datasets.composites.settings import (
    CompositesConfig,
    CompositeSettings,
)
from keras_depthseg.datasets.original_layout.writer import write_original_layout
from keras_depthseg.datasets.teacher.teacher import TeacherSettings, parse_teacher
from keras_depthseg.errors import UserError
from keras_depthseg.files import put_in_place
from keras_depthseg.text import printable, split_option

FG_HEIGHT = 108 / 224
"""Of the original's cutouts, as part of the picture's height."""

_ROOMS = re.compile(r"rooms(?::(\d+))?", re.ASCII)
_DEFAULT_ROOMS = 100
_MOST_SAMPLES = 10_000_000
"""Their numbers are held in memory; of 224 px they take 300 GB on the disk."""

_FINGERPRINT = "fingerprint.json"


def _tell(line: str) -> None:
    print(f"left out: {printable(line)}", file=sys.stderr)


def compose(
    options: ComposeOptions, out: Path, refuse: Callable[[str], None] = _tell
) -> Path:
    """Composes a data set into `out`, or goes on with one that was interrupted.

    Until it is finished it grows in `.OUT.partial` beside `out`. Calling again after a
    crash goes on there; calling again after the end changes nothing. Of several
    processes at once, one works and the others wait for it.

    Args:
        options: what to compose and how.
        out: the folder of the data set; must not exist, unless it is this one.
        refuse: told, in a line each, which pictures are left out and why.

    Returns:
        `out`, absolute: a folder that `train.py --data` takes.

    Raises:
        UserError: an option, a source or `out` cannot be used.
    """
    out = Path(os.path.abspath(out))
    _check_out(out)
    beam = _beam(options.beam)
    config = make_config(options, refuse)
    identity = {
        "fingerprint": config.fingerprint(),
        "layout": options.layout,
        "zip": options.zip,
    }
    partial = out.with_name(f".{out.name}.partial")
    try:
        if not _finished(out, identity) or partial.exists():
            with only_builder(partial):
                # Another process may have finished it while this one waited.
                if not _finished(out, identity):
                    _start(partial, identity)
                    os.replace(_build(options, config, beam, partial), out)
                remove_partial(partial)
    except OSError as error:
        raise _unwritable(
            out, error, "free some space; the same command goes on where it stopped"
        ) from error
    return out


def _build(
    options: ComposeOptions,
    config: CompositesConfig,
    beam: tfds.download.DownloadConfig | None,
    partial: Path,
) -> Path:
    """Makes the data set in `partial`, or goes on with it; returns its folder there."""
    try:
        if options.layout == "original":
            finished = partial / "original"
            write_original_layout(config, finished, options.zip)
        else:
            finished = data_set_path(Builder, config, partial)
            with quiet():
                builder = Builder(config=config, data_dir=partial)
                builder.download_and_prepare(download_config=beam)
    except UserError:
        # Other options or pictures are needed, and would not be let in.
        remove_partial(partial)
        raise
    # A copy: what is unfinished keeps its own until the end.
    shutil.copyfile(partial / _FINGERPRINT, finished / _FINGERPRINT)
    return finished


def make_config(
    options: ComposeOptions, refuse: Callable[[str], None] = _tell
) -> CompositesConfig:
    """Reads and checks all sources; see `compose` for arguments and errors."""
    depth = _parse_depth(options)
    recipe = CompositeSettings(
        size=options.size,
        fg_height=options.fg_height or max(1, round(FG_HEIGHT * options.size)),
        placement=options.placement,
        shadow=options.shadow,
        lossless=options.lossless,
        depth=depth,
        seed=options.seed,
    )
    cutouts = gather.gather_cutouts(
        options.fg, options.fg_mask, refuse, recipe.fg_height, recipe.size
    )
    if depth == "rooms":
        count = int(_ROOMS.fullmatch(options.bg)[1] or _DEFAULT_ROOMS)
        backgrounds = tuple(
            gather.RenderedRoom(options.seed, index) for index in range(count)
        )
    else:
        maps = depth if isinstance(depth, DepthFolder) else None
        backgrounds = gather.gather_backgrounds(
            Path(options.bg), maps, refuse, recipe.size
        )
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
    _check_count(config)
    return config


def _check_count(config: CompositesConfig) -> None:
    total = config.plan.total
    made = (
        f"{len(config.backgrounds)} backgrounds and {len(config.cutouts)} cutouts at "
        f"{config.plan.places} places make {total:,} samples"
    )
    if (config.count or 0) > total:
        raise UserError(
            f"--count: received {config.count}; {made} at most. Choose fewer, or more "
            "--placements."
        )
    if (config.count or total) > _MOST_SAMPLES:
        raise UserError(
            f"--count: received {config.count or 'none'}; {made}, and at most "
            f"{_MOST_SAMPLES:,} are accepted. Choose fewer."
        )


def _parse_depth(options: ComposeOptions) -> DepthFolder | TeacherSettings | str | None:
    if rooms := _ROOMS.fullmatch(options.bg):
        _check_rooms(options, rooms[1])
        return "rooms"
    depth = None
    if options.depth is not None:
        name, pairs = split_option(options.depth)
        folder = Path(name)
        is_network = any(
            os.path.exists(folder / name) for name in ("saved_model.pb", "config.json")
        )
        # A network has no step: this is a folder that is missing.
        has_step = any(pair.startswith("step=") for pair in pairs)
        if (
            (os.path.isdir(folder) and not is_network)
            or folder.suffix.lower() == ".zip"
            or has_step
        ):
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


def _check_rooms(options: ComposeOptions, count: str | None) -> None:
    if count is None and os.path.isdir(options.bg):
        raise UserError(
            f"--bg: received {options.bg}, which is a folder here and the name of "
            f"rendered rooms; expected ./{options.bg} for the folder, or "
            f"{options.bg}:{_DEFAULT_ROOMS} for rendered ones. Say which."
        )
    if count is not None and not (len(count) < 9 and 1 <= int(count) <= MOST_ROOMS):
        raise UserError(
            f"--bg: received {options.bg}; accepted: rooms:1 to rooms:{MOST_ROOMS}. "
            "Choose another number."
        )
    if options.depth not in (None, "rooms"):
        raise UserError(
            f"--depth: received {options.depth} for rendered rooms; accepted: none, as "
            "they have their true depth. Leave it out."
        )


def _with_ground(backgrounds, recipe: CompositeSettings, refuse: Callable[[str], None]):
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
            "depth; expected some. Place anywhere, or correct --depth."
        )
    return tuple(found)


def _beam(options: str | None) -> tfds.download.DownloadConfig | None:
    if options is None:
        return None
    try:
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners import create_runner
    except ImportError as error:
        raise UserError(
            "--beam: Apache Beam is not installed; install it by "
            'pip install "keras_depthseg[beam]", or leave --beam out.'
        ) from error
    told = io.StringIO()
    try:
        # Beam parses when asked, and then prints all of its options.
        with contextlib.redirect_stderr(told):
            parsed = PipelineOptions(shlex.split(options))
            runner = parsed.get_all_options()["runner"]
        create_runner(runner or "DirectRunner")
    except (SystemExit, ValueError, ImportError) as error:
        lines = told.getvalue().splitlines() or [str(error)]
        reason = lines[-1].partition("error: ")[2] or lines[-1]
        raise UserError(
            f"--beam: received {options!r}, which Apache Beam refuses ({reason}); "
            "accepted are options of a pipeline. Correct them, or leave --beam out."
        ) from error
    return tfds.download.DownloadConfig(beam_options=parsed)


def _check_out(out: Path) -> None:
    """Refuses, before everything is read, what can only be refused afterwards."""
    try:
        out.lstat()
    except FileNotFoundError:
        return
    # It is in a file, or its name is too long.
    except OSError as error:
        raise _unwritable(out, error, "remove what is there") from error
    if not (out / _FINGERPRINT).is_file():
        raise _occupied(out)


def _finished(out: Path, identity: dict[str, Any]) -> bool:
    """Whether `out` is this data set; `False` if there is nothing."""
    if not os.path.lexists(out):
        return False
    with contextlib.suppress(OSError, ValueError):
        if json.loads((out / _FINGERPRINT).read_text()) == identity:
            return True
    raise _occupied(out)


def _occupied(out: Path) -> UserError:
    return UserError(
        f"--out: {out} exists and is not the data set of these options and pictures; "
        "expected a new folder, as nothing is overwritten. Choose another, or remove it."
    )


def _unwritable(out: Path, error: OSError, remedy: str) -> UserError:
    return UserError(
        f"--out: {out} cannot be written ({error.strerror or error}); expected a folder "
        f"that can be made, with room on the disk. Choose another, or {remedy}."
    )


def _start(partial: Path, identity: dict[str, Any]) -> None:
    """Marks the folder of an unfinished build, or finds the mark of the same build."""
    mark = partial / _FINGERPRINT
    if not mark.exists():
        part = partial / f"{_FINGERPRINT}.part"
        part.write_text(json.dumps(identity))
        put_in_place(part, mark)
    elif mark.read_text() != json.dumps(identity):
        raise UserError(
            f"--out: {partial} is an unfinished data set of other options or pictures; "
            "expected the same ones. Finish it with those, or remove it."
        )
