"""Writing composites in the original assignment's folder layout, see `modest.layout`."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from keras_depthseg.datasets import encode
from keras_depthseg.datasets.composites.composites_dataset_builder import (
    CompositesConfig,
    Maker,
    make_scene,
)
from keras_depthseg.datasets.modest.layout import FOLDERS
from keras_depthseg.datasets.modest.tables import FILE_MAP, LABELS
from keras_depthseg.datasets.sharded import put_in_place, run_in_threads

# Of a zip's members: their real times would make every build's bytes its own.
_DATE = (1980, 1, 1, 0, 0, 0)


def write_original_layout(config: CompositesConfig, folder: Path, zipped: bool) -> None:
    """Writes all pictures, `file_map.txt` and `labels.txt`.

    What an earlier call has written, up to the last whole background, is not made again.

    Args:
        config: what is composed; its splits do not count.
        folder: made when missing.
        zipped: one zip a background instead of files.

    Raises:
        OSError: it cannot be written; call again to go on.
    """
    plan = config.plan
    maker = Maker(config.recipe, plan, tuple(config.backgrounds), tuple(config.cutouts))
    numbers = plan.numbers()
    of_bg = numbers // (plan.places * plan.cutouts)
    jobs = [
        _Job(folder, maker, bg, tuple(numbers[of_bg == bg].tolist()), zipped)
        for bg in np.unique(of_bg).tolist()
    ]
    for name in (*FOLDERS.values(), _ROWS):
        (folder / name).mkdir(parents=True, exist_ok=True)
    run_in_threads(jobs, config.workers)
    rows = [row for job in jobs for row in job.rows()]
    for name, column in ((FILE_MAP, "file_map"), (LABELS, "labels")):
        part = folder / f"{name}.part"
        part.write_text("".join(f"{row[column]}\n" for row in rows))
        put_in_place(part, folder / name)
    shutil.rmtree(folder / _ROWS)
    if config.recipe.depth is None:
        (folder / FOLDERS["depth"]).rmdir()


_ROWS = ".rows"
"""Where finished backgrounds leave their lines of the two tables."""


@dataclasses.dataclass(frozen=True)
class _Job:
    """All composites of one background."""

    folder: Path
    maker: Maker
    bg: int
    numbers: tuple[int, ...]
    zipped: bool

    def __len__(self) -> int:
        return len(self.numbers)

    def run(self, progress: tqdm, stop: threading.Event) -> None:
        """Writes the pictures; see `sharded.Job`."""
        if self._rows_path.exists():
            progress.update(len(self))
            return
        bg_id = self.maker.plan.bg_id(self.bg)
        recipe = self.maker.recipe
        scene = make_scene(self.maker.backgrounds[self.bg], recipe)
        suffix = "png" if recipe.lossless else "jpeg"
        _write(self.folder / f"bg/{bg_id}.{suffix}", scene.encoded)
        rows = []
        with _Target(self.folder, bg_id, self.zipped) as target:
            for row, pictures in self._samples():
                if stop.is_set():
                    return
                for field, (name, data) in pictures.items():
                    target.write(FOLDERS[field], name, data)
                rows.append(row)
                progress.update()
            target.finish()
        _write(self._rows_path, json.dumps(rows).encode())

    def rows(self) -> list[dict[str, str]]:
        """A line of each table for every sample."""
        return json.loads(self._rows_path.read_text())

    @property
    def _rows_path(self) -> Path:
        return self.folder / _ROWS / f"{self.bg}.json"

    def _samples(self) -> Iterator[tuple[dict[str, str], dict]]:
        """Lines, and file names and bytes by field."""
        lossless = self.maker.recipe.lossless
        suffix = "png" if lossless else "jpeg"
        for entry, _, composite in self.maker.composites(self.numbers):
            name = entry.sample_id
            mask = encode.encode_mask(composite.mask, lossless)
            pictures = {
                "fg_bg": (
                    f"{name}.{suffix}",
                    encode.encode_colour(composite.fg_bg, lossless),
                ),
                "mask": (f"{name}_mask.{suffix}", mask),
            }
            if composite.depth is not None:
                depth = encode.encode_depth(composite.depth)
                pictures["depth"] = (f"{name}_depth_map.png", depth)
            top, left, bottom, right = composite.box
            columns = (entry.bg_id, name, f"{name}_mask", f"{name}_depth_map")
            box = (name, left, top, right - left, bottom - top)
            row = {
                "file_map": "\t".join(columns),
                "labels": "\t".join(map(str, box)),
            }
            yield row, pictures


class _Target:
    """Files in folders, or members of a zip in each of them."""

    def __init__(self, folder: Path, bg_id: str, zipped: bool):
        self._folder = folder
        self._name = f"{bg_id}.zip"
        self._zips: dict[str, zipfile.ZipFile] | None = {} if zipped else None

    def __enter__(self) -> _Target:
        return self

    def write(self, folder: str, name: str, data: bytes) -> None:
        if self._zips is None:
            _write(self._folder / folder / name, data)
            return
        if folder not in self._zips:
            part = self._folder / folder / f"{self._name}.part"
            self._zips[folder] = zipfile.ZipFile(part, "w", zipfile.ZIP_STORED)
        self._zips[folder].writestr(zipfile.ZipInfo(name, _DATE), data)

    def finish(self) -> None:
        """Puts the zips in place."""
        for folder, archive in (self._zips or {}).items():
            archive.close()
            put_in_place(Path(archive.filename), self._folder / folder / self._name)

    def __exit__(self, *exception) -> None:
        for archive in (self._zips or {}).values():
            archive.close()
            Path(archive.filename).unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    # Not to the disk at once, file by file: a background is made again after a crash.
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)
