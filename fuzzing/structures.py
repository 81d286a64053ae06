"""Damage that keeps the form of a file, so that it gets behind checksums and parsers."""

from __future__ import annotations

import io
import json
import random
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from fuzzing.mutations import NUMBER_TEXTS, TEXTS, mutate

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


# === TFRecord ===
def _crc32c_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC32C = _crc32c_table()


def masked_crc32c(data: bytes) -> int:
    """Return the checksum of TFRecord files: CRC-32C, rotated, and a constant added."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC32C[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def framed(record: bytes) -> bytes:
    """Return a record as a TFRecord file has it, between its right checksums."""
    length = struct.pack("<Q", len(record))
    return b"".join(
        (length, struct.pack("<I", masked_crc32c(length)), record)
        + (struct.pack("<I", masked_crc32c(record)),)
    )


def wrong_length(length: int) -> bytes:
    """Return the head of a record that claims a length, with its right checksum."""
    head = struct.pack("<Q", length % 2**64)
    return head + struct.pack("<I", masked_crc32c(head))


# === PNG ===
def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return the kinds and contents of the chunks of a PNG."""
    chunks, at = [], len(_PNG_SIGNATURE)
    while at + 12 <= len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return chunks


def png_of(chunks: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Return a PNG of chunks, with right lengths and checksums."""
    return _PNG_SIGNATURE + b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )


def is_png_with_wrong_sums(data: bytes) -> bool:
    """Return whether a PNG is not what its checksums say."""
    return data.startswith(_PNG_SIGNATURE) and png_of(png_chunks(data)) != data


def mutate_png(data: bytes, rng: random.Random) -> bytes:
    """Damage, repeat, drop or exchange chunks, or the pixels before they are packed."""
    chunks = png_chunks(data)
    if not chunks:
        return mutate(data, rng)
    number = rng.randrange(len(chunks))
    kind, content = chunks[number]
    what = rng.randrange(6)
    if what <= 1:
        chunks[number] = kind, mutate(content, rng, 2)
    elif what == 2:
        del chunks[number]
    elif what == 3:
        chunks.insert(rng.randrange(len(chunks) + 1), (kind, content))
    elif what == 4:
        name = rng.choice((b"tRNS", b"PLTE", b"iCCP", b"eXIf", b"acTL", b"zTXt", b"gAMA"))
        added = mutate(
            rng.choice((b"", bytes(4), b"a\0\0" + zlib.compress(bytes(999)))), rng
        )
        chunks.insert(rng.randrange(1, len(chunks) + 1), (name, added))
    else:
        packed = b"".join(content for kind, content in chunks if kind == b"IDAT")
        try:
            pixels = mutate(zlib.decompress(packed), rng, 2)
        except zlib.error:
            return mutate(data, rng)
        chunks = [chunk for chunk in chunks if chunk[0] != b"IDAT"]
        chunks.insert(-1, (b"IDAT", zlib.compress(pixels, 1)))
    return png_of(chunks)


def mutate_picture(data: bytes, rng: random.Random) -> bytes:
    """Damage a picture; half of the PNGs keep right checksums."""
    if data.startswith(_PNG_SIGNATURE) and rng.random() < 0.5:
        return mutate_png(data, rng)
    return mutate(data, rng)


# === JSON ===
def mutate_json(text: bytes, rng: random.Random) -> bytes:
    """Exchange, drop or add values, mostly so that it is JSON still."""
    if rng.random() < 0.25:
        return mutate(text, rng)
    content = json.loads(text)
    for _ in range(rng.randint(1, 3)):
        content = _changed(content, rng)
    # NaN and Infinity are written as Python writes them; lone surrogates pass.
    return json.dumps(content).encode()


def _changed(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict) and value and rng.random() < 0.9:
        name = rng.choice(list(value))
        changed = dict(value)
        what = rng.random()
        if what < 0.1:
            del changed[name]
        elif what < 0.15:
            changed[rng.choice(TEXTS)] = changed.pop(name)
        else:
            changed[name] = _changed(value[name], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.8:
        changed, at = list(value), rng.randrange(len(value))
        what = rng.random()
        if what < 0.15:
            del changed[at]
        elif what < 0.3:
            changed.insert(at, changed[at])
        else:
            changed[at] = _changed(value[at], rng)
        return changed
    return other_value(value, rng)


def other_value(value: Any, rng: random.Random) -> Any:
    """Return a JSON value in place of another: mostly of its type, at its limits."""
    numbers = (0, -1, 1, 2**31, 2**63, 2**64, -(2**63), 10**400, 0.5, 1e308)
    numbers += (float("nan"), float("inf"), -0.0, value)
    if isinstance(value, str) and rng.random() < 0.6:
        return rng.choice((*TEXTS, *NUMBER_TEXTS, value + rng.choice(TEXTS), value[:-1]))
    if isinstance(value, (int, float)) and rng.random() < 0.6:
        return rng.choice((*numbers, str(value)))
    nested: Any = [0]
    for _ in range(rng.choice((1, 3, 300))):
        nested = [nested]
    others = (None, True, False, "", [], {}, [None], {"": None}, nested, *numbers)
    return rng.choice((*others, *TEXTS))


# === Tables ===
def mutate_table(text: bytes, rng: random.Random, separator: bytes) -> bytes:
    """Exchange, drop or add cells and rows, or damage the bytes."""
    if rng.random() < 0.3:
        return mutate(text, rng)
    rows = [line.split(separator) for line in text.split(b"\n")]
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(rows))
        cell = rng.randrange(len(rows[at]))
        what = rng.randrange(8)
        if what == 0:
            del rows[at][cell]
        elif what == 1:
            rows[at].insert(cell, rows[at][cell])
        elif what == 2 and len(rows) > 1:
            del rows[at]
        elif what == 3:
            rows.insert(at, list(rows[at]))
        else:
            texts = (*NUMBER_TEXTS, *TEXTS, '"', '"a', "=1+1", "\ufeff")
            rows[at][cell] = rng.choice(texts).encode(errors="surrogatepass")
        rows = [row for row in rows if row] or [[b""]]
    end = rng.choice((b"\n", b"\n", b"\n", b"\r\n", b"\r"))
    return end.join(separator.join(row) for row in rows)


# === Zip ===
def zip_of(
    members: Sequence[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED
) -> bytes:
    """Return a zip, without dates, so that the same members give the same bytes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        # Of a name that is there twice.
        warnings.simplefilter("ignore")
        for name, content in members:
            member = zipfile.ZipInfo(name)
            member.compress_type = method
            archive.writestr(member, content)
    return buffer.getvalue()


def mutate_zip(
    data: bytes,
    rng: random.Random,
    change: Callable[[str, bytes, random.Random], bytes],
) -> bytes:
    """Damage members before they are packed, their names, or the packed bytes.

    Args:
        data: of a whole zip.
        rng: draws.
        change: from name and content of a member to its damaged content.
    """
    if rng.random() < 0.4:
        return mutate(data, rng)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
        stored = archive.infolist()[0].compress_type == zipfile.ZIP_STORED
    at = rng.randrange(len(members))
    name, content = members[at]
    what = rng.random()
    if what < 0.6:
        members[at] = name, change(name, content, rng)
    elif what < 0.7:
        del members[at]
    elif what < 0.8:
        members.append((name, content))
    elif what < 0.9:
        prefixes = ("../", "/", "a/../../", "C:\\", "", "\x1b[2J", "‮", "x" * 400)
        members[at] = rng.choice(prefixes) + name, content
    else:
        members[at] = name, bytes(2 ** rng.randint(10, 22))
    methods = (zipfile.ZIP_STORED,) if stored else (zipfile.ZIP_DEFLATED,)
    if rng.random() < 0.2:
        methods = (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_STORED)
    packed = zip_of(members, rng.choice(methods))
    if rng.random() < 0.2:
        # A flag in the directory: encrypted, or another version.
        at = packed.rfind(b"PK\x01\x02")
        place = at + rng.choice((6, 8, 10, 20, 24))
        packed = packed[:place] + bytes([rng.randrange(256)]) + packed[place + 1 :]
    return packed
