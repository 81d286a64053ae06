"""Masks that flicker become calm, those that move or are sure stay."""

import numpy as np
import pytest

from keras_depthseg.inference.smoothing import TemporalSmoothing

SHAPE = (40, 60)


def image(seed=0, level=120):
    rng = np.random.default_rng(seed)
    return np.clip(level + rng.normal(0, 2, (*SHAPE, 3)), 0, 255).astype(np.uint8)


def mask(value):
    return np.full(SHAPE, value, np.float32)


def test_first_mask_is_kept():
    first = np.random.default_rng(0).random(SHAPE, np.float32)
    np.testing.assert_array_equal(TemporalSmoothing()(first, image()), first)


@pytest.mark.parametrize(("strength", "expected"), [(0.0, 0.5), (0.5, 0.35), (0.9, 0.23)])
def test_unsure_pixels_of_a_still_image_are_mixed_by_the_strength(strength, expected):
    smooth = TemporalSmoothing(strength)
    smooth(mask(0.2), image())
    result = smooth(mask(0.5), image())
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert result.dtype == np.float32


@pytest.mark.parametrize("value", [0.1, 0.3, 0.8])
def test_the_share_is_the_entropy_of_the_new_mask(value):
    smooth = TemporalSmoothing(1.0)
    smooth(mask(0.5), image())
    share = (smooth(mask(value), image()) - value) / (0.5 - value)
    entropy = -value * np.log2(value) - (1 - value) * np.log2(1 - value)
    # The polynomial is an approximation of it.
    np.testing.assert_allclose(share, entropy, atol=0.25)
    assert share.mean() > 0.1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_sure_pixels_stay(value):
    smooth = TemporalSmoothing()
    smooth(mask(0.5), image())
    np.testing.assert_allclose(smooth(mask(value), image()), value, atol=1e-4)


def test_masks_calm_down_in_spite_of_the_noise_of_the_sensor():
    rng = np.random.default_rng(1)
    masks = np.clip(0.5 + rng.normal(0, 0.1, (30, *SHAPE)), 0, 1).astype(np.float32)
    smooth = TemporalSmoothing()
    result = np.stack([smooth(each, image(seed)) for seed, each in enumerate(masks)])
    before, after = (np.abs(np.diff(video, axis=0)).mean() for video in (masks, result))
    assert after < 0.6 * before


def test_what_moves_does_not_lag():
    smooth = TemporalSmoothing()
    before, after = image(0), image(1)
    after[:, 30:] += 80  # Something has come in at the right.
    smooth(mask(0.1), before)
    result = smooth(mask(0.6), after)
    np.testing.assert_allclose(result[:, 32:], 0.6, atol=1e-3)
    assert result[:, :28].mean() < 0.45


def test_goes_on_from_its_state():
    rng = np.random.default_rng(2)
    masks = rng.random((4, *SHAPE), np.float32)
    whole, first, second = (TemporalSmoothing() for _ in range(3))
    expected = [whole(each, image(seed)) for seed, each in enumerate(masks)][-1]
    for seed in range(2):
        first(masks[seed], image(seed))
    second.restore(first.state)
    for seed in range(2, 4):
        result = second(masks[seed], image(seed))
    np.testing.assert_array_equal(result, expected)


def test_an_empty_state_begins_anew():
    smooth = TemporalSmoothing()
    assert smooth.state == {}
    smooth(mask(0.2), image())
    smooth.restore({})
    np.testing.assert_array_equal(smooth(mask(0.5), image()), 0.5)


def test_another_size_begins_anew():
    smooth = TemporalSmoothing()
    smooth(mask(0.2), image())
    half = smooth(mask(0.5)[:20], image()[:20])
    np.testing.assert_array_equal(half, 0.5)
