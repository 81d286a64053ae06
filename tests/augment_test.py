"""Colour changes against albumentations itself."""

import concurrent.futures

import albumentations
import numpy as np
import tensorflow as tf

from keras_depthseg.augment import AUGMENTATIONS, make_augmentation
from keras_depthseg.errors import UserError
from keras_depthseg.pipeline import sample_batches
from tests.tiny_data import TinyDataTestCase, colour


def _batch(count, side=16):
    """One picture, `count` times."""
    return np.repeat(colour(0, (side, side))[None], count, axis=0)


class OriginalTest(tf.test.TestCase):
    def test_equals_albumentations(self):
        image = colour(1, (16, 16))
        results = []
        for seed in range(40):
            compose = albumentations.Compose(
                [
                    albumentations.HueSaturationValue(p=0.5),
                    albumentations.RandomBrightnessContrast(
                        brightness_limit=(0, 0), contrast_limit=(-0.2, 0.2), p=0.5
                    ),
                ],
                seed=seed,
            )
            expected = compose(image=image)["image"]
            bg, _ = make_augmentation("original")(image[None], image[None], seed)
            self.assertAllEqual(bg[0], expected)
            results.append(expected.tobytes())
        self.assertGreater(len(set(results)), 15)

    def test_each_picture_has_a_draw_of_its_own(self):
        changes = make_augmentation("original")
        bg, fg_bg = changes(_batch(40), _batch(40), seed=0)
        self.assertEqual((bg.dtype, bg.shape), (np.uint8, (40, 16, 16, 3)))
        differ = [not np.array_equal(*pair) for pair in zip(bg, fg_bg, strict=True)]
        # Both are unchanged in one of 16 pairs.
        self.assertGreater(np.mean(differ), 0.8)
        self.assertGreater(len({image.tobytes() for image in bg}), 15)

    def test_one_in_four_stays_as_it_is(self):
        changes = make_augmentation("original")
        batch = _batch(1200, side=4)
        for images in changes(batch, batch, seed=1):
            unchanged = (images == batch).all(axis=(1, 2, 3)).mean()
            self.assertBetween(unchanged, 0.20, 0.31)

    def test_same_seed_same_changes_from_any_thread(self):
        changes = make_augmentation("original")
        batch = _batch(6)
        expected = {seed: changes(batch, batch, seed) for seed in range(8)}
        seeds = [*expected] * 8
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = pool.map(lambda seed: changes(batch, batch, seed), seeds)
        for seed, result in zip(seeds, results, strict=True):
            self.assertAllEqual(result, expected[seed])
        self.assertNotAllEqual(expected[0], expected[1])

    def test_what_comes_in_is_left_alone(self):
        batch = _batch(8)
        make_augmentation("original")(batch, batch, seed=2)
        self.assertAllEqual(batch, _batch(8))

    def test_names(self):
        self.assertEqual(AUGMENTATIONS, ("none", "original"))
        self.assertIsNone(make_augmentation("none"))
        with self.assertRaisesRegex(UserError, "received 'cutout'.*none, original"):
            make_augmentation("cutout")


class InPipelineTest(TinyDataTestCase):
    def _samples(self, augment, seed=0):
        batches = sample_batches(self.records, resolution=32, augment=augment, seed=seed)
        return next(iter(batches.take(1).as_numpy_iterator()))

    def test_only_pictures_change(self):
        plain, changed = self._samples("none"), self._samples("original")
        self.assertAllEqual(plain["sample_id"], changed["sample_id"])
        for name in ("mask", "depth", "box"):
            self.assertAllEqual(plain[name], changed[name])
        for name in ("bg", "fg_bg"):
            same = [
                np.array_equal(*p) for p in zip(plain[name], changed[name], strict=True)
            ]
            self.assertBetween(np.mean(same), 0.01, 0.7)

    def test_none_draws_nothing(self):
        plain, other = self._samples("none", seed=0), self._samples("none", seed=1)
        for name in ("bg", "fg_bg"):
            self.assertAllEqual(plain[name], other[name])

    def test_batches_and_passes_have_draws_of_their_own(self):
        options = {"resolution": 32, "batch_size": 1}
        plain = list(sample_batches(self.records, **options))
        changed = sample_batches(self.records, augment="original", **options)
        passes = [
            [
                np.array_equal(one["fg_bg"], other["fg_bg"])
                for one, other in zip(changed, plain, strict=True)
            ]
            for _ in range(2)
        ]
        for same in passes:
            # One in four; with one draw for all it would be all or none.
            self.assertBetween(np.mean(same), 0.01, 0.7)
        self.assertNotEqual(*passes)


if __name__ == "__main__":
    tf.test.main()
