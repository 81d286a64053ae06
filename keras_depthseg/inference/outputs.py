"""Write what a photograph gave: mask, cutout, depth and pictures to look at.

OpenCV encodes the PNGs of mask, cutout and depth of 12 million pixels in 0.57 s, Pillow
in 1.15 s (2 threads of an AMD EPYC).
"""

from __future__ import annotations

import collections
import csv
import io
import os
import struct
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from keras_depthseg.errors import UserError
from keras_depthseg.files import replacing
from keras_depthseg.pictures.encode import encode_colour, encode_mask
from keras_depthseg.text import printable

ENDINGS = {
    "mask": "_mask.png",
    "cutout": "_cutout.png",
    "depth": "_depth.png",
    "depth_colour": "_depth_colour.png",
    "overlay": "_overlay.jpg",
    "replaced": "_replaced.jpg",
}
"""What follows the photograph's name, by the kind of result."""

# The filter is fixed: trying all for every row takes 1.5 to 2 times as long, and no file
# is more than 3 % smaller.
_PNG = (
    cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP,
)  # fmt: skip
# Photographs have few repetitions but runs: a third faster, and a fifth smaller.
_CUTOUT_PNG = (*_PNG, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
# Behind its signature and the first chunk, the header, other chunks may follow.
_PNG_HEADER = 33

# Colours that photographs hardly have.
_TINT = (0, 200, 255)
_STRENGTH = 0.45
# The contour is as wide as this share of the longer side.
_CONTOUR = 1 / 400

# What this share of the pixels exceeds, at either end, gets the last colour.
_OUTLIERS = 0.01

_JPEG_SIDE = 65_500


def result_paths(
    photographs: Sequence[Path], folder: Path, kinds: Collection[str]
) -> list[dict[str, Path]]:
    """Return where to write the results of photographs, by kind.

    Those of `chair.jpg` begin with `chair`. Where another photograph would have the same
    results, such as `chair.png`, both keep the suffix: `chair.jpg_mask.png`. Letters that
    differ in case only count as the same, as Windows and macOS take them.

    Args:
        photographs: all of the call, no two of one name.
        folder: to write to.
        kinds: keys of `ENDINGS`.
    """
    used = collections.Counter(
        name.casefold() for path in photographs for name in {path.stem, path.name}
    )
    names = [
        path.stem if used[path.stem.casefold()] == 1 else path.name
        for path in photographs
    ]
    return [{kind: folder / f"{name}{ENDINGS[kind]}" for kind in kinds} for name in names]


def without_results(photographs: Sequence[Path]) -> list[Path]:
    """Return photographs without those that are results of others among them.

    So a folder that also gets the results can be used again.
    """
    names = {name for path in photographs for name in (path.stem, path.name)}
    results = {name + ending for name in names for ending in ENDINGS.values()}
    return [path for path in photographs if path.name not in results]


def check_free(paths: Iterable[Path], force: bool, argument: str) -> None:
    """Check before the work that results can be written, and make their folders.

    Args:
        paths: to write to.
        force: replace files.
        argument: that gave the folder, for messages.

    Raises:
        UserError: a file exists and `force` is false, or a folder cannot be written to.
    """
    paths = list(paths)
    # Also broken links, which are replaced too.
    taken = [path for path in paths if os.path.lexists(path)]
    if not force and taken:
        others = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise UserError(
            f"`{argument}`: {_shown(taken[0])}{others} would be replaced; accepted is a "
            "folder without them. Give `force` or another folder."
        )
    for path in taken:
        if path.is_dir():
            raise UserError(
                f"`{argument}`: {_shown(path)} is a folder; expected a file or nothing "
                "there. Give another folder."
            )
    for folder in {path.parent for path in paths}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # Finds a folder that is read-only, and a name that is too long.
            longest = max((path.name for path in paths if path.parent == folder), key=len)
            probe = folder / f".part-{longest}"
            # What is there are the segments of a video that was stopped.
            if not os.path.lexists(probe):
                probe.touch()
                probe.unlink()
        except (FileExistsError, NotADirectoryError) as error:
            raise UserError(
                f"`{argument}`: {_shown(folder)} is a file or below one; accepted is a "
                "folder, which may be missing yet. Give one."
            ) from error
        except OSError as error:
            raise _unwritable(folder, error) from error


def check_sides(pixels: np.ndarray, paths: Mapping[str, Path]) -> None:
    """Refuse a photograph that is too long for one of its results.

    Raises:
        UserError: one is a JPEG, and a side is longer than that can be.
    """
    for path in paths.values():
        if path.suffix == ".jpg":
            _check_jpeg(path, pixels)


def _check_jpeg(path: Path, pixels: np.ndarray) -> None:
    if max(pixels.shape) > _JPEG_SIDE:
        raise UserError(
            f"{_shown(path)}: received {pixels.shape[1]} x {pixels.shape[0]} pixels; a "
            f"JPEG has at most {_JPEG_SIDE:,} on a side. Make the photograph smaller."
        )


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows of one kind as CSV in UTF-8, with their keys as the first line.

    Raises:
        UserError: as for `write_mask`.
    """
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    # Names that are not UTF-8 hold half characters.
    _write(path, text.getvalue().encode("utf-8", "backslashreplace"))


def write_mask(path: Path, mask: np.ndarray) -> None:
    """Write a mask as a grey PNG of 8 bit, 255 at 1.

    Args:
        path: the file.
        mask: (H, W) float32 in [0, 1].

    Raises:
        UserError: as all functions here, if the file cannot be written; what was there
            is unchanged then.
    """
    _write(path, encode_mask(_levels(mask)))


def write_cutout(path: Path, cutout: np.ndarray, icc: bytes | None = None) -> None:
    """Write a cutout as a PNG with transparency.

    Args:
        path: the file.
        cutout: (H, W, 4) uint8 RGBA, not multiplied by its alpha.
        icc: the colour profile of the photograph.
    """
    bgra = cv2.cvtColor(cutout, cv2.COLOR_RGBA2BGRA)
    _write(path, _png(np.asarray(bgra), _CUTOUT_PNG, icc=icc))


def write_depth(path: Path, depth: np.ndarray, scale: float | None = None) -> None:
    """Write a depth map as a grey PNG of 16 bit; its texts tell how to read it.

    | key | value |
    |---|---|
    | `depth:direction` | `larger is farther` |
    | `depth:unit` | `metre`, or `relative`: its zero and its scale are not known |
    | `depth:scale` | the depth at the level 65535, in the unit |
    | `depth:unknown` | `0`: the level where the depth is not known |

    Args:
        path: the file.
        depth: (H, W) float32 in [0, 1], larger is farther, NaN where it is not known.
        scale: the metres at 1; `None` if the depth is relative.
    """
    # 0 means unknown.
    levels = np.clip(np.rint(depth * np.float32(65535)), 1, 65535)
    levels = np.nan_to_num(levels, nan=0).astype(np.uint16)
    text = {
        "depth:direction": "larger is farther",
        "depth:unit": "relative" if scale is None else "metre",
        "depth:scale": f"{1.0 if scale is None else scale:g}",
        "depth:unknown": "0",
    }
    _write(path, _png(levels, _PNG, text=text))


def write_depth_colour(path: Path, depth: np.ndarray) -> None:
    """Write a depth map as a picture to look at, the nearest bright.

    In Matplotlib's colours `inferno`, from the depth that 1 % of the pixels are under to
    that which 1 % are over; black where it is not known.

    Args:
        path: the file.
        depth: (H, W) float32, larger is farther, NaN where it is not known.
    """
    # Of about 100,000 pixels: sorting all takes longer than encoding them.
    step = max(1, round((depth.size / 100_000) ** 0.5))
    some = depth[::step, ::step]
    some = some[np.isfinite(some)]
    near, far = np.quantile(some, (_OUTLIERS, 1 - _OUTLIERS)) if some.size else (0, 1)
    nearness = (far - depth) * np.float32(1 / max(far - near, 1e-6))
    levels = _levels(np.nan_to_num(nearness, nan=0))
    all_levels = np.arange(256, dtype=np.uint8)[:, None]
    colours = cv2.applyColorMap(all_levels, cv2.COLORMAP_INFERNO)
    # A palette is half the time and the size of three channels.
    image = Image.fromarray(levels)
    image.putpalette(np.asarray(colours)[:, 0, ::-1].tobytes())
    data = io.BytesIO()
    image.save(data, "PNG", compress_level=1)
    _write(path, data.getvalue())


def write_overlay(
    path: Path, pixels: np.ndarray, mask: np.ndarray, icc: bytes | None = None
) -> None:
    """Write a photograph with the mask tinted and outlined, as JPEG, to judge the mask.

    Args:
        path: the file.
        pixels: (H, W, 3) uint8 RGB, the photograph.
        mask: (H, W) float32 in [0, 1].
        icc: the colour profile of the photograph.
    """
    write_photograph(path, overlay(pixels, mask), icc)


def overlay(pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a photograph with the mask tinted and outlined, (H, W, 3) uint8 RGB."""
    tint = np.full(pixels.shape, _TINT, np.uint8)
    strength = mask * np.float32(_STRENGTH)
    tinted = cv2.blendLinear(tint, pixels, strength, 1 - strength)
    contours, _ = cv2.findContours(
        (mask > 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
    )
    width = max(1, round(_CONTOUR * max(mask.shape)))
    return np.asarray(cv2.drawContours(tinted, contours, -1, _TINT, width, cv2.LINE_AA))


def depth_colours(depth: np.ndarray) -> np.ndarray:
    """Return the depth of a video's frame as colours, (H, W, 3) uint8 RGB.

    As `write_depth_colour`, but from 0 to 1, the same for all frames.
    """
    colours = cv2.applyColorMap(_levels(1 - depth), cv2.COLORMAP_INFERNO)
    return cv2.cvtColor(colours, cv2.COLOR_BGR2RGB)


def write_plate(path: Path, pixels: np.ndarray) -> None:
    """Write a plate that was made from a video, (H, W, 3) uint8 RGB, as PNG."""
    _write(path, encode_colour(pixels, lossless=True))


def write_photograph(path: Path, pixels: np.ndarray, icc: bytes | None = None) -> None:
    """Write a picture as JPEG of quality 95 and full colour resolution.

    Args:
        path: the file.
        pixels: (H, W, 3) uint8 RGB.
        icc: its colour profile.

    Raises:
        UserError: a side is longer than a JPEG can be, or as for `write_mask`.
    """
    _check_jpeg(path, pixels)
    data = io.BytesIO()
    # An empty profile would be written as one.
    profile = {"icc_profile": icc} if icc else {}
    Image.fromarray(pixels).save(data, "JPEG", quality=95, subsampling=0, **profile)
    _write(path, data.getvalue())


def _levels(values: np.ndarray) -> np.ndarray:
    return cv2.convertScaleAbs(np.maximum(values, 0), alpha=255)


def _png(
    image: np.ndarray,
    options: Sequence[int],
    icc: bytes | None = None,
    text: Mapping[str, str] | None = None,
) -> bytes:
    """Encode a PNG with chunks that OpenCV does not write (PNG, third edition, 11.3)."""
    _, encoded = cv2.imencode(".png", image, options)
    data = encoded.tobytes()
    chunks = [_chunk(b"iCCP", b"ICC\0\0" + zlib.compress(icc))] if icc else []
    for key, value in (text or {}).items():
        chunks.append(_chunk(b"tEXt", f"{key}\0{value}".encode("latin-1")))
    return b"".join((data[:_PNG_HEADER], *chunks, data[_PNG_HEADER:]))


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)


def _write(path: Path, data: bytes) -> None:
    try:
        with replacing(path) as part:
            part.write_bytes(data)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{_shown(path)}: it cannot be written ({error.strerror or error}); expected a "
        "folder with room. Check its permissions and the disk."
    )


def _shown(path: Path) -> str:
    return printable(str(path))
