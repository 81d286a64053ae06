"""Doubts about masks, on pictures made here."""

import numpy as np
from absl.testing import parameterized

from keras_depthseg.datasets.original_layout.doubts import doubt_of_mask, thumbnail
from tests.support.tiny_data import SIDE, colour, mask

SIZE = (SIDE, SIDE)


class DoubtsTest(parameterized.TestCase):
    def _doubt(self, change, opaque):
        """That of a foreground on a plate, both of one colour with some noise."""
        plate = 100 + colour(0, SIZE) // 16
        picture = np.where(mask(SIZE)[..., None] > 0, plate + 60, plate)
        picture = np.clip(change(picture.astype(int)), 0, 255).astype(np.uint8)
        return doubt_of_mask(thumbnail(plate), thumbnail(picture), opaque)

    @parameterized.named_parameters(
        ("as_it_is", lambda x: x),
        ("darker", lambda x: x - 50),
        ("brighter", lambda x: x * 1.2),
        ("moved", lambda x: np.roll(x, 2, axis=1)),
        ("shadow", lambda x: np.where(np.arange(SIDE)[:, None, None] > 50, x - 40, x)),
    )
    def test_what_cameras_do_is_no_reason(self, change):
        self.assertIsNone(self._doubt(change, mask(SIZE)))

    def test_inverted(self):
        doubt = self._doubt(lambda x: x, 255 - mask(SIZE))
        self.assertRegex(str(doubt), "fg_bg differs from bg by 60 .* is it inverted")
