"""Reads a folder in the layout of the original assignment, with files or zips.

file_map.txt        one sample a line: bg, fg_bg, mask and depth names
labels.txt          optional: name, x, y, width, height of the foreground's box
bg/                 bg001.jpeg …
fg_bg/              bg001_fg001_01.jpeg …, or bg001.zip … with these inside
fg_bg_mask/         bg001_fg001_01_mask.jpeg …, or zips
fg_bg_depth/        bg001_fg001_01_depth_map.jpeg …, or zips
"""

from __future__ import annotations

import functools
import hashlib
import os
import threading
import zipfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from keras_depthseg import archives
from keras_depthseg.datasets.original_layout import tables
from keras_depthseg.datasets.records import IMAGE_FIELDS
from keras_depthseg.errors import UserError
from keras_depthseg.pictures.folders import LARGEST_FILE
from keras_depthseg.pictures.formats import is_accepted
from keras_depthseg.text import printable, shortened

FOLDERS = {
    "bg": "bg",
    "fg_bg": "fg_bg",
    "mask": "fg_bg_mask",
    "depth": "fg_bg_depth",
}
_USUAL_SUFFIXES = (".jpeg", ".jpg", ".png")


BACKGROUNDS_TOGETHER = 8
"""Samples of so many are written together, and their zips stay open meanwhile."""

# Three zips a background. The list of one with 4,000 pictures takes 4 MB, and 16 ms to
# read.
_OPEN_ZIPS = 2 * 3 * BACKGROUNDS_TOGETHER


class Layout:
    """A source folder whose tables were read and whose folders were listed.

    Pictures are read on demand. Can be used by several threads at once, and pickled.

    Attributes:
        root: the source folder.
        samples: all of them, those of one background together, so that a zip is opened
            once in a pass.
    """

    def __init__(self, root: Path | str):
        """Read the tables and list the folders.

        Raises:
            UserError: a folder or a table is missing, or a table is malformed.
        """
        self.root = Path(root)
        check_folders(self.root)
        file_map = self.root / tables.FILE_MAP
        samples = tables.parse_file_map(_read(file_map), file_map)
        # A background is missing once, however many samples name it.
        self._first_line: dict[str, int] = {}
        for sample in samples:
            self._first_line.setdefault(sample.bg, sample.line)
        self.samples = sorted(samples, key=lambda sample: sample.bg)
        labels = self.root / tables.LABELS
        self._boxes = (
            tables.parse_labels(_read(labels), labels) if labels.exists() else None
        )
        self._folders = {
            field: _PictureFolder(self.root / name) for field, name in FOLDERS.items()
        }

    def check(self, sample: tables.MapRow) -> None:
        """Look for the pictures of a sample and for its box, without reading pictures.

        Raises:
            UserError: one is missing, or a zip is damaged.
        """
        for field in IMAGE_FIELDS:
            self._folder(field, sample)
        self.box(sample)

    def read(self, field: str, sample: tables.MapRow) -> tuple[str, bytes]:
        """Return one picture of a sample.

        Args:
            field: `"bg"`, `"fg_bg"`, `"mask"` or `"depth"`.
            sample: one of `samples`.

        Returns:
            Its place, for messages, and its encoded bytes.

        Raises:
            UserError: the picture is missing or cannot be read, or its zip is damaged.
        """
        return self._folder(field, sample).read(getattr(sample, field), sample.bg)

    def box(self, sample: tables.MapRow) -> tables.Box | None:
        """Return the box of a sample; `None` without a `labels.txt`.

        Raises:
            UserError: the file has no box for it.
        """
        if self._boxes is None:
            return None
        if sample.fg_bg not in self._boxes:
            raise UserError(
                f"{self.root / tables.LABELS}: there is no box for "
                f"{shortened(repr(sample.fg_bg))}; every sample needs one. Add it, or "
                "remove the file to have the boxes computed from the masks."
            )
        return self._boxes[sample.fg_bg]

    def _folder(self, field: str, sample: tables.MapRow) -> _PictureFolder:
        """Return the folder that has a picture of a sample."""
        folder, name = self._folders[field], getattr(sample, field)
        if not folder.has(name, sample.bg):
            line = self._first_line[name] if field == "bg" else sample.line
            raise UserError(
                f"{self.root / tables.FILE_MAP}, line {line}: it names "
                f"{shortened(repr(name))}, but there is no "
                f"{folder.wanted(name, sample.bg)}. Add the picture, or remove the line; "
                "names are without extension."
            )
        return folder


def check_folders(root: Path) -> None:
    """Raise `UserError` unless the folder, its tables and sub-folders exist."""
    expected = f"{tables.FILE_MAP}, {', '.join(f'{f}/' for f in FOLDERS.values())}"
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UserError(
            f"source {root} {what}; expected a folder with {expected}. "
            "Give the path of that folder."
        )
    for name in FOLDERS.values():
        if not (root / name).is_dir():
            raise UserError(
                f"source {root} has no folder {name}/; expected {expected}. "
                "Give the folder that has them."
            )
    if not (root / tables.FILE_MAP).is_file():
        raise UserError(
            f"source {root} has no {tables.FILE_MAP}; expected {expected}. Write one "
            "line a sample: the names of bg, fg_bg, mask and depth, tab-separated."
        )


def fingerprint(root: Path, *settings: object) -> str:
    """Return a hash that changes with the source, without reading its pictures.

    The hash covers the folder's path, the tables, the names, sizes and modification
    times of the pictures and zips, and the `repr` of `settings`.

    Raises:
        UserError: a folder or `file_map.txt` is missing.
    """
    root = root.resolve()
    check_folders(root)
    digest = hashlib.sha256(repr((os.fsencode(root), settings)).encode())
    for name in (tables.FILE_MAP, tables.LABELS):
        path = root / name
        content = _read(path) if path.exists() else b"absent"
        digest.update(hashlib.sha256(content).digest())
    for name in FOLDERS.values():
        for file in _listed(root / name):
            if _suffix(file) == ".zip" or is_accepted(_suffix(file)):
                try:
                    status = (root / name / file).stat()
                    line = (name, file, status.st_size, status.st_mtime_ns)
                # A broken link: named when it is read.
                except OSError:
                    line = (name, file)
                digest.update(repr(line).encode())
    return digest.hexdigest()


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        raise UserError(
            f"{folder}: the folder cannot be read ({error.strerror}); expected a "
            "readable one. Check its permissions and the disk."
        ) from error


class _PictureFolder:
    """Pictures by name, from the files of a folder or from one zip a background."""

    def __init__(self, path: Path):
        self.path = path
        names = _listed(path)
        self._files = _Index(names, path)
        self._zips = {name[:-4]: name for name in names if _suffix(name) == ".zip"}

    def has(self, name: str, bg: str) -> bool:
        return name in self._files or (bg in self._zips and name in self._zip(bg).index)

    def wanted(self, name: str, bg: str) -> str:
        """Return the file that `has` looks for, for messages."""
        if bg in self._zips:
            return f"picture {shortened(repr(name))} in {self.path / self._zips[bg]}"
        shown = printable(shortened(name))
        return f"{self.path}/{shown}{' / '.join(_USUAL_SUFFIXES)}"

    def read(self, name: str, bg: str) -> tuple[str, bytes]:
        if name in self._files:
            path = self.path / self._files[name]
            return str(path), _read(path)
        return self._zip(bg).read(name)

    def _zip(self, bg: str) -> _Archive:
        path = self.path / self._zips[bg]
        try:
            state = path.stat()
        except OSError as error:
            raise _bad_zip(path, error) from error
        return _archive(path, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=_OPEN_ZIPS)
def _archive(path: Path, modified: int, size: int) -> _Archive:
    """Open a zip and keep it open."""
    del modified, size  # arguments, so that a zip written again is opened again
    return _Archive(path)


def close_zips() -> None:
    """Close the zips that are kept open; they are opened again when needed."""
    _archive.cache_clear()


class _Archive:
    """One open zip, for several threads."""

    def __init__(self, path: Path):
        self.path = path
        # `zipfile` counts its readers without a lock.
        self._lock = threading.Lock()
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
            raise _bad_zip(path, error) from error
        # macOS puts a shadow of each file under that folder.
        names = (n for n in self._zip.namelist() if not n.startswith("__MACOSX/"))
        self.index = _Index(names, path)

    def read(self, name: str) -> tuple[str, bytes]:
        member = self.index[name]
        try:
            with self._lock:
                data = archives.read_member(self._zip, member, LARGEST_FILE)
                return f"{self.path}/{member}", data
        except (*archives.ERRORS, OSError) as error:
            raise _bad_zip(f"{self.path}/{member}", error) from error


class _Index:
    """File names by the name of the picture, without folder and extension."""

    def __init__(self, paths: Iterable[str], where: Path):
        self._where = where
        self._paths: dict[str, str] = {}
        self._doubles: dict[str, str] = {}
        for path in sorted(paths, key=_is_unusual):
            if is_accepted(_suffix(path)):
                name = PurePosixPath(path).stem
                first = self._paths.setdefault(name, path)
                # Beside a JPEG or PNG the same picture may lie in another format.
                if first != path and _is_unusual(first) == _is_unusual(path):
                    self._doubles[name] = path

    def __contains__(self, name: str) -> bool:
        return name in self._paths

    def __getitem__(self, name: str) -> str:
        if name in self._doubles:
            both = " and ".join(sorted([self._paths[name], self._doubles[name]]))
            raise UserError(
                f"{self._where}: {shortened(repr(name))} may be {shortened(both)}; "
                "expected one picture of that name. Remove one of them."
            )
        return self._paths[name]


def _is_unusual(path: str) -> bool:
    return _suffix(path) not in _USUAL_SUFFIXES


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path}: the file cannot be read ({error.strerror}); expected a readable "
            "one. Check its permissions and the disk."
        ) from error


def _bad_zip(where: Path | str, error: Exception) -> UserError:
    return UserError(
        f"{where}: received a damaged or unsupported zip ({error}); expected a zip "
        "without a password, stored or deflated. Copy or download it again."
    )
