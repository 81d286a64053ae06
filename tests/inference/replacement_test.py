"""New backgrounds, against plain formulas."""

import numpy as np
import pytest
from PIL import Image, ImageCms
from scipy.special import ndtr

from keras_depthseg.errors import UserError
from keras_depthseg.inference.replacement import (
    blurred,
    cover,
    new_background,
    replace_background,
)
from keras_depthseg.text import printable

HEIGHT, WIDTH = 60, 80


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def fg(rng):
    return rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def new(rng):
    return rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


@pytest.fixture
def alpha(rng):
    alpha = rng.random((HEIGHT, WIDTH)).astype(np.float32)
    alpha[:10], alpha[10:20] = 0, 1
    return alpha


def test_blends(fg, new, alpha):
    result = replace_background(fg, alpha, new)
    weight = alpha[..., None].astype(float)
    np.testing.assert_allclose(result, weight * fg + (1 - weight) * new, atol=0.51)
    np.testing.assert_array_equal(result[:10], new[:10])
    np.testing.assert_array_equal(result[10:20], fg[10:20])
    assert result.dtype == np.uint8


def test_one_depth_has_no_effect(fg, new, alpha):
    plain = replace_background(fg, alpha, new)
    for depths in ((alpha, None), (None, alpha)):
        np.testing.assert_array_equal(replace_background(fg, alpha, new, *depths), plain)


def test_nearer_things_hide_the_foreground(fg, new):
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    alpha[:, 20:60] = 1
    depth = np.full((HEIGHT, WIDTH), 0.9, np.float32)
    depth[:, 20:60] = 0.5
    # Holes of the depth, as on shiny things, tear none into the foreground.
    depth[::7, 20:60:5] = 1
    # Behind it, in front of it, at its depth, and a little behind it.
    new_depth = np.repeat([0.8, 0.2, 0.5, 0.52], HEIGHT // 4)[:, None]
    new_depth = (new_depth + np.zeros((1, WIDTH))).astype(np.float32)
    result = replace_background(fg, alpha, new, depth, new_depth)
    inside = np.s_[:, 20:60]
    np.testing.assert_array_equal(result[:15][inside], fg[:15][inside])
    np.testing.assert_array_equal(result[15:30][inside], new[15:30][inside])
    half = (fg[30:45][inside].astype(float) + new[30:45][inside]) / 2
    np.testing.assert_allclose(result[30:45][inside], half, atol=0.51)
    seen = 1 / (1 + np.exp(-1))
    mixed = seen * fg[45:][inside] + (1 - seen) * new[45:][inside]
    np.testing.assert_allclose(result[45:][inside], mixed, atol=0.51)
    np.testing.assert_array_equal(result[:, :20], new[:, :20])


def test_no_foreground_with_depths(fg, new, alpha):
    nothing = np.zeros_like(alpha)
    result = replace_background(fg, nothing, new, alpha, alpha)
    np.testing.assert_array_equal(result, new)


@pytest.mark.parametrize("name", ["new", "depth", "new_depth"])
def test_other_sizes(name, fg, new, alpha):
    images = {"new": new, "depth": alpha, "new_depth": alpha}
    images[name] = images[name][1:]
    with pytest.raises(UserError, match=rf"^`{name}`: received the shape \(59, 80"):
        replace_background(fg, alpha, **images)


@pytest.mark.parametrize(
    ("choice", "colour"),
    [
        ("#00ff7f", (0, 255, 127)),
        ("#0f0", (0, 255, 0)),
        ("Tomato", (255, 99, 71)),
        ("rgb(1, 2, 3)", (1, 2, 3)),
        ("hsl(120, 100%, 50%)", (0, 255, 0)),
        ("#112233ff", (17, 34, 51)),
    ],
)
def test_colours(choice, colour, fg):
    result = new_background(choice, fg)
    assert result.shape == fg.shape and result.dtype == np.uint8
    assert (result == colour).all()


def test_pictures(tmp_path, rng, fg):
    path = tmp_path / "beach"
    picture = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(picture).save(path, "PNG")
    np.testing.assert_array_equal(new_background(str(path), fg), picture)


def wide_gamut():
    """sRGB's profile with the red and the green primary exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return (
        profile.replace(b"rXYZ", b"tXYZ")
        .replace(b"gXYZ", b"rXYZ")
        .replace(b"tXYZ", b"gXYZ")
    )


def test_pictures_and_colours_look_the_same_under_another_profile(tmp_path, fg):
    path = tmp_path / "beach.png"
    picture = np.full((HEIGHT, WIDTH, 3), (200, 30, 90), np.uint8)
    Image.fromarray(picture).save(path, icc_profile=wide_gamut())
    exchanged = np.full_like(picture, (30, 200, 90))
    np.testing.assert_allclose(new_background(str(path), fg), exchanged, atol=2)
    same = new_background(str(path), fg, icc=wide_gamut())
    np.testing.assert_array_equal(same, picture)
    colour = new_background("rgb(200, 30, 90)", fg, icc=wide_gamut())
    np.testing.assert_allclose(colour, exchanged, atol=2)


@pytest.mark.parametrize(
    "choice",
    [
        *("gren", "", "blurr", "no\nsuch thing", "#12", "a/b", "x" * 300),
        *("#11223344", "rgb(300, 0, 0)", "rgb(0%, 150%, 0%)"),
    ],
)
def test_choices_that_are_none(choice, fg):
    with pytest.raises(UserError) as caught:
        new_background(choice, fg)
    line = str(caught.value)
    assert line == printable(line)
    assert line.startswith(f"`replace_bg`: received {printable(choice)!r}; accepted")


def test_pictures_that_are_missing(fg):
    with pytest.raises(UserError, match=r"^`replace_bg`: x.jpg: it cannot be read"):
        new_background("x.jpg", fg)


@pytest.mark.parametrize("shape", [(30, 90), (90, 30), (400, 200), (1, 1), (1, 500)])
def test_covers_from_the_middle(shape):
    # Every pixel says where it is.
    y, x = np.mgrid[:100, :200]
    picture = np.stack([y * 2, x, x * 0], -1).astype(np.uint8)
    result = cover(picture, shape).astype(float)
    assert result.shape == (*shape, 3)
    scale = max(shape[0] / 100, shape[1] / 200)
    for axis, (side, factor) in enumerate(((100, 2), (200, 1))):
        shown = shape[axis] / scale
        first = result[0, 0, axis] / factor
        last = result[-1, -1, axis] / factor
        pixel = max(1, 1 / scale)
        assert abs(first - (side - shown) / 2) <= 1.5 + pixel
        assert abs(last - (side + shown) / 2) <= 1.5 + pixel


def test_blurs_as_a_gaussian_in_linear_light():
    height, width = 300, 400
    image = np.full((height, width, 3), 40, np.uint8)
    image[:, 200:] = 220
    sigma = 0.02 * width
    x = np.arange(width)
    share = ndtr((x - 199.5) / sigma)
    light = (1 - share) * (40 / 255) ** 2.2 + share * (220 / 255) ** 2.2
    expected = 255 * light ** (1 / 2.2)
    result = blurred(image)
    np.testing.assert_allclose(result[150, :, 1], expected, atol=6)
    np.testing.assert_array_equal(new_background("blur", image), result)


def test_the_foreground_does_not_bleed_into_the_blur():
    fg, bg = np.array([250, 10, 240]), np.array([30, 140, 60])
    y, x = np.mgrid[:300, :400]
    radius = np.hypot((x - 200) / 80, (y - 150) / 70)
    alpha = np.select([radius < 0.9, radius < 1], [1, 0.3]).astype(np.float32)
    weight = alpha[..., None]
    image = np.rint(weight * fg + (1 - weight) * bg).astype(np.uint8)
    result = blurred(image, alpha).astype(int)
    np.testing.assert_allclose(result, np.zeros_like(result) + bg, atol=1)
    # Without the mask it does.
    assert np.abs(blurred(image).astype(int) - bg)[150, 115].max() > 20


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (2, 3)])
@pytest.mark.parametrize("value", [0, 1])
def test_blurs_of_any_size(shape, value):
    image = np.full((*shape, 3), 77, np.uint8)
    result = blurred(image, np.full(shape, value, np.float32))
    assert result.shape == image.shape
    np.testing.assert_allclose(result, image, atol=1)
