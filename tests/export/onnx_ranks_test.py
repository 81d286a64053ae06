"""Outputs of ONNX models get the rank of images."""

import unittest

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from keras_depthseg.export.onnx_ranks import restore_ranks


def turned(shape, consumed=False):
    """(B, 1, H, W) reshaped to (B, H, W, 1), as tf2onnx does; sometimes used again."""
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["depth"])]
    outputs = [
        helper.make_tensor_value_info("depth", TensorProto.FLOAT, [None] * len(shape))
    ]
    if consumed:
        nodes.append(helper.make_node("Neg", ["depth"], ["negative"]))
        outputs.append(
            helper.make_tensor_value_info("negative", TensorProto.FLOAT, [None] * 4)
        )
    graph = helper.make_graph(
        nodes,
        "turned",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1, None, None])],
        outputs,
        [numpy_helper.from_array(np.array(shape), "shape")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)])
    model.ir_version = 8
    return model


class RanksTest(unittest.TestCase):
    def check(self, model):
        restore_ranks(onnx, model)
        onnx.checker.check_model(model)
        session = onnxruntime.InferenceSession(model.SerializeToString())
        x = np.random.default_rng(0).random((2, 1, 3, 4), np.float32)
        depth, *others = map(np.asarray, session.run(None, {"x": x}))
        np.testing.assert_array_equal(depth, np.moveaxis(x, 1, 3))
        for other in others:
            np.testing.assert_array_equal(other, -depth)

    def test_sides_too_many(self):
        self.check(turned([1, -1, 3, 4, 1]))
        self.check(turned([1, -1, 3, 4, 1], consumed=True))

    def test_what_is_right_is_left(self):
        model = turned([-1, 3, 4, 1])
        before = model.SerializeToString()
        self.check(model)
        self.assertEqual(model.SerializeToString(), before)


if __name__ == "__main__":
    unittest.main()
