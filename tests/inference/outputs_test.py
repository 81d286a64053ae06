"""Results, read back by Pillow; failures leave what was there."""

import io
import os
import signal
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageCms

from keras_depthseg.errors import UserError
from keras_depthseg.inference import outputs
from keras_depthseg.text import printable

SIZE = (40, 60)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# Longer than one segment of a JPEG.
PROFILES = [None, SRGB, SRGB + np.random.default_rng(0).bytes(100_000)]


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8)


@pytest.fixture
def mask(rng):
    mask = rng.random(SIZE).astype(np.float32)
    mask[:4], mask[4:8] = 0, 1
    return mask


def opened(path):
    """The image, and what `file` would say of it: its chunks' order is checked."""
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        image.load()
        return image


def test_mask(tmp_path, mask):
    path = tmp_path / "a_mask.png"
    outputs.write_mask(path, mask)
    image = opened(path)
    assert (image.mode, image.size) == ("L", SIZE[::-1])
    np.testing.assert_array_equal(np.asarray(image), np.rint(mask * 255))


@pytest.mark.parametrize("icc", PROFILES)
def test_cutout(tmp_path, rng, icc):
    path = tmp_path / "a_cutout.png"
    cutout = rng.integers(0, 256, (*SIZE, 4), dtype=np.uint8)
    outputs.write_cutout(path, cutout, icc)
    image = opened(path)
    assert image.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(image), cutout)
    assert image.info.get("icc_profile") == icc


@pytest.mark.parametrize(
    ("scale", "unit", "said"), [(None, "relative", "1"), (12.5, "metre", "12.5")]
)
def test_depth(tmp_path, rng, scale, unit, said):
    path = tmp_path / "a_depth.png"
    depth = rng.uniform(-0.1, 1.1, SIZE).astype(np.float32)
    depth[0], depth[1] = 0, np.nan
    outputs.write_depth(path, depth, scale)
    image = opened(path)
    assert image.mode == "I;16"
    levels = np.asarray(image)
    assert (levels[0] == 1).all() and (levels[1] == 0).all()
    known = np.isfinite(depth)
    np.testing.assert_allclose(
        levels[known] / 65535, np.clip(depth[known], 0, 1), atol=1.01 / 65535
    )
    assert levels[known].min() == 1
    text = {key: value for key, value in image.info.items() if key.startswith("depth:")}
    assert text == {
        "depth:direction": "larger is farther",
        "depth:unit": unit,
        "depth:scale": said,
        "depth:unknown": "0",
    }


def test_depth_to_look_at(tmp_path):
    path = tmp_path / "a_depth_colour.png"
    # Near at the left, from 0.2 to 0.4; two outliers of 6,000.
    depth = np.linspace(0.2, 0.4, 100, dtype=np.float32) + np.zeros((60, 1), np.float32)
    depth[0, 0], depth[1, 99] = 0, 1
    depth[2] = np.nan
    outputs.write_depth_colour(path, depth)
    image = opened(path).convert("RGB")
    shown = np.asarray(image) / 255
    inferno = matplotlib.colormaps["inferno"]
    expected = inferno(np.linspace(1, 0, 100))[:, :3]
    np.testing.assert_allclose(shown[30], expected, atol=0.06)
    np.testing.assert_allclose(shown[0, 0], inferno(1.0)[:3], atol=0.01)
    np.testing.assert_allclose(shown[2], inferno(0.0)[:3] + np.zeros((100, 1)), atol=0.01)


@pytest.mark.parametrize("value", [0, 0.5, np.nan])
def test_depth_to_look_at_of_one_value(tmp_path, value):
    path = tmp_path / "a_depth_colour.png"
    outputs.write_depth_colour(path, np.full((1, 1), value, np.float32))
    assert opened(path).size == (1, 1)


@pytest.mark.parametrize("icc", PROFILES)
def test_overlay(tmp_path, icc):
    path = tmp_path / "a_overlay.jpg"
    grey = np.full((400, 400, 3), 100, np.uint8)
    mask = np.zeros((400, 400), np.float32)
    mask[100:300, 100:300] = 1
    mask[340:, :] = 0.4
    outputs.write_overlay(path, grey, mask, icc)
    image = opened(path)
    assert image.info.get("icc_profile") == icc
    shown = np.asarray(image).astype(int)
    colour = np.array([0, 200, 255])
    np.testing.assert_allclose(shown[20, 20], 100, atol=2)
    np.testing.assert_allclose(shown[200, 200], 0.55 * 100 + 0.45 * colour, atol=3)
    np.testing.assert_allclose(shown[380, 200], 0.82 * 100 + 0.18 * colour, atol=3)
    # The outline lies on the edge, and nowhere else.
    distance = np.abs(shown - colour).max(-1)
    assert distance[200, 98:103].min() < 40 and distance[98:103, 200].min() < 40
    assert (distance[110:290, 110:290] > 40).all() and (distance[:90] > 40).all()


@pytest.mark.parametrize("icc", PROFILES)
def test_photograph(tmp_path, icc):
    path = tmp_path / "a_replaced.jpg"
    y, x = np.mgrid[:90, :70]
    pixels = np.stack([y, 2 * x, 255 - y - x], -1).astype(np.uint8)
    outputs.write_photograph(path, pixels, icc)
    image = opened(path)
    np.testing.assert_allclose(np.asarray(image), pixels, atol=4)
    assert image.info.get("icc_profile") == icc


def test_photograph_too_wide_for_jpeg(tmp_path):
    path = tmp_path / "a_replaced.jpg"
    with pytest.raises(
        UserError, match=r"received 65501 x 1 pixels; .* 65,500 on a side"
    ):
        outputs.write_photograph(path, np.zeros((1, 65_501, 3), np.uint8))


def one_pixel(folder):
    outputs.write_mask(folder / "a_mask.png", np.ones((1, 1), np.float32))
    outputs.write_cutout(folder / "a_cutout.png", np.zeros((1, 1, 4), np.uint8))
    outputs.write_depth(folder / "a_depth.png", np.ones((1, 1), np.float32))
    pixel = np.full((1, 1, 3), 9, np.uint8)
    outputs.write_overlay(folder / "a_overlay.jpg", pixel, np.ones((1, 1), np.float32))
    outputs.write_photograph(folder / "a_replaced.jpg", pixel)


def test_one_pixel(tmp_path):
    one_pixel(tmp_path)
    assert {opened(path).size for path in tmp_path.iterdir()} == {(1, 1)}


def names(photographs, kinds=("mask",)):
    paths = outputs.result_paths([Path(name) for name in photographs], Path("out"), kinds)
    assert all(path.parent == Path("out") for found in paths for path in found.values())
    return [[path.name for path in found.values()] for found in paths]


def test_names():
    assert names(["in/a b.jpg"], outputs.ENDINGS) == [
        [
            "a b_mask.png",
            "a b_cutout.png",
            "a b_depth.png",
            "a b_depth_colour.png",
            "a b_overlay.jpg",
            "a b_replaced.jpg",
        ]
    ]


def test_names_that_would_be_equal():
    photographs = ["a.jpg", "a.png", "b.jpg", "B.tif", "c.jpg", "d", "e.jpg", "e.png"]
    photographs.append("e.jpg.png")
    found = names(photographs)
    assert found[:2] == [["a.jpg_mask.png"], ["a.png_mask.png"]]
    assert found[4:6] == [["c_mask.png"], ["d_mask.png"]]
    assert len({name.casefold() for (name,) in found}) == len(photographs)


def test_results_are_no_photographs():
    photographs = [
        "a.jpg",
        "a_mask.png",
        "a_overlay.jpg",
        "b_mask.png",
        "c.png_depth.png",
    ]
    paths = [Path("in") / name for name in (*photographs, "c.png", "a_mask.jpg")]
    found = [path.name for path in outputs.without_results(paths)]
    assert found == ["a.jpg", "b_mask.png", "c.png", "a_mask.jpg"]


def refused(call, *parts):
    with pytest.raises(UserError) as caught:
        call()
    line = str(caught.value)
    assert line == printable(line)
    for part in parts:
        assert part in line


def test_files_that_exist(tmp_path):
    paths = [tmp_path / name for name in ("new.png", "a\nb.png", "link.png")]
    outputs.check_free(paths, False, "--out")
    paths[1].write_text("precious")
    paths[2].symlink_to("nowhere")
    refused(
        lambda: outputs.check_free(paths, False, "--out"),
        "`--out`: ",
        "a\\nb.png and 1 more would be replaced",
        "`force`",
    )
    outputs.check_free(paths, True, "--out")
    assert paths[1].read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a\nb.png", "link.png"]


def test_folders_in_the_way(tmp_path):
    (tmp_path / "a.png").mkdir()
    (tmp_path / "file").touch()
    refused(
        lambda: outputs.check_free([tmp_path / "a.png"], True, "--out"), "is a folder"
    )
    refused(
        lambda: outputs.check_free([tmp_path / "file" / "a.png"], True, "--out"),
        "`--out`: ",
        "is a file or below one",
    )


def test_folders_are_made(tmp_path):
    outputs.check_free([tmp_path / "new" / "inner" / "a.png"], False, "--out")
    assert (tmp_path / "new" / "inner").is_dir()


def test_names_that_are_too_long(tmp_path):
    paths = [tmp_path / "a.png", tmp_path / f"{'a' * 250}_mask.png"]
    refused(lambda: outputs.check_free(paths, False, "--out"), "too long")


def test_read_only_folders(tmp_path, monkeypatch):
    # Root may write everywhere: the system call fails in its place.
    def fail(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "touch", fail)
    refused(
        lambda: outputs.check_free([tmp_path / "a.png"], False, "--out"),
        "cannot be written (Permission denied)",
    )


# Every write of the process fails beyond 20 kB, as on a full disk.
FULL = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from keras_depthseg.errors import UserError
from keras_depthseg.inference import outputs
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
noise = np.random.default_rng(0)
pixels = noise.integers(0, 256, (200, 200, 4), dtype=np.uint8)
values = noise.random((200, 200), dtype=np.float32)
folder = Path(sys.argv[1])
for call in (
    lambda: outputs.write_mask(folder / "a.png", values),
    lambda: outputs.write_cutout(folder / "a.png", pixels),
    lambda: outputs.write_depth(folder / "a.png", values),
    lambda: outputs.write_depth_colour(folder / "a.png", values),
    lambda: outputs.write_overlay(folder / "a.png", pixels[..., :3].copy(), values),
    lambda: outputs.write_photograph(folder / "a.png", pixels[..., :3].copy()),
):
    try:
        call()
    except UserError as error:
        print(error)
"""


def run(code, folder, **options):
    # As the command does: without Keras, whose import takes seconds.
    start = "import sys, types; sys.modules['depthseg'] = types.ModuleType('depthseg');"
    start += "sys.modules['depthseg'].is_running = True\n"
    return subprocess.Popen(
        [sys.executable, "-c", start + code, folder],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(outputs.__file__).parents[2])},
        **options,
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of a file's size")
def test_full_disk(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("precious")
    with run(FULL, tmp_path) as process:
        lines = process.communicate()[0].splitlines()
    assert len(lines) == 6
    for line in lines:
        assert line.startswith(f"{path}: it cannot be written (File too large)")
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


# Says when the file is written and not yet renamed, and waits.
SLOW = """
import os, sys, time
from pathlib import Path
import numpy as np
from keras_depthseg.inference import outputs
def wait(*_):
    print("written", flush=True)
    time.sleep(60)
os.replace = wait
outputs.write_mask(Path(sys.argv[1]) / "a.png", np.ones((100, 100), np.float32))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("precious")
    with run(SLOW, tmp_path) as process:
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_text() == "precious"
    # What is left over is in no one's way.
    outputs.check_free([path], True, "--out")
    outputs.write_mask(path, np.ones((1, 1), np.float32))
    assert Image.open(io.BytesIO(path.read_bytes())).size == (1, 1)
    assert list(tmp_path.iterdir()) == [path]
