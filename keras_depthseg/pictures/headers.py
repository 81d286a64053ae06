"""Size and end of an encoded JPEG or PNG, without decoding it.

In a few microseconds, a tenth of what Pillow takes to open one: every picture can be
looked at each time it is read.
"""

from __future__ import annotations

from collections.abc import Iterator

_JPEG, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG, _PNG_END = b"\x89PNG", b"IEND\xaeB`\x82"
_SCAN = 0xDA
# Starts of frames; 0xC4, 0xC8 and 0xCC are something else.
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})


def has_end(data: bytes) -> bool:
    """Return whether a JPEG or PNG has its end; anything may follow, such as a film."""
    if data[:2] != _JPEG:
        return data.endswith(_PNG_END) or _PNG_END in data
    if data.endswith(_JPEG_END):
        return True
    # A preview before the pixels has an end of its own.
    *_, (_, pixels) = (0, 2), *_segments(data)
    return data.find(_JPEG_END, pixels) >= 0


def stored_shape(data: bytes) -> tuple[int, int] | None:
    """Return height and width of a JPEG or PNG, as stored; `None` for anything else."""
    if data[:4] == _PNG:
        return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")
    if data[:2] == _JPEG:
        for marker, position in _segments(data):
            if marker in _FRAMES:
                sides = data[position + 5 : position + 9]
                return int.from_bytes(sides[:2], "big"), int.from_bytes(sides[2:], "big")
    return None


def _segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield markers of a JPEG and their positions, to that of the first pixels."""
    position, marker = 2, 0
    while marker != _SCAN:
        head = data[position : position + 4]
        if len(head) < 4 or head[0] != 0xFF:
            return
        marker = head[1]
        if marker == 0xFF:  # May stand before a marker.
            position += 1
            continue
        yield marker, position
        position += 2 + int.from_bytes(head[2:], "big")
