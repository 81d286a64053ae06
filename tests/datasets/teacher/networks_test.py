"""Depth networks: which are accepted, at which size, and keras-hub presets."""

import importlib.util
import shutil
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.datasets.teacher.networks import is_network_folder
from keras_depthseg.datasets.teacher.teacher import parse_teacher
from tests.support.tiny_data import colour
from tests.support.tiny_networks import (
    SIZE,
    TeacherTestCase,
    convolution,
    keras_network,
    stretched,
)


class NetworkTest(TeacherTestCase):
    def test_size_that_contradicts(self):
        path = self.save(keras_network())
        options = "input=0:1,larger=farther,size=8x13"
        self.assert_refused(
            lambda: self.teacher(path, options), path, "size=8x13", "(8, 12)"
        )

    def test_size_that_is_left_open(self):
        path = self.save(keras_network((None, None)))
        self.assert_refused(lambda: self.teacher(path), path, "(?, ?)", "add size=")
        teacher = self.teacher(path, "input=0:1,larger=farther,size=8x12")
        expected = stretched(convolution(self.pictures / 255))
        self.assertAllClose(teacher.label(self.pictures), expected, rtol=0, atol=1e-5)

    def test_first_output_that_is_a_map(self):
        inputs = keras.Input((*SIZE, 3))
        grey = keras.ops.mean(inputs, axis=-1, keepdims=True)
        column = keras.layers.Flatten()(grey)[..., None]
        table = keras.ops.concatenate([column] * 4, axis=-1)
        tables = [table, keras.ops.transpose(table, (0, 2, 1))]
        outputs = [keras.ops.mean(inputs, axis=(1, 2)), *tables, inputs]
        path = self.save(keras.Model(inputs, outputs), "none.keras")
        self.assert_refused(
            lambda: self.teacher(path),
            *(path, "(1, 3), (1, 96, 4), (1, 4, 96), (1, 8, 12, 3)", "one channel"),
        )
        half = keras.layers.AveragePooling2D(2)(grey)
        network = keras.Model(inputs, [*outputs, half, 1 - grey])
        options = "input=0:1,output=0:1,larger=farther"
        labels = self.teacher(self.save(network), options).label(self.pictures)
        means = self.pictures.reshape(5, 4, 2, 6, 2, 3).mean((2, 4, 5))
        expected = tf.image.resize(means[..., None] / 255, SIZE)[..., 0]
        self.assertAllClose(labels, expected, rtol=0, atol=1e-6)

    def test_several_inputs(self):
        inputs = [keras.Input((*SIZE, 3)) for _ in range(2)]
        path = self.save(keras.Model(inputs, keras.ops.add(*inputs)))
        self.assert_refused(lambda: self.teacher(path), path, "has 2 inputs")

    @parameterized.parameters((8, 12, 1), (8, 3))
    def test_input_that_is_no_picture(self, *shape):
        inputs = keras.Input(shape)
        path = self.save(keras.Model(inputs, inputs + 1))
        self.assert_refused(
            lambda: self.teacher(path), path, "input of shape (?, ", "RGB"
        )

    def test_size_that_the_network_cannot_run(self):
        inputs = keras.Input((None, None, 3))
        half = keras.layers.AveragePooling2D(2)(inputs)
        outputs = keras.ops.add(keras.layers.UpSampling2D(2)(half), inputs)[..., :1]
        path = self.save(keras.Model(inputs, outputs))
        self.teacher(path, "input=0:1,larger=farther,size=8x12")
        self.assert_refused(
            lambda: self.teacher(path, "input=0:1,larger=farther,size=7x12"),
            *(path, "does not run", "7x12"),
        )

    def test_whole_numbers_as_input(self):
        inputs = keras.Input((*SIZE, 3), dtype="uint8")
        outputs = keras.ops.mean(keras.ops.cast(inputs, "float32"), axis=-1)
        path = self.save(keras.Model(inputs, outputs))
        options = "larger=farther,output=0:255"
        self.assert_refused(
            lambda: self.teacher(path, f"input=0:1,{options}"),
            *("input=0:1", "uint8", "input=0:255"),
        )
        labels = self.teacher(path, f"input=0:255,{options}").label(self.pictures)
        expected = self.pictures.mean(-1) / 255
        self.assertAllClose(labels, expected, rtol=0, atol=1e-6)


@unittest.skipUnless(importlib.util.find_spec("keras_hub"), "keras_hub is missing")
class PresetTest(TeacherTestCase):
    SIDE = 84  # The smallest that its convolutions leave something of.

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        from keras_hub import layers, models

        keras.utils.set_random_seed(0)
        encoder = models.DINOV2Backbone(
            patch_size=14,
            num_layers=4,
            hidden_dim=8,
            num_heads=2,
            intermediate_dim=16,
            image_shape=(cls.SIDE, cls.SIDE, 3),
            position_embedding_shape=(cls.SIDE, cls.SIDE),
        )
        cls.backbone = models.DepthAnythingBackbone(
            image_encoder=encoder,
            reassemble_factors=[4, 2, 1, 0.5],
            neck_hidden_dims=[4, 4, 4, 4],
            fusion_hidden_dim=4,
            head_hidden_dim=4,
            head_in_index=-1,
            feature_keys=[f"stage{stage}" for stage in range(1, 5)],
        )
        converter = layers.DepthAnythingImageConverter(
            image_size=(cls.SIDE, cls.SIDE), scale=1 / 127.5, offset=-1.0
        )
        preprocessor = models.DepthAnythingDepthEstimatorPreprocessor(converter)
        cls.presets = Path(cls.enter_context(tempfile.TemporaryDirectory()))
        for kind, metres in (("relative", None), ("metric", 20.0)):
            models.DepthAnythingDepthEstimator(
                cls.backbone, kind, max_depth=metres, preprocessor=preprocessor
            ).save_to_preset(str(cls.presets / kind))
        models.DepthAnythingDepthEstimator(
            cls.backbone, "relative", preprocessor=None
        ).save_to_preset(str(cls.presets / "bare"))

    def _outputs(self, pictures):
        """Of the preset without an activation, prepared by hand."""
        small = tf.image.resize(pictures, (self.SIDE, self.SIDE), method="area")
        return self.backbone(small / 127.5 - 1, training=False).numpy()[..., 0]

    def test_relative(self):
        # Not square: nothing may be cropped from it.
        pictures = np.stack([colour(s, (self.SIDE, 2 * self.SIDE)) for s in range(2)])
        pictures[:, :, : self.SIDE] //= 4
        teacher = self.teacher(self.presets / "relative", "larger=nearer")
        labels = teacher.label(pictures)
        outputs = 1 - stretched(np.maximum(self._outputs(pictures), 0))
        expected = tf.image.resize(outputs[..., None], pictures.shape[1:3])[..., 0]
        self.assertGreater(np.std(labels), 0.1)
        # The reduced picture is rounded to grey levels.
        self.assertAllClose(labels, expected, rtol=0, atol=0.05)
        self.assertAllClose(np.mean(labels), np.mean(expected), rtol=0, atol=2e-3)

    def test_metric(self):
        pictures = np.stack([colour(s, (self.SIDE, self.SIDE)) for s in range(2)])
        options = "larger=farther,unit=metre,scale=25"
        teacher = self.teacher(self.presets / "metric", options)
        expected = 20 / 25 / (1 + np.exp(-self._outputs(pictures)))
        self.assertAllClose(teacher.label(pictures), expected, rtol=0, atol=1e-5)
        self.assertAllEqual(teacher.label(pictures[1:]), teacher.label(pictures)[1:])

    @parameterized.parameters(
        ("relative", "larger=nearer,input=0:1", "leave it out"),
        ("relative", "larger=farther,unit=metre,scale=9", "predicts relative depth"),
        ("metric", "larger=nearer", "predicts metres"),
        ("relative", "larger=nearer,size=70x70", "leave size out"),
        ("bare", "larger=nearer", "no preprocessor"),
    )
    def test_refused(self, preset, options, part):
        path = self.presets / preset
        self.assert_refused(lambda: self.teacher(path, options), path, part)

    def test_damaged(self):
        path = self.folder / "preset"
        shutil.copytree(self.presets / "relative", path)
        (path / "model.weights.h5").write_text("{")
        self.assert_refused(
            lambda: self.teacher(path, "larger=nearer"), path, "cannot be opened"
        )

    @parameterized.parameters(
        (["tokenizer.json"], "without a network, only tokenizer.json; expected"),
        (
            ["preprocessor.json", "image_converter.json"],
            "only preprocessor.json, image_c",
        ),
        (["image_converter.json"], "without a network, only image_converter.json"),
        (["task.json", "model.weights.h5"], "without a network, only task.json, model.w"),
        (["config.json", "task.json"], "a keras-hub preset without weights"),
        (["config.json", "model.weights.h5"], "of a DepthAnythingBackbone; expected"),
    )
    def test_a_part_of_a_preset(self, names, *parts):
        path = self.folder / "preset"
        path.mkdir()
        for name in names:
            if (self.presets / "relative" / name).exists():
                shutil.copy(self.presets / "relative" / name, path)
            else:
                (path / name).write_text("{}")
        self.assertTrue(is_network_folder(path))
        self.assert_refused(
            lambda: self.teacher(path, "larger=nearer"),
            *(path, *parts, "of a DepthEstimator", "Write it by save_to_preset"),
        )

    @parameterized.parameters(
        ('{"class_name": "BertBackbone"}', "a keras-hub preset of a BertBackbone"),
        ("{}", "a config.json that is not of keras-hub"),
        ("[]", "a config.json that is not of keras-hub"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
    )
    def test_other_configurations(self, text, part):
        path = self.folder / "preset"
        path.mkdir()
        (path / "config.json").write_text(text)
        (path / "model.weights.h5").touch()
        self.assert_refused(lambda: self.teacher(path, "larger=nearer"), path, part)

    def test_what_keras_hub_would_convert(self):
        path = self.folder / "preset"
        path.mkdir()
        (path / "config.json").write_text('{"model_type": "depth_anything"}')
        missing = ModuleNotFoundError("No module named 'some'", name="some")
        with mock.patch(
            "keras_hub.models.DepthEstimator.from_preset", side_effect=missing
        ):
            self.assert_refused(
                lambda: self.teacher(path, "larger=nearer"),
                *(path, "needs the package some", "pip install some"),
            )

    def test_unknown_name(self):
        self.assert_refused(
            lambda: self.teacher("depth_anything_v9", "larger=nearer"),
            *("depth_anything_v9", "no such preset", "depth_anything_v2_small"),
        )

    def test_fingerprint(self):
        folders = [self.presets / "relative", self.presets / "metric"]
        names = ["depth_anything_v2_small", "depth_anything_v2_base"]
        prints = [
            parse_teacher(f"{network},larger=farther").fingerprint()
            for network in (*folders, *names)
        ]
        self.assertLen(set(prints), 4)

    def test_package_is_missing(self):
        path = self.presets / "relative"
        with mock.patch.dict(sys.modules, {"keras_hub": None}):
            self.assert_refused(
                lambda: self.teacher(path, "larger=nearer"),
                *(path, "keras_hub", 'pip install "keras_depthseg[teacher]"'),
            )
