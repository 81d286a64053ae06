"""Masks brought to the photograph's size, against alpha that is known."""

import cv2
import numpy as np
import pytest

from keras_depthseg.errors import UserError
from keras_depthseg.evaluation import matting
from keras_depthseg.inference.refinement import refine

HEIGHT, WIDTH = 384, 512
CELL = 8


def texture(rng, low, high, sigma=20):
    """(HEIGHT, WIDTH, 3) float32: smooth colours between two levels."""
    noise = rng.normal(size=(HEIGHT, WIDTH, 3)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), sigma)
    return np.asarray(cv2.normalize(noise, None, low, high, cv2.NORM_MINMAX))


def noisy(image, rng):
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def true_alpha():
    """A disk with a hole and thin rods, drawn four times as large."""
    alpha = np.zeros((4 * HEIGHT, 4 * WIDTH), np.uint8)
    cv2.circle(alpha, (1000, 760), 440, 255, -1)
    cv2.circle(alpha, (1000, 760), 150, 0, -1)
    for x in (650, 900, 1300):
        cv2.line(alpha, (x, 700), (x + 90, 150), 255, 20)
    return cv2.resize(alpha, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) / np.float32(
        255
    )


def scene(seed=0, light=None, sigma=20):
    """Return mask, fg_bg, bg and the true alpha; the plate is lit by `light` in fg_bg."""
    rng = np.random.default_rng(seed)
    alpha = true_alpha()
    bg, fg = texture(rng, 60, 140, sigma), texture(rng, 120, 250)
    lit = bg if light is None else bg * light[..., None]
    fg_bg = lit + alpha[..., None] * (fg - lit)
    small = cv2.resize(
        alpha, (WIDTH // CELL, HEIGHT // CELL), interpolation=cv2.INTER_AREA
    )
    return cv2.GaussianBlur(small, (0, 0), 0.7), noisy(fg_bg, rng), noisy(bg, rng), alpha


def enlarged(mask):
    return cv2.resize(mask, (WIDTH, HEIGHT))


def hard_iou(y_true, y_pred):
    true, predicted = y_true >= 0.5, y_pred >= 0.5
    return (true & predicted).sum() / (true | predicted).sum()


@pytest.mark.parametrize("seed", range(3))
def test_plate_cuts_errors_to_a_third(seed):
    mask, fg_bg, bg, alpha = scene(seed)
    refined, plain = refine(mask, fg_bg, bg), enlarged(mask)
    assert refined.dtype == np.float32 and refined.shape == (HEIGHT, WIDTH)
    assert refined.min() >= 0 and refined.max() <= 1
    for measure in (matting.mad, matting.grad):
        assert measure(alpha, refined) < measure(alpha, plain) / 3


def test_edges_follow_the_photograph_without_a_plate():
    mask, fg_bg, _, alpha = scene()
    refined = refine(mask, fg_bg)
    assert matting.grad(alpha, refined) < 0.8 * matting.grad(alpha, enlarged(mask))
    assert hard_iou(alpha, refined) > hard_iou(alpha, enlarged(mask)) + 0.005


def test_plate_tells_more_than_the_photograph_alone():
    mask, fg_bg, bg, alpha = scene()
    without, with_plate = refine(mask, fg_bg), refine(mask, fg_bg, bg)
    assert matting.mad(alpha, with_plate) < 0.5 * matting.mad(alpha, without)


def test_shadow_at_the_edge_stays_background():
    light = np.ones((HEIGHT, WIDTH), np.float32)
    light[:, : WIDTH // 2] = 0.6  # the left half of the disk lies in it
    mask, fg_bg, bg, alpha = scene(light=light)
    refined = refine(mask, fg_bg, bg)
    assert matting.mad(alpha, refined) < matting.mad(alpha, enlarged(mask)) / 2
    beside = (alpha == 0) & (light < 1) & (enlarged(mask) > 0.05)
    assert beside.sum() > 1000
    assert (refined[beside] >= 0.5).mean() < 0.02


@pytest.mark.parametrize("shift", [1, 2])
def test_fine_plate_that_is_off_does_no_harm(shift):
    mask, fg_bg, bg, alpha = scene(sigma=1.5)
    refined = refine(mask, fg_bg, np.roll(bg, shift, 1))
    assert hard_iou(alpha, refined) > hard_iou(alpha, enlarged(mask))
    assert matting.mad(alpha, refined) < matting.mad(alpha, enlarged(mask))


def test_no_hole_where_the_foreground_looks_like_the_plate():
    mask, fg_bg, bg, alpha = scene()
    hidden = np.s_[150:220, 150:210]  # at the disk's left edge
    fg_bg[hidden] = bg[hidden]
    inside = np.zeros(alpha.shape, bool)
    inside[hidden] = True
    # The outermost pixel of the mask may lie beside the foreground.
    inside &= enlarged(cv2.erode(mask, np.ones((3, 3)))) >= 0.95
    assert inside.sum() > 100
    assert (refine(mask, fg_bg, bg)[inside] < 0.5).mean() < 0.01


def test_doubtful_blob_does_not_become_certain():
    _, fg_bg, bg, _ = scene()
    blob = np.zeros((HEIGHT // CELL, WIDTH // CELL), np.float32)
    blob[20:28, 18:26] = 0.4
    refined = refine(blob, fg_bg, bg)
    assert refined.max() < 0.5


@pytest.mark.parametrize("with_plate", [False, True])
@pytest.mark.parametrize("value", [0, 1])
def test_sure_mask_stays_as_it_is(value, with_plate):
    _, fg_bg, bg, _ = scene()
    mask = np.full((48, 64), value, np.float32)
    refined = refine(mask, fg_bg, bg if with_plate else None)
    np.testing.assert_array_equal(refined, np.full((HEIGHT, WIDTH), value))


def test_nothing_changes_far_from_an_edge():
    mask, fg_bg, bg, _ = scene()
    near = cv2.dilate(mask, np.ones((9, 9))) - cv2.erode(mask, np.ones((9, 9))) > 0
    far = ~cv2.resize(near.astype(np.uint8), (WIDTH, HEIGHT)).astype(bool)
    assert far.mean() > 0.3
    refined = refine(mask, fg_bg, bg)
    np.testing.assert_array_equal(refined[far], enlarged(mask)[far])


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3, 2), (130, 257), (700, 40)])
@pytest.mark.parametrize("with_plate", [False, True])
def test_any_size(size, with_plate):
    rng = np.random.default_rng(0)
    bg, fg_bg = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    mask = rng.random((32, 64), dtype=np.float32)
    refined = refine(mask, fg_bg, bg if with_plate else None)
    assert refined.shape == size and np.isfinite(refined).all()
    assert refined.min() >= 0 and refined.max() <= 1


def test_tiles_leave_no_seams(monkeypatch):
    from keras_depthseg.inference import tiles

    mask, fg_bg, bg, _ = scene()
    small_tiles = refine(mask, fg_bg, bg)
    monkeypatch.setattr(tiles, "_SIDE", 10_000)
    np.testing.assert_allclose(small_tiles, refine(mask, fg_bg, bg), atol=0.02)


def test_plate_of_another_size_is_refused():
    mask, fg_bg, bg, _ = scene()
    with pytest.raises(UserError, match=r"`bg`: received the shape .* Resize"):
        refine(mask, fg_bg, bg[:100])
