"""Maps that another program wrote."""

import re

import numpy as np
import pytest

from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.predictions import Predictions
from tests.support.picture_files import saved

SHAPE = (24, 32)
LEVELS = np.arange(24 * 32).reshape(SHAPE)


def _write(root, **files):
    """Files by name, in which `__` is `/` and `_png` a suffix."""
    for name, content in files.items():
        path = root / re.sub(r"_(png|npy|webp)$", r".\1", name).replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            np.save(path, content)


def _line(function, *args):
    with pytest.raises(UserError) as caught:
        function(*args)
    line = str(caught.value)
    assert "\n" not in line
    assert re.search(r"[:;] .*expected .*\. .+\.$", line), line
    return line


def test_all_places_and_types(tmp_path):
    eight, sixteen = (LEVELS % 256).astype(np.uint8), (LEVELS * 85).astype(np.uint16)
    array = np.float32(LEVELS / 1000)
    _write(
        tmp_path,
        a_png=saved(eight),
        a_depth_png=saved(sixteen),
        scene__b_npy=array,
        depth__scene__b_npy=array[..., None],
        mask__c_webp=saved(eight, "WEBP", lossless=True),
        depth__c_png=saved(eight),
    )
    found = Predictions(tmp_path, ["a", "scene/b", "c"])
    assert found.has_mask and found.has_depth
    expected = {
        "a": (eight / 255, sixteen / 65535),
        "scene/b": (array, array),
        "c": (eight / 255, eight / 255),
    }
    for name, (mask, depth) in expected.items():
        for image, true in (
            (found.mask(name, SHAPE), mask),
            (found.depth(name, SHAPE), depth),
        ):
            assert image.dtype == np.float32
            np.testing.assert_allclose(image, true, atol=1e-6)


def test_other_sizes_are_resized(tmp_path):
    _write(tmp_path, a_npy=np.float32(LEVELS / 1000))
    found = Predictions(tmp_path, ["a"])
    blocks = (LEVELS / 1000).reshape(12, 2, 16, 2).mean((1, 3))
    np.testing.assert_allclose(found.mask("a", (12, 16)), blocks, atol=1e-6)
    larger = found.mask("a", (48, 64))
    assert larger.shape == (48, 64)
    assert abs(larger.mean() - LEVELS.mean() / 1000) < 1e-3


def test_either_kind_may_be_missing_altogether(tmp_path):
    _write(tmp_path / "masks", a_png=saved(np.uint8(LEVELS % 256)))
    _write(tmp_path / "depths", a_depth_png=saved(np.uint8(LEVELS % 256)))
    masks, depths = (Predictions(tmp_path / kind, ["a"]) for kind in ("masks", "depths"))
    assert (masks.has_mask, masks.has_depth) == (True, False)
    assert (depths.has_mask, depths.has_depth) == (False, True)


def test_missing_ones_are_counted(tmp_path):
    names = [f"n{i}" for i in range(7)]
    picture = saved(np.uint8(LEVELS % 256))
    line = _line(Predictions, tmp_path, names)
    assert (
        "no mask for 7 of 7 names: n0, n1, n2, …; expected n0.png or mask/n0.png" in line
    )
    _write(tmp_path, n1_png=picture, n2_png=picture)
    assert "no mask for 5 of 7 names: n0, n3, n4, …" in _line(
        Predictions, tmp_path, names
    )
    _write(tmp_path, **{f"{name}_png": picture for name in names}, n6_depth_png=picture)
    line = _line(Predictions, tmp_path, names)
    assert "no depth for 6 of 7 names: n0, n1, n2, …; expected n0_depth.png" in line
    assert "no such folder" in _line(Predictions, tmp_path / "gone", names)


def test_one_that_lies_on_its_side(tmp_path):
    _write(
        tmp_path,
        a_png=saved(np.uint8(LEVELS.T % 256)),
        b_npy=np.float32(LEVELS.T / 1000),
        c_png=saved(np.zeros((64, 64), np.uint8)),
        d_png=saved(np.zeros((96, 48), np.uint8)),
    )
    found = Predictions(tmp_path, ["a", "b", "c", "d"])
    for name, shape in (("a", SHAPE), ("b", (12, 16)), ("a", (49, 65))):
        assert "as if turned by a quarter" in _line(found.mask, name, shape)
    # Square ones, and those of other proportions, are stretched by many networks.
    assert found.mask("c", SHAPE).shape == SHAPE
    assert found.mask("d", SHAPE).shape == SHAPE


@pytest.mark.parametrize("suffix", ["exr", "pfm", "npz", "pgm"])
def test_files_of_numbers_get_a_remedy(tmp_path, suffix):
    (tmp_path / f"a_depth.{suffix}").touch()
    (tmp_path / "a.png").write_bytes(saved(np.uint8(LEVELS % 256)))
    (tmp_path / "b.png").write_bytes(saved(np.uint8(LEVELS % 256)))
    (tmp_path / "b_depth.png").write_bytes(saved(np.uint8(LEVELS % 256)))
    line = _line(Predictions, tmp_path, ["a", "b"])
    assert f"a_depth.{suffix} is there: Write it as greyscale PNG of 16 bit" in line


def test_tiff(tmp_path):
    levels = (LEVELS * 85).astype(np.uint16)
    (tmp_path / "a.tif").write_bytes(saved(levels, "TIFF"))
    found = Predictions(tmp_path, ["a"])
    np.testing.assert_allclose(found.mask("a", SHAPE), levels / 65535, atol=1e-6)
    (tmp_path / "a.tif").write_bytes(saved(np.float32(LEVELS), "TIFF"))
    assert "65535 for 1, or as .npy" in _line(found.mask, "a", SHAPE)


@pytest.mark.parametrize(
    "content",
    [
        np.full(SHAPE, np.nan, np.float32),
        np.full(SHAPE, 1.5),
        LEVELS,
        np.zeros((24, 32, 3)),
        np.zeros(SHAPE, object),
        b"not an array",
    ],
    ids=["nan", "range", "integers", "channels", "objects", "text"],
)
def test_what_is_no_map(tmp_path, content):
    _write(tmp_path, a_npy=content)
    line = _line(Predictions(tmp_path, ["a"]).mask, "a", SHAPE)
    assert line.startswith(f"{tmp_path}/a.npy: received ")


def test_nearly_empty_levels_are_warned_of(tmp_path, caplog):
    _write(tmp_path, a_png=saved(np.uint8(LEVELS % 2)))
    found = Predictions(tmp_path, ["a"]).mask("a", SHAPE)
    assert found.max() == pytest.approx(1 / 255)
    assert "levels are 0 and 1, " in caplog.text and "write 255" in caplog.text
    caplog.clear()
    _write(tmp_path, a_png=saved(np.uint8(7 * (LEVELS % 2))))
    Predictions(tmp_path, ["a"]).mask("a", SHAPE)
    assert "levels are 0 and 7, " in caplog.text
    caplog.clear()
    # As of a picture without foreground.
    _write(tmp_path, a_png=saved(np.uint8(LEVELS % 8)))
    Predictions(tmp_path, ["a"]).mask("a", SHAPE)
    assert not caplog.records


def _npy(shape, kind="<f4", content=b""):
    """A file that claims a shape and a type."""
    described = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape}, }}\n"
    size = len(described).to_bytes(2, "little")
    return b"\x93NUMPY\x01\0" + size + described.encode() + content


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (_npy((10**9, 10**9)), "4,000,000,000,000,000,000 bytes are missing"),
        (_npy((40_000, 100_000)), "16,000,000,000 bytes are missing"),
        (_npy((2**40, 2**40)), "bytes are missing"),
        (_npy((2, 2), "|V99999999"), "bytes are missing"),
        (_npy((-1, 5)), "damaged array"),
        (_npy((2,), "|O", b"\x80\x04cposix\nsystem\n(X\x04\0\0\0exit\x85R."), "pickle"),
        (b"\x93NUMPY\x02\0" + (10**8).to_bytes(4, "little") + b"(" * 99, "damaged"),
        (b"\x93NUMPY\x03\0" + _npy((2,))[8:], "damaged"),
        (_npy((0, 10**12)), "an array (0, 1000000000000)"),
    ],
    ids=["TB", "GB", "overflow", "void", "negative", "pickle", "head", "3", "empty"],
)
def test_arrays_that_claim_more_than_there_is(tmp_path, data, part):
    (tmp_path / "a.npy").write_bytes(data)
    assert part in _line(Predictions(tmp_path, ["a"]).mask, "a", SHAPE)
