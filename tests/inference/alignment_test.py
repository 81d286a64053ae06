"""Movements and exposures that are known, found again."""

import cv2
import numpy as np
import pytest

from keras_depthseg.errors import UserError
from keras_depthseg.inference.alignment import align

SIDE = 224


def scene(seed=0, height=SIDE, width=SIDE):
    """(height, width, 3) uint8: noise of several sizes, sharp shapes over it."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 110, np.float32)
    for sigma, strength in ((1.5, 60), (6, 250), (20, 700)):
        noise = rng.normal(size=(height, width, 3)).astype(np.float32)
        image += strength * cv2.GaussianBlur(noise, (0, 0), sigma)
    for _ in range(25):
        x, y = rng.integers(0, (width, height))
        colour = rng.uniform(20, 200, 3)
        cv2.rectangle(image, (int(x), int(y)), (int(x) + 30, int(y) + 20), colour, -1)
    return np.clip(image, 12, 215).astype(np.uint8)


def photographed(bg, movement, seed=1):
    """A plate and a photograph of one scene with a foreground, and its mask.

    `movement` leads from a pixel of the photograph to that of the plate.
    """
    height, width = bg.shape[:2]
    moved = cv2.warpPerspective(
        bg,
        movement,
        (width, height),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    mask = np.zeros((height, width), np.float32)
    centre, axes = (width // 3, height // 2), (width // 6, height // 3)
    cv2.ellipse(mask, centre, axes, 0, 0, 360, 1, -1)
    moved[mask > 0] = scene(seed + 50, height, width)[mask > 0]
    rng = np.random.default_rng(seed)
    noisy = [
        np.clip(image + rng.normal(0, 3, image.shape), 0, 255).astype(np.uint8)
        for image in (bg, moved)
    ]
    return *noisy, mask


def movement_of(shift=(0, 0), turn=0.0, zoom=1.0, tilt=0.0, size=SIDE):
    """A homography about the middle of the image."""
    middle = (size - 1) / 2
    cosine, sine = np.cos(np.deg2rad(turn)) * zoom, np.sin(np.deg2rad(turn)) * zoom
    inner = np.array([[cosine, -sine, 0], [sine, cosine, 0], [tilt / size, 0, 1]])
    inner[:2, 2] = shift
    to_middle = np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, 1]])
    return np.linalg.inv(to_middle) @ inner @ to_middle


def farthest(found, expected, size=SIDE):
    """The largest distance of a point moved by both, in pixels."""
    grid = np.linspace(0.1, 0.9, 5) * size
    points = np.array([[(x, y)] for x in grid for y in grid], np.float32)
    both = (cv2.perspectiveTransform(points, matrix) for matrix in (found, expected))
    return np.linalg.norm(np.subtract(*both), axis=-1).max()


@pytest.mark.parametrize(
    "movement",
    [
        {"shift": (0.6, -0.4)},
        {"shift": (-3.0, 2.5)},
        {"shift": (9.0, 6.0)},
        {"shift": (25.0, -12.0)},
        {"turn": 2.0},
        {"turn": -6.0, "shift": (4.0, 0.0)},
        {"zoom": 1.03},
        {"shift": (2.0, 1.0), "turn": 1.0, "zoom": 0.97, "tilt": 0.03},
    ],
)
def test_movements(movement):
    expected = movement_of(**movement)
    bg, fg_bg, mask = photographed(scene(), expected)
    assert farthest(align(bg, fg_bg).movement, expected) < 0.3
    assert farthest(align(bg, fg_bg, mask).movement, expected) < 0.3


def test_large_photographs():
    expected = movement_of((14, -9), 1.0, size=1200)
    bg, fg_bg, _ = photographed(scene(0, 1200, 1200), expected)
    assert farthest(align(bg, fg_bg).movement, expected, 1200) < 0.5


@pytest.mark.parametrize("gain", [(1.3, 1.3, 1.3), (0.7, 0.75, 0.8), (1.1, 1.0, 0.9)])
def test_exposure_and_colours_although_most_is_foreground(gain):
    bg, fg_bg, _ = photographed(scene(), np.eye(3))
    fg_bg[:, : SIDE * 11 // 20] = scene(7)[:, : SIDE * 11 // 20]
    fg_bg = np.clip(fg_bg * np.array(gain), 0, 255).astype(np.uint8)
    found = align(bg, fg_bg)
    np.testing.assert_allclose(found.gain, gain, rtol=0.015)
    np.testing.assert_array_equal(found.movement, np.eye(3))


def test_the_aligned_plate_is_the_photograph_without_its_foreground():
    movement = movement_of((3.3, -2.2), 1.0)
    bg, fg_bg, mask = photographed(scene(), movement)
    fg_bg = np.clip(fg_bg * 1.2, 0, 255).astype(np.uint8)
    fitted = align(bg, fg_bg).apply(bg, fg_bg)
    inside = np.zeros(mask.shape, bool)
    inside[12:-12, 12:-12] = True
    inside &= cv2.dilate(mask, np.ones((5, 5))) == 0

    def difference(plate):
        return np.abs(plate.astype(float) - fg_bg)[inside].mean()

    assert difference(fitted) < 6 < 20 < difference(bg)


def test_what_the_plate_does_not_show_is_taken_from_the_photograph():
    wide = scene(0, SIDE, SIDE + 20)
    bg, fg_bg = wide[:, :SIDE].copy(), wide[:, 20:].copy()
    found = align(bg, fg_bg)
    np.testing.assert_allclose(found.movement, movement_of((20, 0)), atol=0.1)
    np.testing.assert_array_equal(found.apply(bg, fg_bg)[:, -19:], fg_bg[:, -19:])


def test_but_not_where_the_foreground_leaves_the_picture():
    wide = scene(0, SIDE, SIDE + 20)
    bg, fg_bg = wide[:, :SIDE].copy(), wide[:, 20:].copy()
    # As dark as nothing in the scene, across the right border.
    fg_bg[60:160, 150:] = 0
    fitted = align(bg, fg_bg).apply(bg, fg_bg)
    assert (fitted[70:150, -19:] > 8).all()
    np.testing.assert_array_equal(fitted[:50, -19:], fg_bg[:50, -19:])


def test_no_size_is_refused():
    rng = np.random.default_rng(0)
    for height, width in (
        (1, 1),
        (1, 9),
        (9, 1),
        (2, 700),
        (700, 2),
        (17, 33),
        (3, 40000),
    ):
        bg, fg_bg = rng.integers(0, 256, (2, height, width, 3), np.uint8)
        mask = rng.random((height, width), np.float32)
        for found in (align(bg, fg_bg), align(bg, fg_bg, mask), align(bg, bg, mask * 0)):
            assert found.apply(bg, fg_bg).shape == bg.shape
            str(found)


def test_saturated_plates():
    bg = np.full((64, 64, 3), 255, np.uint8)
    bg[:, :40] = scene()[:64, :40]
    fg_bg = (bg * 0.7).astype(np.uint8)
    fg_bg[20:30, 50:60] = (210, 230, 240)
    fg_bg[40:50, 50:60] = 40
    fitted = align(bg, fg_bg).apply(bg, fg_bg)
    # What was saturated may have been that bright, but not that dark.
    np.testing.assert_array_equal(fitted[20:30, 50:60], fg_bg[20:30, 50:60])
    assert (fitted[40:50, 50:60] > 170).all()


@pytest.mark.parametrize("seed", range(4))
def test_noise_alone_moves_nothing(seed):
    bg, fg_bg, _ = photographed(scene(seed), np.eye(3), seed)
    np.testing.assert_array_equal(align(bg, fg_bg).movement, np.eye(3))


def flat(value):
    return np.full((SIDE, SIDE, 3), value, np.uint8)


@pytest.mark.parametrize(
    "bg, fg_bg",
    [
        (flat(90), flat(90)),
        (flat(0), flat(255)),
        (scene(), flat(128)),
        (flat(128), scene()),
        (scene()[:1, :1], scene()[:1, :1]),
        (scene()[:9, :200], scene()[:9, :200]),
        (scene()[:32, :32], flat(90)[:32, :32]),
    ],
)
def test_nothing_to_find(bg, fg_bg):
    found = align(bg, fg_bg)
    np.testing.assert_array_equal(found.movement, np.eye(3))
    assert np.isfinite(found.gain).all()
    assert found.apply(bg, fg_bg).shape == fg_bg.shape


@pytest.mark.parametrize("seed", range(1, 5))
def test_another_scene_is_not_bent_into_this_one(seed):
    found = align(scene(0), scene(seed))
    assert found.residual[1] > 0.5 * found.residual[0]


def test_a_mask_that_covers_everything():
    bg, fg_bg, _ = photographed(scene(), np.eye(3))
    align(bg, fg_bg, np.ones((SIDE, SIDE), np.float32))


def test_unequal_sizes():
    with pytest.raises(UserError, match=r"`bg`.*\(30, 40, 3\).*\(40, 30, 3\)"):
        align(scene()[:30, :40], scene()[:40, :30])


def test_in_words():
    bg, fg_bg, _ = photographed(scene(), movement_of((3, 0), 1.0))
    fg_bg = np.clip(fg_bg * 1.25, 0, 255).astype(np.uint8)
    assert str(align(bg, fg_bg)) == "plate moved 3.0 px, turned 1.0 degrees, 20 % darker"
    assert str(align(bg, bg)) == "plate in place"
