"""A network opened with each engine gives the same; converted files are kept."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import keras
import numpy as np
import tensorflow as tf

from keras_depthseg.errors import UserError
from keras_depthseg.inference.network import needs_keras, open_network
from keras_depthseg.model import DSResNet
from tests.support.plain_network import plain_network

_OPEN_ONLY = """
import gc, numpy, signal, sys, types
signal.signal(signal.SIGINT, signal.default_int_handler)
command = sys.modules["depthseg"] = types.ModuleType("depthseg")
command.is_running = True
from keras_depthseg.inference.network import open_network
network = open_network(sys.argv[1])
print(network.engine, "keras" in sys.modules, "tensorflow" in sys.modules)
print(sys.modules["openvino_telemetry"])
# Ctrl-C once the network is gone.
image = numpy.zeros((1, 32, 32, 3))
network.predict(image, network.features(image))
del network
gc.collect()
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("stopped")
"""


class NetworkTest(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        keras.utils.set_random_seed(0)
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.cache = cls.folder / "cache"
        cls.environment = {"KERAS_DEPTHSEG_CACHE": str(cls.cache)}
        cls.enterClassContext(mock.patch.dict(os.environ, cls.environment))
        cls.model = DSResNet(width=2)
        cls.path = cls.folder / "model.keras"
        cls.model.save(cls.path)
        rng = np.random.default_rng(0)
        cls.images = [rng.uniform(0, 255, (2, 64, 96, 3)) for _ in range(2)]

    def predict(self, network, **options):
        bg, fg_bg = self.images
        return network.predict(fg_bg, network.features(bg), **options)

    def test_engines_agree(self):
        bg, fg_bg = (image.astype("float32") for image in self.images)
        expected = self.model.predict_on_batch({"bg": bg, "fg_bg": fg_bg})
        for source, engine in (
            (self.path, "openvino"),
            (self.folder, "openvino"),
            (self.path, "keras"),
            (self.model, None),
        ):
            maps = self.predict(open_network(source, engine))
            for name in ("mask", "depth"):
                self.assertAllClose(maps[name], expected[name][..., 0], atol=1e-4)

    def test_mask_alone_and_one_plate_for_many(self):
        network = open_network(self.path)
        both = self.predict(network)
        mask = self.predict(network, depth=False)
        self.assertEqual(set(mask), {"mask"})
        self.assertAllClose(mask["mask"], both["mask"], atol=1e-6)
        bg, fg_bg = self.images
        one = network.predict(fg_bg, network.features(bg[:1]))
        each = [
            network.predict(fg_bg[i : i + 1], network.features(bg[:1])) for i in (0, 1)
        ]
        joined = np.concatenate([maps["mask"] for maps in each])
        self.assertAllClose(one["mask"], joined, atol=1e-5)

    def test_converted_once_and_opened_without_keras(self):
        open_network(self.path)
        self.assertFalse(needs_keras(self.path))
        self.assertTrue(needs_keras(self.path, "keras"))
        result = subprocess.run(
            [sys.executable, "-c", _OPEN_ONLY, self.path],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **self.environment},
        )
        self.assertEqual(
            result.stdout.split(), ["openvino", "False", "False", "None", "stopped"]
        )

    def test_changed_file_is_converted_anew(self):
        path = self.folder / "changing.keras"
        plain_network().save(path)
        before = self.predict(open_network(path))["mask"]
        self.model.save(path)
        self.assertTrue(needs_keras(path))
        after = self.predict(open_network(path))["mask"]
        self.assertNotAllClose(before, after)
        self.assertFalse(list((self.cache / "networks").glob(".*")))

    def test_damaged_conversion_is_made_anew(self):
        expected = self.predict(open_network(self.path))["mask"]
        folders = (self.cache / "networks").iterdir()
        folder = max(folders, key=lambda path: path.stat().st_mtime)
        data = bytearray((folder / "maps.bin").read_bytes())
        # OpenVINO runs it, and gives other maps.
        data[len(data) // 2] ^= 0x40
        (folder / "maps.bin").write_bytes(data)
        with self.assertLogs("keras_depthseg", "WARNING") as logs:
            network = open_network(self.path)
        self.assertIn("damaged", logs.output[0])
        self.assertAllClose(self.predict(network)["mask"], expected, atol=1e-6)
        with self.assertNoLogs("keras_depthseg", "WARNING"):
            open_network(self.path)

    def test_resolution(self):
        self.assertEqual(open_network(self.path).resolution, 224)
        for engine in ("openvino", "keras"):
            path = self.folder / "trained.keras"
            trained = DSResNet(width=1)
            trained.resolution = 96
            trained.save(path)
            self.assertEqual(open_network(path, engine).resolution, 96)

    def test_refused(self):
        bad = self.folder / "bad.keras"
        bad.write_bytes(b"no model")
        other = self.folder / "other.keras"
        empty = self.folder / "empty"
        empty.mkdir()
        image = keras.Input((8, 8, 3))
        keras.Model(image, keras.layers.Conv2D(1, 1)(image)).save(other)
        for path, engine, message in (
            (self.folder / "none.keras", None, "none.keras: no such model"),
            (empty, None, "without model.keras"),
            (bad, None, "bad.keras: this network cannot be opened"),
            (other, None, "other.keras: received another kind of network"),
            (self.path, "torch", "`engine`: received 'torch'; accepted are openvino and"),
        ):
            with self.assertRaisesRegex(UserError, message):
                open_network(path, engine)

    def test_cache_that_cannot_be_written(self):
        file = self.folder / "file"
        file.write_text("")
        path = self.folder / "fresh.keras"
        DSResNet(width=1).save(path)
        with (
            mock.patch.dict(os.environ, {"KERAS_DEPTHSEG_CACHE": str(file)}),
            self.assertRaisesRegex(UserError, "cannot be kept there"),
        ):
            open_network(path)
