"""Gather the pictures that the shipped weights are trained on.

    python -m pretraining.gather --photographs DIR --offices DIR --out DIR

Fetches two packages of the npm registry, checks the photographs and offices in the two
folders against `pictures.tsv`, and writes backgrounds to `bg` and cutouts to `fg`. Two
runs with the same libraries write the same bytes. Panoramas need `pip install OpenEXR`.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
from PIL import Image

from keras_depthseg.datasets.rooms.cutouts import make_cutout
from keras_depthseg.errors import UserError
from keras_depthseg.files import replacing
from pretraining import emoji, npm, panoramas, things

PICTURES = Path(__file__).with_name("pictures.tsv")
"""The files that the user has in folders: hash, licence, author and source."""

PANORAMAS = npm.Package(
    "@pmndrs/assets",
    "1.7.0",
    "zHmKNS+3Jvu9K3zJBQfYQKT9Pn9IQt8s0q/eJC3CXKpWpyg6IBa+ivN9NgDn+fDT2AVjUh2YRZ//GXUueuAd"
    "Cg==",
)  # CC0-1.0
EMOJI = npm.Package(
    "@lobehub/fluent-emoji-3d",
    "1.1.0",
    "Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h"
    "7g==",
)  # MIT

_SEED = 0
_LARGEST = 800
"""The longer side of a photograph, in pixels: composites have 224."""
_QUALITY = 92
_PARTS = 9
"""Parts of each photograph that are backgrounds of their own: there are few photographs,
and shrunk to 224 px all of them show things from far away."""
_EMOJI = 400
"""More would leave photographs of people too small a share of the cutouts."""
_DRAWN = 200
_THINGS = 300
_PLAIN = 150
"""Further emoji, in the colours of plain things."""


def gather(
    photographs: Path, offices: Path, out: Path, registry: str = npm.REGISTRY
) -> None:
    """Write backgrounds to `out/bg` and cutouts to `out/fg`.

    Args:
        photographs: folder of the photographs.
        offices: folder of `bg` and `fg`, the empty offices and the cutouts.
        out: a new or empty folder.
        registry: of npm packages.

    Raises:
        UserError: a picture is missing or another one, a package cannot be fetched, or
            `out` has files.
    """
    if out.exists() and any(out.iterdir()):
        raise UserError(
            f"{out}: received a folder with files; expected a new or an empty one for "
            "`out`. Remove them, or give another."
        )
    files = listed({"photographs": photographs, "offices": offices})
    hdri, drawings = PANORAMAS.fetch(registry), EMOJI.fetch(registry)
    # All of it first: what fails leaves no half of the pictures behind.
    backgrounds = [*_copied(files), *_views(hdri)]
    made = [*backgrounds, *_emoji(drawings), *_drawn(), *_things(backgrounds)]
    for name, data in made:
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_bytes(data)


def listed(folders: dict[str, Path]) -> dict[str, bytes]:
    """Return the files that `PICTURES` lists by their names there, all checked.

    Args:
        folders: by the first part of the names.

    Raises:
        UserError: one is missing, cannot be read or has another hash.
    """
    found = {}
    with PICTURES.open(newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            kind, _, name = row["file"].partition("/")
            path = folders[kind] / name
            try:
                data = path.read_bytes()
            except OSError as error:
                raise UserError(
                    f"{path}: it cannot be read ({error.strerror or error}); expected "
                    f"the picture of {PICTURES.name}. Add it, or correct `{kind}`."
                ) from error
            digest = hashlib.sha256(data).hexdigest()
            if digest != row["sha256"]:
                raise UserError(
                    f"{path}: received a file with SHA-256 {digest}; expected "
                    f"{row['sha256']} of {PICTURES.name}. Copy it again."
                )
            found[row["file"]] = data
    return found


def _copied(files: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield the photographs, made smaller, and the offices as they are."""
    for name, data in files.items():
        kind, _, inside = name.partition("/")
        if kind == "photographs":
            image = Image.open(io.BytesIO(data)).convert("RGB")
            image.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
            place = PurePosixPath(inside).stem
            yield f"bg/{place}/{place}.jpg", _jpeg(image)
            for number, part in enumerate(_parts(place, data)):
                yield f"bg/{place}/{place}_{number}.jpg", part
        else:
            yield inside, data


def _parts(place: str, data: bytes) -> Iterator[bytes]:
    """Yield random squares of a photograph, 30 to 75 % of its shorter side, as JPEG."""
    image: Any = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    height, width = image.shape[:2]
    shorter = min(height, width)
    rng = np.random.default_rng([_SEED, len(place), sum(map(ord, place))])
    for _ in range(_PARTS):
        side = max(int(shorter * rng.uniform(0.3, 0.75)), min(280, shorter))
        top, left = rng.integers(height - side + 1), rng.integers(width - side + 1)
        part = image[top : top + side, left : left + side]
        part = cv2.resize(part, (min(side, 384),) * 2, interpolation=cv2.INTER_AREA)
        _, encoded = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, 90])
        yield encoded.tobytes()


def _views(package: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield views of the panoramas; those of one share a folder, and so a split."""
    names = sorted(
        name for name in package if name.startswith("hdri/") and name.endswith(".js")
    )
    for index, name in enumerate(names):
        place = PurePosixPath(name).name.partition(".")[0]
        panorama = panoramas.read_panorama(package[name], name)
        rng = np.random.default_rng([_SEED, index])
        for number, view in enumerate(panoramas.views(panorama, rng)):
            yield f"bg/{place}/{place}_{number:02}.jpg", _jpeg(Image.fromarray(view))


def _emoji(package: dict[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield some emoji as they are, and further ones in the colours of plain things."""
    pictures = {
        PurePosixPath(name).stem: data
        for name, data in package.items()
        if name.startswith("assets/")
    }
    chosen = emoji.chosen(pictures, _SEED)
    names = np.array(sorted(chosen))
    names = names[np.random.default_rng(_SEED).permutation(len(names))]
    for name in names[:_EMOJI]:
        yield f"fg/emoji_{name}.webp", chosen[name]
    for index, name in enumerate(names[_EMOJI : _EMOJI + _PLAIN]):
        rgba = np.asarray(Image.open(io.BytesIO(chosen[name])).convert("RGBA"))
        yield f"fg/plain_{name}.webp", _webp(things.plain(rgba, _SEED, index))


def _drawn() -> Iterator[tuple[str, bytes]]:
    """Yield people, animals and things that the package draws itself."""
    for number in range(_DRAWN):
        yield f"fg/drawn_{number:03}.webp", _webp(make_cutout(77, number, 256).rgba)


def _things(backgrounds: Sequence[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield plain things; some of their parts are covered with pieces of backgrounds."""
    surfaces = [
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        for name, data in backgrounds
        if name.startswith("bg/") and not name.startswith("bg/office_")
    ]
    for number in range(_THINGS):
        rgba = things.make_thing(_SEED, number, surfaces)
        yield f"fg/thing_{number:03}.webp", _webp(rgba)


def _webp(rgba: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(rgba).save(data, "WEBP", quality=90, method=6)
    return data.getvalue()


def _jpeg(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=_QUALITY)
    return data.getvalue()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    summary, _, _ = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(description=summary)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--offices", type=Path, required=True, help="with bg and fg")
    parser.add_argument("--out", type=Path, required=True, help="a new folder")
    parser.add_argument("--registry", default=npm.REGISTRY, help="of npm packages")
    arguments = parser.parse_args(argv)
    try:
        gather(**vars(arguments))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
