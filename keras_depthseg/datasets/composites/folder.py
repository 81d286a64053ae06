"""Finding the pictures of a folder or a zip."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from keras_depthseg.errors import UserError

SUFFIXES = (".jpeg", ".jpg", ".png", ".webp")
_OTHER_PICTURES = (
    ".avif", ".bmp", ".cr2", ".dng", ".gif", ".heic", ".heif", ".jp2", ".nef", ".tif",
    ".tiff",
)  # fmt: skip
_ACCEPTED = "JPEG, PNG and WebP"

# Of one picture in a zip, unpacked: a small zip may unpack to terabytes.
LARGEST_MEMBER = 2**28


@dataclasses.dataclass(frozen=True, order=True)
class PictureFile:
    """A picture in a folder or a zip.

    Attributes:
        name: its path inside, with `/`; says where it is in messages too.
        root: the folder or the zip.
        in_zip: which of the two.
    """

    name: str
    root: Path
    in_zip: bool = False

    @property
    def where(self) -> str:
        """For messages."""
        return f"{self.root}/{self.name}"

    @property
    def folder(self) -> str:
        """The sub-folder it is in, `""` at the top."""
        parent = str(PurePosixPath(self.name).parent)
        return "" if parent == "." else parent

    def read(self) -> bytes:
        """Its encoded bytes.

        Raises:
            UserError: it cannot be read, or is far too large.
        """
        try:
            if not self.in_zip:
                return (self.root / self.name).read_bytes()
            with zipfile.ZipFile(self.root) as archive:
                return archive.read(self.name)
        except OSError as error:
            raise UserError(
                f"{self.where}: it cannot be read ({error.strerror or error}); expected "
                "a readable file. Check its permissions and the disk."
            ) from error
        # An encrypted member raises RuntimeError, an unknown compression the last one.
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            RuntimeError,
            NotImplementedError,
        ) as error:
            raise UserError(
                f"{self.where}: received a damaged or unsupported member of a zip "
                f"({error}); expected it stored or deflated, without a password. Pack "
                "it again."
            ) from error

    def digest(self) -> str:
        """SHA-256 of its bytes, in hexadecimal."""
        return hashlib.sha256(self.read()).hexdigest()


def list_pictures(root: Path, refuse: Callable[[str], None]) -> list[PictureFile]:
    """The pictures of a folder, sub-folders included, or of a zip, in order of names.

    Args:
        root: the folder or the zip.
        refuse: told, in a line each, what is left out and why.

    Raises:
        UserError: there is no such folder or zip, or no picture in it.
    """
    if root.is_dir():
        names = [
            path.relative_to(root).as_posix()
            for path in root.rglob("*")
            if not path.is_dir() or path.suffix.lower() in SUFFIXES
        ]
        found = [PictureFile(name, root) for name in _wanted(names, root, refuse)]
        found = [file for file in found if _is_file(file, refuse)]
    elif root.is_file() and root.suffix.lower() == ".zip":
        found = _in_zip(root, refuse)
    else:
        what = "it is no folder" if root.exists() else "there is no such folder"
        raise UserError(
            f"{root}: {what}; expected a folder or a zip of {_ACCEPTED} pictures. Give "
            "its path."
        )
    if not found:
        raise UserError(
            f"{root}: there is no usable picture in it; expected {_ACCEPTED} files. "
            "Give another folder."
        )
    return sorted(found)


def _wanted(names: Iterable[str], root: Path, refuse: Callable[[str], None]) -> list[str]:
    wanted = []
    for name in sorted(names):
        path = PurePosixPath(name)
        # Hidden files, and the shadows that macOS writes.
        if any(part.startswith(".") and part != ".." for part in path.parts):
            continue
        if path.parts[0] == "__MACOSX":
            continue
        suffix = path.suffix.lower()
        if suffix in SUFFIXES:
            wanted.append(name)
        elif suffix in _OTHER_PICTURES:
            refuse(
                f"{root}/{name}: received a {suffix} file; accepted are {_ACCEPTED}. "
                "Convert it."
            )
    return wanted


def _is_file(file: PictureFile, refuse: Callable[[str], None]) -> bool:
    if (file.root / file.name).is_file():
        return True
    refuse(
        f"{file.where}: received a folder or a broken link with the name of a picture; "
        "expected a file. Rename or remove it."
    )
    return False


def _in_zip(root: Path, refuse: Callable[[str], None]) -> list[PictureFile]:
    try:
        with zipfile.ZipFile(root) as archive:
            members = {member.filename: member for member in archive.infolist()}
    except (zipfile.BadZipFile, OSError, NotImplementedError) as error:
        raise UserError(
            f"{root}: received a damaged zip ({error}); expected a whole one. Copy or "
            "download it again."
        ) from error
    found = []
    for name in _wanted(members, root, refuse):
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            refuse(
                f"{root}/{name}: received a path that leaves the zip; expected one "
                "inside. Pack the zip again."
            )
        elif members[name].file_size > LARGEST_MEMBER:
            refuse(
                f"{root}/{name}: received a picture of {members[name].file_size:,} bytes "
                f"when unpacked; at most {LARGEST_MEMBER:,} are accepted. Make it "
                "smaller."
            )
        else:
            found.append(PictureFile(name, root, in_zip=True))
    return found


class Companions:
    """Pictures that belong to others of the same name, such as masks and depth maps.

    To `a/chair.jpg` belong `a/chair.png`, `a/chair_mask.png` and `a/chair_depth.png`, to
    `000_rgb.jpg` belongs `000_depth.png`. Lower and upper case are the same.
    """

    # What cameras and tools append to the names of the pictures, and of the others.
    _SUFFIXES = ("_rgb", "_color", "_colour", "_image")

    def __init__(self, files: Iterable[PictureFile], *suffixes: str):
        """
        Args:
            files: the masks or depth maps.
            *suffixes: what their names may have appended, such as `"_mask"`.
        """
        self._suffixes = suffixes
        self._files: dict[str, list[PictureFile]] = {}
        for file in files:
            self._files.setdefault(_stem(file, suffixes), []).append(file)

    def __getitem__(self, file: PictureFile) -> PictureFile:
        """The one that belongs to `file`.

        Raises:
            UserError: there is none, or more than one.
        """
        found = self._files.get(_stem(file, self._SUFFIXES), [])
        if len(found) == 1:
            return found[0]
        wanted = f"expected one named {PurePosixPath(file.name).stem!r}"
        if found:
            names = " and ".join(sorted(other.name for other in found))
            raise UserError(
                f"{file.where}: received {names} for it; {wanted}. Remove the others."
            )
        raise UserError(
            f"{file.where}: nothing of that name is beside it; {wanted} (or with "
            f"{' or '.join(self._suffixes)}). Add it."
        )


def is_companion(file: PictureFile, *suffixes: str) -> bool:
    """Whether its name says that it is a mask or a depth map of another picture."""
    return PurePosixPath(file.name).stem.lower().endswith(suffixes)


def _stem(file: PictureFile, suffixes: tuple[str, ...]) -> str:
    stem = str(PurePosixPath(file.name).with_suffix("")).lower()
    for suffix in suffixes:
        if stem.endswith(suffix):
            return stem.removesuffix(suffix)
    return stem
