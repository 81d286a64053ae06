"""Weights by name: whole or refused; two engines agree on what they are."""

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from unittest import mock

import numpy as np
from absl.testing import parameterized

import keras_depthseg
from keras_depthseg import DSResNet, Predictor, load_pretrained, pretrained
from keras_depthseg.inference.network import needs_keras, open_network
from keras_depthseg.model_file import ModelFile, model_path
from keras_depthseg.networks.saving import save_float16
from keras_depthseg.pretrained import pretrained_path
from tests.support.plain_network import pair
from tests.support.tiny_data import RefusalTestCase

SHIPPED = Path(keras_depthseg.__file__).parent / "networks/weights/small.keras"


class NamesTestCase(RefusalTestCase):
    """Has an empty cache folder, and an empty folder in place of the package's."""

    def setUp(self):
        super().setUp()
        self.cache = self.folder / "cache"
        self.package = self.folder / "package"
        self.package.mkdir()
        cache = {"KERAS_DEPTHSEG_CACHE": str(self.cache)}
        self.enterContext(mock.patch.dict(os.environ, cache))
        self.enterContext(mock.patch.object(pretrained, "FOLDER", self.package))

    def note(self, path):
        """Let a file be the one that `small` means."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        self.enterContext(mock.patch.dict(pretrained.WEIGHTS, small=digest))


class ModelFileTest(RefusalTestCase):
    def test_damaged(self):
        path = self.folder / "model.keras"
        data = SHIPPED.read_bytes()
        directory = data.rindex(b"config.json") - 46
        self.assertEqual(data[directory : directory + 4], b"PK\x01\x02")
        with zipfile.ZipFile(SHIPPED) as archive:
            config = json.loads(archive.read("config.json"))
        wide = {**config["config"], "width": "wide"}
        contents = [
            data[:9999],
            # A version of zip, and a compression, that Python does not know.
            data[: directory + 6] + b"\x63" + data[directory + 7 :],
            data[: directory + 10] + b"\x63" + data[directory + 11 :],
            _zip(b"\xff\xfe"),
            _zip(b"[" * 100_000),
            _zip(json.dumps({**config, "registered_name": ["a"]}).encode()),
            _zip(json.dumps({**config, "config": wide}).encode()),
            _zip(json.dumps({**config, "config": None}).encode()),
        ]
        for content in contents:
            path.write_bytes(content)
            self.assert_refused(lambda: ModelFile.open(path), path, "damaged")


def _zip(config):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("config.json", config)
    return buffer.getvalue()


class ShippedTest(RefusalTestCase):
    def test_file(self):
        self.assertLess(SHIPPED.stat().st_size, 8e6)
        self.assertEqual(pretrained_path("small"), SHIPPED)
        self.assertEqual(ModelFile.open("small").path, SHIPPED)

    def test_engines_agree_on_two_pictures(self):
        cache = {"KERAS_DEPTHSEG_CACHE": str(self.folder)}
        self.enterContext(mock.patch.dict(os.environ, cache))
        model = load_pretrained()
        self.assertEqual({variable.dtype for variable in model.variables}, {"float32"})
        bg, fg_bg, _ = pair(96, 128)
        ours = Predictor().predict(bg, fg_bg)
        # Converted for every file of these bytes, and for no other.
        self.assertFalse(needs_keras("small"))
        copy = self.folder / "copy.keras"
        copy.write_bytes(SHIPPED.read_bytes())
        self.assertFalse(needs_keras(copy))
        copy.write_bytes(SHIPPED.read_bytes() + b"of the next version")
        self.assertTrue(needs_keras(copy))
        theirs = Predictor(model).predict(bg, fg_bg)
        self.assertEqual(ours.mask.shape, (96, 128))
        self.assertGreater(np.ptp(ours.depth), 0)
        self.assertAllClose(ours.mask, theirs.mask, atol=1e-3)
        self.assertAllClose(ours.depth, theirs.depth, atol=1e-3)

    def test_found_without_keras(self):
        script = (
            "import sys, depthseg; depthseg.is_running = True;"
            "from keras_depthseg.model_file import ModelFile;"
            "print(ModelFile.open('small').path, {'keras', 'h5py'} & set(sys.modules))"
        )
        process = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": str(SHIPPED.parents[3])},
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertEqual(process.stdout, f"{SHIPPED} set()\n", process.stderr)


class NameTest(NamesTestCase):
    def test_package_before_cache(self):
        cached = self.cache / "weights/small.keras"
        cached.parent.mkdir(parents=True)
        save_float16(DSResNet(1), cached)
        self.note(cached)
        self.assertEqual(model_path("small"), cached)
        (self.package / "small.keras").write_bytes(cached.read_bytes())
        self.assertEqual(model_path("small"), self.package / "small.keras")

    def test_a_text_is_the_name_and_a_path_the_file(self):
        shipped = self.package / "small.keras"
        save_float16(DSResNet(1), shipped)
        self.note(shipped)
        run = self.folder / "small"
        run.mkdir()
        DSResNet(2).save(run / "model.keras")
        with contextlib.chdir(self.folder):
            self.assertEqual(ModelFile.open("small").width, 1)
            for path in ("./small", Path("small"), Path("./small")):
                self.assertEqual(ModelFile.open(path).width, 2)
            self.assertEqual(open_network("small", "keras").name, str(shipped))
            self.assertEqual(
                open_network(Path("small"), "keras").name, "small/model.keras"
            )


class RefusedTest(NamesTestCase, parameterized.TestCase):
    def test_unknown_name(self):
        self.assert_refused(
            lambda: load_pretrained("tiny"), "`name`: received 'tiny'; accepted: small."
        )
        self.assert_refused(
            lambda: Predictor("tiny"), "tiny: no such model", "or a name: small."
        )

    def test_missing(self):
        for call in (load_pretrained, Predictor, lambda: ModelFile.open("small")):
            self.assert_refused(
                call, "missing; put small.keras into", self.cache / "weights", "again"
            )

    @parameterized.parameters(0, 100, 0.01, 0.3, 0.5, 0.9, 0.99, -1)
    def test_one_changed_bit(self, place):
        content = bytearray(SHIPPED.read_bytes())
        content[int(place * len(content)) if isinstance(place, float) else place] ^= 1
        path = self.package / "small.keras"
        path.write_bytes(content)
        for call in (load_pretrained, lambda: open_network("small")):
            self.assert_refused(call, path, "small are damaged", "install", "again")

    def test_cut_off_or_empty(self):
        path = self.package / "small.keras"
        for length in (0, 1000, -1):
            path.write_bytes(SHIPPED.read_bytes()[:length])
            self.assert_refused(load_pretrained, path, "damaged")
