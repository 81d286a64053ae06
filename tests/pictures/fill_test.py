"""Unknown pixels get the value of the nearest known one."""

import numpy as np
from scipy import ndimage

from keras_depthseg.pictures.fill import fill_unknown


def test_nearest():
    rng = np.random.default_rng(0)
    values = rng.random((40, 30), np.float32)
    known = rng.random((40, 30)) < 0.02
    filled = fill_unknown(values, known)
    # Values differ, so each says where it comes from.
    where = {value: place for place, value in np.ndenumerate(values) if known[place]}
    nearest = ndimage.distance_transform_edt(~known)
    for place, value in np.ndenumerate(filled):
        distance = np.hypot(*np.subtract(place, where[value]))
        # OpenCV's distances are exact to about 2 %.
        assert distance <= 1.05 * nearest[place]


def test_all_or_nothing_known():
    values = np.ones((4, 5), np.float32)
    assert fill_unknown(values, np.ones((4, 5), bool)) is values
    assert not fill_unknown(values, np.zeros((4, 5), bool)).any()
