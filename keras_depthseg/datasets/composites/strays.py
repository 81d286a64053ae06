"""Finds masks, depth maps and the like among pictures, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from keras_depthseg.pictures.folders import PictureFile

_KINDS = {
    "depth map": "depth ?maps?|depths?|disparity|disparities|disp",
    "normal map": "normal ?maps?|normals?",
    "mask": "masks?|alphas?|mattes?|trimaps?|seg|segm|segmentations?|silhouettes?|"
    "labels?|annotations?|instances?",
}
_WORD = "|".join(_KINDS.values())
_IN_NAME = re.compile(rf"(?P<base>.+) (?P<last>{_WORD})|(?P<first>{_WORD}) (?P<rest>.+)")
# What cameras and tools call the pictures themselves.
_PICTURE = "rgb|colou?r|image|img|photo|frame"
_WHOLE_NAMES = (
    "bg", "background", "color", "colour", "fg", "fg bg", "frame", "image", "img",
    "photo", "rgb",
)  # fmt: skip
_CAMERA = re.compile(rf"(?:(?:{_PICTURE}) )?(.+?)(?: (?:{_PICTURE}))?")


def find_strays(files: Sequence[PictureFile]) -> dict[PictureFile, tuple[str, str]]:
    """Return the files that belong to others: what each is, and the other's name.

    To `chair.jpg` and `chair_rgb.jpg` belong `chair_mask.png`, `chair-depth.png`,
    `mask_chair.png` and `masks/chair.png`; the last one also to `images/chair.jpg`. To
    `chair/rgb.jpg` belongs `chair/mask.png`. A file without such a neighbour is a picture
    of its own, whatever its name.
    """
    suspects = {file: places for file in files if (places := list(_owners(file)))}
    pictures: dict[tuple[str, ...], str] = {}
    for file in files:
        if file not in suspects:
            for place in _places(file):
                pictures.setdefault(place, file.name)
    strays = {}
    for file, places in suspects.items():
        for word, place in places:
            if place in pictures:
                strays.setdefault(file, (_kind(word), pictures[place]))
    return strays


def _owners(file: PictureFile) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield words in a name, and where the picture may be that it belongs to."""
    *folders, name = _parts(file)
    found = _IN_NAME.fullmatch(name)
    base = found and (found["base"] or found["rest"])
    for number, folder in enumerate(folders):
        if re.fullmatch(_WORD, folder):
            others = (*folders[:number], *folders[number + 1 :])
            yield folder, (*others, name)
            if base:
                yield folder, (*others, base)
    if re.fullmatch(_WORD, name):
        for whole in _WHOLE_NAMES:
            yield name, (*folders, whole)
    if found and base:
        yield found["last"] or found["first"], (*folders, base)


def _places(file: PictureFile) -> Iterator[tuple[str, ...]]:
    """Yield the names by which masks and the like find a picture."""
    *folders, name = _parts(file)
    for base in {name, _CAMERA.sub(r"\1", name)}:
        yield *folders, base
        for number in range(len(folders)):
            yield *folders[:number], *folders[number + 1 :], base


def _parts(file: PictureFile) -> list[str]:
    """Return a path in lower case, its words and numbers separated by spaces."""
    parts = PurePosixPath(file.name).with_suffix("").parts
    apart = (re.sub(r"[-_. ]+|(?<=[^\W\d])(?=\d)", " ", part.lower()) for part in parts)
    return [part.strip() for part in apart]


def _kind(word: str) -> str:
    return next(kind for kind, words in _KINDS.items() if re.fullmatch(words, word))
