"""Local matching against plain NumPy, and that it finds what has moved."""

import keras
import numpy as np
import tensorflow as tf

from keras_depthseg.networks.matching import BlendByMask, LocalMatching


def expected(plate, picture, kernel, temperature, reach):
    """The same, place by place, in float64."""
    height, width, channels = plate.shape
    padded = np.pad(plate, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    found = np.zeros((height, width, channels))
    correlations = np.zeros((height, width, (2 * reach + 1) ** 2))
    for row in range(height):
        for column in range(width):
            near = padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1]
            near = near.reshape(-1, channels)
            query, keys = picture[row, column] @ kernel, near @ kernel
            norms = np.linalg.norm(keys, axis=1) * np.linalg.norm(query)
            correlations[row, column] = keys @ query / norms
            weights = np.exp(temperature * correlations[row, column])
            found[row, column] = weights / weights.sum() @ near
    return found, correlations


class LocalMatchingTest(tf.test.TestCase):
    def test_equals_plain_numpy(self):
        plate, picture = np.random.default_rng(0).normal(size=(2, 1, 6, 7, 5))
        layer = LocalMatching(4, 2)
        found, correlations = layer([plate.astype("f"), picture.astype("f")])
        kernel = layer.kernel.numpy()[0, 0].astype(np.float64)
        moved, corr = expected(plate[0], picture[0], kernel, 8.0, 2)
        self.assertAllClose(correlations[0], corr, atol=1e-3)
        self.assertAllClose(found[0], moved, atol=2e-2)

    def test_a_moved_plate_is_found(self):
        rng = np.random.default_rng(0)
        plate = rng.normal(size=(1, 16, 16, 8)).astype("f")
        picture = np.roll(plate, (1, -2), axis=(1, 2))
        layer = LocalMatching(8, 2)
        layer.build([plate.shape, plate.shape])
        layer.kernel.assign(np.eye(8, dtype="f")[None, None])
        layer.temperature.assign(50.0)
        found, correlations = layer([plate, picture])
        inside = (slice(None), slice(3, -3), slice(3, -3))
        self.assertAllClose(found[inside], picture[inside], atol=1e-2)
        # One row down and two columns to the left: row 1, column 4 of the 5x5 shifts.
        best = np.argmax(correlations[inside], axis=-1)
        self.assertAllEqual(best, np.full_like(best, 1 * 5 + 4))

    def test_one_computation_under_bfloat16(self):
        plate, picture = np.random.default_rng(0).normal(size=(2, 1, 8, 8, 8)).astype("f")
        keras.utils.set_random_seed(0)
        exact = LocalMatching(8, 1)
        half = LocalMatching(8, 1, dtype="mixed_bfloat16")
        half.build([plate.shape, plate.shape])
        expected_found, _ = exact([plate, picture])
        half.set_weights(exact.get_weights())
        found, _ = half([plate, picture])
        self.assertEqual(found.dtype, "bfloat16")
        self.assertAllClose(tf.cast(found, tf.float32), expected_found, atol=0.05)


class BlendByMaskTest(tf.test.TestCase):
    def test_formula(self):
        plate, front, mask = np.random.default_rng(0).normal(size=(3, 2, 4, 4, 1))
        share = 1 / (1 + np.exp(-mask))
        blended = BlendByMask()([x.astype("f") for x in (plate, front, mask)])
        self.assertAllClose(blended, (1 - share) * plate + share * front, atol=1e-5)


if __name__ == "__main__":
    tf.test.main()
