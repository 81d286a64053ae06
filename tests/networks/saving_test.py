"""The small file against the weights rounded by NumPy."""

import datetime
import json
import os
import zipfile
from unittest import mock

import keras
import numpy as np

from keras_depthseg import DSResNet
from keras_depthseg.networks.saving import save_float16
from tests.support.tiny_data import RefusalTestCase

STATISTICS = {
    name: {"mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)} for name in ("bg", "fg_bg")
}


def random_model(**options):
    model = DSResNet(2, STATISTICS, resolution=96, **options)
    random = np.random.default_rng(3)
    model.set_weights([random.normal(0, 1, w.shape) for w in model.get_weights()])
    return model


class SaveFloat16Test(RefusalTestCase):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "small.keras"

    def test_weights_are_rounded_and_nothing_else_changes(self):
        model = random_model(dtype="mixed_bfloat16")
        model.compile("adam", loss="mse")
        before = model.get_weights()
        save_float16(model, self.path)
        # Safe mode is Keras's default.
        loaded = keras.saving.load_model(self.path)
        self.assertEqual({variable.dtype for variable in loaded.variables}, {"float32"})
        for ours, theirs, same in zip(
            loaded.get_weights(), model.get_weights(), before, strict=True
        ):
            self.assertAllEqual(ours, theirs.astype(np.float16).astype(np.float32))
            self.assertAllEqual(theirs, same)
            self.assertAllClose(ours, theirs, rtol=1 / 2048, atol=1e-7)
        config = model.get_config()
        self.assertEqual(
            {**loaded.get_config(), "dtype": config["dtype"]},
            config,
        )
        self.assertEqual(loaded.dtype_policy.name, "float32")
        self.assertFalse(loaded.compiled)
        # Weights by themselves, as a training that starts from the file reads them.
        other = random_model()
        other.load_weights(self.path)
        for ours, theirs in zip(other.get_weights(), loaded.get_weights(), strict=True):
            self.assertAllEqual(ours, theirs)

    def test_size(self):
        model = DSResNet(4)
        save_float16(model, self.path)
        model.save(self.folder / "full.keras")
        full = (self.folder / "full.keras").stat().st_size
        # What remains is 0.4 MB of names.
        self.assertLess(self.path.stat().st_size - 2 * model.count_params(), 5e5)
        self.assertLess(self.path.stat().st_size, 0.6 * full)

    def test_same_weights_same_bytes(self):
        save_float16(random_model(), self.path)
        later = datetime.datetime.now() + datetime.timedelta(days=400)
        with mock.patch("time.time", lambda: later.timestamp()):
            save_float16(random_model(), self.folder / "again.keras")
        self.assertEqual(
            self.path.read_bytes(), (self.folder / "again.keras").read_bytes()
        )
        with zipfile.ZipFile(self.path) as archive:
            self.assertEqual({each.date_time[0] for each in archive.infolist()}, {1980})
            about = json.loads(archive.read("metadata.json"))
        self.assertEqual(set(about), {"keras_version"})

    def test_beyond_the_range(self):
        model = random_model()
        layer = next(
            layer
            for layer in model.layers
            if isinstance(layer, keras.layers.BatchNormalization)
        )
        variance = layer.moving_variance
        variance.assign(np.full(variance.shape, 65504.0))
        save_float16(model, self.path)
        kept = self.path.read_bytes()
        for value, written in ((-7e4, "-70000"), (np.nan, "nan")):
            variance.assign(np.full(variance.shape, value))
            self.assert_refused(
                lambda: save_float16(model, self.path),
                *("small.keras: received the weight", "/layers/", "65504", written),
            )
            self.assertEqual(self.path.read_bytes(), kept)
            self.assertEqual(os.listdir(self.folder), ["small.keras"])
