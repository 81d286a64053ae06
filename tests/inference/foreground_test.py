"""Colours of a foreground, against those it was composed from."""

import cv2
import numpy as np
import pytest

from keras_depthseg.inference.foreground import foreground_colours

HEIGHT, WIDTH = 240, 320


def scene(seed=0):
    """Return fg_bg, alpha, bg and the foreground's true colours: a soft disk."""
    rng = np.random.default_rng(seed)
    smooth = [
        cv2.resize(rng.uniform(20, 235, (5, 6, 3)), (WIDTH, HEIGHT)) for _ in range(2)
    ]
    alpha = np.zeros((HEIGHT, WIDTH), np.float32)
    cv2.circle(alpha, (150, 120), 80, 1, -1)
    alpha = cv2.blur(alpha, (9, 9))
    bg, fg = smooth
    bg = np.clip(bg + rng.normal(0, 25, bg.shape), 0, 255)  # no average shows this
    fg_bg = bg + alpha[..., None] * (fg - bg)
    fg_bg, bg = (
        np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
        for image in (fg_bg, bg)
    )
    return fg_bg, alpha, bg, fg


def error(colours, fg, where):
    return np.abs(colours[where].astype(float) - fg[where]).mean()


@pytest.mark.parametrize("seed", range(3))
def test_plate_no_longer_shines_through(seed):
    fg_bg, alpha, bg, fg = scene(seed)
    edge = (alpha > 0.05) & (alpha < 0.95)
    colours = foreground_colours(fg_bg, alpha, bg)
    assert colours.dtype == np.uint8 and colours.shape == fg_bg.shape
    taken = error(fg_bg, fg, edge)
    assert error(colours, fg, edge) < taken / 4
    without = error(foreground_colours(fg_bg, alpha), fg, edge)
    assert error(colours, fg, edge) < without < taken


def test_opaque_pixels_keep_their_colours():
    fg_bg, alpha, bg, _ = scene()
    colours = foreground_colours(fg_bg, alpha, bg)
    np.testing.assert_array_equal(colours[alpha == 1], fg_bg[alpha == 1])


def test_colours_go_on_beyond_the_edge():
    # So that a cutout which is resized does not mix the plate into its edges.
    fg_bg, alpha, bg, fg = scene()
    ring = (alpha == 0) & (cv2.dilate(alpha, np.ones((3, 3))) > 0)
    colours = foreground_colours(fg_bg, alpha, bg)
    assert error(colours, fg, ring) < error(fg_bg, fg, ring) / 2


def test_new_background_has_no_halo():
    fg_bg, alpha, bg, fg = scene()
    new, a = 255 - bg.astype(float), alpha[..., None]
    colours = foreground_colours(fg_bg, alpha, bg)
    true = new + a * (fg - new)
    halo = np.abs(new + a * (fg_bg - new) - true).max()
    assert np.abs(new + a * (colours - new) - true).max() < halo / 3


@pytest.mark.parametrize("with_plate", [False, True])
def test_nothing_in_front_gives_the_photograph(with_plate):
    fg_bg, alpha, bg, _ = scene()
    colours = foreground_colours(fg_bg, 0 * alpha, bg if with_plate else None)
    np.testing.assert_array_equal(colours, fg_bg)
    assert colours is not fg_bg


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (3, 2), (130, 257)])
@pytest.mark.parametrize("with_plate", [False, True])
def test_any_size(size, with_plate):
    rng = np.random.default_rng(0)
    bg, fg_bg = rng.integers(0, 256, (2, *size, 3), dtype=np.uint8)
    alpha = rng.random(size, dtype=np.float32)
    colours = foreground_colours(fg_bg, alpha, bg if with_plate else None)
    assert colours.shape == fg_bg.shape and colours.dtype == np.uint8
