"""Reads a folder in the layout of the original assignment, with files or zips.

file_map.txt        one sample a line: bg, fg_bg, mask and depth names
labels.txt          optional: name, x, y, width, height of the foreground's box
bg/                 bg001.jpeg …
fg_bg/              bg001_fg001_01.jpeg …, or bg001.zip … with these inside
fg_bg_mask/         bg001_fg001_01_mask.jpeg …, or zips
fg_bg_depth/        bg001_fg001_01_depth_map.jpeg …, or zips
"""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterable, Sized
from pathlib import Path, PurePosixPath

from keras_depthseg.datasets.original_layout import tables
from keras_depthseg.datasets.records import IMAGE_FIELDS
from keras_depthseg.errors import UserError

FOLDERS = {
    "bg": "bg",
    "fg_bg": "fg_bg",
    "mask": "fg_bg_mask",
    "depth": "fg_bg_depth",
}
SUFFIXES = (".jpeg", ".jpg", ".png")


class Layout:
    """A source folder whose tables were read and whose pictures were found.

    Pictures are read on demand; at most one zip a sub-folder is open at a time. Not
    to be used by several threads at once.

    Attributes:
        root: the source folder.
        samples: all of them, those of one background together, so that a background
            is read and a zip is opened once in a pass.
        boxes: by the composite's name; `None` without a `labels.txt`.
    """

    def __init__(self, root: Path | str):
        """Read the tables and list the folders.

        Raises:
            UserError: a folder or a table is missing, a table is malformed, a picture
                or a box is missing, or a zip is damaged.
        """
        self.root = Path(root)
        check_folders(self.root)
        file_map = self.root / tables.FILE_MAP
        samples = tables.parse_file_map(_read(file_map), file_map)
        self.samples = sorted(samples, key=lambda sample: sample.bg)
        labels = self.root / tables.LABELS
        self.boxes = (
            tables.parse_labels(_read(labels), labels) if labels.exists() else None
        )
        self._folders = {
            field: _PictureFolder(self.root / name) for field, name in FOLDERS.items()
        }
        with self:
            self._check_complete(samples)

    def read(self, field: str, sample: tables.MapRow) -> tuple[str, bytes]:
        """Return one picture of a sample.

        Args:
            field: `"bg"`, `"fg_bg"`, `"mask"` or `"depth"`.
            sample: one of `samples`.

        Returns:
            Its place, for messages, and its encoded bytes.

        Raises:
            UserError: the picture cannot be read, or its zip is damaged.
        """
        return self._folders[field].read(getattr(sample, field), sample.bg)

    def close(self) -> None:
        """Close the open zips; a later `read` opens them again."""
        for folder in self._folders.values():
            folder.close()

    def __enter__(self) -> Layout:
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def _check_complete(self, samples: Iterable[tables.MapRow]) -> None:
        # A background is missing once, however many samples name it.
        missing: dict[tuple[str, str], tables.MapRow] = {}
        # In the order of backgrounds, to open each zip once.
        for sample in self.samples:
            for field in IMAGE_FIELDS:
                name = getattr(sample, field)
                if not self._folders[field].has(name, sample.bg):
                    missing.setdefault((field, name), sample)
        if missing:
            (field, name), sample = min(missing.items(), key=lambda it: it[1].line)
            wanted = self._folders[field].wanted(name, sample.bg)
            raise UserError(
                f"{self.root / tables.FILE_MAP}, line {sample.line}: it names "
                f"{name!r}, but there is no {wanted}{_and_more(missing)}. Add the "
                "picture, or remove the line; names are without extension."
            )
        if self.boxes is not None:
            unlabelled = [s for s in samples if s.fg_bg not in self.boxes]
            if unlabelled:
                raise UserError(
                    f"{self.root / tables.LABELS}: there is no box for "
                    f"{unlabelled[0].fg_bg!r}{_and_more(unlabelled)}; every sample "
                    "needs one. Add it, or remove the file to have the boxes computed "
                    "from the masks."
                )


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
        with os.scandir(root / name) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if _suffix(entry.name) in (*SUFFIXES, ".zip"):
                    status = entry.stat()
                    line = (name, entry.name, status.st_size, status.st_mtime_ns)
                    digest.update(repr(line).encode())
    return digest.hexdigest()


class _PictureFolder:
    """Pictures by name, from the files of a folder or from one zip a background."""

    def __init__(self, path: Path):
        self.path = path
        names = os.listdir(path)
        self._files = _Index(names, path)
        self._zips = {name[:-4]: name for name in names if _suffix(name) == ".zip"}
        # One is enough: the samples of a background come together.
        self._archive: _Archive | None = None

    def has(self, name: str, bg: str) -> bool:
        return name in self._files or (bg in self._zips and name in self._zip(bg).index)

    def wanted(self, name: str, bg: str) -> str:
        """Return the file that `has` looks for, for messages."""
        if bg in self._zips:
            return f"picture {name!r} in {self.path / self._zips[bg]}"
        return f"{self.path / name}{' / '.join(SUFFIXES)}"

    def read(self, name: str, bg: str) -> tuple[str, bytes]:
        if name in self._files:
            path = self.path / self._files[name]
            return str(path), _read(path)
        return self._zip(bg).read(name)

    def close(self) -> None:
        if self._archive is not None:
            self._archive.close()
            self._archive = None

    def _zip(self, bg: str) -> _Archive:
        path = self.path / self._zips[bg]
        if self._archive is None or self._archive.path != path:
            self.close()
            self._archive = _Archive(path)
        return self._archive


class _Archive:
    """One open zip."""

    def __init__(self, path: Path):
        self.path = path
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
            return f"{self.path}/{member}", self._zip.read(member)
        # An encrypted member raises RuntimeError, an unknown compression the last one.
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
            RuntimeError,
            NotImplementedError,
        ) as error:
            raise _bad_zip(f"{self.path}/{member}", error) from error

    def close(self) -> None:
        self._zip.close()


class _Index:
    """File names by the name of the picture, without folder and extension."""

    def __init__(self, paths: Iterable[str], where: Path):
        self._where = where
        self._paths: dict[str, str] = {}
        self._doubles: dict[str, str] = {}
        for path in paths:
            if _suffix(path) in SUFFIXES:
                name = PurePosixPath(path).stem
                if self._paths.setdefault(name, path) != path:
                    self._doubles[name] = path

    def __contains__(self, name: str) -> bool:
        return name in self._paths

    def __getitem__(self, name: str) -> str:
        if name in self._doubles:
            both = " and ".join(sorted([self._paths[name], self._doubles[name]]))
            raise UserError(
                f"{self._where}: {name!r} may be {both}; expected one picture of that "
                "name. Remove one of them."
            )
        return self._paths[name]


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


def _and_more(missing: Sized) -> str:
    return f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
