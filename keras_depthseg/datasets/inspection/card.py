"""Writes a data card: an HTML page that describes a data set."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from keras_depthseg import __version__
from keras_depthseg.datasets.inspection import card_pictures
from keras_depthseg.datasets.inspection.card_statistics import (
    Collected,
    Draw,
    Portrait,
    collect,
    small_jpeg,
)
from keras_depthseg.datasets.inspection.sample_checks import cutout, decode
from keras_depthseg.datasets.opening import Records, open_records
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.datasets.stored_sample import StoredSample
from keras_depthseg.errors import UserError
from keras_depthseg.pages.html_page import write_page
from keras_depthseg.pictures.near_duplicates import near_duplicates

_TEMPLATE = Path(__file__).with_name("card.html.jinja")
_PICTURE_SIDE = 160
# Pairs that are shown; all of them are counted.
_PAIRS = 24

_TITLES = {
    "bg": "Background (bg)",
    "fg_bg": "Composite (fg_bg)",
    "mask": "Mask",
    "depth": "Depth",
}


def write_card(data_dir: str | Path, path: str | Path, seed: int = 0) -> None:
    """Write a page that describes a data set: one HTML file that needs no others.

    Every record is read once. The same data, seed and versions give the same bytes. The
    page is written beside its place and renamed when it is complete.

    Args:
        data_dir: a folder of records.
        path: of the page; its folder must exist.
        seed: of the draw of the samples that are shown.

    Raises:
        UserError: the folder is no data set of this package, one of its records is
            damaged, or the page cannot be written.
    """
    data_set = open_records(data_dir, check_shards=False)
    path = Path(path)
    if not path.parent.is_dir():
        raise UserError(
            f"{path}: there is no folder {path.parent} to write the page into; create "
            "it, or give another path."
        )
    write_page(path, _TEMPLATE, _values(data_set, collect(data_set, seed), seed))


def _values(data_set: Records, collected: Collected, seed: int) -> dict[str, Any]:
    pictures = _Pictures(data_set)
    metadata = data_set.metadata
    licences = {"bg": "backgrounds", "fg": "cutouts"}
    return dict(
        name=data_set.builder.info.full_name,
        version=__version__,
        seed=seed,
        splits=_splits(data_set, collected),
        samples=sum(data_set.splits.values()),
        backgrounds=len(set().union(*collected.bg_ids.values())),
        distinct_backgrounds=collected.distinct_backgrounds,
        cutouts=len(set().union(*collected.fg_ids.values())),
        sizes=sorted(collected.sizes.items(), key=lambda item: (-item[1], item[0])),
        depth=_depth_in_words(data_set, collected),
        statistics={
            _TITLES[field]: list(zip(levels.mean(), levels.std(), strict=True))
            for field, levels in collected.levels.items()
        },
        plots=_plots(data_set, collected),
        grids=pictures.grids(collected),
        rows=pictures.rows(collected),
        fields=[_TITLES[field] for field in collected.levels],
        duplicates=[
            _duplicates("backgrounds", collected.backgrounds, collected.bg_ids),
            _duplicates("cutouts", collected.cutouts, collected.fg_ids),
        ],
        shown_pairs=_PAIRS,
        licences={
            licences.get(kind, kind): text
            for kind, text in sorted((metadata.get("licences") or {}).items())
        },
        sources=sorted((metadata.get("sources") or {}).items()),
        files=[_file(data_set.path, path) for path in _files(data_set)],
    )


def _splits(data_set: Records, collected: Collected) -> list[dict]:
    """Return a row of the table for each split, in the usual order, others last."""
    usual = [name for name in SPLITS if name in data_set.splits]
    names = usual + sorted(set(data_set.splits) - set(usual))
    return [
        {
            "name": name,
            "samples": data_set.splits[name],
            "backgrounds": len(collected.bg_ids[name]),
            "cutouts": len(collected.fg_ids[name]),
        }
        for name in names
    ]


def _metric(data_set: Records) -> bool:
    return data_set.depth.get("unit") == "metre"


def _depth_in_words(data_set: Records, collected: Collected) -> str:
    if data_set.depth_dtype is None:
        return "none: a data set of masks only"
    depth = data_set.depth
    levels = np.iinfo(data_set.depth_dtype).max
    stored = f"stored as {np.dtype(data_set.depth_dtype)}, 0 to {levels:,} for 0 to 1"
    direction = depth.get("direction", "direction unknown")
    if not _metric(data_set):
        unit = "relative, without a unit" if depth.get("unit") else "of unknown unit"
        return f"{unit}; {direction}; {stored}"
    return (
        f"in metres: 1 is {depth.get('scale')} m; {direction}; {stored}; 0 is no "
        f"measurement ({collected.unmeasured:.2%} of the pixels, left out below)"
    )


def _plots(data_set: Records, collected: Collected) -> list[tuple[str, str]]:
    """Return descriptions and data URIs."""
    plots = []
    for field, levels in collected.levels.items():
        title = f"{_TITLES[field]}: values"
        scale, label = 1.0, ""
        if field == "depth" and _metric(data_set):
            scale, label = float(data_set.depth["scale"]), "metres"
        plots.append((title, card_pictures.histogram(title, levels, scale, label)))
    plots += [
        ("Mean mask", card_pictures.heat_map(collected.heat)),
        ("Samples by mask area", card_pictures.area_histogram(collected.areas)),
    ]
    if collected.boxes.any():
        plots.append(("Samples by box", card_pictures.box_histogram(collected.boxes)))
    return [(title, _uri(data, "png")) for title, data in plots]


class _Pictures:
    """Drawn samples as small pictures: captions and data URIs."""

    def __init__(self, data_set: Records):
        self._data_set = data_set
        self._metric = _metric(data_set)
        self._fields = {
            field: (lambda sample, field=field: self._picture(sample, field))
            for field in ("bg", "fg_bg", "mask", "depth")
            if field in data_set.features
        }

    def grids(self, collected: Collected) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return a title, and captions with pictures, for each grid."""
        samples = collected.drawn_samples
        grids = [
            ("Backgrounds", self._grid(collected.drawn_backgrounds, self._fields["bg"])),
            ("Cutouts", self._grid(collected.drawn_cutouts, self._cutout)),
        ]
        grids += [
            (_TITLES[field], self._grid(samples, picture))
            for field, picture in self._fields.items()
            if field != "bg"
        ]
        return [(title, pictures) for title, pictures in grids if pictures]

    def rows(self, collected: Collected) -> list[tuple[str, list[tuple[str, list[str]]]]]:
        """Return for each split the names of samples, each with its pictures."""
        names = [name for name in SPLITS if name in collected.drawn_by_split]
        return [
            (
                split,
                [
                    (name, [_jpeg(picture(sample)) for picture in self._fields.values()])
                    for name, sample in collected.drawn_by_split[split].drawn()
                ],
            )
            for split in names + sorted(set(collected.drawn_by_split) - set(names))
        ]

    def _grid(
        self, draw: Draw, picture: Callable[[StoredSample], np.ndarray]
    ) -> list[tuple[str, str]]:
        pictures = ((name, picture(sample)) for name, sample in draw.drawn())
        return [(name, _jpeg(image)) for name, image in pictures if image.size]

    def _decode(self, sample: StoredSample, field: str) -> np.ndarray:
        return decode(sample, field, sample.sample_id, self._data_set.depth_dtype)

    def _picture(self, sample: StoredSample, field: str) -> np.ndarray:
        image = self._decode(sample, field)
        if field == "depth":
            return card_pictures.depth_picture(image, self._metric)
        return image

    def _cutout(self, sample: StoredSample) -> np.ndarray:
        picture = cutout(self._decode(sample, "fg_bg"), self._decode(sample, "mask"))
        height, width = picture.shape[:2]
        above, left = max(width - height, 0) // 2, max(height - width, 0) // 2
        sides = (above, above), (left, left), (0, 0)
        return np.pad(picture, sides, constant_values=128)


def _duplicates(
    kind: str, portraits: dict[str, Portrait], ids: dict[str, set[str]]
) -> dict[str, Any]:
    def shown(name: str) -> dict[str, str]:
        splits = [split for split in ids if name in ids[split]]
        return {
            "name": name,
            "splits": ", ".join(splits),
            "picture": _uri(portraits[name].jpeg, "jpeg"),
        }

    pairs = near_duplicates({name: it.hash for name, it in portraits.items()})
    pairs.sort(key=lambda pair: pair[2])
    return {
        "kind": kind,
        "compared": len(portraits),
        "count": len(pairs),
        "pairs": [
            (shown(one), shown(other), distance)
            for one, other, distance in pairs[:_PAIRS]
        ],
    }


def _files(data_set: Records) -> Iterable[Path]:
    shards = {shard.path.name: shard.path for shard in data_set.shards()}
    descriptions = {path.name: path for path in data_set.path.glob("*.json")}
    return [path for _, path in sorted({**shards, **descriptions}.items())]


def _file(folder: Path, path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest}


def _jpeg(image: np.ndarray) -> str:
    return _uri(small_jpeg(image, _PICTURE_SIDE), "jpeg")


def _uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
