"""Damaged pictures of all formats, as every part of the package reads them."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from fuzzing import drawings, structures
from fuzzing.mutations import mutate
from fuzzing.target import Target, WrongContentError, check_line, refuse_for
from keras_depthseg.datasets import original_layout
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.datasets.composites.gather import gather_backgrounds, gather_cutouts
from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.pairs import list_pairs, read_pairs
from keras_depthseg.evaluation.predictions import Predictions
from keras_depthseg.inference.photographs import read_photograph

_SIZE = (32, 40)


def _specimens() -> dict[str, bytes]:
    """Return pictures of all formats and modes, by file name."""
    colour, mask = drawings.plate(1, _SIZE), drawings.blob(_SIZE)
    rgba, deep = np.dstack([colour, mask]), drawings.millimetres(2, _SIZE)
    save = drawings.encoded
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    def several(kind: str) -> bytes:
        # New images: Pillow leaves the settings of JPEG with those that it saved.
        others = [Image.fromarray(colour[::-1])]
        return save(colour, kind, save_all=True, append_images=others)

    tiffs = {
        f"tiff_{method}.tif": save(colour, "TIFF", compression=method)
        for method in ("raw", "tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
    }
    return {
        "rgb.png": save(colour),
        "grey.png": save(mask),
        "rgba.png": save(rgba),
        "deep.png": save(deep),
        "palette.png": save(colour, mode="P"),
        "bits.png": save(mask, mode="1"),
        "tagged.png": save(colour, icc_profile=srgb, exif=drawings.exif(6)),
        "apng.png": several("PNG"),
        "rgb.jpg": save(colour, "JPEG", quality=90),
        "progressive.jpg": save(colour, "JPEG", progressive=True),
        "grey.jpg": save(mask, "JPEG"),
        "cmyk.jpg": save(colour, "JPEG", mode="CMYK"),
        "tagged.jpg": save(colour, "JPEG", icc_profile=srgb, exif=drawings.exif(8)),
        "several.mpo": several("MPO"),
        "lossy.webp": save(colour, "WEBP"),
        "lossless.webp": save(rgba, "WEBP", lossless=True),
        "moving.webp": several("WEBP"),
        "rgb.bmp": save(colour, "BMP"),
        "one.gif": save(colour, "GIF"),
        "moving.gif": several("GIF"),
        "rgb.avif": save(colour, "AVIF", speed=10),
        "deep.tif": save(deep, "TIFF"),
        "several.tif": several("TIFF"),
        **tiffs,
    }


class _PicturesTarget(Target):
    def prepare(self) -> None:
        for name, data in _specimens().items():
            (self.folder / name).write_bytes(data)

    def load(self) -> None:
        self.pictures = {
            path.name: path.read_bytes()
            for path in sorted(self.folder.iterdir())
            if not path.name.startswith(".")
        }

    def draw(
        self, rng: random.Random, suffixes: tuple[str, ...] = ("",)
    ) -> tuple[str, bytes]:
        """Return name and damaged bytes of a picture with one of the suffixes."""
        names = [name for name in self.pictures if name.endswith(suffixes)]
        name = rng.choice(names)
        return name, structures.mutate_picture(self.pictures[name], rng)


class Photographs(_PicturesTarget):
    """Of every format, as prediction reads them."""

    name = "photographs"

    def load(self) -> None:
        super().load()
        self.pixels = {
            name: read_photograph(self.folder / name, "image").pixels
            for name in self.pictures
        }

    def damage(self, rng: random.Random) -> None:
        name, data = self.draw(rng)
        self.healthy = self.pixels[name]
        # A wrong suffix, now and then.
        if rng.random() < 0.1:
            name = f"{name}{rng.choice(('.png', '.jpg', '.tif', '.webp'))}"
        (self.case / name).write_bytes(data)

    def read(self) -> None:
        (path,) = self.case.iterdir()
        photograph = read_photograph(path, "image")
        shape, dtype = photograph.pixels.shape, photograph.pixels.dtype
        if len(shape) != 3 or shape[2] != 3 or dtype != np.uint8:
            raise WrongContentError(f"a photograph of {shape} {dtype}")
        other = not np.array_equal(photograph.pixels, self.healthy)
        if other and structures.is_png_with_wrong_sums(path.read_bytes()):
            raise WrongContentError("a PNG of wrong checksums with other pixels")


class Backgrounds(_PicturesTarget):
    """A folder of backgrounds with depth maps, as `compose` takes them."""

    name = "backgrounds"

    def damage(self, rng: random.Random) -> None:
        for folder in ("bg", "depth"):
            (self.case / folder).mkdir()
        self.depth = rng.random() < 0.5
        files = {
            "bg/0.png": self.pictures["rgb.png"],
            "depth/0.png": self.pictures["deep.png"],
        }
        suffixes = (".png", ".jpg", ".webp", ".avif")
        if self.depth and rng.random() < 0.5:
            name, data = self.draw(rng, suffixes)
            files["bg/1.png"] = self.pictures["rgb.png"]
            files[f"depth/1{Path(name).suffix}"] = data
        else:
            name, data = self.draw(rng, suffixes)
            files[f"bg/1{Path(name).suffix}"] = data
            files["depth/1.png"] = self.pictures["deep.png"]
        for name, data in files.items():
            (self.case / name).write_bytes(data)

    def read(self) -> None:
        lines: list[str] = []
        depth = (
            DepthFolder(self.case / "depth", step=0.001, scale=10) if self.depth else None
        )
        for found in gather_backgrounds(self.case / "bg", depth, lines.append):
            found.read(32)
        refuse_for(lines)


class Cutouts(_PicturesTarget):
    """A folder of cutouts, with alpha or with masks, as `compose` takes them."""

    name = "cutouts"

    def damage(self, rng: random.Random) -> None:
        for folder in ("fg", "mask"):
            (self.case / folder).mkdir()
        self.masks = rng.random() < 0.5
        files = {
            "fg/0.png": self.pictures["rgba.png"],
            "mask/0.png": self.pictures["grey.png"],
        }
        suffixes = (".png", ".jpg", ".webp", ".avif")
        name, data = self.draw(rng, suffixes)
        if self.masks and rng.random() < 0.5:
            files["fg/1.png"] = self.pictures["rgb.png"]
            files[f"mask/1{Path(name).suffix}"] = data
        else:
            files[f"fg/1{Path(name).suffix}"] = data
            files["mask/1.png"] = self.pictures["grey.png"]
        for name, data in files.items():
            (self.case / name).write_bytes(data)

    def read(self) -> None:
        lines: list[str] = []
        masks = self.case / "mask" if self.masks else None
        for found in gather_cutouts(self.case / "fg", masks, lines.append):
            found.read(16, 32)
        refuse_for(lines)


def _picture_or_bytes(name: str, content: bytes, rng: random.Random) -> bytes:
    return structures.mutate_picture(content, rng)


class Zips(_PicturesTarget):
    """Zips of pictures, as `compose` and the original layout take them."""

    name = "zips"

    def load(self) -> None:
        super().load()
        members = [
            *(
                (f"rgb/{number}.png", drawings.encoded(drawings.plate(number)))
                for number in range(3)
            ),
            ("top.jpg", self.pictures["rgb.jpg"]),
            ("notes.txt", b"Nothing to see here."),
        ]
        self.contents = {content for _, content in members}
        self.zips = [
            structures.zip_of(members),
            structures.zip_of(members, 0),
        ]

    def damage(self, rng: random.Random) -> None:
        data = rng.choice(self.zips)
        # Only the packed bytes: whatever is read must be what was packed then.
        self.whole = rng.random() < 0.5
        if self.whole:
            data = mutate(data, rng)
        else:
            data = structures.mutate_zip(data, rng, _picture_or_bytes)
        (self.case / "bg.zip").write_bytes(data)

    def read(self) -> None:
        lines: list[str] = []
        path = self.case / "bg.zip"
        try:
            for found in gather_backgrounds(path, None, lines.append):
                found.read(32)
                if self.whole and found.file.read() not in self.contents:
                    raise WrongContentError("a member of a zip with other bytes")
        finally:
            for line in lines:
                check_line(line)
        refuse_for(lines)


class Pairs(_PicturesTarget):
    """Folders of pairs with `index.csv`, as evaluation reads them."""

    name = "pairs"

    def load(self) -> None:
        super().load()
        bg, fg_bg, mask = drawings.pair(3, _SIZE)
        self.pair = {
            "bg.png": drawings.encoded(bg),
            "fg_bg.jpg": drawings.encoded(fg_bg, "JPEG"),
            "mask.png": drawings.encoded(mask),
        }
        self.index = b"name,scene\nA/1,kitchen\nA/2,hall\n"

    def damage(self, rng: random.Random) -> None:
        files = {
            f"A/{n}/{name}": data for n in (1, 2) for name, data in self.pair.items()
        }
        what = rng.random()
        if what < 0.4:
            files["index.csv"] = structures.mutate_table(self.index, rng, b",")
        elif what < 0.7:
            name = rng.choice(list(files))
            files[name] = structures.mutate_picture(files[name], rng)
        else:
            name, data = self.draw(rng, (".png", ".jpg", ".webp"))
            role = rng.choice(("bg.png", "fg_bg.jpg", "mask.png"))
            del files[f"A/1/{role}"]
            files[f"A/1/{Path(role).stem}{Path(name).suffix}"] = data
        if rng.random() < 0.2:
            packed = structures.zip_of(list(files.items()))
            (self.case / "pairs.zip").write_bytes(
                structures.mutate_zip(packed, rng, _picture_or_bytes)
            )
            return
        for name, data in files.items():
            path = self.case / "pairs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def read(self) -> None:
        (root,) = self.case.iterdir()
        for pair in read_pairs(list_pairs(root), 64):
            if not (pair.mask.min() >= 0 and pair.mask.max() <= 1):
                raise WrongContentError(
                    f"a mask from {pair.mask.min()} to {pair.mask.max()}"
                )


class Maps(_PicturesTarget):
    """Another program's maps, pictures and arrays, as evaluation reads them."""

    name = "maps"

    def load(self) -> None:
        super().load()
        self.arrays = []
        for array in (
            np.zeros((8, 8), np.float32),
            np.ones((8, 8, 1)),
            np.zeros((8, 8), bool),
        ):
            buffer = io.BytesIO()
            np.save(buffer, array)
            self.arrays.append(buffer.getvalue())

    def damage(self, rng: random.Random) -> None:
        if rng.random() < 0.5:
            data = rng.choice(self.arrays)
            if rng.random() < 0.5:
                # The text of the header, its length kept.
                at = rng.randrange(10, 128)
                data = (
                    data[:at] + rng.choice(b"{}(),'<>f4|O8:0").to_bytes() + data[at + 1 :]
                )
            (self.case / "a.npy").write_bytes(mutate(data, rng, 2))
        else:
            name, data = self.draw(rng, (".png", ".jpg", ".webp"))
            (self.case / f"a{Path(name).suffix}").write_bytes(data)

    def read(self) -> None:
        mask = Predictions(self.case, ["a"]).mask("a", (16, 16))
        if not (mask.shape == (16, 16) and mask.min() >= 0 and mask.max() <= 1):
            raise WrongContentError(
                f"a mask {mask.shape} from {mask.min()} to {mask.max()}"
            )


class Layouts(_PicturesTarget):
    """A folder of the original layout: tables, pictures, zips; converted to records."""

    name = "layouts"

    def prepare(self) -> None:
        drawings.write_layout(self.folder / "layout", 2, 2)

    def load(self) -> None:
        root = self.folder / "layout"
        self.files = {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }
        self.zipped = {}
        for folder in ("fg_bg", "fg_bg_mask", "fg_bg_depth"):
            for bg in ("bg0", "bg1"):
                members = [
                    (Path(name).name, data)
                    for name, data in self.files.items()
                    if name.startswith(f"{folder}/{bg}")
                ]
                self.zipped[f"{folder}/{bg}.zip"] = structures.zip_of(members)

    def damage(self, rng: random.Random) -> None:
        files = dict(self.files)
        if rng.random() < 0.4:
            files = {
                n: d for n, d in files.items() if "/" not in n or n.startswith("bg/")
            }
            files |= self.zipped
        what = rng.random()
        if what < 0.4:
            name = rng.choice(("file_map.txt", "labels.txt"))
            files[name] = structures.mutate_table(files[name], rng, b"\t")
        else:
            name = rng.choice([name for name in files if "/" in name])
            if name.endswith(".zip"):
                files[name] = structures.mutate_zip(files[name], rng, _picture_or_bytes)
            else:
                files[name] = structures.mutate_picture(files[name], rng)
        for name, data in files.items():
            path = self.case / "layout" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def read(self) -> None:
        try:
            original_layout.build(self.case / "layout", self.case / "cache")
        except UserError:
            left = list((self.case / "cache").rglob("*.tfrecord*"))
            if left:
                raise WrongContentError(
                    "a conversion that was refused left records"
                ) from None
            raise


class LayoutTables(Target):
    """`file_map.txt` and `labels.txt` alone: many more than `layouts` can convert."""

    name = "tables"

    def prepare(self) -> None:
        drawings.write_layout(self.folder / "layout", 2, 2)

    def load(self) -> None:
        self.tables = {
            name: (self.folder / "layout" / name).read_bytes()
            for name in ("file_map.txt", "labels.txt")
        }

    def damage(self, rng: random.Random) -> None:
        for path in (self.folder / "layout").iterdir():
            (self.case / path.name).symlink_to(path)
        name = rng.choice(("file_map.txt", "labels.txt"))
        (self.case / name).unlink()
        text = structures.mutate_table(self.tables[name], rng, b"\t")
        (self.case / name).write_bytes(text)

    def read(self) -> None:
        from keras_depthseg.datasets.original_layout.reader import Layout

        layout = Layout(self.case)
        for sample in layout.samples:
            layout.check(sample)
            for field in ("bg", "fg_bg", "mask", "depth"):
                layout.read(field, sample)
