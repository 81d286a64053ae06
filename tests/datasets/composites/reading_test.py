"""Reading pictures: every mode, upright, at one size; damaged ones in one line."""

import io
import warnings
from unittest import mock

import hypothesis
import numpy as np
from absl.testing import parameterized
from hypothesis import strategies as st
from PIL import Image, features

from keras_depthseg.datasets.composites import reading
from keras_depthseg.errors import UserError
from keras_depthseg.pictures.folders import PictureFile
from keras_depthseg.text import printable
from tests.support.picture_files import SIZE, SourcesTestCase, exif, rgba, saved
from tests.support.tiny_data import colour, grey, mask

# By the orientation tag: the side at which row 0 and column 0 of the stored picture are
# seen (Exif 2.3).
SEEN = {
    2: ("top", "right"),
    3: ("bottom", "right"),
    4: ("bottom", "left"),
    5: ("left", "top"),
    6: ("right", "top"),
    7: ("right", "bottom"),
    8: ("left", "bottom"),
}


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


class ReadingTest(SourcesTestCase):
    def layer(self, data, mask_data=None):
        """The cutout of a picture and its mask."""
        self.write({"a.png": data, **({"a_mask.png": mask_data} if mask_data else {})})
        self.assertEqual(self.cutouts(masks=self.root if mask_data else None), ["a.png"])
        file, beside = (PictureFile(name, self.root) for name in ("a.png", "a_mask.png"))
        return reading.read_whole_cutout(file, beside if mask_data else None)[0]

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
        ("opaque_rgba", saved(np.dstack([*[mask()] * 3, 0 * mask() + 255]))),
        ("opaque_grey_alpha", saved(np.dstack([mask(), 0 * mask() + 255]))),
        ("tiff", saved(mask(), "TIFF")),
        ("bmp", saved(mask(), "BMP")),
        ("gif", saved(mask(), "GIF")),
    )
    def test_masks(self, data):
        expected = self.layer(saved(rgba(1)))
        self.assert_same(self.layer(saved(colour(1)), data), expected)
        # The mask counts, not the alpha that is there too.
        both = saved(np.dstack([colour(1), grey(2)]))
        self.assert_same(self.layer(both, data), expected)

    @parameterized.parameters(*SEEN)
    def test_orientation(self, tag):
        def stored(pixels):
            kind, options = ("WEBP", {"lossless": True}) if tag == 6 else ("PNG", {})
            return saved(turned(pixels, tag), kind, exif=exif(tag), **options)

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
        if tag > 4:
            # Of the pixels as they are stored; one of the two has lost its tag.
            grey_mask = np.dstack([mask()] * 3)
            untagged = saved(turned(grey_mask, tag))
            self.assert_same(self.layer(with_tag[0], untagged), result)
            picture = saved(turned(colour(1), tag))
            as_stored = self.layer(picture, untagged)
            self.assert_same(self.layer(picture, with_tag[1]), as_stored)

        file = PictureFile("b.png", self.root)
        self.write({"b.png": saved(colour(1))})
        upright = reading.read_background(file, 32)
        self.write({"b.png": stored(colour(1))})
        self.assertAllEqual(reading.read_background(file, 32), upright)

    @parameterized.parameters(np.uint8, np.uint16)
    def test_orientation_of_depth(self, dtype):
        levels = grey(1, dtype)
        stored = turned(levels, 6)
        pictures = {
            "upright.png": saved(colour(1)),
            "turned.png": saved(turned(colour(1), 6), exif=exif(6)),
            "turned.tif": saved(turned(colour(1), 6), "TIFF", exif=exif(6)),
        }
        maps = {"a.png": saved(stored, exif=exif(6)), "b.png": saved(levels)}
        self.write({**pictures, **maps})
        self.write({"untagged.png": saved(stored)})
        pairs = [(name, other) for name in maps for other in pictures]
        for name, picture in [*pairs, ("untagged.png", "turned.png")]:
            with self.subTest(map=name, picture=picture):
                files = (PictureFile(file, self.root) for file in (name, picture))
                result = reading.read_depth(*files, 24)
                self.assertEqual(result.dtype, dtype)
                self.assertAllEqual(result, levels[:, 4:28])

    @parameterized.parameters(
        b"Exif\0\0nonsense", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12", exif(9)
    )
    def test_damaged_orientation(self, tags):
        expected = self.layer(saved(rgba(1)))
        self.write({"b.png": saved(rgba(1), exif=tags)})
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result, _ = reading.read_whole_cutout(PictureFile("b.png", self.root), None)
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
                "a.JFIF": saved(colour(6), "JPEG"),
                "b.jpe": saved(colour(7), "JPEG"),
                "c.pjpeg": saved(colour(8), "JPEG"),
                "d.avif": saved(colour(9), "AVIF"),
                "e.bmp": saved(colour(10), "BMP"),
                "f.tif": saved(colour(11), "TIFF", compression="tiff_lzw"),
                "g.gif": saved(colour(12), "GIF"),
                "h.tiff": saved(grey(13), "TIFF"),
                "i.avif": saved(grey(14), "AVIF"),
            }
        )
        names = ["a.JFIF", "b.jpe", "c.pjpeg", "d.avif", "e.bmp", "f.tif", "g.gif"]
        names += ["grey.png", "h.tiff", "i.avif"]
        names += ["palette.png", "rgb.jpg", "rgba.png", "wide.webp"]
        self.assertEqual(self.backgrounds(), names)
        self.assertEqual(self.lines, [])
        result = reading.read_background(PictureFile("rgba.png", self.root), 24)
        self.assertAllEqual(result, colour(1)[:, 4:28])

    @parameterized.parameters("PNG", "WEBP", "TIFF", "AVIF")
    def test_formats_with_alpha(self, kind):
        options = {
            "WEBP": {"lossless": True, "exact": True},
            "AVIF": {"quality": 100, "subsampling": "4:4:4"},
        }.get(kind, {})
        result = self.layer(saved(rgba(1), kind, **options))
        self.assertEqual(result.alpha.shape, (12, 8))
        self.assertAllGreater(result.alpha, 250)
        difference = result.colour.astype(int) - colour(1)[4:16, 10:18]
        self.assertLess(abs(difference).mean(), 4)

    def test_avif_without_its_decoder(self):
        data = saved(colour(1), "AVIF")
        self.write({"a.avif": data})
        with (
            mock.patch.object(features, "check", lambda _: False),
            mock.patch.object(Image, "open", side_effect=Image.UnidentifiedImageError),
        ):
            self.assert_refused(
                lambda: reading.read_background(PictureFile("a.avif", self.root), 32),
                *("a.avif: received an AVIF", "pip install --upgrade pillow"),
            )

    @hypothesis.settings(max_examples=150, deadline=None, database=None)
    @hypothesis.given(
        st.sampled_from(("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")),
        st.booleans(),
        st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=4),
        st.none() | st.integers(0, 10**6),
    )
    def test_changed_bytes(self, kind, with_tag, changes, stop):
        pixels = rgba(1) if kind in ("PNG", "WEBP", "TIFF", "AVIF") else colour(1)
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
            lambda: reading.read_depth(file, file, 32),
        ):
            try:
                read()
            except UserError as error:
                message = str(error)
                self.assertEqual(message, printable(message))
                self.assertStartsWith(message, file.where)
