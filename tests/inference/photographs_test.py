"""Every kind of picture gives the right pixels, or one line that says what to do."""

import io
import logging
import struct
import sys
import types
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms

from keras_depthseg.errors import UserError
from keras_depthseg.inference.photographs import (
    is_picture,
    list_photographs,
    read_photograph,
)
from keras_depthseg.text import printable
from tests.support.picture_files import changed, exif, png_header

HEIGHT, WIDTH = 24, 40
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# By Exif's value: what a viewer does to the stored pixels (Exif 2.3, 4.6.4).
SHOWN = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored[:, ::-1].swapaxes(0, 1),
}


def scene(height=HEIGHT, width=WIDTH):
    """(H, W, 3) uint8: smooth, so that a JPEG changes it little; no symmetry."""
    y, x = np.mgrid[:height, :width] / [[[height]], [[width]]]
    colours = np.stack([60 + 150 * x, 200 - 130 * y, 40 + 100 * x * y], -1)
    return np.rint(colours).astype(np.uint8)


RGB = scene()
GREY = RGB[..., 1]
ALPHA = np.where(np.arange(WIDTH) < 9, 0, 255).astype(np.uint8) + np.zeros_like(GREY)


def saved(pixels, kind, mode=None, **options):
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    data = io.BytesIO()
    (image.convert(mode) if mode else image).save(data, kind, **options)
    return data.getvalue()


def by_opencv(suffix, pixels):
    """Of 16 bit a channel, which Pillow does not write; the channels are turned round."""
    if pixels.ndim == 3:
        pixels = pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]
    return cv2.imencode(suffix, np.ascontiguousarray(pixels))[1].tobytes()


def wide(pixels):
    """16 bit, of which the lower 8 are noise."""
    noise = np.random.default_rng(0).integers(0, 256, pixels.shape)
    return (pixels.astype(np.uint16) << 8) + noise.astype(np.uint16)


def grey(pixels):
    return np.repeat(pixels[..., None], 3, -1)


def of_cmyk():
    """What Pillow's formula makes of CMYK: 255 less the ink, less black."""
    ink = np.asarray(Image.fromarray(RGB).convert("CMYK")).astype(int)
    return np.rint((255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255).astype(np.uint8)


def palette(transparent=None):
    """Four colours in stripes, and what they are."""
    colours = np.array([[255, 0, 0], [0, 200, 30], [10, 20, 250], [90, 90, 90]], np.uint8)
    indices = (np.arange(WIDTH) // 10 + np.zeros((HEIGHT, 1))).astype(np.uint8)
    image = Image.fromarray(indices)
    image.putpalette(colours.tobytes())
    options = {} if transparent is None else {"transparency": transparent}
    return saved(image, "PNG", **options), colours[indices]


def pages(kind, **options):
    others = [Image.fromarray(255 - RGB)]
    return saved(RGB, kind, save_all=True, append_images=others, **options)


def without_end(kind, share=0.6, **options):
    noise = np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = saved(noise, kind, **options)
    return data[: int(len(data) * share)]


PALETTE, STRIPES = palette()
HALF_CLEAR, _ = palette(transparent=1)
GIF = saved(Image.open(io.BytesIO(PALETTE)), "GIF")
MOTION = saved(RGB, "JPEG", quality=100, subsampling=0) + b"ftypmp42\xff\xda\xff\xda"
BLACK_WHITE = np.where(RGB[..., :1] > 130, 255, 0).astype(np.uint8) + np.zeros_like(RGB)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99)

# The name, the bytes, what it shows, the tolerance in levels, and a warning.
RIGHT = {
    "jpeg": ("a.jpg", saved(RGB, "JPEG", quality=100, subsampling=0), RGB, 3, None),
    "jpeg_halved_colours": ("a.jpeg", saved(RGB, "JPEG", quality=95), RGB, 6, None),
    "jpeg_progressive": (
        "a.jpg",
        saved(RGB, "JPEG", quality=100, subsampling=0, progressive=True),
        RGB,
        3,
        None,
    ),
    "jpeg_grey": ("a.jpg", saved(GREY, "JPEG", quality=100), grey(GREY), 2, None),
    "jpeg_cmyk": ("a.jpg", saved(RGB, "JPEG", "CMYK", quality=100), of_cmyk(), 5, None),
    "jpeg_with_film": ("a.jpg", MOTION, RGB, 3, None),
    "jpeg_several_views": ("a.jpg", pages("MPO", quality=100), RGB, 6, None),
    "jpeg_called_png": ("a.png", saved(RGB, "JPEG", quality=100), RGB, 6, None),
    "jpeg_without_suffix": ("a", saved(RGB, "JPEG", quality=100), RGB, 6, None),
    "jpeg_called_heic": ("a.heic", saved(RGB, "JPEG", quality=100), RGB, 6, None),
    "jpeg_large": (
        "a.jpg",
        saved(scene(3000, 4000), "JPEG", quality=90),
        scene(3000, 4000),
        6,
        None,
    ),
    "one_pixel": ("a.png", saved(RGB[:1, :1], "PNG"), RGB[:1, :1], 0, None),
    "one_pixel_jpeg": ("a.jpg", saved(RGB[:1, :1], "JPEG"), RGB[:1, :1], 6, None),
    "panorama": ("a.png", saved(scene(100, 2000), "PNG"), scene(100, 2000), 0, None),
    "png": ("a.png", saved(RGB, "PNG"), RGB, 0, None),
    "png_16_bit": ("a.png", by_opencv(".png", wide(RGB)), RGB, 0, None),
    "png_grey": ("a.png", saved(GREY, "PNG"), grey(GREY), 0, None),
    "png_grey_16_bit": ("a.png", saved(wide(GREY), "PNG"), grey(GREY), 0, None),
    "png_one_bit": ("a.png", saved(BLACK_WHITE, "PNG", "1"), BLACK_WHITE, 0, None),
    "png_palette": ("a.png", PALETTE, STRIPES, 0, None),
    "png_palette_clear": ("a.png", HALF_CLEAR, STRIPES, 0, "transparent in parts"),
    "png_rgba": (
        "a.png",
        saved(np.dstack([RGB, ALPHA]), "PNG"),
        RGB,
        0,
        "transparent in parts",
    ),
    "png_rgba_opaque": ("a.png", saved(RGB, "PNG", "RGBA"), RGB, 0, None),
    "png_rgba_16_bit": (
        "a.png",
        by_opencv(".png", wide(np.dstack([RGB, ALPHA]))),
        RGB,
        0,
        "transparent in parts",
    ),
    "png_grey_alpha": (
        "a.png",
        saved(np.dstack([GREY, ALPHA]), "PNG"),
        grey(GREY),
        0,
        "transparent in parts",
    ),
    "png_animated": ("a.apng", pages("PNG"), RGB, 0, "first of its pictures"),
    "webp": ("a.webp", saved(RGB, "WEBP", lossless=True), RGB, 0, None),
    "webp_animated": (
        "a.webp",
        pages("WEBP", lossless=True),
        RGB,
        0,
        "first of its pictures",
    ),
    "avif": ("a.avif", saved(RGB, "AVIF", quality=100), RGB, 6, None),
    # Other programs write the name of the whole family first.
    "avif_called_mif1": (
        "a.avif",
        saved(RGB, "AVIF", quality=100).replace(b"ftypavif", b"ftypmif1", 1),
        RGB,
        6,
        None,
    ),
    "bmp": ("a.bmp", saved(RGB, "BMP"), RGB, 0, None),
    "gif": ("a.gif", GIF, STRIPES, 0, None),
    "gif_animated": ("a.gif", pages("GIF"), None, 0, "first of its pictures"),
    "tiff": ("a.tif", saved(RGB, "TIFF"), RGB, 0, None),
    "tiff_packed": ("a.tiff", saved(RGB, "TIFF", compression="tiff_lzw"), RGB, 0, None),
    "tiff_16_bit": ("a.tif", by_opencv(".tiff", wide(RGB)), RGB, 0, None),
    "tiff_grey_16_bit": ("a.tif", saved(wide(GREY), "TIFF"), grey(GREY), 0, None),
    "tiff_cmyk": ("a.tif", saved(RGB, "TIFF", "CMYK"), of_cmyk(), 1, None),
    "tiff_pages": ("a.tif", pages("TIFF"), RGB, 0, "first of its pictures"),
    "tiff_lab": ("a.tif", None, RGB, 8, None),
    "accents_and_spaces": ("Zoë 日本 é .png", saved(RGB, "PNG"), RGB, 0, None),
    "newline": ("a\nb.png", saved(RGB, "PNG"), RGB, 0, None),
    "percent": ("100%d %s.png", saved(np.dstack([RGB, ALPHA]), "PNG"), RGB, 0, "%d %s"),
}
for tag in SHOWN:
    RIGHT[f"exif_{tag}"] = (
        "a.jpg",
        saved(RGB, "JPEG", quality=100, subsampling=0, exif=exif(tag)),
        SHOWN[tag](RGB),
        3,
        None,
    )
    for kind, suffix, options in (
        ("PNG", ".png", {}),
        ("TIFF", ".tif", {}),
        ("TIFF", ".lzw.tif", {"compression": "tiff_lzw"}),
        ("WEBP", ".webp", {"lossless": True}),
    ):
        RIGHT[f"exif_{tag}{suffix}"] = (
            f"a{suffix}",
            saved(RGB, kind, exif=exif(tag), **options),
            SHOWN[tag](RGB),
            0,
            None,
        )


def lab():
    profiles = [ImageCms.createProfile(name) for name in ("sRGB", "LAB")]
    image = ImageCms.profileToProfile(Image.fromarray(RGB), *profiles, outputMode="LAB")
    return saved(image, "TIFF")


@pytest.mark.parametrize("kind", RIGHT)
def test_kinds_that_are_read(kind, tmp_path, caplog):
    name, data, expected, tolerance, warning = RIGHT[kind]
    path = tmp_path / name
    path.write_bytes(lab() if kind == "tiff_lab" else data)
    photograph = read_photograph(path, "bg")
    if expected is None:
        with Image.open(path) as image:
            expected = np.asarray(image.convert("RGB"))
    assert photograph.pixels.dtype == np.uint8
    assert photograph.pixels.shape == expected.shape
    difference = np.abs(photograph.pixels.astype(int) - expected)
    assert difference.max() <= tolerance
    assert photograph.name == Path(name).stem
    lines = [record.getMessage() for record in caplog.records]
    if warning is None:
        assert lines == []
    else:
        (line,) = lines
        assert line.startswith(f"`bg`: {printable(str(path))}: ") and warning in line
        assert line == printable(line)


# The name, the bytes or what makes it, and parts of the line.
WRONG = {
    "missing": ("a.jpg", None, ["cannot be read", "No such file"]),
    "folder": ("a.jpg", Path.mkdir, ["a folder or a device", "expected"]),
    "broken_link": (
        "a.jpg",
        lambda path: path.symlink_to("b"),
        ["cannot be read", "No such file"],
    ),
    "empty": ("a.jpg", b"", ["an empty file", "JPEG"]),
    "text": ("a.jpg", b"Dear Sir,\n" * 9, ["not a picture", "JPEG"]),
    "only_a_head": ("a.jpg", b"\xff\xd8\xff", ["truncated or damaged"]),
    "half_jpeg": ("a.jpg", without_end("JPEG"), ["truncated or damaged"]),
    "jpeg_without_its_end_but_that_of_a_preview": (
        "a.jpg",
        saved(RGB, "JPEG", comment=b"\xff\xd8\xff\xda\xff\xd9")[:-2],
        ["truncated or damaged", "no end of the picture"],
    ),
    "half_progressive_jpeg": (
        "a.jpg",
        without_end("JPEG", progressive=True),
        ["truncated or damaged"],
    ),
    "half_png": ("a.png", without_end("PNG"), ["truncated or damaged"]),
    "changed_png": ("a.png", changed(saved(RGB, "PNG"), 200), ["truncated or damaged"]),
    "half_tiff": ("a.tif", without_end("TIFF"), ["truncated or damaged"]),
    "half_packed_tiff": (
        "a.tif",
        without_end("TIFF", compression="tiff_lzw"),
        ["truncated or damaged"],
    ),
    "half_webp": ("a.webp", without_end("WEBP"), ["truncated or damaged"]),
    "half_gif": ("a.gif", without_end("GIF"), ["truncated or damaged"]),
    "half_bmp": ("a.bmp", without_end("BMP"), ["truncated or damaged"]),
    "half_avif": ("a.avif", without_end("AVIF"), ["truncated or damaged"]),
    "heic": ("a.heic", HEIC, ["HEIC", "JPEG", "pip install pillow-heif"]),
    "heic_called_jpg": ("IMG_1.jpg", HEIC, ["HEIC", "pip install pillow-heif"]),
    "raw": ("a.NEF", saved(RGB, "TIFF"), ["a raw file", "Develop it"]),
    "video": ("a.jpg", b"\0\0\0\x18ftypmp42" + bytes(99), ["film"]),
    "zip": ("a.png", b"PK\x03\x04" + bytes(99), ["not a picture"]),
    "float_tiff": (
        "a.tif",
        saved(RGB[..., 0].astype(np.float32), "TIFF"),
        ["float", "accepted are the modes"],
    ),
    "too_many_pixels": (
        "a.png",
        png_header(20_000, 10_001),
        ["received 200,020,000 pixels", "at most 200,000,000"],
    ),
    "zero_byte_in_name": ("a\0.jpg", None, ["cannot be read", "null byte"]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_kinds_that_are_refused(kind, tmp_path, monkeypatch):
    # Whether it is installed here or not.
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    name, content, parts = WRONG[kind]
    path = tmp_path / name
    if content is not None:
        content(path) if callable(content) else path.write_bytes(content)
    refused(path, f"`bg`: {printable(str(path))}: ", *parts)


def refused(source, *parts):
    """One line."""
    with pytest.raises(UserError) as caught:
        read_photograph(source, "bg")
    line = str(caught.value)
    assert line == printable(line)
    assert line.startswith("`bg`: ")
    for part in parts:
        assert part in line


def test_no_permission(tmp_path, monkeypatch):
    # Root may read everything: the system call fails in its place.
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(RGB, "JPEG"))

    def fail(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(io, "open", fail)
    refused(path, "cannot be read (Permission denied)", "Check the path")


def test_large_photographs_of_phones_are_not_refused_for_their_size(
    tmp_path, monkeypatch
):
    # Its pixels are missing, which is found after its size.
    path = tmp_path / "a.png"
    path.write_bytes(png_header(16_320, 12_240))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1234)
    refused(path, "truncated or damaged")
    assert Image.MAX_IMAGE_PIXELS == 1234


def test_a_damaged_page_after_the_first(tmp_path):
    path = tmp_path / "a.tif"
    data = pages("TIFF")
    # The last tag 256, the width of the second page, becomes another.
    path.write_bytes(changed(data, data.rfind(struct.pack("<HHI", 256, 4, 1))))
    np.testing.assert_array_equal(read_photograph(path, "bg").pixels, RGB)


@pytest.mark.parametrize("tag", SHOWN)
def test_orientation_is_told(tag):
    data = saved(RGB, "JPEG", exif=exif(tag))
    image = Image.open(io.BytesIO(data))
    photograph = read_photograph(image, "bg")
    assert photograph.orientation == tag
    np.testing.assert_array_equal(photograph.pixels, SHOWN[tag](np.asarray(image)))


def test_jpegs_have_pillows_values(tmp_path):
    noise = np.random.default_rng(2).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    for subsampling in range(3):
        path = tmp_path / "a.jpg"
        path.write_bytes(saved(noise, "JPEG", quality=60, subsampling=subsampling))
        np.testing.assert_array_equal(
            read_photograph(path, "bg").pixels, np.asarray(Image.open(path))
        )


def test_tags_that_pillow_warns_of(tmp_path):
    path = tmp_path / "a.tif"
    data = saved(RGB, "TIFF")
    # One sample a pixel: 277, a short, once; now twice.
    tag = struct.pack("<HHI", 277, 3, 1)
    assert data.count(tag) == 1
    path.write_bytes(data.replace(tag, struct.pack("<HHI", 277, 3, 2)))
    with pytest.warns(UserWarning), Image.open(path) as image:
        image.load()
    np.testing.assert_array_equal(read_photograph(path, "bg").pixels, RGB)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_profiles_of_colours_are_kept(kind, tmp_path):
    path = tmp_path / "a"
    path.write_bytes(saved(RGB, kind, icc_profile=SRGB))
    assert read_photograph(str(path), "bg").icc == SRGB
    path.write_bytes(saved(RGB, kind))
    assert read_photograph(str(path), "bg").icc is None


def grey_profile(gamma):
    """A grey profile of the version 2 with one exponent (ICC.1:2001, 6.3.1.1)."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    text = b"desc\0\0\0\0" + struct.pack(">I", 2) + b"g\0" + bytes(78)
    text += bytes(-len(text) % 4)
    tags, offset, table = [(b"wtpt", white), (b"kTRC", curve), (b"desc", text)], 168, b""
    for name, content in tags:
        table += name + struct.pack(">II", offset, len(content))
        offset += len(content)
    head = struct.pack(
        ">I4sI4s4s4s", offset, b"\0" * 4, 0x02400000, b"mntr", b"GRAY", b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    head += bytes(128 - len(head))
    return head + struct.pack(">I", 3) + table + white + curve + text


def test_grey_with_a_profile_becomes_srgb(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(saved(GREY, "PNG", icc_profile=grey_profile(1.0)))
    photograph = read_photograph(path, "bg")
    # Linear light to sRGB (IEC 61966-2-1).
    light = GREY / 255
    expected = 255 * np.where(
        light > 0.0031308, 1.055 * light ** (1 / 2.4) - 0.055, 12.92 * light
    )
    np.testing.assert_allclose(photograph.pixels, grey(expected), atol=2)
    assert photograph.icc is None


@pytest.mark.parametrize("profile", [b"", b"nonsense", SRGB[:36] + bytes(200)])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_damaged_profiles_are_dropped(profile, mode, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(saved(RGB, "JPEG", mode, icc_profile=profile))
    assert read_photograph(path, "bg").icc is None
    path.write_bytes(saved(RGB, "TIFF", mode, icc_profile=profile))
    photograph = read_photograph(path, "bg")
    assert photograph.icc is None
    expected = np.asarray(Image.fromarray(RGB).convert(mode).convert("RGB"))
    np.testing.assert_array_equal(photograph.pixels, expected)


@pytest.mark.parametrize(("mode", "space"), [("L", b"GRAY"), ("CMYK", b"CMYK")])
def test_profiles_with_a_head_only_are_dropped(mode, space, tmp_path):
    profile = bytes(16) + space + bytes(16) + b"acsp" + bytes(100)
    path = tmp_path / "a.tif"
    path.write_bytes(saved(RGB, "TIFF", mode, icc_profile=profile))
    expected = np.asarray(Image.fromarray(RGB).convert(mode).convert("RGB"))
    np.testing.assert_array_equal(read_photograph(path, "bg").pixels, expected)


def test_profiles_of_another_space_are_dropped(tmp_path):
    # As some programs leave them when they convert.
    path = tmp_path / "a.tif"
    path.write_bytes(saved(GREY, "TIFF", icc_profile=SRGB))
    photograph = read_photograph(path, "bg")
    assert photograph.icc is None
    np.testing.assert_array_equal(photograph.pixels, grey(GREY))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_images_of_pillow(mode):
    image = Image.fromarray(RGB).convert(mode)
    expected = np.asarray(image.convert("RGB"))
    photograph = read_photograph(image, "bg")
    np.testing.assert_array_equal(photograph.pixels, expected)
    assert (photograph.name, photograph.icc) == ("", None)


@pytest.mark.parametrize("mode", ["F", "I", "HSV"])
def test_images_of_pillow_that_are_refused(mode):
    refused(
        Image.fromarray(RGB).convert("L" if mode != "HSV" else "RGB").convert(mode),
        "modes",
    )


def test_images_of_pillow_from_a_damaged_file():
    image = Image.open(io.BytesIO(without_end("JPEG")))
    refused(image, "cannot be read", "truncated")


ARRAYS = {
    "rgb": (RGB, RGB),
    "grey": (GREY, grey(GREY)),
    "grey_one_channel": (GREY[..., None], grey(GREY)),
    "rgba": (np.dstack([RGB, np.full_like(GREY, 255)]), RGB),
    "rgb_16_bit": (wide(RGB), RGB),
    "grey_16_bit": (wide(GREY), grey(GREY)),
    "big_endian": (wide(RGB).astype(">u2"), RGB),
    "turned_round": (RGB[:, ::-1], RGB[:, ::-1]),
    "one_pixel": (RGB[:1, :1], RGB[:1, :1]),
    "black_16_bit": (np.zeros((2, 3, 3), np.uint16), np.zeros((2, 3, 3))),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays(kind):
    array, expected = ARRAYS[kind]
    photograph = read_photograph(array, "bg")
    assert photograph.pixels.dtype == np.uint8
    assert photograph.pixels.flags.c_contiguous
    np.testing.assert_array_equal(photograph.pixels, expected)


def test_arrays_that_are_transparent(caplog):
    photograph = read_photograph(np.dstack([RGB, ALPHA]), "bg")
    np.testing.assert_array_equal(photograph.pixels, RGB)
    assert "`bg`: it is transparent in parts" in caplog.text


@pytest.mark.parametrize(
    ("array", "parts"),
    [
        ((RGB / 255).astype(np.float32), ["float32", "0..1 times 255"]),
        (RGB.astype(np.float64), ["float64", "uint8"]),
        (RGB.astype(int), ["int64", "np.uint8"]),
        (RGB > 100, ["bool", "np.uint8"]),
        (RGB.astype(np.uint16), ["uint16 with no value over", "np.uint8"]),
        (RGB.transpose(2, 0, 1), ["(3, 24, 40)", "Transpose"]),
        (RGB[None], ["(1, 24, 40, 3)", "(H, W, 3)"]),
        (RGB[:0], ["(0, 40, 3)"]),
        (RGB[0, 0], ["(3,)"]),
        ([[1, 2]], ["list", "np.asarray"]),
        (None, ["NoneType", "path"]),
    ],
)
def test_arrays_that_are_refused(array, parts):
    refused(array, *parts)


def test_heic_where_it_is_installed(tmp_path, monkeypatch):
    class Opened(Image.Image):
        format = "HEIF"

        def __init__(self):
            super().__init__()
            self.__dict__.update(Image.fromarray(RGB).__dict__)

    def register():
        Image.register_open("HEIF", lambda *_: Opened(), lambda prefix: b"ftyp" in prefix)

    module = types.ModuleType("pillow_heif")
    module.register_heif_opener = register
    module.__spec__ = types.SimpleNamespace()
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    monkeypatch.setattr(Image, "ID", list(Image.ID))
    path = tmp_path / "a.heic"
    path.write_bytes(HEIC)
    np.testing.assert_array_equal(read_photograph(path, "bg").pixels, RGB)
    assert list_photographs(tmp_path, "fg_bg") == [path]


def test_folders_in_natural_order(tmp_path, caplog):
    wanted = ["1.png", "2.JPG", "10.tif", "a1b2.png", "a1b10.png", "a02.png", "IMG2.png"]
    wanted += ["img10.webp", "img10.x.png", "x\ny.gif", "ä.bmp", "日本.avif"]
    others = [".DS_Store", "Thumbs.db", ".hidden.jpg", "._1.png", "notes.txt", "film.mp4"]
    for name in (*reversed(wanted), *others):
        (tmp_path / name).touch()
    for folder in ("__MACOSX", "inner"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.png").touch()
    assert [path.name for path in list_photographs(tmp_path, "fg_bg")] == wanted
    assert caplog.text == ""


def test_folders_tell_of_pictures_they_leave_out(tmp_path, caplog, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    for name in ("1.png", "b.HEIC", "a\n.cr2"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to("nowhere")
    with caplog.at_level(logging.WARNING):
        assert list_photographs(str(tmp_path), "fg_bg") == [tmp_path / "1.png"]
    (record,) = caplog.records
    line = record.getMessage()
    assert line.startswith(f"`fg_bg`: {tmp_path}: 4 left out, such as a\\n.cr2;")


def test_a_file_in_place_of_a_folder(tmp_path):
    with pytest.raises(UserError, match=r"^`fg_bg`: .*a.xyz: there is no such file"):
        list_photographs(tmp_path / "a.xyz", "fg_bg")
    (tmp_path / "a.xyz").touch()
    assert list_photographs(tmp_path / "a.xyz", "fg_bg") == [tmp_path / "a.xyz"]


def test_folders_without_photographs(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match=r"^`fg_bg`: .*: there is no photograph in it;"):
        list_photographs(tmp_path, "fg_bg")


@pytest.mark.parametrize(
    "name", ["a.jpg", "a.JPEG", "a.HEIC", "a.nef", "a.b.gif", "a.jfif"]
)
def test_suffixes_of_pictures(name):
    assert is_picture(name) and is_picture(Path(name))


@pytest.mark.parametrize("name", ["a.mp4", "a", "a.txt", ".jpg", "jpg"])
def test_suffixes_of_others(name):
    assert not is_picture(name)
