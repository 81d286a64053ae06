"""Pictures of all kinds as sources: used, or named and left out."""

import io
import os
import shutil

import numpy as np
from absl.testing import parameterized
from PIL import Image

from keras_depthseg.datasets.composites import gather
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.datasets.composites.reading import read_cutout
from keras_depthseg.pictures import folders
from keras_depthseg.pictures.folders import PictureFile
from keras_depthseg.text import printable
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
    "gif": ("a.gif", animated("GIF"), "received several pictures in one file"),
    "gif_named_png": ("a.png", animated("GIF"), "as of an animation; expected one"),
    "apng": ("a.png", animated("PNG"), "received several pictures in one file"),
    "pages": ("a.tif", animated("TIFF"), "received several pictures in one file"),
    "svg": ("a.svg", b"<svg/>", "received a .svg file", "Convert it to JPEG or PNG"),
    "svg_named_png": ("a.png", b"<svg/>", "that is not a picture; expected a JPEG"),
    "raw": ("a.nef", saved(colour(1), "TIFF"), "received a .nef file", "Develop it"),
    "numbers": ("a.npy", b"", "received a .npy file", "Convert it to JPEG or PNG"),
    "float": (
        "a.tif",
        saved(np.zeros(SIZE, np.float32), "TIFF"),
        "received 32 bit a channel",
    ),
    "16_bit_tiff": (
        "a.tif",
        saved(np.full(SIZE, 9, np.uint16), "TIFF"),
        "received 16 bit a channel",
    ),
    "half_jpeg": ("a.jpg", saved(colour(1), "JPEG")[:700], "truncated or damaged"),
    "wrong_pixels": ("a.png", changed(saved(rgba(1)), 500), "truncated or damaged"),
    "empty": ("a.png", b"", "received an empty file; expected a JPEG"),
    "folder": ("a.png", make_folder, "received a folder"),
    "pipe": ("a.png", os.mkfifo, "or something else"),
    "large_file": ("a.png", make_large, "file of 268,435,457 bytes; at most 268"),
    "bomb": ("a.png", png_header(60000, 60000), "3,600,000,000 pixels"),
    "tiny": ("a.png", saved(rgba(1, (15, 40))), "received 40x15 pixels"),
    "heic_named_jpg": ("a.jpg", b"\0\0\0\x18ftypheic" + bytes(99), "received a HEIC"),
    "long_name": ("x" * 250 + ".png", b"", "received an empty file"),
}

BAD_CUTOUTS = {
    "no_alpha": (saved(colour(1)), "received RGB (3 channels); expected an alpha"),
    "transparent": (saved(np.dstack([colour(1), 0 * mask()])), "transparent everywhere"),
    "opaque": (saved(np.dstack([colour(1), 0 * mask() + 255])), "opaque everywhere"),
    "nearly_opaque": (saved(np.dstack([colour(1), 250 + mask() % 5])), "opaque everyw"),
    "thin": (saved(thin()), "a cutout of 400x400 pixels, too thin to be seen at 15x15"),
}

BAD_BACKGROUNDS = {
    "transparent": (saved(rgba(1)), "received RGB with alpha"),
    "palette": (saved(grey(1), mode="P", transparency=bytes(256)), "a colour palette"),
}


class BadPictureTest(SourcesTestCase):
    def check(self, good, find, name, content, *parts):
        shutil.rmtree(self.root, ignore_errors=True)
        self.lines.clear()
        self.write({"good.png": saved(good), name: content})
        self.assertEqual(find(), ["good.png"])
        self.assert_told(name, *parts)

    @parameterized.named_parameters((kind, *case) for kind, case in BAD.items())
    def test_any(self, name, content, *parts):
        self.check(rgba(0), self.cutouts, name, content, *parts)
        self.check(colour(0), self.backgrounds, name, content, *parts)

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


def disc(radius, middle=(60, 60), size=(120, 120)):
    """Opacity of a disc with an edge as of JPEG."""
    y, x = np.mgrid[: size[0], : size[1]]
    distance = np.hypot(y - middle[0], x - middle[1])
    return np.clip(127 + 60 * (radius - distance), 0, 255).astype(np.uint8)


class InvertedTest(SourcesTestCase):
    def setUp(self):
        super().setUp()
        self.plate = colour(1, (120, 120))

    def check(self, alpha, kind):
        """Writes it as a mask or an alpha channel beside a good one; returns what is
        logged."""
        good = np.pad(mask(), 8)
        masks = None
        if kind == "RGBA":
            self.write({"a.png": saved(np.dstack([self.plate, alpha]))})
            self.write({"b.png": saved(np.dstack([colour(2, good.shape), good]))})
        else:
            masks = self.beside
            self.write(
                {"a.png": saved(self.plate), "b.png": saved(colour(2, good.shape))}
            )
            name = "a_mask.png" if kind == "PNG" else "a_mask.jpg"
            files = {name: saved(alpha, kind), "b_mask.png": saved(good)}
            self.write(files, self.beside)
        with self.assertLogs("keras_depthseg") as logs:
            gather.logger.warning("end")
            self.assertEqual(self.cutouts(masks=masks), ["a.png", "b.png"])
        return [record.getMessage() for record in logs.records[1:]], masks or self.root

    @parameterized.product(
        alpha=(
            255 - disc(30),
            # A person whose feet are not in the picture, and one in a corner.
            255 - disc(50, middle=(110, 60)),
            255 - disc(50, middle=(110, 110)),
            # Black and white, by another tool.
            np.uint8(255) * (disc(30) < 128),
        ),
        kind=("RGBA", "PNG", "JPEG"),
    )
    def test_told(self, alpha, kind):
        (line,), root = self.check(alpha, kind)
        self.assertEqual(line, printable(line))
        name = {"RGBA": "a.png", "PNG": "a_mask.png", "JPEG": "a_mask.jpg"}[kind]
        self.assertStartsWith(line, f"{root}: received 1 of 2 that are opaque around")
        self.assertIn(f"transparent: {name}; expected white, or alpha 255, where", line)
        self.assertEqual(self.lines, [])

    @parameterized.parameters("RGBA", "PNG")
    def test_ones(self, kind):
        hard = np.uint8(disc(30) > 127)
        (line,), root = self.check(hard, kind)
        name = {"RGBA": "a.png", "PNG": "a_mask.png"}[kind]
        self.assertStartsWith(
            line, f"{root}: received 1 of 2 whose opacity is 0 and 1: {name}; it is taken"
        )
        read = []
        for folder, values in (("ones", hard), ("whole", 255 * hard)):
            root = self.folder / folder
            alpha = {"alpha.png": saved(values)}
            whole = {"a.png": saved(np.dstack([self.plate, values]))}
            self.write(whole | alpha, root)
            beside = PictureFile("alpha.png", root) if kind == "PNG" else None
            read.append(read_cutout(PictureFile("a.png", root), beside, 40, 80))
        self.assertAllEqual(read[0].alpha, read[1].alpha)
        self.assertAllEqual(read[0].colour, read[1].colour)

    def test_label_numbers(self):
        self.write({"a.png": saved(self.plate), "b.png": saved(self.plate)})
        self.write(
            {"a.png": saved(7 * np.uint8(disc(30) > 127)), "b.png": saved(disc(30))},
            self.beside,
        )
        self.assertEqual(self.cutouts(masks=self.beside), ["b.png"])
        self.assertIn("with 7 of 255 at most", self.lines[0])

    @parameterized.product(
        alpha=(
            disc(30),
            # As large as the picture: it touches every side.
            disc(60),
            # A box without any margin, and with a soft one.
            np.pad(np.full((118, 118), 255, np.uint8), 1, constant_values=90),
            # A ring.
            disc(58) - disc(40),
            disc(70, middle=(120, 60)),
        ),
        kind=("RGBA", "PNG", "JPEG"),
    )
    def test_good(self, alpha, kind):
        self.assertEqual(self.check(alpha, kind)[0], [])

    def test_many(self):
        for number in range(30):
            self.write(
                {f"{number:02}.png": saved(np.dstack([self.plate, 255 - disc(9)]))}
            )
        with self.assertLogs("keras_depthseg") as logs:
            self.cutouts()
        self.assertIn("received 30 of 30", logs.output[0])
        self.assertIn("18.png, 19.png and 10 more;", logs.output[0])


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
        ("another_size", saved(mask((30, 24))), "source/a.png is 32x24 pixels"),
        ("black", saved(0 * mask()), "received an empty mask"),
        ("black_rgb", saved(0 * colour(1)), "received an empty mask"),
        ("black_jpeg", saved(0 * mask(), "JPEG"), "received an empty mask"),
        ("colour", saved(colour(3)), "the channels differ; expected one channel"),
        ("with_alpha", saved(rgba(3)), "received RGB with alpha"),
        ("on_its_side", saved(mask((32, 24))[:, ::-1]), "turned by a quarter", "mogrify"),
    )
    def test_bad(self, data, *parts):
        self.write({"a.png": data}, self.beside)
        self.assertEqual(self.cutouts(masks=self.beside), ["good.jpg"])
        self.assert_told(f"{self.beside}/a.png: ", *parts, root=self.beside)

    def test_in_one_folder(self):
        data = saved(np.dstack([mask()] * 3), "WEBP")
        self.write({"A_MATTE.WEBP": data, "old.psd": b"", "good_mask.png": saved(mask())})
        self.assertEqual(self.cutouts(masks=self.root), ["a.png", "good.jpg"])
        # Once, though the folder has pictures and masks.
        self.assert_told("old.psd: received a .psd file")

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
        ("another_size", depth(1, (30, 24)), "source/a.png is 32x24 pixels", "Warp the"),
        ("on_its_side", depth(1, (32, 24)), "turned by a quarter", "mogrify"),
        ("zero", np.where(np.arange(32) < 4, depth(1), np.uint16(0)), "only zeros"),
        ("colour", colour(3), "the channels differ", "greyscale PNG of 16 bit"),
        ("alpha", np.dstack([grey(3), mask()]), "received greyscale with alpha"),
        ("beyond_the_scale", np.full(SIZE, 20000, np.uint16), "depths of 20 m and more"),
    )
    def test_bad(self, levels, *parts):
        self.write({"a.png": saved(levels)}, self.beside)
        self.assertEqual(self.backgrounds(maps=self.maps()), ["good.jpg"])
        self.assert_told(f"{self.beside}/a.png: ", *parts, root=self.beside)

    @parameterized.parameters("a.npy", "a.npz", "a.exr", "a.pfm", "a.pgm", "a_depth.NPY")
    def test_files_of_numbers(self, name):
        self.write({name: b"", "a_depth.png": saved(depth(1))}, self.beside)
        self.assertEqual(self.backgrounds(maps=self.maps()), ["a.png", "good.jpg"])
        self.assert_told(name, "PNG of 16 bit", "for step=0.001", root=self.beside)

    def test_only_other_files(self):
        shutil.rmtree(self.beside)
        self.write({"a.dpt": b"", "good.mat": b""}, self.beside)
        self.assert_refused(
            lambda: self.backgrounds(maps=self.maps()),
            *(self.beside, "no usable picture", "Write its numbers as greyscale PNG"),
        )

    @parameterized.named_parameters(
        ("png", "a.png", depth(1), "PNG"),
        ("tiff", "a.tif", depth(1), "TIFF"),
        ("packed_tiff", "a_depth.tiff", depth(1), "TIFF"),
    )
    def test_16_bit(self, name, levels, kind):
        options = {"compression": "tiff_deflate"} if name.endswith("tiff") else {}
        self.write({name: saved(levels, kind, **options)}, self.beside)
        found = gather.gather_backgrounds(self.root, self.maps(), self.lines.append)
        self.assertEqual(self.lines, [])
        _, read = found[0].read(24)
        self.assertAllClose(read, levels[:, 4:28] / 10_000)

    @parameterized.named_parameters(
        ("float", saved(depth(1).astype(np.float32), "TIFF"), "received 32 bit"),
        ("whole", saved(depth(1).astype(np.int32), "TIFF"), "received 32 bit"),
        ("float_named_png", saved(np.float32(depth(1)), "TIFF"), "received 32 bit"),
    )
    def test_32_bit(self, data, *parts):
        self.write({"a.tif": data}, self.beside)
        self.assertEqual(self.backgrounds(maps=self.maps()), ["good.jpg"])
        self.assert_told("a.tif", *parts, "greyscale PNG of 16 bit", root=self.beside)

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


class StrayTest(SourcesTestCase):
    """Masks, depth maps and the like among the pictures, and nobody said so."""

    @parameterized.parameters(
        ("a.jpg", "a_depth.jpg", "depth map", "Give `depth` to use it"),
        ("a.jpg", "a_mask.png", "mask", "Give `fg_mask` to use those"),
        ("a.jpg", "a_depth_map.png", "depth map", "folder of its own"),
        ("a.jpg", "A-Depth.PNG", "depth map", "folder of its own"),
        ("a.jpg", "a.seg.png", "mask", "folder of its own"),
        ("a.jpg", "a_normals.png", "normal map", "folder of its own"),
        ("a.jpg", "depth_a.png", "depth map", "folder of its own"),
        ("000_rgb.jpg", "000_depth.png", "depth map", "folder of its own"),
        ("rgb_000.jpg", "depth_000.png", "depth map", "folder of its own"),
        ("x/a.jpg", "x/a_alpha.png", "mask", "folder of its own"),
        ("a.jpg", "masks/a.png", "mask", "folder of its own"),
        ("images/a.jpg", "masks/a_mask.png", "mask", "folder of its own"),
        ("images/x/0001.jpg", "depth/x/0001.png", "depth map", "folder of its own"),
        ("x/image.jpg", "x/mask.png", "mask", "folder of its own"),
        ("x/rgb/1.jpg", "x/disparity/1.png", "depth map", "folder of its own"),
    )
    def test_named(self, picture, stray, kind, part):
        self.write({picture: saved(colour(1), "JPEG"), stray: saved(grey(2))})
        for root in (self.root, self.zipped()):
            self.lines.clear()
            self.assertEqual(self.backgrounds(root), [picture])
            self.assert_told(f"{stray}: received a {kind} of {picture} ", part, root=root)

    @parameterized.parameters(
        ("iron_mask.jpg", "b.jpg"),
        ("depth.jpg", "seg.jpg"),
        ("masks/a.jpg", "masks/b.jpg"),
        ("masks/a.jpg", "rooms/b.jpg"),
        ("a.jpg", "a_2.jpg"),
        ("a.jpg", "a_night.jpg"),
        ("mask/1.jpg", "street/2.jpg"),
    )
    def test_pictures_of_their_own(self, *names):
        self.write({name: saved(colour(i), "JPEG") for i, name in enumerate(names)})
        self.assertEqual(self.backgrounds(), sorted(names))
        self.assertEqual(self.lines, [])

    def test_among_cutouts(self):
        self.write({"a.png": saved(rgba(1)), "b.png": saved(rgba(2))})
        # With alpha it could be used as a cutout: a white shape.
        white = np.dstack([np.full((*SIZE, 3), 255, np.uint8), mask()])
        self.write({"a_matte.png": saved(white), "mask/b.png": saved(white)})
        self.assertEqual(self.cutouts(), ["a.png", "b.png"])
        self.assertLen(self.lines, 2)
        self.assertIn("a_matte.png: received a mask of a.png among", self.lines[0])

    def test_beside_other_ones(self):
        """Depth maps are given, masks lie there as well."""
        names = {"a.jpg": colour(1), "a_depth.png": depth(1), "a_mask.png": mask()}
        self.write({name: saved(pixels) for name, pixels in names.items()})
        maps = DepthFolder(self.root, 0.001, 10)
        self.assertEqual(self.backgrounds(maps=maps), ["a.jpg"])
        self.assert_told("a_mask.png: received a mask of a.jpg")

    def test_maps_in_a_folder_inside(self):
        self.write({"a.jpg": saved(colour(1), "JPEG"), "depth/a.png": saved(depth(1))})
        maps = DepthFolder(self.root / "depth", 0.001, 10)
        self.assertEqual(self.backgrounds(maps=maps), ["a.jpg"])
        self.assertEqual(self.lines, [])

    @parameterized.parameters(
        ("a.jpg", "a.png"), ("a.webp", "a.png"), ("a.png", "a.jpg"), ("a.tif", "a.bmp")
    )
    def test_of_the_same_name(self, picture, stray):
        self.write({picture: saved(colour(1)), stray: saved(grey(2))})
        self.assertEqual(self.backgrounds(), [picture])
        self.assert_told(f"{stray}: received a second picture named like {picture}")


def room(seed, metres, dtype=np.uint16):
    """Depth of a room from 0.6 to 6 m, `metres` a grey level, with holes."""
    rng = np.random.default_rng(seed)
    levels = rng.triangular(0.6, 1.8, 6.0, SIZE) / metres
    levels[rng.random(SIZE) < 0.1] = 0
    return np.clip(levels, 0, np.iinfo(dtype).max).astype(dtype)


class DepthLevelsTest(SourcesTestCase):
    """Maps whose numbers do not mean what the option says."""

    def check(self, maps, **settings):
        """Returns what is logged for maps, of each of two backgrounds."""
        names = "ab" if len(maps) == 2 else "abcdefgh"
        self.write({f"{n}.png": saved(colour(i)) for i, n in enumerate(names)})
        files = {f"{n}.png": saved(levels) for n, levels in zip(names, maps, strict=True)}
        self.write(files, self.beside)
        with self.assertLogs("keras_depthseg") as logs:
            gather.logger.warning("end")
            self.assertLen(self.backgrounds(maps=self.maps(**settings)), len(maps))
        self.assertEqual(self.lines, [])
        return [record.getMessage() for record in logs.records[1:]]

    @parameterized.parameters(
        # Millimetres, as said, and other cameras with their own steps.
        (0.001, np.uint16, {}),
        (0.0002, np.uint16, {"step": 0.0002}),
        (0.04, np.uint8, {"step": 0.04}),
        (0.0001, np.uint16, {"step": 0.0001}),
        (0.0001, np.uint16, {"step": None, "scale": None}),
        (0.03, np.uint8, {"step": None, "scale": None, "larger": "nearer"}),
    )
    def test_fitting(self, metres, dtype, settings):
        maps = [room(seed, metres, dtype) for seed in range(2)]
        self.assertEqual(self.check(maps, **settings), [])

    @parameterized.named_parameters(
        ("5000_a_metre", 0.0002, {}, "is beyond the scale, up to 2", "0.0002 for 5000"),
        ("to_10_m", 10 / 65535, {}, "is beyond the scale", "give a larger scale"),
        ("shifted_by_3_bits", 0.001 / 8, {}, "is beyond the scale", "a.png, b.png"),
        (
            "relative",
            6 / 65535,
            {},
            "is beyond the scale",
            "with step=0.001 and scale=10",
        ),
        ("centimetres", 0.01, {}, "is nearer than 0.3 m", "0.01 for centimetres"),
        ("street", 0.001, {"scale": 80}, "is nearer than 2.4 m", "give a smaller scale"),
        (
            *("relative_millimetres", 0.001, {"step": None, "scale": None}),
            *("whose largest number is 5", "expected up to 65535", "0.001 for mill"),
        ),
    )
    def test_doubtful(self, metres, settings, *parts):
        (line,) = self.check([room(seed, metres) for seed in range(2)], **settings)
        self.assertEqual(line, printable(line))
        self.assertStartsWith(line, f"{self.beside}: received ")
        for part in parts:
            self.assertIn(part, line)

    def test_some_of_them(self):
        maps = [room(seed, 0.0002 if seed == 5 else 0.001) for seed in range(8)]
        (line,) = self.check(maps)
        self.assertEndsWith(line, "Such maps: f.png")

    @parameterized.named_parameters(
        ("8_bit", room(1, 0.03, np.uint8), {}, "of 8 bit that end at 0.1"),
        ("8_bit_in_16", room(1, 0.03), {}, "of 16 bit that end at 0.1"),
        ("metres", room(1, 1.0), {}, "that end at 0.00"),
        ("step_too_small", room(1, 0.001), {"step": 1e-5}, "with step=1e-05"),
    )
    def test_impossible(self, levels, settings, part):
        self.write({"a.png": saved(colour(1))})
        self.write({"a.png": saved(levels)}, self.beside)
        maps = self.maps(**settings)
        self.assert_refused(
            lambda: self.backgrounds(maps=maps),
            *(self.beside, part, "expected depth beyond 0.3 m", "larger=farther"),
        )

    def test_near_on_purpose(self):
        """Of a microscope: the scale says so."""
        maps = [room(seed, 0.03, np.uint8) for seed in range(2)]
        self.assertEqual(self.check(maps, scale=0.25), [])


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
