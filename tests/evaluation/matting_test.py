"""The measures of matting papers against published values and by hand."""

import numpy as np
import pytest

from keras_depthseg.evaluation import matting


def _corner():
    """A map whose lower right quarter is 1, as in the tests of MMEditing, and where it
    is compared with a map of 1: in the upper left quarter."""
    image = np.zeros((32, 32), np.float32)
    image[16:, 16:] = 1
    known = np.zeros(image.shape, bool)
    known[:16, :16] = True
    return image, known


def test_gradient_has_the_published_value():
    image, known = _corner()
    gradient = matting.gradient(image)[known]
    assert np.sum(gradient**2) / 1e3 == pytest.approx(0.0028887, abs=5e-8)


def test_conn_has_the_published_value():
    image, known = _corner()
    assert matting.conn(np.ones_like(image), image, known) == pytest.approx(0.256)


def test_mad_and_mse_are_in_thousandths():
    true, predicted = np.zeros((4, 5)), np.full((4, 5), 0.5)
    assert matting.mad(true, predicted) == pytest.approx(500)
    assert matting.mse(true, predicted) == pytest.approx(250)


def test_conn_by_hand():
    # Of the predicted pieces only the larger one, of 3 pixels, is the source.
    true = np.ones((1, 6))
    predicted = np.array([[1, 1, 1, 0, 1, 0.6]])
    # Level 0 for the last three: 1 - 0, 1 - 1, 1 - 0.6.
    assert matting.conn(true, predicted) == pytest.approx((1 + 0 + 0.4) / 1e3)


def test_a_difference_below_theta_does_not_count_in_conn():
    true = np.full((3, 3), 0.64)
    assert matting.conn(true, true - 0.03) == 0
    assert matting.conn(true, true + 0.11) == pytest.approx(9 * 0.15 / 1e3)


def test_a_nearly_empty_prediction_is_not_stretched():
    noise = np.random.default_rng(0).random((32, 32)) * 1e-3
    assert matting.grad(np.zeros((32, 32)), noise) < 1e-5


@pytest.mark.parametrize("measure", ["mad", "mse", "grad", "conn"])
def test_unknown_pixels_do_not_count(measure):
    rng = np.random.default_rng(1)
    true, predicted = rng.random((2, 24, 30)).astype(np.float32)
    known = np.ones(true.shape, bool)
    known[5:15, 8:20] = False
    other = np.where(known, true, rng.random(true.shape))
    function = getattr(matting, measure)
    assert function(true, predicted, known) == function(other, predicted, known)
    perfect = np.where(known, true, 0)
    assert function(perfect, true, known) == pytest.approx(0, abs=1e-12)
