"""Composing a data set from two folders of pictures, as `depthseg data compose` does."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from keras_depthseg.datasets.building.clean_builder import data_set_path
from keras_depthseg.datasets.building.partial import (
    has_other_work,
    only_builder,
    partial_folder,
    remove_partial,
    start,
)
from keras_depthseg.datasets.building.tfds_internals import quiet
from keras_depthseg.datasets.composites.composites_dataset_builder import Builder
from keras_depthseg.datasets.composites.configure import make_config
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.datasets.composites.settings import CompositesConfig
from keras_depthseg.datasets.missing_splits import tell_missing_splits
from keras_depthseg.datasets.original_layout.writer import write_original_layout
from keras_depthseg.errors import UserError
from keras_depthseg.runtimes import import_optional
from keras_depthseg.text import printable

_FINGERPRINT = "fingerprint.json"

logger = logging.getLogger(__name__)


def warn_left_out(line: str) -> None:
    """Warn of a picture that is left out; `line` names its file and the reason."""
    logger.warning("left out: %s", printable(line))


def compose(
    options: ComposeOptions, out: Path, refuse: Callable[[str], None] = warn_left_out
) -> Path:
    """Compose a data set into `out`, or resume an interrupted build.

    An unfinished data set is `.OUT.partial` beside `out`. Calling again after a crash
    resumes there; calling again after the end changes nothing. Of several processes at
    once, one composes and the others wait for it.

    Args:
        options: the sources and how they are composed.
        out: the folder of the data set; must not exist, unless it is the same one.
        refuse: called with a line for each picture left out: its file and the reason;
            by default a warning is logged.

    Returns:
        `out`, absolute: a folder for `depthseg train --data`.

    Raises:
        UserError: an option, a source or `out` cannot be used.
    """
    out = Path(os.path.abspath(out))
    _check_out(out)
    beam = _beam(options.beam)
    config = make_config(options, refuse)
    if options.layout == "records":
        sizes = {split: len(numbers) for split, numbers in config.splits().items()}
        chosen = options.split == "random" or not options.unseen_fraction
        tell_missing_splits(str(out), sizes, chosen)
    identity = {
        "fingerprint": config.fingerprint(),
        "layout": options.layout,
        "zip": options.zip,
    }
    folder = partial_folder(out)
    try:
        if not _finished(out, identity) or folder.exists():
            with only_builder(folder):
                # Another process may have finished while this one waited.
                if not _finished(out, identity):
                    _start(folder, identity)
                    os.replace(_build(options, config, beam, folder), out)
                remove_partial(folder)
    except OSError as error:
        raise _unwritable(
            out, error, "free some space; the same call resumes where it stopped"
        ) from error
    return out


def _build(
    options: ComposeOptions,
    config: CompositesConfig,
    beam: tfds.download.DownloadConfig | None,
    folder: Path,
) -> Path:
    """Build the data set in `folder`, or resume it; return its folder there."""
    try:
        if options.layout == "original":
            finished = folder / "original"
            write_original_layout(config, finished, options.zip)
        else:
            finished = data_set_path(Builder, config, folder)
            with quiet():
                # TFDS calls its base classes abstract.
                builder = Builder(config=config, data_dir=folder)  # pyright: ignore[reportAbstractUsage]
                builder.download_and_prepare(download_config=beam)
    except UserError:
        # Other options or pictures are needed, which an unfinished build would refuse.
        remove_partial(folder)
        raise
    # A copy: the unfinished data set keeps its own to the end.
    shutil.copyfile(folder / _FINGERPRINT, finished / _FINGERPRINT)
    return finished


def _beam(options: str | None) -> tfds.download.DownloadConfig | None:
    if options is None:
        return None
    import_optional("apache_beam", "`beam`", '"keras_depthseg[beam]"')
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.runner import create_runner

    printed = io.StringIO()
    try:
        # Beam parses in `get_all_options`, and prints its usage on an error.
        with contextlib.redirect_stderr(printed):
            parsed = PipelineOptions(shlex.split(options))
            runner = parsed.get_all_options()["runner"]
        create_runner(runner or "DirectRunner")
    except (SystemExit, ValueError, ImportError) as error:
        lines = printed.getvalue().splitlines() or [str(error)]
        reason = lines[-1].partition("error: ")[2] or lines[-1]
        raise UserError(
            f"`beam`: received {options!r}, which Apache Beam refuses ({reason}); "
            "accepted are options of a pipeline. Correct them, or leave `beam` out."
        ) from error
    return tfds.download.DownloadConfig(beam_options=parsed)


def _check_out(out: Path) -> None:
    """Refuse a taken `out` before the sources are read, which may take minutes."""
    try:
        out.lstat()
    except FileNotFoundError:
        return
    # A parent is a file, or the name is too long.
    except OSError as error:
        raise _unwritable(out, error, "remove what is there") from error
    if not (out / _FINGERPRINT).is_file():
        raise _occupied(out)


def _finished(out: Path, identity: dict[str, Any]) -> bool:
    """Return whether `out` is this data set; `False` if there is no `out`."""
    if not os.path.lexists(out):
        return False
    with contextlib.suppress(OSError, ValueError):
        if json.loads((out / _FINGERPRINT).read_text()) == identity:
            return True
    raise _occupied(out)


def _occupied(out: Path) -> UserError:
    return UserError(
        f"`out`: {out} exists and is not the data set of these options and pictures; "
        "expected a new folder, as nothing is overwritten. Choose another, or remove it."
    )


def _unwritable(out: Path, error: OSError, remedy: str) -> UserError:
    return UserError(
        f"`out`: {out} cannot be written ({error.strerror or error}); expected a folder "
        f"that can be made, with room on the disk. Choose another, or {remedy}."
    )


def _start(folder: Path, identity: dict[str, Any]) -> None:
    """Start or resume an unfinished build; refuse to resume one of other options."""
    text = json.dumps(identity)
    if has_other_work(folder, text, _FINGERPRINT):
        raise UserError(
            f"`out`: {folder} is an unfinished data set of other options or pictures; "
            "expected the same ones. Finish it with those, or remove it."
        )
    start(folder, text, _FINGERPRINT)
