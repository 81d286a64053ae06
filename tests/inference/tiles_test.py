"""Tiles of an image, and maps enlarged in them, against the whole."""

import cv2
import numpy as np
import pytest

from keras_depthseg.inference.tiles import Enlarged, tiles


@pytest.mark.parametrize("size", [(1, 1), (128, 128), (129, 300)])
def test_tiles_cover_each_pixel_once(size):
    image = np.random.default_rng(0).random(size)
    count, copy = np.zeros(size, int), np.zeros(size)
    for tile, wide, inside in tiles(*size, margin=5):
        count[tile] += 1
        copy[tile] = image[wide][inside]
    np.testing.assert_array_equal(count, 1)
    np.testing.assert_array_equal(copy, image)


def test_tiles_are_wider_by_the_margin():
    rows = [wide[0] for _, wide, _ in tiles(300, 10, margin=5)]
    assert rows == [slice(0, 133), slice(123, 261), slice(251, 300)]


@pytest.mark.parametrize("size", [(1, 1), (60, 90), (97, 31), (5, 400)])
@pytest.mark.parametrize("channels", [(), (4,)])
def test_parts_of_an_enlarged_map_are_those_of_the_whole(size, channels):
    small = np.random.default_rng(0).random((12, 9, *channels), dtype=np.float32)
    whole = cv2.resize(small, size[::-1], interpolation=cv2.INTER_LINEAR)
    enlarged = Enlarged(small, *size)
    for part in (np.s_[:, :], np.s_[size[0] // 3 :, size[1] // 2 :]):
        np.testing.assert_allclose(enlarged[part], whole[part], atol=1e-5)
