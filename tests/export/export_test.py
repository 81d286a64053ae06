"""Exported networks agree with Keras in their own runtimes, or are not written."""

import functools
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg.errors import UserError
from keras_depthseg.export import formats
from keras_depthseg.export.export import default_path, export
from keras_depthseg.export.options import SUFFIXES, ExportOptions
from keras_depthseg.inference.network import open_network
from keras_depthseg.model import DSResNet
from keras_depthseg.networks.siamese import SiameseNet
from keras_depthseg.runtimes import open_model

FORMATS = tuple(SUFFIXES)
# `make test` exports to ONNX only.
OTHERS = tuple(each for each in FORMATS if each != "onnx")


def _onnx_texts(path):
    import onnx

    return {it.key: it.value for it in onnx.load(path).metadata_props}


def _litert_texts(path):
    from ai_edge_litert import schema_py_generated as schema

    file: Any = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    return {
        entry.name.decode(): bytes(file.buffers[entry.buffer].data).decode()
        for entry in file.metadata
        if entry.name == b"licence"
    }


def _openvino_texts(path):
    import openvino

    network = openvino.Core().read_model(path / "model.xml")
    return {"licence": network.get_rt_info(["keras_depthseg", "licence"]).value}


def _saved_model_texts(path):
    return json.loads((path / "assets.extra/keras_depthseg.json").read_text("utf-8"))


# Without our own `runtimes`: by the format's own means.
_READERS = {
    "onnx": _onnx_texts,
    "litert": _litert_texts,
    "openvino": _openvino_texts,
    "saved_model": _saved_model_texts,
}


class ExportTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        keras.utils.set_random_seed(0)
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.models = {}
        for network in (DSResNet, SiameseNet):
            model = network(width=2, resolution=64)
            # Weights as of a trained network: of a new one all maps are about 0.5.
            rng = np.random.default_rng(0)
            for weight in model.weights:
                weight.assign(weight + 0.05 * rng.standard_normal(weight.shape))
            cls.models[network.__name__] = model
            model.save(cls.folder / f"{network.__name__}.keras")

        cls.exported = staticmethod(functools.cache(cls.export_once))

    @classmethod
    def export_once(cls, network, format):
        """Export a network with the default options, once for all tests."""
        folder = cls.folder / f"{network} {format}"
        folder.mkdir()
        return export(
            ExportOptions(
                str(cls.folder / f"{network}.keras"),
                format,
                folder / f"network{SUFFIXES[format]}",
                samples=2,
                licence="MIT ä",
            )
        )

    def setUp(self):
        super().setUp()
        self.out = Path(self.enter_context(tempfile.TemporaryDirectory()))

    def options(self, network="SiameseNet", **changes):
        values = {"format": "onnx", "samples": 2, **changes}
        values.setdefault("out", self.out / f"network{SUFFIXES[values['format']]}")
        return ExportOptions(str(self.folder / f"{network}.keras"), **values)

    def check_agreement(self, run, network, sizes, tolerance):
        """Compare `run(bg, fg_bg)` with the Keras model on noise."""
        rng = np.random.default_rng(1)
        for size in sizes:
            images = rng.uniform(0, 255, (2, *size, 3)).astype("float32")
            inputs = dict(zip(("bg", "fg_bg"), images, strict=True))
            expected = self.models[network].predict_on_batch(inputs)
            for name, found in run(*images).items():
                self.assertAllClose(found, expected[name], atol=tolerance)

    def test_agrees_in_its_own_runtime(self):
        self.check_export("SiameseNet", "onnx")

    @parameterized.parameters(*OTHERS)
    @pytest.mark.long
    def test_every_other_format_agrees(self, format):
        self.check_export("SiameseNet", format)

    @parameterized.parameters(*FORMATS)
    @pytest.mark.long
    def test_the_original_network_agrees(self, format):
        self.check_export("DSResNet", format)

    def check_export(self, network, format):
        exported = self.exported(network, format)
        opened = open_model(exported.path)
        self.assertCountEqual([it.name for it in opened.inputs], ["bg", "fg_bg"])
        self.assertCountEqual(opened.outputs, ["depth", "mask"])
        opened = opened.in_order(("bg", "fg_bg"))

        def run(bg, fg_bg):
            return dict(zip(opened.outputs, opened.run(bg, fg_bg), strict=True))

        self.check_agreement(run, network, [(1, 64, 96), (4, 32, 64)], 1e-4)
        self.assertEqual(opened.metadata["resolution"], "64")
        self.assertIn("larger is farther", opened.metadata["outputs"])
        self.assertEqual(opened.metadata["licence"], "MIT ä")
        report = json.loads(exported.report.read_text())
        self.assertLessEqual(max(report["largest"].values()), 1e-4)
        self.assertEqual(report["bytes"], exported.size)
        self.assertCountEqual(
            os.listdir(exported.path.parent), [exported.path.name, exported.report.name]
        )

    def test_other_programs_find_the_description(self):
        self.check_description("onnx")

    @parameterized.parameters(*OTHERS)
    @pytest.mark.long
    def test_other_programs_find_that_of_other_formats(self, format):
        self.check_description(format)

    def check_description(self, format):
        path = self.exported("SiameseNet", format).path
        self.assertEqual(_READERS[format](path)["licence"], "MIT ä")

    @parameterized.parameters("onnx", "litert", "openvino")
    @pytest.mark.long
    def test_float16_has_half_the_size(self, format):
        whole = self.exported("SiameseNet", format)
        half = export(self.options(format=format, precision="float16"))
        sizes = [
            (it.path / "model.bin" if it.path.is_dir() else it.path).stat().st_size
            for it in (half, whole)
        ]
        # A network this small is half graph.
        self.assertLess(sizes[0], 0.8 * sizes[1])

        network = open_network(half.path)
        self.check_agreement(
            lambda bg, fg_bg: {
                name: values[..., None]
                for name, values in network.predict(fg_bg, network.features(bg)).items()
            },
            "SiameseNet",
            [(1, 64, 96)],
            2e-2,
        )

    @parameterized.parameters(*FORMATS)
    @pytest.mark.long
    def test_parts(self, format):
        exported = export(self.options(format=format, parts=True, out=self.out / "parts"))
        network = open_network(exported.path)
        self.assertEqual(network.resolution, 64)

        def run(bg, fg_bg):
            features = network.features(bg)
            both = network.predict(fg_bg, features)
            mask = network.predict(fg_bg, features, depth=False)["mask"]
            self.assertAllClose(mask, both["mask"], atol=1e-5)
            return {name: values[..., None] for name, values in both.items()}

        self.check_agreement(run, "SiameseNet", [(1, 64, 96), (4, 32, 64)], 1e-4)

    @parameterized.parameters(*FORMATS)
    @pytest.mark.long
    def test_fixed_size(self, format):
        exported = export(self.options(format=format, size="32x64"))
        network = open_network(exported.path)
        self.assertEqual(network.size, (32, 64))
        self.assertEqual(open_model(exported.path).inputs[0].shape[1:], (32, 64, 3))

    def test_swapped_channels_are_refused(self):
        self.check_refused(lambda image: image[..., ::-1])

    @pytest.mark.long
    def test_a_missing_normalisation_is_refused(self):
        self.check_refused(lambda image: image / 255.0)

    def check_refused(self, damage):
        write = formats.write

        def damaged(network, *arguments):
            inputs = {
                name: keras.Input(tensor.shape[1:], name=name)
                for name, tensor in network.input.items()
            }
            changed = {name: damage(tensor) for name, tensor in inputs.items()}
            model = keras.Model(inputs, network(changed))
            model(inputs)
            write(model, *arguments)

        with (
            mock.patch.object(formats, "write", damaged),
            self.assertRaisesRegex(
                UserError, "network.onnx: not written, as its outputs.*differs by .* than"
            ),
        ):
            export(self.options())
        self.assertEqual(os.listdir(self.out), [])

    def test_a_damaged_file_is_refused(self):
        self.check_damage("onnx")

    @parameterized.parameters(*OTHERS)
    @pytest.mark.long
    def test_damaged_files_of_other_formats_are_refused(self, format):
        self.check_damage(format)

    def check_damage(self, format):
        """Files that are not as reported are refused; the report may be renamed, too."""
        exported = self.exported("SiameseNet", format)
        shutil.copytree(exported.path.parent, self.out, dirs_exist_ok=True)
        path = self.out / exported.path.name
        file = max(
            [path] if path.is_file() else filter(Path.is_file, path.rglob("*")),
            key=lambda each: each.stat().st_size,
        )
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        with self.assertRaisesRegex(UserError, "not the file that .* describes.*SHA-256"):
            open_network(path)
        if format == "openvino":
            with self.assertRaisesRegex(UserError, "not the file that"):
                open_network(path / "model.xml")
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        if path.is_dir():
            (path / ".DS_Store").write_bytes(b"of a file manager")
        # Both renamed.
        moved = path.with_name(f"moved{path.suffix}")
        path.rename(moved)
        report = self.out / exported.report.name
        report = report.rename(moved.with_name(f"{moved.name}.parity.json"))
        open_network(moved)
        report.write_text("[")
        with self.assertRaisesRegex(UserError, "cannot be read .JSONDecodeError."):
            open_network(moved)

    @pytest.mark.long
    def test_nothing_is_overwritten_unasked_or_by_something_worse(self):
        options = self.options(format="saved_model")
        export(options)
        before = sorted(self.out.rglob("*"))
        with self.assertRaisesRegex(UserError, "network: this exists; give another name"):
            export(options)
        with (
            mock.patch.object(formats, "write", side_effect=OSError(28, "no space")),
            self.assertRaisesRegex(UserError, "cannot be written there .no space"),
        ):
            export(self.options(format="saved_model", force=True))
        self.assertEqual(sorted(self.out.rglob("*")), before)
        exported = export(self.options(format="saved_model", force=True))
        self.assertGreater(exported.size, 1000)

    def test_names_of_files(self):
        model = str(self.folder / "DSResNet.keras")
        for options, name in (
            (ExportOptions(model, "onnx"), "DSResNet.onnx"),
            (ExportOptions(model, "litert", precision="int8"), "DSResNet_int8.tflite"),
            (ExportOptions(model, "openvino"), "DSResNet_openvino"),
            (ExportOptions(model, "onnx", parts=True), "DSResNet_onnx"),
        ):
            self.assertEqual(str(default_path(options)), name)

    def test_options_that_are_refused(self):
        refused: tuple[tuple[dict[str, Any], str], ...] = (
            ({"format": "onnx", "size": "100"}, "received 100; accepted: a side or HEI"),
            ({"format": "onnx", "size": "32x0"}, "received 32x0"),
            ({"format": "saved_model", "precision": "int8"}, "accepted: float32. Choose"),
            ({"format": "onnx", "parts": True, "precision": "int8"}, "whole networks"),
            ({"format": "onnx", "out": Path("a.pb")}, "ends with .onnx. Change"),
            ({"format": "onnx", "samples": 0}, "received 0; accepted: 1 or more"),
            ({"format": "torch"}, "received 'torch'; accepted are saved_model, onnx"),
        )
        for changes, message in refused:
            with self.assertRaisesRegex(UserError, message):
                ExportOptions("small", **changes)


if __name__ == "__main__":
    tf.test.main()
