"""Plates of rendered rooms: their own, those of other rooms, and difficult ones."""

import functools

import cv2
import numpy as np
import pytest
from scipy import stats

from keras_depthseg.augment.capture import Capture
from keras_depthseg.datasets.rooms.cutouts import make_cutout
from keras_depthseg.datasets.rooms.render import make_composite
from keras_depthseg.datasets.rooms.scene import make_room
from keras_depthseg.inference.confidence import LOW, plate_confidence

SIDE, ROOMS = 128, 12


@functools.cache
def composite(index):
    """A plate, a photograph with something in front of it, and the true mask."""
    room, cutout = make_room(3, index, SIDE), make_cutout(3, index, SIDE)
    sample = make_composite(room, cutout, 3, index)
    return sample.bg, sample.fg_bg, (sample.mask / 255).astype(np.float32)


def captured(bg, fg_bg, mask, seed, **strengths):
    images = np.stack([bg, fg_bg])[:, None].copy()
    labels = np.stack([mask, mask])[:, None, ..., None].copy()
    boxes = np.zeros((1, 4), np.float32)
    Capture.fixed(strengths)(images, labels, boxes, np.random.default_rng(seed))
    return *images[:, 0], labels[0, 0, ..., 0]


def confidences(change):
    """Confidence in what `change` makes of the plate of each room."""
    found = []
    for index in range(ROOMS):
        bg, fg_bg, mask = composite(index)
        plate = np.ascontiguousarray(change(bg, index))
        bg, fg_bg, mask = captured(plate, fg_bg, mask, index, shift=0.7, noise=6, jpeg=50)
        found.append(plate_confidence(bg, fg_bg, mask))
    return np.array(found)


def test_right_plates_have_more_confidence_than_wrong_ones():
    right = confidences(lambda bg, _: bg)
    wrong = np.concatenate(
        [
            confidences(lambda _, index: composite((index + 1) % ROOMS)[0]),
            confidences(lambda bg, _: bg[:, ::-1]),
            confidences(lambda bg, _: bg[::-1, ::-1]),
        ]
    )
    larger = stats.mannwhitneyu(right, wrong).statistic
    assert larger / (len(right) * len(wrong)) > 0.99
    assert right.min() > 0.9
    assert np.median(wrong) < 0.05
    assert (wrong < LOW).mean() > 0.9


def test_a_mask_nearly_everywhere_counts_against_the_plate():
    bg, fg_bg, mask = composite(0)
    everywhere = np.ones_like(mask)
    everywhere[:12, :12] = 0
    assert plate_confidence(bg, fg_bg, everywhere) < LOW
    assert plate_confidence(bg, fg_bg, np.ones_like(mask)) < LOW


def test_a_photograph_mostly_covered():
    bg, fg_bg, _ = composite(1)
    mask = np.zeros((SIDE, SIDE), np.float32)
    mask[SIDE // 8 :, SIDE // 8 : SIDE * 15 // 16] = 1
    covered = np.where(mask[..., None] > 0, composite(2)[0], bg)
    assert mask.mean() > 0.7
    assert plate_confidence(bg, covered, mask) > 0.7
    assert plate_confidence(composite(3)[0], covered, mask) < LOW


@pytest.mark.parametrize("strengths", [{"exposure": 30}, {"cast_shadow": 70}])
def test_light(strengths):
    bg, fg_bg, mask = captured(*composite(4), 4, **strengths)
    assert plate_confidence(bg, fg_bg, mask) > 0.9


def test_dark_pictures():
    rng = np.random.default_rng(0)
    bg, fg_bg, wrong = (
        np.clip(image * 0.12 + rng.normal(0, 1.5, image.shape), 0, 255).astype(np.uint8)
        for image in (*composite(5)[:2], composite(6)[0])
    )
    assert plate_confidence(bg, fg_bg, composite(5)[2]) > 0.9
    assert plate_confidence(wrong, fg_bg, composite(5)[2]) < LOW


def test_a_plain_wall_belongs_to_a_plain_wall_and_not_to_a_room():
    rng = np.random.default_rng(1)
    ramp = np.linspace(120, 180, SIDE)[:, None, None]
    walls = [
        np.clip(ramp + rng.normal(0, 4, (SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        for _ in range(2)
    ]
    _, fg_bg, mask = composite(7)
    photograph = np.where(mask[..., None] > 0.5, fg_bg, walls[1])
    assert plate_confidence(walls[0], photograph, mask) > 0.9
    assert plate_confidence(walls[0], fg_bg, mask) < LOW


def test_sizes_do_not_matter():
    bg, fg_bg, mask = composite(8)
    wrong = bg[:, ::-1].copy()
    for plate in (bg, wrong):
        expected = plate_confidence(plate, fg_bg, mask)
        large, photograph = (cv2.resize(image, (500, 375)) for image in (plate, fg_bg))
        found = plate_confidence(large, photograph, cv2.resize(mask, (96, 64)))
        assert found == pytest.approx(expected, abs=0.05)


def test_it_is_a_number_from_0_to_1_whatever_the_pictures():
    rng = np.random.default_rng(2)
    black = np.zeros((40, 30, 3), np.uint8)
    noise = rng.integers(0, 256, (40, 30, 3), dtype=np.uint8)
    for bg, fg_bg in ((black, black), (black, noise), (noise, 255 - noise)):
        for mask in (np.zeros((8, 8), np.float32), np.ones((8, 8), np.float32)):
            found = plate_confidence(bg, fg_bg, mask)
            assert isinstance(found, float)
            assert 0 <= found <= 1
