"""Labels of teachers: ranges, sizes and units against NumPy."""

import concurrent.futures

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.datasets.records import DepthMetadata
from tests.support.tiny_data import colour
from tests.support.tiny_networks import (
    SIZE,
    TeacherTestCase,
    convolution,
    grey_network,
    keras_network,
)


class LabelTest(TeacherTestCase):
    def test_pictures_of_another_size(self):
        path = self.save(grey_network())
        teacher = self.teacher(path, "input=0:1,output=0:1,larger=farther")
        larger = np.stack([colour(seed, (32, 36)) for seed in range(2)])
        reduced = larger.reshape(2, 8, 4, 12, 3, 3).mean((2, 4))
        expected = tf.image.resize(reduced.mean(-1, keepdims=True) / 255, (32, 36))
        # The reduced picture is rounded to grey levels.
        labels = teacher.label(larger)
        self.assertAllClose(labels, expected[..., 0], rtol=0, atol=0.6 / 255)

    @parameterized.parameters(
        ("input=-1:1", lambda x: x / 127.5 - 1),
        (
            "input=imagenet",
            lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
        ),
    )
    def test_input_range(self, option, prepared):
        path = self.save(keras_network())
        outputs = convolution(prepared(self.pictures))
        low, high = round(outputs.min() * 1.5), round(outputs.max() * 0.8)
        teacher = self.teacher(path, f"{option},output={low}:{high},larger=farther")
        expected = np.clip((outputs - low) / (high - low), 0, 1)
        self.assertAllClose(teacher.label(self.pictures), expected, rtol=0, atol=1e-5)
        self.assertEqual(teacher.settings.range, "fixed")

    def test_nearer_is_the_inverse(self):
        path = self.save(keras_network())
        for extra in ("", ",output=-1:2"):
            farther = self.teacher(path, f"input=0:1,larger=farther{extra}")
            nearer = self.teacher(path, f"input=0:1,larger=nearer{extra}")
            inverse = 1 - farther.label(self.pictures)
            self.assertAllClose(nearer.label(self.pictures), inverse, rtol=0, atol=1e-6)
            self.assertEqual(nearer.depth, DepthMetadata())

    def test_stretched(self):
        teacher = self.teacher(self.save(grey_network()))
        picture = colour(1, SIZE)
        brighter = (picture // 2 + 100).astype(np.uint8)
        labels = teacher.label(np.stack([picture, brighter, np.full_like(picture, 7)]))
        self.assertAllClose(labels[1], labels[0], rtol=0, atol=0.02)
        self.assertAllEqual([labels[0].min(), labels[0].max()], [0, 1])
        self.assertAllEqual(labels[2], np.full(SIZE, 0.5))
        self.assertIn("each picture stretched", teacher.settings.range)
        self.assertEqual(teacher.depth, DepthMetadata("relative", None))

    def test_metres(self):
        path = self.save(grey_network())
        options = "input=0:12,larger=farther,unit=metre,scale=10"
        teacher = self.teacher(path, options)
        expected = np.minimum(self.pictures.mean(-1) * 12 / 255 / 10, 1)
        self.assertAllClose(teacher.label(self.pictures), expected, rtol=0, atol=1e-6)
        self.assertEqual(teacher.depth, DepthMetadata("metre", 10.0))
        self.assertEqual(teacher.settings.range, "metres")

    @parameterized.named_parameters(
        ("millimetres", "input=0:9000,unit=metre,scale=10"),
        ("relative_as_metres", "input=0:1,unit=metre,scale=80"),
        ("grey_levels", "input=0:255,output=0:1"),
        ("below", "input=0:1,output=2:3"),
    )
    def test_output_of_another_range(self, options):
        teacher = self.teacher(self.save(grey_network()), f"{options},larger=farther")
        # A few of them may show nothing but sky.
        with self.assertLogs("keras_depthseg") as logs:
            for _ in range(2):
                teacher.label(self.pictures)
        self.assertLen(logs.output, 1)
        self.assertRegex(logs.output[0], "received outputs of .* of which (9.|100)% are")
        many = np.concatenate([self.pictures] * 2)
        self.assert_refused(
            lambda: teacher.label(many), f"`depth` {teacher.settings}", "Correct unit"
        )

    @parameterized.parameters(
        "input=0:12,unit=metre,scale=10", "input=0:1,output=0:1", "input=0:1"
    )
    def test_output_of_its_range(self, options):
        teacher = self.teacher(self.save(grey_network()), f"{options},larger=farther")
        with self.assertNoLogs("keras_depthseg"):
            teacher.label(np.concatenate([self.pictures] * 2))

    @parameterized.parameters("", ",output=0:1")
    def test_crop(self, extra):
        path = self.save(grey_network())
        picture = colour(1, SIZE)
        inner = np.pad(picture[2:-2, 2:-2], ((2, 2), (2, 2), (0, 0)), mode="edge")
        options = f"input=0:1,larger=farther,crop=2{extra}"
        label = self.teacher(path, options).label(picture[None])[0]
        outputs = inner.mean(-1) / 255
        low, high = np.percentile(outputs[2:-2, 2:-2], (0.1, 99.9))
        expected = outputs if extra else np.clip((outputs - low) / (high - low), 0, 1)
        self.assertAllClose(label, expected, rtol=0, atol=1e-5)
        self.assert_refused(
            lambda: self.teacher(path, "input=0:1,larger=farther,crop=4"),
            *("crop=4", "8x12"),
        )

    def test_not_finite(self):
        inputs = keras.Input((*SIZE, 3))
        outputs = keras.ops.log(keras.ops.mean(inputs, axis=-1))
        path = self.save(keras.Model(inputs, outputs))
        teacher = self.teacher(path)
        self.pictures = np.maximum(self.pictures, 1)
        self.assertAllInRange(teacher.label(self.pictures), 0, 1)
        self.pictures[2, 3, 4] = 0
        self.assert_refused(
            lambda: teacher.label(self.pictures),
            *(path, "1 depths that are not finite", "picture 2", "input=0:1"),
        )

    def test_other_arrays_are_a_bug(self):
        teacher = self.teacher(self.save(grey_network()))
        for pixels in (self.pictures[0], self.pictures.astype("float32")):
            with self.assertRaisesRegex(ValueError, "uint8"):
                teacher.label(pixels)

    def test_alone_in_a_batch_or_in_threads_to_the_bit(self):
        teacher = self.teacher(self.save(keras_network()))
        expected = teacher.label(self.pictures)
        self.assertAllEqual(teacher.label(self.pictures[::-1]), expected[::-1])
        order = np.random.default_rng(0).integers(0, 5, 40)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            labels = pool.map(lambda i: teacher.label(self.pictures[i][None])[0], order)
            for position, label in zip(order, labels, strict=True):
                self.assertAllEqual(label, expected[position])
