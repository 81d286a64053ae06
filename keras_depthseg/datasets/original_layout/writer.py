"""Writes composites in the folder layout of the original assignment; see `reader`.

Finished backgrounds are not made again: each leaves its lines of the two tables as a
summary, see `building.partial`. The tables are written last; a folder with a file map is
complete.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from keras_depthseg.datasets.building.jobs import run_in_threads
from keras_depthseg.datasets.building.partial import Summaries
from keras_depthseg.datasets.composites.maker import Maker
from keras_depthseg.datasets.composites.settings import CompositesConfig
from keras_depthseg.datasets.original_layout.reader import FOLDERS
from keras_depthseg.datasets.original_layout.tables import FILE_MAP, LABELS
from keras_depthseg.files import put_in_place
from keras_depthseg.pictures import encode

# Of a zip's members: with their real times no two builds would have the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)

# Where finished backgrounds leave their lines of the two tables.
_ROWS = ".rows"


def write_original_layout(config: CompositesConfig, folder: Path, zipped: bool) -> None:
    """Write all pictures, `file_map.txt` and `labels.txt`.

    Backgrounds that an earlier call with the same arguments has finished are not made
    again. The caller sees to it that no two processes write to the same folder.

    Args:
        config: what is composed; its splits are not used.
        folder: created when missing.
        zipped: one zip a background instead of files.

    Raises:
        OSError: a file cannot be written; call again to resume.
    """
    if not (folder / FILE_MAP).exists():
        for name in (*FOLDERS.values(), _ROWS):
            (folder / name).mkdir(parents=True, exist_ok=True)
        jobs = _jobs(config, folder, zipped)
        run_in_threads(jobs, config.workers)
        # The file map last: a folder with one is complete.
        for name in (LABELS, FILE_MAP):
            part = folder / f"{name}.part"
            with part.open("wb") as table:
                for job in jobs:
                    table.write(job.rows(name).encode())
            put_in_place(part, folder / name)
    shutil.rmtree(folder / _ROWS, ignore_errors=True)
    if config.settings.depth is None:
        with contextlib.suppress(FileNotFoundError):
            (folder / FOLDERS["depth"]).rmdir()


def _jobs(config: CompositesConfig, folder: Path, zipped: bool) -> list[_Job]:
    maker = Maker.of(config)
    numbers = config.plan.numbers()
    of_bg = numbers // (config.plan.places * config.plan.cutouts)
    backgrounds, starts = np.unique(of_bg, return_index=True)
    return [
        _Job(folder, maker, bg, part, zipped)
        for bg, part in zip(
            backgrounds.tolist(), np.split(numbers, starts[1:]), strict=True
        )
    ]


@dataclasses.dataclass(frozen=True, eq=False)
class _Job:
    """All composites of one background.

    Attributes:
        bg: number of the background.
        numbers: of the composites, (N,) int64.
    """

    folder: Path
    maker: Maker
    bg: int
    numbers: np.ndarray
    zipped: bool

    def __len__(self) -> int:
        return len(self.numbers)

    def run(self, progress: tqdm, stop: threading.Event) -> None:
        """Write the pictures; see `jobs.Job`."""
        if self._name in self._finished:
            progress.update(len(self))
            return
        bg_id = self.maker.plan.bg_id(self.bg)
        suffix = "png" if self.maker.settings.lossless else "jpeg"
        encoded = self.maker.scene(self.bg).encoded
        _write(self.folder / FOLDERS["bg"] / f"{bg_id}.{suffix}", encoded)
        rows = {FILE_MAP: [], LABELS: []}
        with _Target(self.folder, bg_id, self.zipped) as target:
            for row, pictures in self._samples():
                if stop.is_set():
                    return
                for field, (name, data) in pictures.items():
                    target.write(FOLDERS[field], name, data)
                for table, columns in row.items():
                    rows[table].append("\t".join(map(str, columns)) + "\n")
                progress.update()
            target.finish()
        self._finished[self._name] = {name: "".join(it) for name, it in rows.items()}

    def rows(self, table: str) -> str:
        """Return the lines of one of the two tables, one for each sample."""
        return self._finished[self._name][table]

    @property
    def _name(self) -> str:
        return str(self.bg)

    @property
    def _finished(self) -> Summaries:
        # Pictures do not wait for the disk, see `_write`.
        return Summaries(self.folder / _ROWS, sync=False)

    def _samples(self) -> Iterator[tuple[dict[str, tuple], dict[str, tuple[str, bytes]]]]:
        """Yield columns by table, and file names and bytes by field."""
        lossless = self.maker.settings.lossless
        suffix = "png" if lossless else "jpeg"
        for entry, scene, composite in self.maker.composites(self.numbers):
            name = entry.sample_id
            mask = encode.encode_mask(composite.mask, lossless)
            pictures = {
                "fg_bg": (
                    f"{name}.{suffix}",
                    scene.encode(composite.fg_bg, *composite.changed),
                ),
                "mask": (f"{name}_mask.{suffix}", mask),
            }
            if composite.depth is not None:
                depth = encode.encode_depth(composite.depth)
                pictures["depth"] = (f"{name}_depth_map.png", depth)
            top, left, bottom, right = composite.box
            row = {
                FILE_MAP: (entry.bg_id, name, f"{name}_mask", f"{name}_depth_map"),
                LABELS: (name, left, top, right - left, bottom - top),
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
        member = zipfile.ZipInfo(name, _DATE)
        # As on Linux, everywhere; without a mode nobody may read the unpacked files.
        member.create_system, member.external_attr = 3, 0o100644 << 16
        self._zips[folder].writestr(member, data)

    def finish(self) -> None:
        """Rename the complete zips to their places."""
        for folder, archive in (self._zips or {}).items():
            archive.close()
            put_in_place(_path(archive), self._folder / folder / self._name)

    def __exit__(self, *exception) -> None:
        for archive in (self._zips or {}).values():
            archive.close()
            _path(archive).unlink(missing_ok=True)


def _path(archive: zipfile.ZipFile) -> Path:
    return Path(str(archive.filename))


def _write(path: Path, data: bytes) -> None:
    # Without waiting for the disk, which takes longer than composing: a killed process
    # loses nothing, a power cut the last seconds.
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)
