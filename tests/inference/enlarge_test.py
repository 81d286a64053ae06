"""A depth map is enlarged with the edge of the mask, not across it."""

import numpy as np

from keras_depthseg.inference.enlarge import enlarge_depth


def test_two_planes_keep_their_depths():
    mask = np.zeros((16, 16), np.float32)
    mask[:, 8:] = 1
    depth = np.where(mask > 0, 0.2, 0.9).astype(np.float32)
    # The network blurs the edge.
    depth[:, 7:9] = 0.55
    mask[:, 7], mask[:, 8] = 0.4, 0.6
    alpha = np.zeros((160, 160), np.float32)
    alpha[:, 83:] = 1
    large = enlarge_depth(depth, mask, alpha)
    assert large.shape == (160, 160) and large.dtype == np.float32
    np.testing.assert_allclose(large[:, :60], 0.9, atol=1e-6)
    np.testing.assert_allclose(large[:, 100:], 0.2, atol=1e-6)


def test_ramp_is_enlarged_as_bilinear():
    depth = np.tile(np.linspace(0, 1, 16, dtype=np.float32), (16, 1))
    empty = np.zeros((16, 16), np.float32)
    large = enlarge_depth(depth, empty, np.zeros((160, 160), np.float32))
    expected = np.interp((np.arange(160) + 0.5) / 10 - 0.5, np.arange(16), depth[0])
    np.testing.assert_allclose(large, np.tile(expected, (160, 1)), atol=1e-5)


def test_blurred_edge_becomes_the_mask_edge():
    mask = np.zeros((16, 16), np.float32)
    mask[:, 8:] = 1
    depth = np.where(mask > 0, 0.2, 0.9).astype(np.float32)
    alpha = np.zeros((160, 160), np.float32)
    alpha[:, 80:] = 1
    large = enlarge_depth(depth, mask, alpha)
    np.testing.assert_allclose(large[:, 79], 0.9, atol=1e-6)
    np.testing.assert_allclose(large[:, 80], 0.2, atol=1e-6)
