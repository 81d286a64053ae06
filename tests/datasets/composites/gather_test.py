"""Pictures of all kinds as sources: used, or named and left out."""

import io
import os
import shutil

import numpy as np
from absl.testing import parameterized
from PIL import Image

from keras_depthseg.datasets.composites import gather
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.pictures import folders
from tests.support.picture_files import (
    SIZE,
    SourcesTestCase,
    changed,
    depth,
    png_header,
    rgba,
    saved,
)
from tests.support.tiny_data import colour, grey, mask


def animated(kind):
    frames = [Image.fromarray(rgba(seed)) for seed in (1, 2)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:])
    return buffer.getvalue()


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


# Bad as any source: the name, its bytes or how it is made, part of the message.
BAD = {
    "cmyk": ("a.jpg", saved(colour(1), "JPEG", "CMYK"), "received CMYK"),
    "16_bit": ("a.png", saved(np.full((*SIZE, 3), 9, np.uint16)), "received 16 bit a ch"),
    "gif": ("a.gif", animated("GIF"), "received a .gif file"),
    "gif_named_png": ("a.png", animated("GIF"), "format GIF; expected a JPEG, PNG"),
    "apng": ("a.png", animated("PNG"), "received an animation of 2 pictures"),
    "half_jpeg": ("a.jpg", saved(colour(1), "JPEG")[:700], "truncated or damaged"),
    "wrong_pixels": ("a.png", changed(saved(rgba(1)), 500), "truncated or damaged"),
    "empty": ("a.png", b"", "received an empty file; expected a JPEG"),
    "folder": ("a.png", make_folder, "received a folder"),
    "pipe": ("a.png", os.mkfifo, "or something else"),
    "large_file": ("a.png", make_large, "file of 268,435,457 bytes; at most 268"),
    "bomb": ("a.png", png_header(60000, 60000), "3,600,000,000 pixels"),
    "tiny": ("a.png", saved(rgba(1, (15, 40))), "received 40x15 pixels"),
    "heic_named_jpg": ("a.jpg", b"\0\0\0\x18ftypheic" + bytes(99), "such as HEIC"),
    "long_name": ("x" * 250 + ".png", b"", "received an empty file"),
}

BAD_CUTOUTS = {
    "no_alpha": (saved(colour(1)), "received RGB (3 channels); expected an alpha"),
    "transparent": (saved(np.dstack([colour(1), 0 * mask()])), "transparent everywhere"),
    "opaque": (saved(np.dstack([colour(1), 0 * mask() + 255])), "opaque everywhere"),
    "thin": (saved(thin()), "a cutout of 400x400 pixels, too thin to be seen at 15x15"),
}

BAD_BACKGROUNDS = {
    "transparent": (saved(rgba(1)), "received RGB with alpha"),
    "palette": (saved(grey(1), mode="P", transparency=bytes(256)), "a colour palette"),
}


class BadPictureTest(SourcesTestCase):
    def check(self, good, find, name, content, part):
        shutil.rmtree(self.root, ignore_errors=True)
        self.lines.clear()
        self.write({"good.png": saved(good), name: content})
        self.assertEqual(find(), ["good.png"])
        self.assert_told(name, part)

    @parameterized.named_parameters((kind, *case) for kind, case in BAD.items())
    def test_any(self, name, content, part):
        self.check(rgba(0), self.cutouts, name, content, part)
        self.check(colour(0), self.backgrounds, name, content, part)

    @parameterized.named_parameters((kind, *case) for kind, case in BAD_CUTOUTS.items())
    def test_cutout(self, content, part):
        self.check(rgba(0), self.cutouts, "a.png", content, part)

    @parameterized.named_parameters((kind, *it) for kind, it in BAD_BACKGROUNDS.items())
    def test_background(self, content, part):
        self.check(colour(0), self.backgrounds, "a.png", content, part)

    def test_second_of_a_name(self):
        self.write({"chair.png": saved(rgba(0)), "Chair.webp": saved(rgba(1), "WEBP")})
        self.assertEqual(self.cutouts(), ["Chair.webp"])
        self.assert_told("chair.png: received a second picture named like Chair.webp")

    def test_second_of_a_name_whose_first_is_bad(self):
        # A photograph and what was cut out of it, side by side.
        self.write({"chair.jpg": saved(colour(0), "JPEG"), "chair.png": saved(rgba(0))})
        self.assertEqual(self.cutouts(), ["chair.png"])
        self.assert_told("chair.jpg: received RGB")

    def test_nothing_left(self):
        self.write({"a.png": saved(colour(0)), "b.png": b""})
        self.assert_refused(self.cutouts, self.root, "none of its 2 pictures can be used")
        self.assertLen(self.lines, 2)


class MaskTest(SourcesTestCase):
    def setUp(self):
        super().setUp()
        self.write({"a.png": saved(colour(1)), "good.jpg": saved(colour(2), "JPEG")})
        self.write({"good_mask.png": saved(mask())}, self.beside)

    @parameterized.named_parameters(
        ("missing", (), "received nothing of its name in", "a.png or a_mask.png. Add it"),
        ("ambiguous", ("a.png", "a_mask.png"), "received a.png and a_mask.png for it"),
    )
    def test_which(self, masks, *parts):
        self.write(dict.fromkeys(masks, saved(mask())), self.beside)
        self.assertEqual(self.cutouts(masks=self.beside), ["good.jpg"])
        self.assert_told(f"{self.root}/a.png: ", str(self.beside), *parts)

    @parameterized.named_parameters(
        ("another_size", saved(mask((32, 24))), "source/a.png is 32x24 pixels"),
        ("black", saved(0 * mask()), "transparent everywhere, with 0 of 255"),
        ("colour", saved(colour(3)), "the channels differ; expected a greyscale mask"),
        ("with_alpha", saved(rgba(3)), "received RGB with alpha"),
    )
    def test_bad(self, data, part):
        self.write({"a.png": data}, self.beside)
        self.assertEqual(self.cutouts(masks=self.beside), ["good.jpg"])
        self.assert_told(f"{self.beside}/a.png: ", part, root=self.beside)

    def test_in_one_folder(self):
        data = saved(np.dstack([mask()] * 3), "WEBP")
        self.write({"A_MATTE.WEBP": data, "old.bmp": b"", "good_mask.png": saved(mask())})
        self.assertEqual(self.cutouts(masks=self.root), ["a.png", "good.jpg"])
        # Once, though the folder has pictures and masks.
        self.assert_told("old.bmp: received a .bmp file")

    def test_only_masks(self):
        self.assert_refused(
            lambda: self.cutouts(self.beside, self.beside), "none of its 0 pictures"
        )


class DepthTest(SourcesTestCase):
    def setUp(self):
        super().setUp()
        self.write({"a.png": saved(colour(1)), "good.jpg": saved(colour(2), "JPEG")})
        self.write({"good_depth.png": saved(depth(1))}, self.beside)

    @parameterized.named_parameters(
        ("another_size", depth(1, (32, 24)), "its background is 32x24 pixels"),
        ("zero", np.where(np.arange(32) < 4, depth(1), np.uint16(0)), "only zeros"),
        ("colour", colour(3), "received RGB (3 channels); the channels differ"),
        ("alpha", np.dstack([grey(3), mask()]), "received greyscale with alpha"),
        ("beyond_the_scale", np.full(SIZE, 20000, np.uint16), "depths of 20 m and more"),
    )
    def test_bad(self, levels, part):
        self.write({"a.png": saved(levels)}, self.beside)
        self.assertEqual(self.backgrounds(maps=self.maps()), ["good.jpg"])
        self.assert_told(f"{self.beside}/a.png: ", part, root=self.beside)

    def test_8_and_16_bit(self):
        self.write({"a.png": saved(grey(1))}, self.beside)
        self.assert_refused(
            lambda: self.backgrounds(maps=self.maps()), "of 8 bit (1) and of 16 bit (1)"
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
        maps = DepthFolder(self.root, 0.001, 10)
        names = ["000_rgb.jpg", "a.png", "good.jpg"]
        self.assertEqual(self.backgrounds(maps=maps), names)
        self.assert_told("b.heic")


class GroupsTest(SourcesTestCase):
    def groups(self, root=None):
        found = gather.gather_cutouts(root or self.root, None, self.lines.append)
        return [cutout.group for cutout in found]

    def test_groups_one_folder_deeper(self):
        names = ("x/a.png", "x/b.png", "x/c/d.png", "x/c/e.png")
        self.write({name: saved(rgba(seed)) for seed, name in enumerate(names)})
        a, b, d, e = self.groups(self.zipped())
        self.assertEqual(d, e)
        self.assertLen({a, b, d}, 3)

    def test_groups_of_copies(self):
        names = ("a.png", "b/c.png", "b/d.png", "e.png")
        seeds = (0, 0, 1, 2)
        self.write({n: saved(rgba(s)) for n, s in zip(names, seeds, strict=True)})
        a, c, d, e = self.groups()
        self.assertEqual((a, c), (c, d))
        self.assertNotEqual(a, e)
