"""Things at two distances, seen from two places."""

import tracemalloc

import cv2
import numpy as np
import pytest

from keras_depthseg.inference.alignment import Alignment, align
from tests.inference.alignment_test import movement_of, photographed, scene

SIDE = 224
NEAR = 3.0


def pair(near=NEAR, seed=0, side=SIDE):
    """A plate, a photograph of it from elsewhere, its mask, and where it is near.

    The lower half lies nearer: in the plate it lies `near` pixels farther right.
    """
    bg, fg_bg, mask = photographed(scene(seed, side, side), np.eye(3), seed)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    # A floor: it comes nearer over some rows, nothing hides anything.
    nearness = np.clip((y / side - 0.4) / 0.2, 0, 1)
    moved = cv2.remap(
        bg, x + near * nearness, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    moved[mask > 0] = fg_bg[mask > 0]
    return bg, moved, mask, nearness


def difference(plate, photograph, mask):
    inside = cv2.dilate(mask, np.ones((9, 9))) == 0
    inside[:, :8] = inside[:, -8:] = False
    return np.abs(plate.astype(float) - photograph)[inside].mean()


def test_the_near_half_fits_too():
    bg, fg_bg, mask, nearness = pair()
    with_mask, without = align(bg, fg_bg, mask), align(bg, fg_bg)
    assert without.flow is None
    fitted = with_mask.apply(bg, fg_bg)
    assert difference(fitted, fg_bg, mask) < 0.5 * difference(
        without.apply(bg, fg_bg), fg_bg, mask
    )
    # Where each pixel lies in the plate, whatever part of it the movement explains.
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    places = np.stack([x, y], -1) + with_mask.flow
    places = cv2.perspectiveTransform(places.reshape(1, -1, 2), with_mask.movement)
    error = places.reshape(SIDE, SIDE, 2) - np.stack([x + NEAR * nearness, y], -1)
    error = np.linalg.norm(error, axis=-1)[10:-10, 10:-10]
    seen = mask[10:-10, 10:-10] == 0
    assert np.median(error[seen]) < 0.3
    # Filled from around where the foreground hides it.
    assert np.median(error[~seen]) < 0.8


def test_in_words():
    bg, fg_bg, mask, _ = pair()
    assert "parallax up to " in str(align(bg, fg_bg, mask))


@pytest.mark.parametrize("movement", [{}, {"shift": (3.0, 2.0)}, {"turn": 2.0}])
def test_no_parallax(movement):
    bg, fg_bg, mask = photographed(scene(), movement_of(**movement))
    assert align(bg, fg_bg, mask).flow is None


def test_the_foreground_does_not_flow_onto_the_plate():
    bg, fg_bg, mask, _ = pair()
    fitted = align(bg, fg_bg, mask).apply(bg, fg_bg)
    there = cv2.erode(mask, np.ones((9, 9))) > 0
    before = np.abs(bg.astype(float) - fg_bg)[there].mean()
    assert np.abs(fitted.astype(float) - fg_bg)[there].mean() > 0.9 * before


@pytest.mark.parametrize("seed", range(1, 4))
def test_another_scene_does_not_flow_into_this_one(seed):
    _, _, mask, _ = pair()
    found = align(scene(0), scene(seed), mask)
    fitted = found.apply(scene(0), scene(seed))
    inside = mask == 0
    before, after = (
        np.abs(plate.astype(float) - scene(seed))[inside].mean()
        for plate in (scene(0), fitted)
    )
    assert after > 0.7 * before


def test_a_flow_found_in_a_reduced_photograph_fits_the_whole():
    bg, fg_bg, mask, _ = pair(9.0, side=768)
    found = align(bg, fg_bg, mask)
    assert found.flow is not None
    assert found.flow.shape == (512, 512, 2)
    fitted = found.apply(bg, fg_bg)
    assert difference(fitted, fg_bg, mask) < 0.5 * difference(bg, fg_bg, mask)


def test_a_flow_is_added_before_the_movement():
    bg = scene(0, 96, 120)
    flow = np.full((48, 60, 2), (2.0, -1.0), np.float32)
    movement = movement_of((5, 3), size=100)
    ones = np.ones(3, np.float32)
    both = Alignment(movement, ones, (1, 0), (120, 96), flow).apply(bg, bg)
    # A pixel of the reduced photograph is two of the whole one.
    expected = bg[1:-1, 9:][:60, :100]
    np.testing.assert_allclose(both[:60, :100].astype(int), expected, atol=1)


def test_memory_of_large_photographs():
    bg = scene(0, 1500, 2000)
    flow = np.full((384, 512, 2), 1.5, np.float32)
    ones = np.ones(3, np.float32)
    alignment = Alignment(movement_of((20, 9)), ones, (1, 0), (2000, 1500), flow)
    tracemalloc.start()
    alignment.apply(bg, bg)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < bg.nbytes + 30e6
