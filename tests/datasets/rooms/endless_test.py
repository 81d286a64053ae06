"""Rooms without end: the same for the same numbers, each split by itself."""

import pickle

import numpy as np
from absl.testing import absltest

from keras_depthseg.datasets.rooms import geometry
from keras_depthseg.datasets.rooms.endless import EndlessRooms


class EndlessRoomsTest(absltest.TestCase):
    def test_the_same_for_the_same_numbers(self):
        rooms = EndlessRooms(3, 32, parallax=4.0)
        first = rooms.sample("train", 70)
        again = pickle.loads(pickle.dumps(EndlessRooms(3, 32, parallax=4.0)))
        again.sample("train", 71)
        second = again.sample("train", 70)
        for name in ("bg", "fg_bg", "mask", "depth", "box"):
            np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
        self.assertEqual(first.sample_id, second.sample_id)

    def test_splits_share_no_room(self):
        rooms = EndlessRooms(0, 32)
        plates = {split: rooms.sample(split, 0).bg for split in rooms.splits}
        self.assertLen({plate.tobytes() for plate in plates.values()}, len(plates))

    def test_samples_of_one_room_then_of_the_next(self):
        rooms = EndlessRooms(0, 32)
        one, same, other = (rooms.sample("train", number) for number in (0, 63, 64))
        self.assertEqual(
            (one.bg_id, same.bg_id, other.bg_id), ("room0", "room0", "room1")
        )
        np.testing.assert_array_equal(one.bg, same.bg)
        self.assertFalse(np.array_equal(one.bg, other.bg))
        self.assertFalse(np.array_equal(one.mask, same.mask))

    def test_depth_in_metres_of_the_renderer(self):
        rooms = EndlessRooms(0, 32)
        sample = rooms.sample("train", 5)
        behind = sample.mask < 128
        metres = sample.depth * geometry.FAR
        self.assertBetween(float(metres[behind].min()), 0.1, geometry.FAR)
        # The foreground is in front of what it hides somewhere.
        self.assertLess(metres[~behind].min(), metres[behind].max())
        self.assertEqual(sample.depth.dtype, np.float32)

    def test_parallax_in_some_rooms(self):
        moved = EndlessRooms(1, 32, parallax=8.0)
        still = EndlessRooms(1, 32)
        same = [
            np.array_equal(moved.sample("train", n).bg, still.sample("train", n).bg)
            for n in range(0, 64 * 8, 64)
        ]
        self.assertIn(True, same)
        self.assertIn(False, same)

    def test_another_size_is_the_same_room(self):
        small, large = EndlessRooms(0, 32), EndlessRooms(0, 32).with_size(64)
        shrunk = large.sample("train", 0).bg.reshape(32, 2, 32, 2, 3).mean((1, 3))
        plain = small.sample("train", 0).bg.astype(float)
        self.assertGreater(np.corrcoef(shrunk.ravel(), plain.ravel())[0, 1], 0.95)


if __name__ == "__main__":
    absltest.main()
