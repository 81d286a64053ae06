"""Cutouts of plain things: always the same, whole, in plain colours."""

import numpy as np
from absl.testing import absltest

from pretraining import things
from tests.support.picture_files import rgba


def colourfulness(picture):
    """Mean difference between the largest and the smallest channel of what is opaque."""
    opaque = picture[picture[..., 3] > 127][:, :3].astype(int)
    return np.ptp(opaque, axis=1).mean()


class ThingsTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        rng = np.random.default_rng(0)
        self.surfaces = [rng.integers(0, 256, (60, 80, 3), np.uint8) for _ in range(3)]

    def things(self, count, seed=0):
        return [things.make_thing(seed, index, self.surfaces) for index in range(count)]

    def test_the_same_again_and_another_of_another_seed(self):
        for one, again, other in zip(
            self.things(4), self.things(4), self.things(4, seed=1), strict=True
        ):
            np.testing.assert_array_equal(one, again)
            self.assertFalse(np.array_equal(one, other))

    def test_whole_within_the_picture(self):
        for number, picture in enumerate(self.things(40)):
            with self.subTest(number):
                self.assertEqual(picture.dtype, np.uint8)
                alpha = picture[..., 3]
                border = [alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]]
                self.assertLess(max(edge.max() for edge in border), 128)
                self.assertGreater(np.count_nonzero(alpha > 127), 100)
                self.assertLess(max(alpha.shape), 500)

    def test_many_are_grey_and_some_are_of_glass(self):
        made = self.things(60)
        grey = np.mean([colourfulness(picture) < 25 for picture in made])
        glass = np.mean([picture[..., 3].max() < 250 for picture in made])
        self.assertGreater(grey, 0.3)
        self.assertLess(grey, 0.95)
        # Less opaque inside than at the outline, so the median is that of the inside.
        inside = [np.median(p[..., 3][p[..., 3] > 100]) for p in made]
        self.assertBetween(np.mean(np.array(inside) < 240), 0.02, 0.35)
        self.assertLess(glass, 0.35)

    def test_without_surfaces(self):
        self.assertEqual(things.make_thing(0, 0, []).shape[-1], 4)


class PlainTest(absltest.TestCase):
    def test_outline_stays_and_colours_go(self):
        picture = rgba(1, (64, 64))
        picture[..., :3] = [250, 40, 10]
        plain = [things.plain(picture, 0, index) for index in range(20)]
        for made in plain:
            np.testing.assert_array_equal(made[..., 3], picture[..., 3])
        before = colourfulness(picture)
        self.assertLess(np.mean([colourfulness(made) for made in plain]), before / 2)

    def test_light_parts_stay_lighter(self):
        picture = np.full((64, 64, 4), 255, np.uint8)
        picture[:, :32, :3] = 40
        for index in range(20):
            made = things.plain(picture, 0, index).astype(int)
            self.assertLess(made[:, :32, :3].mean(), made[:, 32:, :3].mean())

    def test_without_anything_opaque(self):
        clear = np.zeros((8, 8, 4), np.uint8)
        np.testing.assert_array_equal(things.plain(clear, 0, 0)[..., 3], 0)


if __name__ == "__main__":
    absltest.main()
