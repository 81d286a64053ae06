"""Pictures of all kinds as sources of `depthseg data compose`: used, or told and left."""

import contextlib
import io
import os
import random
import shutil
import struct
import tempfile
import time
import tracemalloc
import warnings
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from unittest import mock

import cv2
import hypothesis
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from hypothesis import strategies as st
from PIL import Image

from keras_depthseg.datasets.composites import gather, reading
from keras_depthseg.datasets.composites.depth_folder import (
    DepthFolder,
    parse_depth_folder,
)
from keras_depthseg.datasets.records import NEAREST_DEPTH
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import checks, folders
from keras_depthseg.pictures.folders import Companions, PictureFile, list_pictures
from keras_depthseg.text import printable
from tests.support.tiny_data import colour, grey, mask

SIZE = (24, 32)
ORIENTATION = 0x0112
MILLIMETRES = 0.001

# Of a stored picture, by the tag: where its row 0 and its column 0 are seen (Exif 2.3).
SEEN = {
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


def saved(pixels, kind="PNG", mode=None, **options):
    """The bytes of a picture; of 16 bit through OpenCV."""
    pixels = np.asarray(pixels)
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        return cv2.imencode(".png", pixels)[1].tobytes()
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def rgba(seed, size=SIZE):
    """A cutout: a box of alpha 255."""
    return np.dstack([colour(seed, size), mask(size)])


def depth(seed, size=SIZE):
    """Millimetres up to 9 m; nothing at 0."""
    levels = np.random.default_rng(seed).integers(1000, 9000, size)
    return levels.astype(np.uint16)


def turned(upright, tag):
    """What is stored, so that with `tag` a viewer shows `upright`."""
    rows, columns = SEEN[tag]
    stored = upright
    if rows in ("left", "right"):
        stored = stored.swapaxes(0, 1)
    if rows in ("bottom", "right"):
        stored = stored[::-1]
    if columns in ("bottom", "right"):
        stored = stored[:, ::-1]
    return np.ascontiguousarray(stored)


def exif(tag):
    tags = Image.Exif()
    tags[ORIENTATION] = tag
    return tags.tobytes()


def animated(kind):
    frames = [Image.fromarray(rgba(seed)) for seed in (1, 2)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def png_header(width, height):
    """The beginning of a PNG that claims a size."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(bytes(99))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (head, pixels)
    )


def changed(data, position):
    position %= len(data)
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


def thin():
    """Opaque on a diagonal only."""
    pixels = np.zeros((400, 400, 4), np.uint8)
    pixels[np.arange(400), np.arange(400)] = 255
    return pixels


def make_folder(path):
    path.mkdir()
    (path / "inside.png").write_bytes(saved(rgba(3)))


def make_large(path):
    with path.open("wb") as file:
        file.truncate(folders.LARGEST_FILE + 1)


# Bad whatever they are to be: the name, its bytes or how it is made, what is told.
BAD = {
    "cmyk": ("a.jpg", saved(colour(1), "JPEG", "CMYK"), "received CMYK", "to RGB"),
    "rgb_16_bit": (
        *("a.png", saved(np.full((*SIZE, 3), 999, np.uint16))),
        *("received 16 bit a channel", "expected 8 bit", "Save it as 8-bit PNG"),
    ),
    "rgba_16_bit": (
        *("a.png", saved(np.full((*SIZE, 4), 999, np.uint16))),
        *("received 16 bit a channel", "expected 8 bit"),
    ),
    "grey_16_bit": ("a.png", saved(grey(1, np.uint16)), "received 16 bit a channel"),
    "gif": ("a.gif", animated("GIF"), "received a .gif file", "Convert it"),
    "gif_named_png": ("a.png", animated("GIF"), "format GIF", "expected a JPEG, PNG"),
    "apng": ("a.png", animated("PNG"), "received an animation of 2 pictures", "Save one"),
    "animated_webp": ("a.webp", animated("WEBP"), "received an animation of 2 pictures"),
    "half_jpeg": (
        *("a.jpg", saved(colour(1), "JPEG")[:700]),
        *("received a truncated or damaged picture", "whole JPEG, PNG or WEBP", "Copy"),
    ),
    "half_png": ("a.png", saved(rgba(1))[:700], "received a truncated or damaged"),
    "half_webp": ("a.webp", saved(rgba(1), "WEBP")[:300], "received a truncated or"),
    "beginning_of_a_png": ("a.png", saved(rgba(1))[:20], "received a truncated or"),
    "wrong_sum": ("a.png", changed(saved(rgba(1)), -14), "received a truncated or"),
    "wrong_sum_of_the_header": ("a.png", changed(saved(rgba(1)), 30), "damaged"),
    "wrong_pixels": ("a.png", changed(saved(rgba(1)), 500), "damaged picture ("),
    "text": ("a.jpg", b"hello\n" * 99, "something that is not a picture", "Replace"),
    "empty": ("a.png", b"", "received an empty file", "expected a JPEG", "Write it"),
    "folder": ("a.png", make_folder, "received a folder", "expected a file", "Rename"),
    "broken_link": ("a.png", lambda path: path.symlink_to("no"), ", a broken link"),
    "pipe": ("a.png", os.mkfifo, "or something else", "expected a file"),
    "large_file": ("a.png", make_large, "file of 268,435,457 bytes", "at most 268"),
    "bomb": ("a.png", png_header(60000, 60000), "3,600,000,000 pixels", "at most 89,478"),
    "small_bomb": ("a.png", png_header(10000, 10000), "received 100,000,000 pixels"),
    "tiny": ("a.png", saved(rgba(1, (15, 40))), "received 40x15 pixels", "at least 16"),
    "heic_named_jpg": ("a.jpg", b"\0\0\0\x18ftypheic" + bytes(99), "such as HEIC"),
    "heic": ("a.heic", b"", "received a .heic file", "accepted are JPEG, PNG and WebP"),
    "tiff": ("a.TIFF", saved(rgba(1), "TIFF"), "received a .tiff file", "Convert it"),
    "bmp": ("a.bmp", saved(colour(1), "BMP"), "received a .bmp file", "Convert it"),
    "newline": ("a\n b\x1b.png", b"", r"/a\n b\x1b.png: received an empty file"),
    "not_unicode": (os.fsdecode(b"a\xff.png"), b"", r"/a\udcff.png: received an empty"),
    "long_name": ("x" * 250 + ".png", b"", "x" * 250 + ".png: received an empty file"),
}

BAD_CUTOUTS = {
    "no_alpha": (
        *("a.png", saved(colour(1))),
        *("received RGB (3 channels)", "expected an alpha channel", "or give a folder"),
    ),
    "no_alpha_jpeg": ("a.jpg", saved(grey(1), "JPEG"), "received greyscale (1 channel"),
    "no_alpha_palette": ("a.png", saved(grey(1), mode="P"), "received a colour palette"),
    "transparent": (
        *("a.png", saved(np.dstack([colour(1), 0 * mask()]))),
        *("transparent everywhere", "0 of 255 at most", "expected 255", "Replace"),
    ),
    "nearly_transparent": (
        *("a.png", saved(np.dstack([colour(1), mask() // 255]))),
        *("transparent everywhere", "1 of 255 at most"),
    ),
    "opaque": (
        *("a.png", saved(np.dstack([colour(1), 0 * mask() + 255]))),
        *("opaque everywhere", "expected 0 around it", "Cut it out"),
    ),
    "thin": (
        *("a.png", saved(thin())),
        *("received a cutout of 400x400", "too thin", "at 15x15 pixels", "--fg-height"),
    ),
}

BAD_BACKGROUNDS = {
    "transparent": (
        *("a.png", saved(rgba(1))),
        *("received RGB with alpha", "expected an opaque picture", "without alpha"),
    ),
    "transparent_palette": (
        *("a.png", saved(grey(1), mode="P", transparency=bytes(256))),
        *("received a colour palette", "expected an opaque picture"),
    ),
}


class SourcesTestCase(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.root = self.folder / "source"
        self.beside = self.folder / "beside"
        self.lines = []

    def write(self, files, root=None):
        """Writes files of a folder, by name: bytes, or what makes the file."""
        for name, content in files.items():
            path = (root or self.root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            content(path) if callable(content) else path.write_bytes(content)

    def zipped(self, root=None):
        """A zip of a folder."""
        root = root or self.root
        path = root.with_name(f"{root.name}.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(root.rglob("*")):
                archive.write(file, file.relative_to(root))
        return path

    def cutouts(self, root=None, masks=None):
        """Names of the cutouts that are used."""
        found = gather.gather_cutouts(
            root or self.root, masks, self.lines.append, 15, SIZE[1]
        )
        return [cutout.name for cutout in found]

    def backgrounds(self, root=None, maps=None):
        """Names of the backgrounds that are used."""
        found = gather.gather_backgrounds(
            root or self.root, maps, self.lines.append, SIZE[1]
        )
        return [background.name for background in found]

    def maps(self, **settings):
        return DepthFolder(self.beside, **{"step": MILLIMETRES, "scale": 10, **settings})

    def assert_told(self, *parts, root=None):
        """One line, which names a file, says what is accepted and what to do."""
        (line,) = self.lines
        self.assertEqual(line, printable(line))
        self.assertStartsWith(line, f"{root or self.root}/")
        self.assertRegex(line, r": received .+[;,] .*(expected|accepted).*\. .+\.$")
        for part in parts:
            self.assertIn(part, line)

    def assert_refused(self, call, *parts):
        with self.assertRaises(UserError) as caught:
            call()
        message = str(caught.exception)
        self.assertEqual(message, printable(message))
        for part in parts:
            self.assertIn(str(part), message)


class BadPictureTest(SourcesTestCase):
    @parameterized.named_parameters((kind, *case) for kind, case in BAD.items())
    def test_any(self, name, content, *parts):
        for good, find in ((rgba(0), self.cutouts), (colour(0), self.backgrounds)):
            shutil.rmtree(self.root, ignore_errors=True)
            self.lines.clear()
            self.write({"good.png": saved(good), name: content})
            self.assertEqual(find(), ["good.png"])
            self.assert_told(printable(name), *parts)

    @parameterized.named_parameters(
        (kind, *case)
        for kind, case in BAD.items()
        if isinstance(case[1], bytes) and kind not in ("not_unicode",)
    )
    def test_in_a_zip(self, name, content, *parts):
        self.write({"good.png": saved(rgba(0)), name: content})
        path = self.zipped()
        self.assertEqual(self.cutouts(path), ["good.png"])
        self.assert_told(printable(name), *parts, root=path)

    @parameterized.named_parameters((kind, *case) for kind, case in BAD_CUTOUTS.items())
    def test_cutout(self, name, content, *parts):
        self.write({"good.png": saved(rgba(0)), name: content})
        self.assertEqual(self.cutouts(), ["good.png"])
        self.assert_told(name, *parts)

    @parameterized.named_parameters(
        (kind, *case) for kind, case in BAD_BACKGROUNDS.items()
    )
    def test_background(self, name, content, *parts):
        self.write({"good.png": saved(colour(0)), name: content})
        self.assertEqual(self.backgrounds(), ["good.png"])
        self.assert_told(name, *parts)

    def test_second_of_a_name(self):
        self.write({"chair.png": saved(rgba(0)), "Chair.webp": saved(rgba(1), "WEBP")})
        self.assertEqual(self.cutouts(), ["Chair.webp"])
        self.assert_told(
            *("chair.png: received a second picture named like Chair.webp", "which is"),
            *("used; expected one of a name", "Rename or remove"),
        )

    def test_second_of_a_name_whose_first_is_bad(self):
        # A photograph and what was cut out of it, side by side.
        self.write({"chair.jpg": saved(colour(0), "JPEG"), "chair.png": saved(rgba(0))})
        self.assertEqual(self.cutouts(), ["chair.png"])
        self.assert_told("chair.jpg: received RGB")

    @parameterized.parameters(False, True)
    def test_nothing_left(self, is_zip):
        self.write({"a.png": saved(colour(0)), "b.png": b""})
        root = self.zipped() if is_zip else self.root
        self.assert_refused(
            lambda: self.cutouts(root),
            *(root, "none of its 2 pictures can be used", "expected one at least"),
        )
        self.assertLen(self.lines, 2)

    def test_filters_of_warnings_stay(self):
        # Several threads at once open pictures that make Pillow warn, slowly.
        self.write({"good.png": saved(rgba(0))})
        self.write({f"{i}.png": png_header(10000, 10000) for i in range(40)})
        open_picture = Image.open

        def slowly(*args, **kwargs):
            time.sleep(random.random() / 500)
            return open_picture(*args, **kwargs)

        before = list(warnings.filters)
        with mock.patch.object(Image, "open", slowly):
            self.cutouts()
        self.assertEqual(warnings.filters, before)
        self.assertLen(self.lines, 40)

    def test_interrupted(self):
        self.write({f"{i}.png": b"" for i in range(500)})

        def stop(line):
            raise KeyboardInterrupt

        with (
            mock.patch.object(
                PictureFile, "read", autospec=True, return_value=b""
            ) as read,
            self.assertRaises(KeyboardInterrupt),
        ):
            gather.gather_cutouts(self.root, None, stop)
        self.assertLess(read.call_count, 400)

    @hypothesis.settings(max_examples=150, deadline=None, database=None)
    @hypothesis.given(
        st.sampled_from(("PNG", "JPEG", "WEBP")),
        st.booleans(),
        st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
        st.none() | st.integers(0, 10**6),
    )
    def test_changed_bytes(self, kind, with_tag, changes, stop):
        pixels = colour(1) if kind == "JPEG" else rgba(1)
        data = bytearray(saved(pixels, kind, **{"exif": exif(6)} if with_tag else {}))
        for position, value in changes:
            data[position % len(data)] = value
        data = data[: stop and stop % len(data)]
        self.root.mkdir(exist_ok=True)
        (self.root / "a.png").write_bytes(data)
        file = PictureFile("a.png", self.root)
        for read in (
            lambda: reading.read_background(file, 32),
            lambda: reading.read_cutout(file, None, 15, 32),
            lambda: reading.read_cutout(file, file, 15, 32),
            lambda: reading.read_depth(file, SIZE, 32),
        ):
            try:
                read()
            except UserError as error:
                message = str(error)
                self.assertEqual(message, printable(message))
                self.assertStartsWith(message, file.where)


class GoodPictureTest(SourcesTestCase):
    def layer(self, data, mask_data=None):
        """The cutout of a picture and its mask."""
        self.write({"a.png": data, **({"a_mask.png": mask_data} if mask_data else {})})
        self.assertEqual(self.cutouts(masks=self.root if mask_data else None), ["a.png"])
        file, beside = (PictureFile(name, self.root) for name in ("a.png", "a_mask.png"))
        return reading.read_whole_cutout(file, beside if mask_data else None)

    def assert_same(self, one, other):
        self.assertAllEqual(one.colour, other.colour)
        self.assertAllEqual(one.alpha, other.alpha)

    def test_trimmed_to_its_box(self):
        result = self.layer(saved(rgba(1)))
        box = np.s_[4:16, 10:18]
        self.assertAllEqual(result.colour, colour(1)[box])
        self.assertAllEqual(result.alpha, mask()[box])

    @parameterized.named_parameters(
        ("palette", "P"), ("grey_and_alpha", "LA"), ("grey_with_one_transparent", "L")
    )
    def test_modes(self, mode):
        light = np.maximum(grey(1), 1)
        same = np.dstack([light] * 3)
        if mode == "LA":
            data = saved(np.dstack([light, mask()]))
        else:
            # 0 is transparent.
            options = {"transparency": 0}
            data = saved(np.where(mask(), light, 0), mode=mode, **options)
        self.assert_same(self.layer(data), self.layer(saved(np.dstack([same, mask()]))))

    def test_palette_with_soft_transparency(self):
        data = saved(grey(1), mode="P", transparency=bytes(range(256)))
        expected = Image.open(io.BytesIO(data)).convert("RGBA")
        self.assert_same(self.layer(data), self.layer(saved(expected)))

    @parameterized.named_parameters(
        ("one_bit", saved(mask() > 0)),
        ("rgb", saved(np.dstack([mask()] * 3))),
        ("palette", saved(mask(), mode="P")),
        ("webp", saved(np.dstack([mask()] * 3), "WEBP", lossless=True)),
    )
    def test_masks(self, data):
        expected = self.layer(saved(rgba(1)))
        self.assert_same(self.layer(saved(colour(1)), data), expected)
        # The mask counts, not the alpha that is there too.
        both = saved(np.dstack([colour(1), grey(2)]))
        self.assert_same(self.layer(both, data), expected)

    @parameterized.product(tag=list(SEEN), kind=["PNG", "WEBP"])
    def test_orientation(self, tag, kind):
        options = {"exif": exif(tag), **({"lossless": True} if kind == "WEBP" else {})}

        def stored(pixels):
            return saved(turned(pixels, tag), kind, **options)

        result = self.layer(stored(rgba(1)))
        self.assert_same(result, self.layer(saved(rgba(1))))
        # Only the mask has the tag, then only the picture, then both.
        plain = saved(colour(1)), saved(np.dstack([mask()] * 3))
        with_tag = stored(colour(1)), stored(np.dstack([mask()] * 3))
        for picture, opaque in (
            (plain[0], with_tag[1]),
            (with_tag[0], plain[1]),
            with_tag,
        ):
            self.assert_same(self.layer(picture, opaque), result)

        file = PictureFile("b.png", self.root)
        self.write({"b.png": saved(colour(1))})
        upright = reading.read_background(file, 32)
        self.write({"b.png": stored(colour(1))})
        self.assertAllEqual(reading.read_background(file, 32), upright)
        self.assertEqual(reading.background_shape(file), SIZE)

    @parameterized.parameters(np.uint8, np.uint16)
    def test_orientation_of_depth(self, dtype):
        levels = grey(1, dtype)
        self.write({"a.png": saved(turned(levels, 6), exif=exif(6))})
        result = reading.read_depth(PictureFile("a.png", self.root), SIZE, 24)
        self.assertEqual(result.dtype, dtype)
        self.assertAllEqual(result, levels[:, 4:28])

    def test_orientation_of_a_camera(self):
        self.write(
            {
                "good.jpg": saved(colour(1), "JPEG", quality=100),
                "turned.jpg": saved(turned(colour(1), 6), "JPEG", exif=exif(6)),
            }
        )
        one, other = (
            reading.read_background(PictureFile(name, self.root), 32).astype(int)
            for name in ("good.jpg", "turned.jpg")
        )
        # It is noise, so that JPEG is not exact; other pixels differ by 85.
        self.assertLess(np.abs(one - other).mean(), 40)

    @parameterized.parameters(
        b"Exif\0\0II",
        b"Exif\0\0nonsense",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12",
        exif(9),
    )
    def test_damaged_orientation(self, tags):
        expected = self.layer(saved(rgba(1)))
        self.write({"b.png": saved(rgba(1), exif=tags)})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = reading.read_whole_cutout(PictureFile("b.png", self.root), None)
        self.assert_same(result, expected)
        self.assertEmpty(caught)

    def test_backgrounds(self):
        opaque = np.dstack([colour(1), np.full(SIZE, 255, np.uint8)])
        self.write(
            {
                "grey.png": saved(grey(2)),
                "palette.png": saved(grey(3), mode="P"),
                "rgb.jpg": saved(colour(4), "JPEG"),
                "rgba.png": saved(opaque),
                "wide.webp": saved(colour(5, (16, 400)), "WEBP"),
            }
        )
        names = ["grey.png", "palette.png", "rgb.jpg", "rgba.png", "wide.webp"]
        self.assertEqual(self.backgrounds(), names)
        self.assertEqual(self.lines, [])
        result = reading.read_background(PictureFile("rgba.png", self.root), 24)
        self.assertAllEqual(result, colour(1)[:, 4:28])

    @parameterized.parameters(((2000, 1500),), ((16, 3000),), ((3000, 16),))
    def test_large_and_wide_cutouts_fit(self, size):
        pixels = np.full((*size, 4), 255, np.uint8)
        pixels[0, 0] = 0
        self.write({"a.png": saved(pixels)})
        self.assertEqual(self.cutouts(), ["a.png"])
        layer = reading.read_cutout(PictureFile("a.png", self.root), None, 15, 32)
        self.assertBetween(layer.height, 1, 15)
        self.assertBetween(layer.width, 1, 32)
        self.assertTrue(layer.height == 15 or layer.width == 32)
        self.assertAllEqual(layer.alpha.max(), 255)

    def test_names(self):
        names = [
            "Stühle/椅子 🪑.png",
            "a b/c d.png",
            'a b/it\'s 100% "new" & more.PNG',
            "new\nline.png",
            os.fsdecode(b"not utf-8 \xff.png"),
            f"{'x' * 251}.png",
        ]
        self.write({name: saved(rgba(seed)) for seed, name in enumerate(names)})
        self.write({f"{name[:-4]}.png": saved(mask()) for name in names}, self.beside)
        self.assertEqual(self.cutouts(), sorted(names))
        self.assertEqual(self.cutouts(masks=self.beside), sorted(names))
        self.assertEqual(self.lines, [])

    def test_what_is_passed_over(self):
        good = saved(rgba(0))
        self.write(
            {
                "good.png": good,
                "notes.txt": b"",
                ".hidden.png": good,
                ".thumbnails/a.png": good,
                "__MACOSX/._good.png": good,
                "a/._b.png": b"a shadow",
            }
        )
        self.assertEqual(self.cutouts(), ["good.png"])
        self.assertEqual(self.cutouts(self.zipped()), ["good.png"])
        self.assertEqual(self.lines, [])

    def test_linked_folders(self):
        self.write({"a.png": saved(rgba(0))}, self.beside)
        self.write({"b.png": saved(rgba(1))})
        (self.root / "linked").symlink_to(self.beside)
        (self.beside / "loop").symlink_to(self.root)
        self.assertEqual(self.cutouts(), ["b.png", "linked/a.png"])


class MaskTest(SourcesTestCase):
    def setUp(self):
        super().setUp()
        self.write({"a.png": saved(colour(1)), "good.jpg": saved(colour(2), "JPEG")})
        self.write({"good_mask.png": saved(mask())}, self.beside)

    @parameterized.named_parameters(
        ("missing", {}, "received nothing of its name in", "a.png or a_mask.png. Add it"),
        (
            *("ambiguous", {"a.png": saved(mask()), "a_mask.png": saved(mask())}),
            *("received a.png and a_mask.png for it", "expected one", "Remove"),
        ),
    )
    def test_which(self, masks, *parts):
        self.write(masks, self.beside)
        self.assertEqual(self.cutouts(masks=self.beside), ["good.jpg"])
        self.assert_told(f"{self.root}/a.png: ", str(self.beside), *parts)

    @parameterized.named_parameters(
        (
            *("another_size", saved(mask((32, 24)))),
            *("received 24x32 pixels", "source/a.png is 32x24 pixels", "Resize"),
        ),
        ("black", saved(0 * mask()), "transparent everywhere, with 0 of 255"),
        ("of_0_and_1", saved(mask() // 255), "transparent everywhere, with 1 of 255"),
        ("white", saved(0 * mask() + 255), "opaque everywhere", "expected 0 around it"),
        ("colour", saved(colour(3)), "received RGB", "channels differ", "greyscale mask"),
        ("labels", saved(colour(3), mode="P"), "a colour palette; the channels differ"),
        ("with_alpha", saved(rgba(3)), "received RGB with alpha", "greyscale mask"),
        ("of_16_bit", saved(grey(1, np.uint16)), "received 16 bit a channel"),
        ("half", saved(mask())[:60], "received a truncated or damaged picture"),
    )
    def test_bad(self, data, *parts):
        self.write({"a.png": data}, self.beside)
        self.assertEqual(self.cutouts(masks=self.beside), ["good.jpg"])
        self.assert_told(f"{self.beside}/a.png: ", *parts, root=self.beside)

    @parameterized.parameters("a_mask.png", "A_MATTE.WEBP", "a_alpha.jpg")
    def test_in_one_folder(self, name):
        kinds = {".png": "PNG", ".WEBP": "WEBP", ".jpg": "JPEG"}
        opaque = np.dstack([mask()] * 3)
        data = saved(opaque, kinds[PurePosixPath(name).suffix])
        self.write({name: data, "old.bmp": b"", "good_mask.png": saved(mask())})
        self.assertEqual(self.cutouts(masks=self.root), ["a.png", "good.jpg"])
        # Once, though the folder has pictures and masks.
        self.assert_told("old.bmp: received a .bmp file")

    def test_only_masks(self):
        self.assert_refused(
            lambda: self.cutouts(self.beside, self.beside), "none of its 0 pictures"
        )

    def test_in_sub_folders(self):
        self.write({"b/a.png": saved(colour(3))})
        self.write({"a.png": saved(mask())}, self.beside)
        self.assertEqual(self.cutouts(masks=self.beside), ["a.png", "good.jpg"])
        self.assert_told("b/a.png: received nothing", "expected b/a.png or b/a_mask.png")

    @hypothesis.settings(max_examples=50, deadline=None, database=None)
    @hypothesis.given(
        st.text(st.characters(exclude_characters="/\0.", exclude_categories=["Cs"]))
    )
    def test_any_stem(self, stem):
        hypothesis.assume(not stem.lower().endswith(Companions._SUFFIXES))
        for suffix, mark in ((".png", ""), (".JPG", "_mask"), (".webp", "_Mask")):
            other = PictureFile(f"{stem}x{mark}{suffix}", self.beside)
            companions = Companions(self.beside, [other], "_mask")
            self.assertEqual(companions[PictureFile(f"{stem}x.jpg", self.root)], other)


class DepthTest(SourcesTestCase):
    def setUp(self):
        super().setUp()
        self.write({"a.png": saved(colour(1)), "good.jpg": saved(colour(2), "JPEG")})
        self.write({"good_depth.png": saved(depth(1))}, self.beside)

    def test_levels(self):
        self.write({"a.png": saved(depth(2))}, self.beside)
        found = gather.gather_backgrounds(self.root, self.maps(), self.lines.append)
        _, result = found[0].read(24)
        self.assertAllClose(result, depth(2)[:, 4:28] / 10000, 1e-6)

    @parameterized.named_parameters(
        ("missing", {}, "received nothing of its name in", "a_depth.png. Add it"),
        (
            *("ambiguous", {"a.png": b"", "a_depth_map.png": b""}),
            *("received a.png and a_depth_map.png for it", "Remove"),
        ),
    )
    def test_which(self, files, *parts):
        self.write(files, self.beside)
        self.assertEqual(self.backgrounds(maps=self.maps()), ["good.jpg"])
        self.assert_told(f"{self.root}/a.png: ", *parts)

    @parameterized.named_parameters(
        (
            *("another_size", saved(depth(1, (32, 24)))),
            *("received 24x32 pixels", "background is 32x24 pixels", "Warp"),
        ),
        ("zero", saved(0 * depth(1)), "received only zeros", "0 is unknown", "Replace"),
        (
            "zero_in_the_square",
            saved(np.where(np.arange(32) < 4, depth(1), np.uint16(0))),
            "received only zeros in the middle square",
        ),
        ("colour", saved(colour(3)), "received RGB", "the channels differ", "greyscale"),
        ("palette", saved(grey(3), mode="P"), "received a colour palette", "one channel"),
        ("alpha", saved(np.dstack([grey(3), mask()])), "received greyscale with alpha"),
        (
            *("beyond_the_scale", saved(np.full(SIZE, 20000, np.uint16))),
            *("received depths of 20 m and more with step=0.001", "Correct"),
        ),
        ("half", saved(depth(1))[:700], "received a truncated or damaged picture"),
    )
    def test_bad(self, data, *parts):
        self.write({"a.png": data}, self.beside)
        self.assertEqual(self.backgrounds(maps=self.maps()), ["good.jpg"])
        self.assert_told(f"{self.beside}/a.png: ", *parts, root=self.beside)

    def test_wrong_step(self):
        self.assert_refused(
            lambda: self.backgrounds(maps=self.maps(step=1.0)), "none of its 2 pictures"
        )
        (line,) = (line for line in self.lines if "good_depth" in line)
        self.assertRegex(line, r"received depths of 10\d\d m and more with step=1;")

    def test_8_and_16_bit(self):
        self.write({"a.png": saved(grey(1))}, self.beside)
        self.assert_refused(
            lambda: self.backgrounds(maps=self.maps()),
            *(self.beside, "of 8 bit (1) and of 16 bit (1)", "expected one", "Convert"),
        )
        relative = self.maps(step=None, scale=None)
        self.assertEqual(self.backgrounds(maps=relative), ["a.png", "good.jpg"])

    def test_in_one_folder(self):
        self.write(
            {
                "a_depth.png": saved(depth(2)),
                "good_depth_map.png": saved(depth(3)),
                "000_rgb.jpg": saved(colour(4), "JPEG"),
                "000_depth.png": saved(depth(4)),
                "b.heic": b"",
            }
        )
        maps = DepthFolder(self.root, MILLIMETRES, 10)
        names = ["000_rgb.jpg", "a.png", "good.jpg"]
        self.assertEqual(self.backgrounds(maps=maps), names)
        self.assert_told("b.heic")


class ZipTest(SourcesTestCase):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "source.zip"

    def write_zip(self, files, method=zipfile.ZIP_STORED):
        with zipfile.ZipFile(self.path, "w", method) as archive:
            for name, data in files.items():
                archive.writestr(name, data)

    def patch_member(self, offset, form, value):
        """Changes what the list says of the first member."""
        data = bytearray(self.path.read_bytes())
        struct.pack_into(form, data, data.index(b"PK\1\2") + offset, value)
        self.path.write_bytes(data)

    @parameterized.parameters(
        zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA
    )
    def test_good(self, method):
        self.write_zip({"b/c.png": saved(rgba(0)), "a.png": saved(rgba(1))}, method)
        self.assertEqual(self.cutouts(self.path), ["a.png", "b/c.png"])
        file = PictureFile("b/c.png", self.path, in_zip=True)
        self.assertEqual(file.read(), saved(rgba(0)))

    @parameterized.parameters("../evil.png", "/evil.png", "a/../../evil.png")
    def test_leaves_the_zip(self, name):
        (self.folder / "evil.png").write_bytes(saved(rgba(1)))
        self.write_zip({name: saved(rgba(1)), "good.png": saved(rgba(0))})
        self.assertEqual(self.cutouts(self.path), ["good.png"])
        self.assert_told(
            *(name, "received a path that leaves the zip", "expected one inside", "Pack"),
            root=self.path,
        )

    @parameterized.named_parameters(
        ("encrypted", 8, "<H", 1, "is encrypted", "without a password", "Pack it again"),
        ("unknown_compression", 10, "<H", 99, "unsupported member of a zip"),
        ("gigabytes", 24, "<I", 3 * 2**30, "3,221,225,472 bytes", "at most 268,435,456"),
        ("less_than_it_is", 24, "<I", 50, "damaged or unsupported member of a zip"),
        ("nothing", 24, "<I", 0, "received"),
        ("elsewhere", 42, "<I", 10**6, "damaged or unsupported member of a zip"),
        ("wrong_sum", 16, "<I", 0, "Bad CRC-32"),
    )
    def test_bad_member(self, offset, form, value, *parts):
        files = {"a.png": saved(rgba(1)), "good.png": saved(rgba(0))}
        self.write_zip(files, zipfile.ZIP_DEFLATED)
        self.patch_member(offset, form, value)
        self.assertEqual(self.cutouts(self.path), ["good.png"])
        self.assert_told("a.png", *parts, root=self.path)

    def test_not_more_than_it_claims_is_unpacked(self):
        self.write_zip({"a.png": bytes(2**26)}, zipfile.ZIP_DEFLATED)
        self.patch_member(24, "<I", 50)
        file = PictureFile("a.png", self.path, in_zip=True)
        tracemalloc.start()
        self.assert_refused(file.read, "damaged or unsupported member of a zip")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(most, 2**23)

    def test_folder_named_like_a_picture(self):
        self.write_zip({"a.png/": b"", "b/": b"", "good.png": saved(rgba(0))})
        self.assertEqual(self.cutouts(self.path), ["good.png"])
        self.assert_told("a.png: received a folder", root=self.path)

    @parameterized.named_parameters(
        ("text", lambda data: b"hello"),
        ("empty", lambda data: b""),
        ("half", lambda data: data[: len(data) // 2]),
    )
    def test_damaged(self, change):
        self.write_zip({"a.png": saved(rgba(0))})
        self.path.write_bytes(change(self.path.read_bytes()))
        self.assert_refused(
            lambda: self.cutouts(self.path),
            *(self.path, "received a damaged zip", "expected a whole one", "Copy"),
        )

    def test_written_anew(self):
        self.write_zip({"a.png": saved(rgba(0))})
        self.assertEqual(self.cutouts(self.path), ["a.png"])
        self.write_zip({"b.png": saved(rgba(1)), "longer.png": saved(rgba(2))})
        self.assertEqual(self.cutouts(self.path), ["b.png", "longer.png"])
        file = PictureFile("a.png", self.path, in_zip=True)
        self.assert_refused(file.read, "a.png", "no longer there")

    def test_member_without_a_name(self):
        self.write_zip({"x": b"", "good.png": saved(rgba(0))})
        # The length of its name; the name then counts as something beside it.
        self.patch_member(28, "<H", 0)
        self.patch_member(30, "<H", 1)
        self.assertEqual(self.cutouts(self.path), ["good.png"])

    @hypothesis.settings(max_examples=100, deadline=None, database=None)
    @hypothesis.given(
        st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6)
    )
    def test_changed_bytes(self, changes):
        self.write_zip({"a.png": b"x" * 30, "b/c.png": b"y" * 30}, zipfile.ZIP_DEFLATED)
        data = bytearray(self.path.read_bytes())
        for position, value in changes:
            data[position % len(data)] = value
        self.path.write_bytes(data)
        with contextlib.suppress(UserError):
            for file in list_pictures(self.path, self.lines.append):
                with contextlib.suppress(UserError):
                    file.read()


class FolderTest(SourcesTestCase):
    @parameterized.named_parameters(
        ("missing", lambda root: None, "No such file", "expected a folder or a zip"),
        ("a_file", Path.touch, "it is no folder", "Give its path"),
        ("empty", Path.mkdir, "there is no usable picture in it", "Give another folder"),
        (
            *("other_files", lambda root: (root.mkdir(), (root / "a.txt").touch())),
            "there is no usable picture in it",
        ),
    )
    def test_refused(self, make, *parts):
        make(self.root)
        for find in (self.cutouts, self.backgrounds):
            self.assert_refused(find, self.root, *parts)
        self.assertEqual(self.lines, [])

    def test_long_path(self):
        path = self.folder / ("x" * 300)
        self.assert_refused(lambda: self.cutouts(path), path, "name too long")

    def test_vanished_file(self):
        file = PictureFile("a.png", self.root)
        self.assert_refused(
            file.read, f"{self.root}/a.png: it cannot be read (No such file", "expected"
        )

    def groups(self, root=None):
        found = gather.gather_cutouts(root or self.root, None, self.lines.append)
        return [cutout.group for cutout in found]

    def test_groups(self):
        names = ("a.png", "b.png", "c/d.png", "c/e.png", "f/g.png")
        self.write({name: saved(rgba(seed)) for seed, name in enumerate(names)})
        a, b, d, e, g = self.groups()
        self.assertEqual(d, e)
        self.assertLen({a, b, d, g}, 4)

    @parameterized.parameters(False, True)
    def test_groups_one_folder_deeper(self, is_zip):
        names = ("x/a.png", "x/b.png", "x/c/d.png", "x/c/e.png")
        self.write({name: saved(rgba(seed)) for seed, name in enumerate(names)})
        a, b, d, e = self.groups(self.zipped() if is_zip else None)
        self.assertEqual(d, e)
        self.assertLen({a, b, d}, 3)

    def test_groups_of_copies(self):
        names = ("a.png", "b/c.png", "b/d.png", "e.png")
        seeds = (0, 0, 1, 2)
        self.write({n: saved(rgba(s)) for n, s in zip(names, seeds, strict=True)})
        a, c, d, e = self.groups()
        self.assertEqual((a, c), (c, d))
        self.assertNotEqual(a, e)


class DepthTextTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("maps,step=0.001", DepthFolder(Path("maps"), 0.001, 10.0)),
        ("a, b/c.zip,step=1e-3,scale=80", DepthFolder(Path("a, b/c.zip"), 1e-3, 80)),
        ("maps,larger=farther,step=1", DepthFolder(Path("maps"), 1, 10.0)),
        ("maps,larger=nearer", DepthFolder(Path("maps"), larger="nearer")),
    )
    def test_accepted(self, text, expected):
        self.assertEqual(parse_depth_folder(text), expected)

    @parameterized.parameters(
        ("maps", "received no more", "step=METRES", "larger=nearer", "For instance"),
        ("maps,step", "received no more"),
        ("maps,unit=metre", "received 'unit=metre'", "accepted: each of step, scale"),
        ("maps,step=1,step=2", "received 'step=2'", "once"),
        ("maps,step=1,", "received ''"),
        ("maps,step=", "received step=;", "accepted: metres, 1e-06 to 1,000,000"),
        ("maps,step=1mm", "received step=1mm"),
        ("maps,step=0", "received step=0"),
        ("maps,step=-0.001", "received step=-0.001"),
        ("maps,step=nan", "received step=nan"),
        ("maps,step=inf", "received step=inf"),
        ("maps,step=1e300", "received step=1e300"),
        ("maps,step=1,scale=0", "received scale=0"),
        ("maps,scale=10", "received scale without step", "accepted: step=METRES"),
        ("maps,larger=nearer,step=1", "received larger=nearer with step"),
        ("maps,larger=up", "received larger=up", "larger=farther or larger=nearer"),
        (",step=1", "without a folder", "depth_maps,step=0.001"),
        ("", "without a folder"),
    )
    def test_refused(self, text, *parts):
        with self.assertRaises(UserError) as caught:
            parse_depth_folder(text)
        for part in ("--depth", *parts):
            self.assertIn(part, str(caught.exception))

    @hypothesis.settings(max_examples=200, deadline=None, database=None)
    @hypothesis.given(
        st.text(max_size=20)
        | st.lists(
            st.sampled_from(("a", ",", "=", "9", "step", "scale", "larger", "\n"))
        ).map("".join)
    )
    def test_any_text(self, text):
        try:
            found = parse_depth_folder(text)
        except UserError as error:
            self.assertEqual(str(error), printable(str(error)))
        else:
            levels = np.array([[0, 1, 65535]], np.uint16)
            result = found.normalise(levels)
            self.assertAllInRange(result, 0, 1)
            self.assertAllEqual(result > 0, levels > 0)

    @hypothesis.settings(max_examples=100, deadline=None, database=None)
    @hypothesis.given(*[st.floats(1e-6, 1e6)] * 2, st.integers(1, 65535))
    def test_any_numbers(self, step, scale, level):
        found = parse_depth_folder(f"maps,step={step!r},scale={scale!r}")
        self.assertEqual((found.step, found.scale), (step, scale))
        (result,) = found.normalise(np.array([level], np.uint16))
        self.assertAllClose(result, np.clip(level * step / scale, NEAREST_DEPTH, 1), 1e-5)


class PicturesTest(tf.test.TestCase, parameterized.TestCase):
    def test_a_wrong_format_is_named(self):
        for kind in ("GIF", "BMP", "TIFF"):
            with self.assertRaisesRegex(UserError, f"^a.png: received .* format {kind};"):
                checks.open_picture(saved(colour(1), kind), "a.png")

    @hypothesis.settings(max_examples=100, deadline=None, database=None)
    @hypothesis.given(st.text(st.characters()))
    def test_printable(self, text):
        result = printable(text)
        self.assertLessEqual(len(result.splitlines()), 1)
        result.encode()
        if text.isprintable():
            self.assertEqual(result, text)


if __name__ == "__main__":
    tf.test.main()
