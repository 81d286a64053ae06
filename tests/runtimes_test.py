"""Networks of every format give what NumPy computes; damaged files are refused."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import zipfile
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

import keras_depthseg
from keras_depthseg.commands.machine import TerminatedError
from keras_depthseg.errors import UserError
from keras_depthseg.runtimes import KINDS, import_optional, model_kind, open_model
from tests.support.tiny_data import RefusalTestCase
from tests.support.tiny_networks import (
    SIZE,
    convolution,
    keras_network,
    write_litert,
    write_onnx,
)

FORMATS = {
    "keras": "net.keras",
    "h5": "net.h5",
    "savedmodel": "saved",
    "litert": "net.tflite",
    "quantised": "int8.tflite",
    "onnx": "net.onnx",
}
HAS_ONNX = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


def two_inputs():
    """Takes `bg` and `fg_bg`; gives `depth`, their sum, and `mask`, their difference."""
    bg, fg_bg = (keras.Input((*SIZE, 3), name=name) for name in ("bg", "fg_bg"))
    outputs = {
        "mask": keras.layers.Subtract(name="mask")([fg_bg, bg]),
        "depth": keras.layers.Add(name="depth")([bg, fg_bg]),
    }
    return keras.Model({"bg": bg, "fg_bg": fg_bg}, outputs)


class CodeTest(RefusalTestCase):
    """Networks that would run code, which a file that appears would show."""

    def setUp(self):
        super().setUp()
        self.mark = self.folder / "executed"

    def _of_conv(self, name, **changes):
        """A `.keras` file of a convolution, whose description is changed."""
        path = self.folder / name
        keras_network().save(path)
        with zipfile.ZipFile(path) as archive:
            contents = {name: archive.read(name) for name in archive.namelist()}
        description = json.loads(contents["config.json"])
        for layer in description["config"]["layers"]:
            if layer["class_name"] == "Conv2D":
                layer["config"].update(changes.get("config", {}))
                layer.update({k: v for k, v in changes.items() if k != "config"})
        contents["config.json"] = json.dumps(description)
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
        return path

    def _assert_refused(self, path, *parts):
        self.assert_refused(lambda: open_model(path), path, *parts)
        self.assertFalse(self.mark.exists())

    @parameterized.parameters("a.keras", "a.h5")
    def test_lambda_layer(self, name):
        layer = keras.layers.Lambda(
            lambda x, mark=str(self.mark): (__import__("pathlib").Path(mark).touch(), x)[
                1
            ]
        )
        inputs = keras.Input((*SIZE, 3))
        path = self.folder / name
        keras.Model(inputs, layer(inputs)).save(path)
        self.assertTrue(self.mark.exists())
        self.mark.unlink()
        self._assert_refused(path, "holds code, such as a Lambda layer", "accepted are")

    def test_lambda_as_activation(self):
        code = {"class_name": "__lambda__", "config": {"value": "4wEAAA=="}}
        path = self._of_conv("a.keras", config={"activation": code})
        self._assert_refused(path, "holds code", "Get one without, or as ONNX")

    def test_pickled_module(self):
        pickled = {"class_name": "__bytes__", "config": {"value": "gARLAS4="}}
        path = self._of_conv(
            "a.keras",
            module="keras.layers",
            class_name="TorchModuleWrapper",
            registered_name=None,
            **{"config": {"module": pickled, "name": "t"}},
        )
        self.assert_refused(lambda: open_model(path), path)

    def test_functions_of_other_modules(self):
        system = {"module": "os", "class_name": "function", "config": "system"}
        path = self._of_conv("a.keras", config={"activation": system})
        self._assert_refused(path, "cannot be opened")
        path = self._of_conv("b.keras", module="subprocess", class_name="Popen")
        self._assert_refused(path, "cannot be opened")

    @parameterized.named_parameters(
        ("writes", lambda path, x: tf.io.write_file(path, "x"), "WriteFile"),
        ("reads", lambda path, x: tf.io.read_file(path), "ReadFile"),
        ("prints", lambda path, x: tf.print(x, output_stream=f"file://{path}"), "Print"),
        (
            "python",
            lambda path, x: tf.py_function(lambda y: y, [x], tf.float32),
            "EagerPyFunc",
        ),
        (
            "nested",
            lambda path, x: tf.cond(
                tf.reduce_sum(x) > 0,
                lambda: tf.no_op(),
                lambda: tf.io.write_file(path, "x"),
            ),
            "WriteFile",
        ),
    )
    def test_saved_model(self, act, operation):
        mark = str(self.mark)

        class Network(tf.Module):
            @tf.function(input_signature=[tf.TensorSpec((1, *SIZE, 3), tf.float32)])
            def __call__(self, x):
                done = act(mark, x)
                with tf.control_dependencies([done] if done is not None else []):
                    return {"depth": tf.reduce_mean(x, -1)}

        network, path = Network(), self.folder / "saved"
        tf.saved_model.save(network, path, signatures=network.__call__)
        self._assert_refused(path, operation, "accepted are networks that compute")


class RuntimesTest(RefusalTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.networks = Path(cls.enter_context(tempfile.TemporaryDirectory()))
        network = keras_network()
        network.save(cls.networks / "net.keras")
        network.save(cls.networks / "net.h5")
        network.export(cls.networks / "saved", verbose=False)
        write_litert(cls.networks / "net.tflite", network)
        cls.images = np.random.default_rng(1).uniform(0, 1, (50, *SIZE, 3))
        cls.images = cls.images.astype("float32")
        write_litert(cls.networks / "int8.tflite", network, cls.images)
        if HAS_ONNX:
            write_onnx(cls.networks / "net.onnx", channels_first=False, batch="n")

    def _path(self, form):
        if form == "onnx" and not HAS_ONNX:
            self.skipTest("onnx or onnxruntime is not installed")
        return self.networks / FORMATS[form]

    @parameterized.parameters(*FORMATS)
    def test_equals_numpy(self, form):
        model = open_model(self._path(form))
        (described,) = model.inputs
        self.assertEqual((described.shape[1:], described.dtype), ((*SIZE, 3), "float32"))
        # 8 bits for the input, the weights and the output.
        tolerance = 0.2 if form == "quantised" else 1e-4
        for count in (1, 3, 1):
            (found,) = model.run(self.images[:count])
            self.assertEqual(found.dtype, np.float32)
            expected = convolution(self.images[:count])[..., None]
            self.assertAllClose(found, expected, rtol=0, atol=tolerance)

    @parameterized.parameters("keras", "savedmodel", "litert")
    def test_several_inputs_and_outputs(self, kind):
        path, network = self.folder / FORMATS[kind], two_inputs()
        match kind:
            case "keras":
                network.save(path)
            case "savedmodel":
                network.export(path, verbose=False)
            case "litert":
                write_litert(path, network)
        model = open_model(path)
        names = [it.name for it in model.inputs]
        self.assertCountEqual(names, ["bg", "fg_bg"])
        arrays = {"bg": self.images[:1], "fg_bg": self.images[1:2]}
        outputs = model.run(*(arrays[name] for name in names))
        expected = {
            "depth": arrays["fg_bg"] + arrays["bg"],
            "mask": arrays["fg_bg"] - arrays["bg"],
        }
        if kind == "litert":  # Its outputs are named StatefulPartitionedCall.
            outputs.sort(key=np.mean, reverse=True)
            self.assertAllClose(outputs, list(expected.values()))
        else:
            self.assertAllClose(dict(zip(model.outputs, outputs, strict=True)), expected)

    @parameterized.parameters("keras", "h5", "savedmodel", "litert", "onnx")
    def test_damaged(self, form):
        path = self._path(form)
        copy = file = self.folder / path.name
        if path.is_dir():
            shutil.copytree(path, copy)
            file = copy / "saved_model.pb"
        else:
            shutil.copy(path, copy)
        data = file.read_bytes()
        for content in (data[: len(data) // 2], b"no network"):
            file.write_bytes(content)
            self.assert_refused(lambda: open_model(copy), copy, "cannot be opened")

    def test_refused(self):
        missing = self.folder / "x.onnx"
        self.assert_refused(lambda: open_model(missing), missing, "no such file", ".h5")
        self.assert_refused(lambda: open_model(self.folder), "unknown format")
        missing.write_bytes(b"")
        with mock.patch.dict(sys.modules, {"onnxruntime": None}):
            self.assert_refused(
                lambda: open_model(missing), missing, "run pip install onnxruntime"
            )

    def test_kinds(self):
        kinds = {model_kind(self.networks / name) for name in FORMATS.values()}
        self.assertEqual(kinds | {"onnx", "openvino"}, set(KINDS))
        self.assertIsNone(model_kind("model.pth"))

    @unittest.skipUnless(
        importlib.util.find_spec("ai_edge_litert"), "ai_edge_litert is not installed"
    )
    def test_litert_without_its_package(self):
        expected = open_model(self._path("litert")).run(self.images[:1])
        with mock.patch.dict(sys.modules, {"ai_edge_litert.interpreter": None}):
            found = open_model(self._path("litert")).run(self.images[:1])
        self.assertAllClose(found, expected, rtol=0, atol=1e-5)

    @unittest.skipUnless(HAS_ONNX, "onnx or onnxruntime is not installed")
    def test_onnxruntime_reports_nothing(self):
        path = self.folder / "reported.onnx"
        write_onnx(path, channels_first=False, height_width=SIZE)
        command = "import sys; from keras_depthseg.runtimes import open_model; "
        with tempfile.TemporaryDirectory() as temporary:
            subprocess.run(
                [sys.executable, "-c", command + "open_model(sys.argv[1])", path],
                # On servers of CI it would report nothing either.
                env={
                    "PATH": os.environ["PATH"],
                    "PYTHONPATH": str(Path(keras_depthseg.__file__).parent.parent),
                    "TMPDIR": temporary,
                },
                capture_output=True,
                check=True,
            )
            # Its reports begin with an id of the session in `.ses`.
            self.assertEqual(os.listdir(temporary), [])

    @unittest.skipUnless(HAS_ONNX, "onnx or onnxruntime is not installed")
    def test_onnx_with_channels_first(self):
        path = self.folder / "nchw.onnx"
        write_onnx(path, channels_first=True, height_width=("height", "width"))
        model = open_model(path)
        self.assertEqual(model.inputs[0].shape, (1, 3, None, None))
        (found,) = model.run(self.images[:1].transpose(0, 3, 1, 2))
        expected = convolution(self.images[:1])[:, None]
        self.assertAllClose(found, expected, rtol=0, atol=1e-4)


class ImportTest(RefusalTestCase):
    def test_ctrl_c_while_a_module_is_imported(self):
        """Modules in C++ turn it, and SIGTERM, into an ImportError."""
        self.enter_context(mock.patch.object(sys, "path", [str(self.folder), *sys.path]))
        for raised, expected in (
            (KeyboardInterrupt, KeyboardInterrupt),
            (TerminatedError, TerminatedError),
            (ValueError, UserError),
        ):
            name = f"interrupted_{raised.__name__}"
            text = (
                f"from {raised.__module__} import {raised.__name__}\n"
                f"raise ImportError('initialization failed') from {raised.__name__}()"
            )
            (self.folder / f"{name}.py").write_text(text)
            with self.assertRaises(BaseException) as caught:
                import_optional(name, "a.xml", "openvino")
            self.assertIs(type(caught.exception), expected)
