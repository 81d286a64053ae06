import os
import pickle
import sys
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf

from keras_depthseg import DSResNet
from keras_depthseg.errors import UserError
from keras_depthseg.networks.original_weights import load_original_weights
from tests.support import reference


class _Malicious:
    """Pickled, this asks the reader to make a directory."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


class _WithModel(tf.test.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Building takes longer than the tests do; each of them sets all its weights, or
        # none.
        cls.model = DSResNet(width=2)

    def setUp(self):
        super().setUp()
        self.state = reference.state_dict(width=2)

    def _assert_refused(self, source, *parts):
        """`source` is refused in one line with these parts; no weight changes."""
        before = self.model.get_weights()
        with self.assertRaises(UserError) as caught:
            load_original_weights(self.model, source)
        message = str(caught.exception)
        for part in parts:
            self.assertIn(part, message)
        self.assertNotIn("\n", message)
        for value, expected in zip(self.model.get_weights(), before, strict=True):
            self.assertAllEqual(value, expected)


class MappingTest(_WithModel):
    def test_every_weight_is_set_and_kernels_are_transposed(self):
        for variable in self.model.weights:
            variable.assign(np.full(variable.shape, np.nan))
        # A counter of PyTorch's batch normalisation is ignored.
        counter = "b1.double_conv.conv1.2.num_batches_tracked"
        load_original_weights(self.model, {**self.state, counter: np.array(7)})
        for variable in self.model.variables:
            self.assertTrue(np.isfinite(variable.numpy()).all(), variable.path)
        kernel = self.model.get_layer("bg_encoder1_conv1").kernel.numpy()
        original = self.state["b1.double_conv.conv1.0.weight"]
        self.assertEqual(kernel[0, 2, 1, 0], original[0, 1, 0, 2])

    def test_refuses_what_does_not_fit(self):
        del self.state["M0.bias"]
        self.state["extra.weight"] = np.zeros(3)
        self.state["merge.bias"] = np.zeros(5)
        self._assert_refused(
            self.state,
            "1 missing (M0.bias)",
            "1 left over (extra.weight)",
            "1 of another shape (merge.bias (5,) for (4,))",
            "width=2",
        )

    def test_refuses_another_width_and_names_a_few(self):
        self._assert_refused(
            reference.state_dict(width=4), "of another shape (b1.", " more)"
        )

    def test_refuses_a_missing_file_and_names_the_extra_without_torch(self):
        path = os.path.join(self.get_temp_dir(), "some.pt")
        self._assert_refused(path, path, "no such file")
        open(path, "wb").close()
        with mock.patch.dict(sys.modules, {"torch": None}):
            self._assert_refused(path, path, 'pip install "keras_depthseg[torch]"')


class CheckpointTest(_WithModel):
    """Files, where PyTorch is installed."""

    def setUp(self):
        super().setUp()
        self.torch = pytest.importorskip("torch", reason="the extra torch is absent")
        self.path = os.path.join(self.get_temp_dir(), "original.pt")

    def _save(self, content):
        self.torch.save(content, self.path)

    def _tensors(self):
        return {k: self.torch.from_numpy(v) for k, v in self.state.items()}

    def test_equals_the_mapping(self):
        load_original_weights(self.model, self.state)
        expected = self.model.get_weights()
        for change, tolerance in ((lambda x: x, 0.0), (lambda x: x.bfloat16(), 0.01)):
            self._save({k: change(v) for k, v in self._tensors().items()})
            load_original_weights(self.model, self.path)
            for value, other in zip(self.model.get_weights(), expected, strict=True):
                self.assertAllClose(value, other, rtol=tolerance, atol=0)

    def test_refuses_pickled_code_without_running_it(self):
        target = os.path.join(self.get_temp_dir(), "made_by_the_checkpoint")
        for save in (self._save, self._pickle):
            save({**self._tensors(), "M0.bias": _Malicious(target)})
            self._assert_refused(self.path, self.path, "could run code")
            self.assertFalse(os.path.exists(target))

    def _pickle(self, content):
        with open(self.path, "wb") as file:
            pickle.dump(content, file)

    def test_refuses_what_is_no_state_dict(self):
        self._save(list(self._tensors().values())[:2])
        self._assert_refused(self.path, self.path, "Received: list")
        self._save({"model": self._tensors(), "epoch": 3})
        self._assert_refused(self.path, "Received: a dict with model, epoch")

    def test_refuses_other_and_damaged_files(self):
        self._save(self._tensors())
        with open(self.path, "rb") as file:
            whole = file.read()
        for content in (b"", b"a text file\n", whole[: len(whole) // 2]):
            with open(self.path, "wb") as file:
                file.write(content)
            self._assert_refused(self.path, self.path, "checkpoint of PyTorch")
