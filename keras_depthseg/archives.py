"""Zip files from elsewhere, which are looked at before anything is unpacked."""

from __future__ import annotations

import lzma
import os
import zipfile
import zlib

from keras_depthseg.errors import UserError

# Encrypted members raise RuntimeError, unknown compressions NotImplementedError, and what
# is damaged the others.
ERRORS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError,
)  # fmt: skip

MOST_EXPANSION = 20
"""By which arrays in a file may grow: zeros do a thousandfold, weights hardly."""
# Less fits into any memory.
_FLOOR = 2**26


def read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return a member of a zip, which may claim to be larger or smaller than it is.

    Args:
        archive: the zip.
        name: of the member.
        most: bytes that are accepted.

    Raises:
        UserError: it is larger.
        zipfile.BadZipFile: it is not there, or damaged; and the others of `ERRORS`.
    """
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise zipfile.BadZipFile("it is no longer there") from None
    check_size(f"{archive.filename}/{name}", member.file_size, most)
    with archive.open(member) as content:
        # At most the claimed size: a zip may unpack to a thousand times as much.
        return content.read(max(1, member.file_size))


def check_size(where: str, size: int, most: int) -> None:
    """Refuse a file of more bytes than are accepted.

    Raises:
        UserError: it has more.
    """
    if size > most:
        raise UserError(
            f"{where}: received a file of {size:,} bytes; at most {most:,} "
            "are accepted. Make it smaller."
        )


def check_expansion(path: str | os.PathLike) -> None:
    """Refuse a zip of arrays that would fill the memory, for another reader of it.

    A file that is no zip is left to that reader, which says what is wrong with it.

    Raises:
        UserError: a member has many times the size of what is stored of it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (*ERRORS, OSError):
        return
    stored = os.path.getsize(path)
    for member in members:
        packed = min(member.compress_size, stored)
        if member.file_size > max(_FLOOR, MOST_EXPANSION * packed):
            raise UserError(
                f"{path}: received a zip whose {member.filename} unpacks to "
                f"{member.file_size:,} bytes from {packed:,}, as only files do that are "
                "made to fill the memory; get the file again, from somebody you trust."
            )
