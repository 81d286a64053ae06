"""Finding the pictures of a folder or a zip."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from keras_depthseg import archives
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import formats
from keras_depthseg.text import printable, reason

LARGEST_FILE = 2**28
"""In bytes, unpacked: a small zip may unpack to terabytes."""


@dataclass(frozen=True, order=True)
class PictureFile:
    """A picture in a folder or a zip.

    Attributes:
        name: its path inside, with `/`.
        root: the folder or the zip.
        in_zip: which of the two.
    """

    name: str
    root: Path
    in_zip: bool = False

    @property
    def where(self) -> str:
        """The path for messages."""
        return _where(self.root, self.name)

    @property
    def folder(self) -> str:
        """The sub-folder it is in, `""` at the top."""
        parent = str(PurePosixPath(self.name).parent)
        return "" if parent == "." else parent

    def read(self, most: int = LARGEST_FILE) -> bytes:
        """Return the encoded bytes.

        Args:
            most: bytes that are accepted, unpacked.

        Raises:
            UserError: it cannot be read, or is larger.
        """
        try:
            return self._read_member(most) if self.in_zip else self._read_file(most)
        except OSError as error:
            raise UserError(
                f"{self.where}: it cannot be read ({error.strerror or error}); expected "
                "a readable file. Check its permissions and the disk."
            ) from error
        except archives.ERRORS as error:
            raise UserError(
                f"{self.where}: received a damaged or unsupported member of a zip "
                f"({reason(error)}); expected it stored or deflated, without a "
                "password. Pack it again."
            ) from error

    def digest(self) -> str:
        """Return the SHA-256 of the bytes, in hexadecimal."""
        return hashlib.sha256(self.read()).hexdigest()

    def _read_file(self, most: int) -> bytes:
        with (self.root / self.name).open("rb") as file:
            archives.check_size(self.where, os.fstat(file.fileno()).st_size, most)
            # Some files of the system say that they are empty, and have no end.
            data = file.read(most + 1)
        archives.check_size(self.where, len(data), most)
        return data

    def _read_member(self, most: int) -> bytes:
        state = self.root.stat()
        archive = _archive(self.root, state.st_mtime_ns, state.st_size)
        return archives.read_member(archive, self.name, most)


@functools.lru_cache(maxsize=8)
def _archive(path: Path, modified: int, size: int) -> zipfile.ZipFile:
    """Open a zip and keep it open: reading its list of 5,000 members takes 20 ms."""
    del modified, size  # arguments, so that a zip written again is opened again
    return zipfile.ZipFile(path)


def list_pictures(
    root: Path, refuse: Callable[[str], None], numbers: str = formats.CONVERT
) -> list[PictureFile]:
    """Return the pictures of a folder with sub-folders, or of a zip, ordered by name.

    Hidden files, and files that are no pictures, are skipped silently.

    Args:
        root: the folder or the zip.
        refuse: called with a line for each file left out: its path and the reason.
        numbers: what to do about files of numbers, such as `.npy` and `.exr`.

    Raises:
        UserError: there is no such folder or zip, or no picture in it.
    """
    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
        if not is_folder and root.suffix.lower() != ".zip":
            raise NotADirectoryError(0, "it is no folder")
        find = _in_folder if is_folder else _in_zip
        found = find(root, refuse, numbers)
    except OSError as error:
        raise UserError(
            f"{root}: it cannot be read ({error.strerror or error}); expected a folder "
            f"or a zip of {formats.ACCEPTED} pictures. Give its path."
        ) from error
    if not found:
        remedy = "Give another folder"
        if numbers != formats.CONVERT:
            remedy = f"{numbers}, or give another folder"
        raise UserError(
            f"{root}: there is no usable picture in it; expected {formats.ACCEPTED} "
            f"files. {remedy}."
        )
    return sorted(found)


def _in_folder(
    root: Path, refuse: Callable[[str], None], numbers: str
) -> list[PictureFile]:
    def fail(error: OSError) -> None:
        raise error

    found, seen = [], set()
    for path, folders, names in os.walk(root, onerror=fail, followlinks=True):
        state = os.stat(path)
        if (state.st_dev, state.st_ino) in seen:
            # A link to a folder above it.
            folders.clear()
            continue
        seen.add((state.st_dev, state.st_ino))
        inside = PurePosixPath(os.path.relpath(path, root))
        inner = (str(inside / name) for name in names)
        for name in _wanted(inner, root, refuse, numbers):
            if (root / name).is_file():
                found.append(PictureFile(name, root))
            else:
                _refuse_other(_where(root, name), refuse)
        # In one order everywhere: it decides which of two links to a folder counts.
        visible = sorted(name for name in folders if not name.startswith("."))
        folders.clear()
        for name in visible:
            if _is_picture(name):
                _refuse_other(_where(root, str(inside / name)), refuse)
            else:
                folders.append(name)
    return found


def _in_zip(root: Path, refuse: Callable[[str], None], numbers: str) -> list[PictureFile]:
    try:
        with zipfile.ZipFile(root) as archive:
            members = {
                member.filename.removesuffix("/"): member
                for member in archive.infolist()
                if not member.filename.endswith("/") or _is_picture(member.filename)
            }
    except (*archives.ERRORS, OSError) as error:
        raise UserError(
            f"{root}: received a damaged zip ({reason(error)}); expected a whole "
            "one. Copy or download it again."
        ) from error
    found = []
    for name in _wanted(members, root, refuse, numbers):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            refuse(
                f"{_where(root, name)}: received a path that leaves the zip; expected "
                "one inside. Pack the zip again."
            )
        elif members[name].filename.endswith("/"):
            _refuse_other(_where(root, name), refuse)
        else:
            found.append(PictureFile(name, root, in_zip=True))
    return found


def _wanted(
    names: Iterable[str], root: Path, refuse: Callable[[str], None], numbers: str
) -> list[str]:
    """Return the names of accepted pictures, in order."""
    wanted = []
    for name in sorted(names):
        path = PurePosixPath(name)
        # Hidden files, and the shadows that macOS writes.
        if any(part.startswith(".") and part != ".." for part in path.parts):
            continue
        if path.parts[:1] == ("__MACOSX",):
            continue
        suffix = path.suffix.lower()
        if _is_picture(name):
            wanted.append(name)
        elif suffix in formats.OTHER_PICTURES:
            refuse(
                f"{_where(root, name)}: received a {suffix} file; accepted are "
                f"{formats.ACCEPTED}. {formats.remedy(suffix, numbers)}."
            )
    return wanted


def _is_picture(name: str) -> bool:
    return formats.is_accepted(PurePosixPath(name).suffix.lower())


def _refuse_other(where: str, refuse: Callable[[str], None]) -> None:
    refuse(
        f"{where}: received a folder, a broken link or something else that cannot be "
        "read; expected a file. Rename or remove it."
    )


def _where(root: Path, name: str) -> str:
    return printable(f"{root}/{name}")


class Companions:
    """Pictures that belong to others of the same name, such as masks and depth maps.

    To `a/chair.jpg` belong `a/chair.png`, `a/chair_mask.png` and `a/chair_depth.png`, to
    `000_rgb.jpg` belongs `000_depth.png`. Lower and upper case are the same.
    """

    # Endings that cameras and tools give to the names of the pictures.
    _SUFFIXES = ("_rgb", "_color", "_colour", "_image")

    def __init__(self, root: Path, files: Iterable[PictureFile], *suffixes: str):
        """
        Args:
            root: where they are, for messages.
            files: the masks or depth maps.
            *suffixes: endings that their names may have, such as `"_mask"`.
        """
        self._root = root
        self._suffixes = suffixes
        self._files: dict[str, list[PictureFile]] = {}
        for file in files:
            self._files.setdefault(_stem(file, suffixes), []).append(file)

    def __getitem__(self, file: PictureFile) -> PictureFile:
        """Return the one that belongs to `file`.

        Raises:
            UserError: there is none, or more than one.
        """
        stem = _stem(file, self._SUFFIXES)
        found = self._files.get(stem, [])
        if len(found) == 1:
            return found[0]
        if found:
            names = printable(" and ".join(sorted(other.name for other in found)))
            raise UserError(
                f"{file.where}: received {names} for it in {self._root}; expected one. "
                "Remove the others."
            )
        name = printable(f"{PurePosixPath(file.name).parent / PurePosixPath(stem).name}")
        raise UserError(
            f"{file.where}: received nothing of its name in {self._root}; expected "
            f"{name}.png or {name}{self._suffixes[0]}.png. Add it."
        )


def is_companion(file: PictureFile, *suffixes: str) -> bool:
    """Return whether the name is that of a mask or depth map of another picture."""
    return PurePosixPath(file.name).stem.lower().endswith(suffixes)


def _stem(file: PictureFile, suffixes: tuple[str, ...]) -> str:
    stem = str(PurePosixPath(file.name).with_suffix("")).lower()
    for suffix in suffixes:
        if stem.endswith(suffix):
            return stem.removesuffix(suffix)
    return stem
