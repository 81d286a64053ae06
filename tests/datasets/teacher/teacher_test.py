"""Teachers: tiny networks in every format against NumPy, and what is refused."""

import concurrent.futures
import dataclasses
import importlib.util
import json
import shutil
import sys
import tempfile
import unittest
import warnings
from pathlib import Path
from unittest import mock

import hypothesis
import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from hypothesis import strategies as st

from keras_depthseg.datasets.records import DepthMetadata
from keras_depthseg.datasets.teacher.teacher import (
    TeacherSettings,
    load_teacher,
    parse_teacher,
)
from tests.support.tiny_data import RefusalTestCase, colour

SIZE = 8, 12
FORMATS = {
    "keras": "net.keras",
    "h5": "net.h5",
    "saved_model": "saved",
    "litert": "net.tflite",
    "quantised": "int8.tflite",
    "onnx": "nhwc.onnx",
    "onnx_nchw": "nchw.onnx",
}
MISSING = {
    package: f"{package} is not installed"
    for package in ("ai_edge_litert", "keras_hub", "onnx", "onnxruntime")
    if importlib.util.find_spec(package) is None
}


def _kernel():
    return np.random.default_rng(0).normal(0, 1, (3, 3, 3, 1)).astype("float32")


def _convolution(pictures):
    """The network: 3x3, padded with zeros. (B, H, W, 3) -> (B, H, W)."""
    padded = np.pad(pictures.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return np.einsum("bhwcij,ijc->bhw", windows, _kernel()[..., 0].astype(float))


def _stretched(outputs):
    low, high = np.percentile(outputs, (0.1, 99.9), axis=(1, 2), keepdims=True)
    return np.clip((outputs - low) / (high - low), 0, 1)


def _keras_network(size=SIZE):
    inputs = keras.Input((*size, 3))
    layer = keras.layers.Conv2D(1, 3, padding="same", use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([_kernel()])
    return model


def _grey_network():
    """Gives the mean of the channels."""
    inputs = keras.Input((*SIZE, 3))
    return keras.Model(inputs, keras.ops.mean(inputs, axis=-1))


def _write_litert(path, network, examples=None):
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    if examples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([x[None]] for x in examples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.uint8
        converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        # That statistics are missing; it takes them from the representative data.
        warnings.simplefilter("ignore", UserWarning)
        path.write_bytes(converter.convert())


def _write_onnx(path, channels_first, height_width=SIZE, batch=1, **saving):
    import onnx
    from onnx import helper

    shape = (batch, 3, *height_width) if channels_first else (batch, *height_width, 3)
    names = ("picture", "depth") if channels_first else ("first", "last")
    nodes = [helper.make_node("Conv", [names[0], "w"], [names[1]], pads=[1] * 4)]
    if not channels_first:
        before = helper.make_node("Transpose", ["picture"], ["first"], perm=(0, 3, 1, 2))
        after = helper.make_node("Transpose", ["last"], ["depth"], perm=(0, 2, 3, 1))
        nodes = [before, *nodes, after]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "depth",
        [helper.make_tensor_value_info("picture", kind, shape)],
        [helper.make_tensor_value_info("depth", kind, None)],
        [onnx.numpy_helper.from_array(_kernel().transpose(3, 2, 0, 1), "w")],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(
        helper.make_model(graph, opset_imports=[opset], ir_version=9), path, **saving
    )


class TeacherTestCase(RefusalTestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.pictures = np.stack([colour(seed, SIZE) for seed in range(5)])

    def _save(self, network, name="other.keras"):
        network.save(self.folder / name)
        return self.folder / name

    def _teacher(self, path, options="input=0:1,larger=farther"):
        return load_teacher(parse_teacher(f"{path},{options}"))


class FormatTest(TeacherTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.networks = Path(cls.enter_context(tempfile.TemporaryDirectory()))
        network = _keras_network()
        network.save(cls.networks / "net.keras")
        network.export(cls.networks / "saved", verbose=False)
        _write_litert(cls.networks / "net.tflite", network)
        examples = np.random.default_rng(1).uniform(0, 1, (50, *SIZE, 3))
        _write_litert(cls.networks / "int8.tflite", network, examples.astype("float32"))
        if "onnx" not in MISSING:
            _write_onnx(cls.networks / "nhwc.onnx", channels_first=False)
            _write_onnx(cls.networks / "nchw.onnx", channels_first=True)
        network.save(cls.networks / "net.h5")

    def _path(self, form):
        if form.startswith("onnx"):
            for package in ("onnx", "onnxruntime"):
                if package in MISSING:
                    self.skipTest(MISSING[package])
        return self.networks / FORMATS[form]

    @parameterized.parameters(*FORMATS)
    def test_equals_numpy(self, form):
        outputs = _convolution(self.pictures / 255)
        low, high = round(outputs.min()), round(outputs.max())
        options = f"input=0:1,larger=farther,output={low}:{high}"
        labels = self._teacher(self._path(form), options).label(self.pictures)
        self.assertEqual((labels.shape, labels.dtype), ((5, *SIZE), np.float32))
        expected = np.clip((outputs - low) / (high - low), 0, 1)
        # 8 bits for the input, the weights and the output.
        tolerance = 0.03 if form == "quantised" else 1e-5
        self.assertAllClose(labels, expected, rtol=0, atol=tolerance)

    @parameterized.parameters(*FORMATS)
    def test_one_by_one_equals_batched_to_the_bit(self, form):
        teacher = self._teacher(self._path(form))
        batched = teacher.label(self.pictures)
        for position in (3, 0, 4):
            alone = teacher.label(self.pictures[position : position + 1])
            self.assertAllEqual(alone[0], batched[position])
        self.assertAllEqual(teacher.label(self.pictures[::-1]), batched[::-1])

    @parameterized.parameters(*FORMATS)
    def test_threads_to_the_bit(self, form):
        teacher = self._teacher(self._path(form))
        expected = teacher.label(self.pictures)
        order = np.random.default_rng(0).integers(0, 5, 40)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            labels = pool.map(lambda i: teacher.label(self.pictures[i][None])[0], order)
            for position, label in zip(order, labels, strict=True):
                self.assertAllEqual(label, expected[position])

    @parameterized.parameters("keras", "h5", "saved_model", "litert", "onnx")
    def test_damaged(self, form):
        path = self._path(form)
        copy = self.folder / path.name
        file = copy
        if path.is_dir():
            shutil.copytree(path, copy)
            file = copy / "saved_model.pb"
        else:
            shutil.copy(path, copy)
        data = file.read_bytes()
        for content in (data[: len(data) // 2], b"", b"no network"):
            file.write_bytes(content)
            self.assert_refused(lambda: self._teacher(copy), copy, "cannot be opened")

    @parameterized.parameters(*FORMATS)
    def test_size_that_contradicts(self, form):
        path = self._path(form)
        self._teacher(path, "input=0:1,larger=farther,size=8x12")
        self.assert_refused(
            lambda: self._teacher(path, "input=0:1,larger=farther,size=8x13"),
            *(path, "size=8x13", "(8, 12)", "leave size out"),
        )

    @unittest.skipIf("ai_edge_litert" in MISSING, "ai_edge_litert is not installed")
    def test_litert_without_its_package(self):
        path = self._path("litert")
        expected = self._teacher(path).label(self.pictures)
        with mock.patch.dict(sys.modules, {"ai_edge_litert.interpreter": None}):
            labels = self._teacher(path).label(self.pictures)
        self.assertAllClose(labels, expected, rtol=0, atol=1e-5)

    @parameterized.parameters(("x.onnx", "onnxruntime"), ("preset", "keras_hub"))
    def test_package_is_missing(self, name, package):
        path = self.folder / name
        if name == "preset":
            path.mkdir()
            (path / "config.json").write_text("{}")
            options = "larger=nearer"
        else:
            path.write_bytes(b"")
            options = "input=0:1,larger=nearer"
        with mock.patch.dict(sys.modules, {package: None}):
            self.assert_refused(
                lambda: self._teacher(path, options),
                *(path, package, 'pip install "keras_depthseg[teacher]"'),
            )

    @parameterized.product(form=["keras", "saved_model", "litert", "onnx"])
    def test_size_that_is_left_open(self, form):
        network = _keras_network((None, None))
        path = self.folder / FORMATS[form]
        match form:
            case "keras":
                network.save(path)
            case "saved_model":
                network.export(path, verbose=False)
            case "litert":
                _write_litert(path, network)
            case "onnx":
                self._path(form)  # Skips without its packages.
                _write_onnx(path, False, ("height", "width"))
        self.assert_refused(lambda: self._teacher(path), path, "(?, ?)", "add size=")
        teacher = self._teacher(path, "input=0:1,larger=farther,size=8x12")
        expected = _stretched(_convolution(self.pictures / 255))
        labels = teacher.label(self.pictures)
        self.assertAllClose(labels, expected, rtol=0, atol=1e-5)

    def test_fixed_batch(self):
        self._path("onnx")
        path = self.folder / "net.onnx"
        _write_onnx(path, True, batch=4)
        expected = _stretched(_convolution(self.pictures / 255))
        labels = self._teacher(path).label(self.pictures)
        self.assertAllClose(labels, expected, rtol=0, atol=1e-5)

    def test_weights_beside_an_onnx_file_count(self):
        self._path("onnx")
        path = self.folder / "net.onnx"
        _write_onnx(
            *(path, False),
            save_as_external_data=True,
            location="net.onnx.data",
            size_threshold=0,
        )
        self._teacher(path)
        settings = parse_teacher(f"{path},input=0:1,larger=farther")
        before = settings.fingerprint()
        data = bytearray((self.folder / "net.onnx.data").read_bytes())
        data[0] ^= 1
        (self.folder / "net.onnx.data").write_bytes(data)
        self.assertNotEqual(settings.fingerprint(), before)

    @parameterized.parameters("keras", "saved_model")
    def test_fingerprint(self, form):
        path = self._path(form)
        copy = self.folder / path.name
        (shutil.copytree if path.is_dir() else shutil.copy)(path, copy)
        texts = [
            f"{copy},input=0:1,larger=farther",
            f"{copy},input=0:1,larger=nearer",
            f"{copy},input=0:255,larger=farther",
            f"{copy},input=0:1,larger=farther,crop=1",
            f"{copy},input=0:1,larger=farther,unit=metre,scale=10",
        ]
        prints = [parse_teacher(text).fingerprint() for text in texts]
        self.assertLen(set(prints), len(texts))
        again = parse_teacher(f"{copy},larger=farther,input=0.0:1.0").fingerprint()
        moved = parse_teacher(f"{path},input=0:1,larger=farther").fingerprint()
        self.assertEqual([again, moved], [prints[0]] * 2)
        file = copy / "variables/variables.index" if path.is_dir() else copy
        file.write_bytes(file.read_bytes() + b"\0")
        self.assertNotEqual(parse_teacher(texts[0]).fingerprint(), prints[0])


class LabelTest(TeacherTestCase):
    def test_pictures_of_another_size(self):
        path = self._save(_grey_network())
        teacher = self._teacher(path, "input=0:1,output=0:1,larger=farther")
        larger = np.stack([colour(seed, (32, 36)) for seed in range(2)])
        reduced = larger.reshape(2, 8, 4, 12, 3, 3).mean((2, 4))
        expected = tf.image.resize(reduced.mean(-1, keepdims=True) / 255, (32, 36))
        # The reduced picture is rounded to grey levels.
        labels = teacher.label(larger)
        self.assertAllClose(labels, expected[..., 0], rtol=0, atol=0.6 / 255)
        smaller = np.stack([colour(seed, (5, 12)) for seed in range(2)])
        grown = tf.image.resize(smaller, SIZE).numpy().mean(-1) / 255
        areas = np.zeros((5, 8))
        for row in range(5):
            for column in range(8):
                begin = max(row / 5, column / 8)
                areas[row, column] = max(0, min((row + 1) / 5, (column + 1) / 8) - begin)
        expected = np.einsum("rh,bhw->brw", areas * 5, grown)
        labels = teacher.label(smaller)
        self.assertAllClose(labels, expected, rtol=0, atol=1.6 / 255)

    @parameterized.parameters(
        ("input=0:1", lambda x: x / 255),
        ("input=-1:1", lambda x: x / 127.5 - 1),
        ("input=0:255", lambda x: x),
        (
            "input=imagenet",
            lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
        ),
    )
    def test_input_range(self, option, prepared):
        path = self._save(_keras_network())
        outputs = _convolution(prepared(self.pictures))
        low, high = round(outputs.min() * 1.5), round(outputs.max() * 0.8)
        teacher = self._teacher(path, f"{option},output={low}:{high},larger=farther")
        expected = np.clip((outputs - low) / (high - low), 0, 1)
        self.assertAllClose(teacher.label(self.pictures), expected, rtol=0, atol=1e-5)
        self.assertEqual(teacher.settings.range, "fixed")

    def test_nearer_is_the_inverse(self):
        path = self._save(_keras_network())
        for extra in ("", ",output=-1:2"):
            farther = self._teacher(path, f"input=0:1,larger=farther{extra}")
            nearer = self._teacher(path, f"input=0:1,larger=nearer{extra}")
            inverse = 1 - farther.label(self.pictures)
            self.assertAllClose(nearer.label(self.pictures), inverse, rtol=0, atol=1e-6)
            self.assertEqual(nearer.depth, DepthMetadata())

    def test_stretched(self):
        teacher = self._teacher(self._save(_grey_network()))
        picture = colour(1, SIZE)
        brighter = (picture // 2 + 100).astype(np.uint8)
        labels = teacher.label(np.stack([picture, brighter, np.full_like(picture, 7)]))
        self.assertAllClose(labels[1], labels[0], rtol=0, atol=0.02)
        self.assertAllEqual([labels[0].min(), labels[0].max()], [0, 1])
        self.assertAllEqual(labels[2], np.full(SIZE, 0.5))
        self.assertIn("each picture stretched", teacher.settings.range)
        self.assertEqual(teacher.depth, DepthMetadata("relative", None))

    def test_metres(self):
        path = self._save(_grey_network())
        options = "input=0:12,larger=farther,unit=metre,scale=10"
        teacher = self._teacher(path, options)
        expected = np.minimum(self.pictures.mean(-1) * 12 / 255 / 10, 1)
        self.assertAllClose(teacher.label(self.pictures), expected, rtol=0, atol=1e-6)
        self.assertEqual(teacher.depth, DepthMetadata("metre", 10.0))
        self.assertEqual(teacher.settings.range, "metres")

    @parameterized.parameters("", ",output=0:1")
    def test_crop(self, extra):
        path = self._save(_grey_network())
        picture = colour(1, SIZE)
        inner = np.pad(picture[2:-2, 2:-2], ((2, 2), (2, 2), (0, 0)), mode="edge")
        options = f"input=0:1,larger=farther,crop=2{extra}"
        label = self._teacher(path, options).label(picture[None])[0]
        outputs = inner.mean(-1) / 255
        low, high = np.percentile(outputs[2:-2, 2:-2], (0.1, 99.9))
        expected = outputs if extra else np.clip((outputs - low) / (high - low), 0, 1)
        self.assertAllClose(label, expected, rtol=0, atol=1e-5)
        self.assert_refused(
            lambda: self._teacher(path, "input=0:1,larger=farther,crop=4"),
            *("crop=4", "8x12"),
        )

    def test_first_output_that_is_a_map(self):
        inputs = keras.Input((*SIZE, 3))
        grey = keras.ops.mean(inputs, axis=-1, keepdims=True)
        column = keras.layers.Flatten()(grey)[..., None]
        table = keras.ops.concatenate([column] * 4, axis=-1)
        tables = [table, keras.ops.transpose(table, (0, 2, 1))]
        outputs = [keras.ops.mean(inputs, axis=(1, 2)), *tables, inputs]
        path = self._save(keras.Model(inputs, outputs), "none.keras")
        self.assert_refused(
            lambda: self._teacher(path),
            *(path, "(1, 3), (1, 96, 4), (1, 4, 96), (1, 8, 12, 3)", "one channel"),
        )
        half = keras.layers.AveragePooling2D(2)(grey)
        network = keras.Model(inputs, [*outputs, half, 1 - grey])
        options = "input=0:1,output=0:1,larger=farther"
        labels = self._teacher(self._save(network), options).label(self.pictures)
        means = self.pictures.reshape(5, 4, 2, 6, 2, 3).mean((2, 4, 5))
        expected = tf.image.resize(means[..., None] / 255, SIZE)[..., 0]
        self.assertAllClose(labels, expected, rtol=0, atol=1e-6)

    def test_several_inputs(self):
        inputs = [keras.Input((*SIZE, 3)) for _ in range(2)]
        network = keras.Model(inputs, keras.ops.add(*inputs))
        for path in (self._save(network), self.folder / "saved"):
            if path.name == "saved":
                network.export(path, verbose=False)
            self.assert_refused(
                lambda path=path: self._teacher(path), path, "has 2 inputs"
            )

    @parameterized.parameters((8, 12, 1), (8, 3), (4, 8, 12))
    def test_input_that_is_no_picture(self, *shape):
        inputs = keras.Input(shape)
        path = self._save(keras.Model(inputs, inputs + 1))
        self.assert_refused(
            lambda: self._teacher(path), path, "input of shape (?, ", "RGB"
        )

    def test_size_that_the_network_cannot_run(self):
        inputs = keras.Input((None, None, 3))
        half = keras.layers.AveragePooling2D(2)(inputs)
        outputs = keras.ops.add(keras.layers.UpSampling2D(2)(half), inputs)[..., :1]
        path = self._save(keras.Model(inputs, outputs))
        self._teacher(path, "input=0:1,larger=farther,size=8x12")
        self.assert_refused(
            lambda: self._teacher(path, "input=0:1,larger=farther,size=7x12"),
            *(path, "does not run", "7x12"),
        )

    def test_whole_numbers_as_input(self):
        inputs = keras.Input((*SIZE, 3), dtype="uint8")
        outputs = keras.ops.mean(keras.ops.cast(inputs, "float32"), axis=-1)
        path = self._save(keras.Model(inputs, outputs))
        options = "larger=farther,output=0:255"
        self.assert_refused(
            lambda: self._teacher(path, f"input=0:1,{options}"),
            *("input=0:1", "uint8", "input=0:255"),
        )
        labels = self._teacher(path, f"input=0:255,{options}").label(self.pictures)
        expected = self.pictures.mean(-1) / 255
        self.assertAllClose(labels, expected, rtol=0, atol=1e-6)

    def test_not_finite(self):
        inputs = keras.Input((*SIZE, 3))
        outputs = keras.ops.log(keras.ops.mean(inputs, axis=-1))
        path = self._save(keras.Model(inputs, outputs))
        teacher = self._teacher(path)
        self.pictures = np.maximum(self.pictures, 1)
        self.assertAllInRange(teacher.label(self.pictures), 0, 1)
        self.pictures[2, 3, 4] = 0
        self.assert_refused(
            lambda: teacher.label(self.pictures),
            *(path, "1 depths that are not finite", "picture 2", "input=0:1"),
        )

    @parameterized.parameters(
        ((1, 8, 12), np.uint8), ((8, 12, 3), np.uint8), ((1, 8, 12, 3), np.float32)
    )
    def test_other_arrays_are_a_bug(self, shape, dtype):
        teacher = self._teacher(self._save(_grey_network()))
        with self.assertRaisesRegex(ValueError, "uint8"):
            teacher.label(np.zeros(shape, dtype))


@unittest.skipIf("keras_hub" in MISSING, "keras_hub is not installed")
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
        teacher = self._teacher(self.presets / "relative", "larger=nearer")
        labels = teacher.label(pictures)
        outputs = 1 - _stretched(np.maximum(self._outputs(pictures), 0))
        expected = tf.image.resize(outputs[..., None], pictures.shape[1:3])[..., 0]
        self.assertGreater(np.std(labels), 0.1)
        # The reduced picture is rounded to grey levels.
        self.assertAllClose(labels, expected, rtol=0, atol=0.05)
        self.assertAllClose(np.mean(labels), np.mean(expected), rtol=0, atol=2e-3)

    def test_metric(self):
        pictures = np.stack([colour(s, (self.SIDE, self.SIDE)) for s in range(2)])
        options = "larger=farther,unit=metre,scale=25"
        teacher = self._teacher(self.presets / "metric", options)
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
        self.assert_refused(lambda: self._teacher(path, options), path, part)

    def test_damaged(self):
        path = self.folder / "preset"
        shutil.copytree(self.presets / "relative", path)
        for file in ("model.weights.h5", "task.json", "config.json"):
            (path / file).write_text("{")
            self.assert_refused(
                lambda: self._teacher(path, "larger=nearer"), path, "cannot be opened"
            )

    def test_unknown_name(self):
        self.assert_refused(
            lambda: self._teacher("depth_anything_v9", "larger=nearer"),
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


class SettingsTest(TeacherTestCase):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "a,b=c.tflite"
        self.path.write_bytes(b"")
        self.path = self.folder / "a,b.tflite"
        self.path.write_bytes(b"")

    def test_values(self):
        text = f"{self.path},size=448x640,input=0:1,larger=farther,crop=16"
        settings = parse_teacher(text)
        self.assertEqual(
            settings,
            TeacherSettings(str(self.path), "farther", (448, 640), (0.0, 1.0), crop=16),
        )
        stored = json.loads(json.dumps(dataclasses.asdict(settings)))
        self.assertEqual(stored["size"], [448, 640])
        with self.assertRaises(dataclasses.FrozenInstanceError):
            settings.crop = 2
        preset = parse_teacher("depth_anything_v2_small,larger=nearer")
        self.assertEqual(preset, TeacherSettings("depth_anything_v2_small", "nearer"))

    @hypothesis.given(
        st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)).filter(
            lambda x: x[0] < x[1]
        )
        | st.just("imagenet"),
        st.none() | st.tuples(*[st.integers(1, 9999)] * 2),
        st.none() | st.floats(1e-3, 1e9),
        st.integers(0, 99),
    )
    def test_printed_text_gives_it_again(self, limits, size, scale, crop):
        unit = "relative" if scale is None else "metre"
        settings = TeacherSettings(
            *(str(self.path), "farther", size, limits, None, unit, scale, crop)
        )
        self.assertEqual(parse_teacher(str(settings)), settings)

    @parameterized.parameters(
        ("input=0:1", "no larger", "farther or nearer"),
        ("input=0:1,larger=far", "larger=far", "farther or nearer"),
        ("larger=nearer", "no input", "LOW:HIGH"),
        ("larger=nearer,input=0", "'input=0'", "input=0:1"),
        ("larger=nearer,input=1:0", "input=1:0", "LOW below HIGH"),
        ("larger=nearer,input=0:nan", "input=0:nan", "LOW below HIGH"),
        ("larger=nearer,input=imagenets", "'input=imagenets'", "input=0:1"),
        ("larger=nearer,input=0:1,output=imagenet", "'output=imagenet'", "output=0:1"),
        ("larger=nearer,input=0:1,output=5:5", "output=5:5", "LOW below HIGH"),
        ("larger=nearer,input=0:1,size=448", "'size=448'", "size=448x640"),
        ("larger=nearer,input=0:1,size=0x9", "size=0x9", "HEIGHTxWIDTH"),
        ("larger=nearer,input=0:1,crop=-1", "crop=-1", "0 pixels or more"),
        ("larger=nearer,input=0:1,crop=a", "'crop=a'", "crop=16"),
        ("larger=nearer,input=0:1,unit=feet", "unit=feet", "metre or relative"),
        ("larger=farther,input=0:1,unit=metre", "no scale", "scale=METRES"),
        ("larger=farther,input=0:1,scale=10", "scale=10", "unit=metre"),
        ("larger=farther,input=0:1,unit=metre,scale=0", "scale=0", "more than 0"),
        ("larger=farther,input=0:1,unit=metre,scale=x", "'scale=x'", "scale=10"),
        ("larger=nearer,input=0:1,unit=metre,scale=9", "larger=nearer", "farther"),
        (
            "larger=farther,input=0:1,unit=metre,scale=9,output=0:1",
            *("output=0:1", "no output"),
        ),
        ("larger=nearer,input=0:1,colour=bgr", "'colour=bgr'", "larger, size, input"),
        ("larger=nearer,input=0:1,crop", "'crop'", "crop=16"),
        ("larger=nearer,input=0:1,", "''", "KEY=VALUE"),
        ("larger=nearer,larger=farther,input=0:1", "larger twice", "once"),
    )
    def test_refused(self, options, *parts):
        self.assert_refused(
            lambda: parse_teacher(f"{self.path},{options}"), self.path, *parts
        )

    @parameterized.parameters("no/such.tflite", "such.onnx", "no/such", "model.pth")
    def test_missing_file(self, name):
        text = f"{self.folder}/{name},input=0:1,larger=nearer"
        self.assert_refused(lambda: parse_teacher(text), name, "no such file", ".tflite")

    def test_unknown_format(self):
        path = self.folder / "model.pth"
        path.write_bytes(b"")
        for name, part in ((path, "unknown format"), (self.folder, "saved_model.pb")):
            text = f"{name},input=0:1,larger=nearer"
            self.assert_refused(lambda text=text: parse_teacher(text), name, part)
        self.assert_refused(lambda: parse_teacher(",larger=nearer"), "no network")


if __name__ == "__main__":
    tf.test.main()
