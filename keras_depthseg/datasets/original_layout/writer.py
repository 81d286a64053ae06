"""Writing composites in the original assignment's folder layout, see `modest.layout`."""

from __future__ import annotations

import contextlib
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

from keras_depthseg.datasets.building.jobs import run_in_threads
from keras_depthseg.datasets.composites.maker import Maker
from keras_depthseg.datasets.composites.settings import CompositesConfig
from keras_depthseg.datasets.original_layout.reader import FOLDERS
from keras_depthseg.datasets.original_layout.tables import FILE_MAP, LABELS
from keras_depthseg.files import put_in_place
from keras_depthseg.pictures import encode

# Of a zip's members: their real times would make every build's bytes its own.
_DATE = (1980, 1, 1, 0, 0, 0)

_ROWS = ".rows"
"""Where finished backgrounds leave their lines of the two tables."""


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
    if not (folder / FILE_MAP).exists():
        for name in (*FOLDERS.values(), _ROWS):
            (folder / name).mkdir(parents=True, exist_ok=True)
        jobs = _jobs(config, folder, zipped)
        run_in_threads(jobs, config.workers)
        # The file map last: a folder with one is whole.
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
    """All composites of one background, by their numbers, (N,) int64."""

    folder: Path
    maker: Maker
    bg: int
    numbers: np.ndarray
    zipped: bool

    def __len__(self) -> int:
        return len(self.numbers)

    def run(self, progress: tqdm, stop: threading.Event) -> None:
        """Writes the pictures; see `sharded.Job`."""
        if self._rows_path.exists():
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
        tables = {table: "".join(lines) for table, lines in rows.items()}
        _write(self._rows_path, json.dumps(tables).encode())

    def rows(self, table: str) -> str:
        """Its lines of one of the two tables, one for every sample."""
        return json.loads(self._rows_path.read_bytes())[table]

    @property
    def _rows_path(self) -> Path:
        return self.folder / _ROWS / f"{self.bg}.json"

    def _samples(self) -> Iterator[tuple[dict[str, tuple], dict[str, tuple[str, bytes]]]]:
        """Columns by table, and file names and bytes by field."""
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
        # As on Linux, everywhere; without a mode nobody may read what is unpacked.
        member.create_system, member.external_attr = 3, 0o100644 << 16
        self._zips[folder].writestr(member, data)

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
    # Without waiting for the disk, as that takes longer than composing: of a process
    # that is killed nothing is lost, of a machine without power the last seconds are.
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)
