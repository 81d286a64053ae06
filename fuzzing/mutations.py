"""Damage to bytes, drawn from a seed: what disks, transfers and bad tools leave."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Sequence

# Where sizes and counts are compared with limits.
_NUMBERS = (0, 1, 2, 7, 8, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536)
_NUMBERS += (2**24, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
BOUNDARY_BYTES = tuple(
    struct.pack(order + code, number)
    for number in _NUMBERS
    for order, code, bits in (("<", "B", 8), ("<", "H", 16), (">", "H", 16))
    + (("<", "I", 32), (">", "I", 32), ("<", "Q", 64), (">", "Q", 64))
    if number < 2**bits
)
"""Boundary values of integers of 8 to 64 bits, in both orders of bytes."""

NUMBER_TEXTS = ("", "0", "-0", "1", "-1", "1.5", "1e308", "1e999", "-1e999", "nan")
NUMBER_TEXTS += ("NaN", "inf", "Infinity", "0x10", "1_000", "٣", str(2**63), str(2**31))
NUMBER_TEXTS += ("9" * 5000, " 1", "1,5", "1e-320", "+1", "--1", "None")
"""Texts that stand where a number is expected."""

TEXTS = ("", " ", "\0", "\n", "\r\n", "\t", "\x1b[31m", "‮", "é", "😀", "..", "../..")
TEXTS += ("/", "\\", "a" * 300, "%s", "{}", "<b>", '"', "'", "NUL", "\ud800", "\u2028")
"""Texts that stand where a name is expected."""


def mutate(data: bytes, rng: random.Random, most: int = 4) -> bytes:
    """Return bytes with one to `most` kinds of damage, seldom the same bytes."""
    for _ in range(rng.randint(1, most)):
        data = rng.choice(_MUTATIONS)(data, rng)
    return data


def _place(data: bytes, rng: random.Random) -> int:
    # Headers are at the front and directories at the end: half of the damage goes there.
    size = len(data)
    if size > 128 and rng.random() < 0.5:
        return rng.randrange(64) if rng.random() < 0.7 else size - 1 - rng.randrange(64)
    return rng.randrange(max(1, size))


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    start = _place(data, rng)
    return start, min(len(data), start + 2 ** rng.randint(0, 10))


def flip_bit(data: bytes, rng: random.Random) -> bytes:
    """Change one bit."""
    if not data:
        return data
    at = _place(data, rng)
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def change_byte(data: bytes, rng: random.Random) -> bytes:
    """Change one byte to any other."""
    if not data:
        return data
    at = _place(data, rng)
    return data[:at] + bytes([data[at] ^ rng.randint(1, 255)]) + data[at + 1 :]


def cut_end(data: bytes, rng: random.Random) -> bytes:
    """Cut the end off, as a broken transfer does."""
    return data[: _place(data, rng)]


def cut_out(data: bytes, rng: random.Random) -> bytes:
    """Cut a piece out."""
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def repeat(data: bytes, rng: random.Random) -> bytes:
    """Repeat a piece."""
    start, end = _span(data, rng)
    return data[:end] + data[start:end] * rng.randint(1, 3) + data[end:]


def swap(data: bytes, rng: random.Random) -> bytes:
    """Exchange two pieces of one length."""
    (a, a_end), (b, b_end) = sorted((_span(data, rng), _span(data, rng)))
    size = min(a_end - a, b_end - b, b - a)
    if size <= 0:
        return data
    return (
        data[:a]
        + data[b : b + size]
        + data[a + size : b]
        + data[a : a + size]
        + (data[b + size :])
    )


def blank(data: bytes, rng: random.Random) -> bytes:
    """Fill a piece with zeros, as a lost block of a disk is."""
    start, end = _span(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


def overwrite_boundary(data: bytes, rng: random.Random) -> bytes:
    """Write a boundary value over what is there."""
    value, at = rng.choice(BOUNDARY_BYTES), _place(data, rng)
    return data[:at] + value + data[at + len(value) :]


def insert_boundary(data: bytes, rng: random.Random) -> bytes:
    """Insert a boundary value."""
    value, at = rng.choice(BOUNDARY_BYTES), _place(data, rng)
    return data[:at] + value + data[at:]


def append_noise(data: bytes, rng: random.Random) -> bytes:
    """Append bytes."""
    return data + rng.randbytes(rng.randint(1, 64))


_MUTATIONS: Sequence[Callable[[bytes, random.Random], bytes]] = (
    flip_bit, flip_bit, change_byte, change_byte, cut_end, cut_out, repeat, swap, blank,
    overwrite_boundary, overwrite_boundary, insert_boundary, append_noise,
)  # fmt: skip
