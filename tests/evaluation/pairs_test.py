"""Folders of pairs: layouts, scenes, kinds of masks, and what is refused."""

import io
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.pairs import list_pairs, read_pair, read_pairs
from tests.support.picture_files import exif, saved

SIZE = (24, 32)


def _colour(seed, size=SIZE):
    """Darker than 60, so that plates of different seeds are not very different."""
    return np.random.default_rng(seed).integers(0, 60, (*size, 3), np.uint8)


def _mask(size=SIZE):
    mask = np.zeros(size, np.uint8)
    mask[4:12, 6:20] = 255
    return mask


def _write(root, name, pixels=None, **files):
    """A pair; `files` replaces the bytes of some, `None` leaves one out."""
    folder = root / name
    folder.mkdir(parents=True)
    mask = saved(_mask() if pixels is None else pixels)
    contents = {"bg": saved(_colour(0)), "fg_bg": saved(_colour(1)), "mask": mask}
    for role, content in {**contents, **files}.items():
        if content is not None:
            (folder / f"{role}.png").write_bytes(content)


def _read(root, resolution=352):
    (files,) = list_pairs(root)
    return read_pair(files, resolution)


def _assert_refused(root, *parts):
    """One line that names the file, what was received, what is accepted, and a remedy."""
    with pytest.raises(UserError) as caught:
        list(read_pairs(list_pairs(root)))
    line = str(caught.value)
    assert "\n" not in line
    assert re.search(r": received .+[;,] .*(expected|accepted) .*\. .+\.$", line), line
    for part in (str(root), *parts):
        assert part in line, line


def test_pairs_and_scenes_of_folders(tmp_path):
    for name in ("attic", "hall/one", "hall/two"):
        _write(tmp_path, name)
    (tmp_path / "hall/one/preview.png").write_bytes(b"whatever")
    assert [(pair.name, pair.scene) for pair in list_pairs(tmp_path)] == [
        ("attic", "attic"),
        ("hall/one", "hall"),
        ("hall/two", "hall"),
    ]
    first, *_ = read_pairs(list_pairs(tmp_path))
    np.testing.assert_array_equal(first.bg, _colour(0))
    np.testing.assert_array_equal(first.fg_bg, _colour(1))
    np.testing.assert_array_equal(first.mask, _mask() / 255)
    assert first.mask.dtype == np.float32
    assert first.known.all()


def test_scenes_of_the_index(tmp_path):
    for name in ("a_1", "a_2", "b_1"):
        _write(tmp_path, name)
    index = tmp_path / "index.csv"
    index.write_text('name,licence,scene\na_1,"x, y",A\na_2,,A\nb_1,,B\ngone,,C\n')
    assert [pair.scene for pair in list_pairs(tmp_path)] == ["A", "A", "B"]
    packed = shutil.make_archive(tmp_path / "../packed", "zip", tmp_path)
    assert [pair.scene for pair in list_pairs(Path(packed))] == ["A", "A", "B"]
    index.write_text("name,scene\na_1,A\na_2,A\n")
    _assert_refused(tmp_path, "index.csv", "b_1")
    index.write_text("name,place\na_1,A\n")
    _assert_refused(tmp_path, "index.csv", "columns name and scene")
    index.write_text("name,scene\na_1,A\na_1,B\n")
    _assert_refused(tmp_path, "two scenes for a_1")


def test_one_pair_alone_and_other_formats(tmp_path):
    root = tmp_path / "mine"
    _write(root, "", bg=None, fg_bg=None)
    (root / "BG.JPG").write_bytes(saved(_colour(0), "JPEG"))
    (root / "fg_bg.webp").write_bytes(saved(_colour(1)[..., 0], "WEBP", lossless=True))
    pair = _read(root)
    assert (pair.name, pair.scene, pair.bg.shape) == ("mine", "mine", (*SIZE, 3))


FULL = np.full(SIZE, 255, np.uint8)
COLOURS = {
    "grey": ("png", saved(_colour(1)[..., 0])),
    "grey and opaque": ("png", saved(np.dstack([_colour(1)[..., 0], FULL]))),
    "opaque RGBA": ("png", saved(np.dstack([_colour(1), FULL]))),
    "palette": ("png", saved(_colour(1)[..., 0], mode="P")),
    "jfif": ("jfif", saved(_colour(1), "JPEG")),
    "jpe": ("JPE", saved(_colour(1), "JPEG")),
    "AVIF": ("avif", saved(_colour(1), "AVIF")),
    "TIFF": ("tif", saved(_colour(1), "TIFF")),
    "BMP": ("bmp", saved(_colour(1), "BMP")),
    "GIF": ("gif", saved(_colour(1), "GIF")),
}


@pytest.mark.parametrize("kind", COLOURS)
def test_kinds_of_photographs(tmp_path, kind):
    suffix, data = COLOURS[kind]
    _write(tmp_path, "a", fg_bg=None, bg=None)
    for role in ("fg_bg", "bg"):
        (tmp_path / f"a/{role}.{suffix}").write_bytes(data)
    pair = _read(tmp_path)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(pair.fg_bg, image.convert("RGB"))
    np.testing.assert_array_equal(pair.bg, pair.fg_bg)


@pytest.mark.parametrize(
    "kind",
    ["0 and 1", "bool", "16 bit", "8 in 16 bit", "RGB", "opaque RGBA", "opaque grey"],
)
def test_kinds_of_masks(tmp_path, kind):
    pixels = {
        "0 and 1": _mask() // 255,
        "bool": _mask() > 0,
        "16 bit": _mask() * np.uint16(257),
        "8 in 16 bit": _mask().astype(np.uint16),
        "RGB": np.dstack([_mask()] * 3),
        "opaque RGBA": np.dstack([*[_mask()] * 3, FULL]),
        "opaque grey": np.dstack([_mask(), FULL]),
    }[kind]
    _write(tmp_path, "a", pixels=pixels)
    pair = _read(tmp_path)
    np.testing.assert_array_equal(pair.mask, _mask() / 255)
    assert pair.known.all()


def test_soft_masks_have_128_as_an_opacity(tmp_path, caplog):
    soft = np.arange(24 * 32, dtype=np.uint16).reshape(SIZE)
    _write(tmp_path / "8", "a", pixels=(soft % 256).astype(np.uint8))
    _write(tmp_path / "16", "a", pixels=soft * np.uint16(85))
    for root, levels, full in (("8", soft % 256, 255), ("16", soft * 85, 65535)):
        pair = _read(tmp_path / root)
        np.testing.assert_allclose(pair.mask, levels / full, atol=1e-6)
        assert pair.known.all()
    assert "128 is" not in caplog.text


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_128_is_unknown_beside_0_and_255(tmp_path, caplog, dtype):
    mask = _mask().astype(dtype) * dtype(np.iinfo(dtype).max // 255)
    mask[12:15] = 128 if dtype == np.uint8 else 32896
    _write(tmp_path, "a", pixels=mask)
    pair = _read(tmp_path)
    np.testing.assert_array_equal(
        ~pair.known, np.arange(24)[:, None] // 3 == 4 + 0 * mask
    )
    assert not pair.mask[12:15].any()
    assert "128 is" not in caplog.text
    # One pixel of other grey makes it soft, which is doubtful.
    mask[0, 0] = 100
    _write(tmp_path / "other", "a", pixels=mask)
    assert _read(tmp_path / "other").known.all()
    assert "128 is taken as an opacity" in caplog.text


def test_reduction_averages_and_keeps_unknown(tmp_path):
    mask = np.zeros((40, 80), np.uint8)
    mask[:20] = 255
    mask[:, 40] = 128
    pictures = {
        role: saved(_colour(i, (40, 80))) for i, role in enumerate(("bg", "fg_bg"))
    }
    _write(tmp_path, "a", pixels=mask, **pictures)
    pair = _read(tmp_path, resolution=20)
    assert pair.bg.shape == pair.fg_bg.shape == (10, 20, 3)
    blocks = _colour(0, (40, 80)).reshape(10, 4, 20, 4, 3).mean((1, 3))
    np.testing.assert_allclose(pair.bg, blocks, atol=0.51)
    unknown = np.zeros((10, 20), bool)
    unknown[:, 10] = True
    np.testing.assert_array_equal(pair.known, ~unknown)
    np.testing.assert_array_equal(
        pair.mask, np.where(unknown, 0, np.arange(10)[:, None] < 5)
    )
    assert _read(tmp_path, resolution=80).bg.shape == (40, 80, 3)


def test_photographs_are_turned_upright(tmp_path):
    turned = saved(_colour(0), "JPEG", exif=exif(6), quality=95)
    _write(tmp_path, "a", bg=turned, fg_bg=turned, pixels=_mask((32, 24)))
    pair = _read(tmp_path)
    assert pair.bg.shape == (32, 24, 3)
    right, wrong = (
        np.abs(pair.bg - np.rot90(_colour(0), turns).astype(float)).mean()
        for turns in (-1, 1)
    )
    assert right < 0.75 * wrong


def test_maps_of_the_pixels_as_they_are_stored(tmp_path):
    turned = {
        role: saved(_colour(i), "PNG", exif=exif(6))
        for i, role in enumerate(("bg", "fg_bg"))
    }
    _write(tmp_path / "tagged", "a", **turned)
    expected = _read(tmp_path / "tagged")
    np.testing.assert_array_equal(expected.mask, np.rot90(_mask(), -1) / 255)
    # The plate has lost its tag, too.
    _write(tmp_path / "lost", "a", **{**turned, "bg": saved(_colour(0))})
    pair = _read(tmp_path / "lost")
    np.testing.assert_array_equal(pair.bg, expected.bg)
    np.testing.assert_array_equal(pair.mask, expected.mask)
    # Only the mask has one.
    _write(tmp_path / "only", "a", mask=saved(_mask(), exif=exif(8)))
    np.testing.assert_array_equal(_read(tmp_path / "only").mask, _mask() / 255)


@pytest.mark.parametrize("role", ["bg", "mask"])
@pytest.mark.parametrize("turn", [1, 2, 3])
def test_what_lies_on_its_side_is_told(tmp_path, role, turn):
    upright = {"bg": _colour(0), "mask": _mask()}[role]
    on_its_side = saved(np.rot90(upright), exif=exif(turn))
    _write(tmp_path, "a", **{role: on_its_side})
    parts = ("24x32", "32x24", "one of them is turned by a quarter", "mogrify")
    _assert_refused(tmp_path, f"{role}.png", *parts)


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P"])
def test_a_pair_without_foreground(tmp_path, mode):
    _write(tmp_path, "a", mask=saved(np.zeros(SIZE, np.uint8), mode=mode))
    pair = _read(tmp_path)
    assert not pair.mask.any() and pair.known.all()


def test_what_is_missing_or_damaged(tmp_path):
    cases = {
        "mask": ({"mask": None}, "no mask"),
        "plate": ({"bg": None}, "no bg"),
        "cut": ({"fg_bg": saved(_colour(1))[:-40]}, "fg_bg.png"),
        "text": ({"mask": b"not a picture"}, "mask.png"),
        "alpha": ({"bg": saved(np.dstack([_colour(0), _mask()]))}, "bg.png"),
        "sizes": ({"fg_bg": saved(_colour(1, (24, 30)))}, "30x24", "32x24"),
        "mask size": ({"mask": saved(_mask((20, 32)))}, "mask.png", "32x20"),
        "classes": ({"mask": saved(_mask() // 85)}, "levels from 0 to 3"),
        "colours": ({"mask": saved(_colour(5))}, "the channels differ"),
    }
    for name, (files, *parts) in cases.items():
        _write(tmp_path / name, "pair", **files)
        _assert_refused(tmp_path / name, "pair", *parts)
    _write(tmp_path / "twice", "pair")
    (tmp_path / "twice/pair/bg.jpg").write_bytes(saved(_colour(0), "JPEG"))
    _assert_refused(tmp_path / "twice", "bg.jpg and bg.png")
    (tmp_path / "none").mkdir()
    (tmp_path / "none/x.png").write_bytes(saved(_colour(0)))
    _assert_refused(tmp_path / "none", "no picture called bg, fg_bg or mask")


def test_a_plate_of_another_scene_is_warned_of(tmp_path, caplog):
    _write(tmp_path, "a", fg_bg=saved(_colour(1) + np.uint8(120)))
    _read(tmp_path)
    assert "the plate of another scene, or" in caplog.text
    caplog.clear()
    # Not where only the foreground differs, however large it is.
    mask = np.full(SIZE, 255, np.uint8)
    mask[:2] = 0
    foreground = cv2.add(_colour(0), np.dstack([mask] * 3) // 2)
    _write(tmp_path / "b", "b", fg_bg=saved(foreground), pixels=mask)
    _read(tmp_path / "b")
    assert not caplog.records


INVERTED, OTHER = "or is the mask inverted?", "does the mask belong to another sample?"


@pytest.mark.parametrize(
    ("levels", "change", "part"),
    [
        (150, lambda mask: 255 - mask, INVERTED),
        (60, lambda mask: 255 - mask, INVERTED),
        (150, lambda mask: mask[:, ::-1], OTHER),
        (150, lambda mask: 0 * mask, OTHER),
        (150, lambda mask: mask, None),
        # Unknown pixels that differ: as background they would speak against the mask.
        (150, lambda mask: mask // 255 * 128, None),
    ],
    ids=["inverted", "inverted, dim", "of another pair", "empty", "right", "unknown"],
)
def test_a_mask_that_does_not_fit_is_warned_of(tmp_path, caplog, levels, change, part):
    mask = np.zeros((96, 128), np.uint8)
    mask[20:44, 10:34] = 255
    mask[0, 0] = 255
    bg = _colour(0, mask.shape)
    fg_bg = bg + np.uint8(levels) * (mask[..., None] > 0)
    files = {"bg": saved(bg), "fg_bg": saved(fg_bg)}
    _write(tmp_path, "a", pixels=change(mask), **files)
    _read(tmp_path)
    if part is None:
        assert not caplog.records
    else:
        (record,) = caplog.records
        line = record.getMessage()
        assert line.startswith(f"{tmp_path}/a/") and part in line


def test_other_exposure_of_a_pair_without_foreground(tmp_path, caplog):
    bg = _colour(0, (96, 128))
    files = {"bg": saved(bg), "fg_bg": saved(bg + np.uint8(30))}
    _write(tmp_path, "a", pixels=np.zeros((96, 128), np.uint8), **files)
    _read(tmp_path)
    assert not caplog.records
