"""Tiny networks in every format, and their outputs by NumPy."""

import warnings

import keras
import numpy as np
import tensorflow as tf

from keras_depthseg.datasets.teacher.teacher import load_teacher, parse_teacher
from tests.support.tiny_data import RefusalTestCase, colour

SIZE = 8, 12


def kernel():
    return np.random.default_rng(0).normal(0, 1, (3, 3, 3, 1)).astype("float32")


def convolution(pictures):
    """The network: 3x3, padded with zeros. (B, H, W, 3) -> (B, H, W)."""
    padded = np.pad(pictures.astype(float), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    return np.einsum("bhwcij,ijc->bhw", windows, kernel()[..., 0].astype(float))


def stretched(outputs):
    low, high = np.percentile(outputs, (0.1, 99.9), axis=(1, 2), keepdims=True)
    return np.clip((outputs - low) / (high - low), 0, 1)


def keras_network(size=SIZE):
    inputs = keras.Input((*size, 3))
    layer = keras.layers.Conv2D(1, 3, padding="same", use_bias=False)
    model = keras.Model(inputs, layer(inputs))
    layer.set_weights([kernel()])
    return model


def grey_network():
    """Gives the mean of the channels."""
    inputs = keras.Input((*SIZE, 3))
    return keras.Model(inputs, keras.ops.mean(inputs, axis=-1))


def write_litert(path, network, examples=None):
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


def write_onnx(path, channels_first, height_width=SIZE, batch=1, **saving):
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
        [onnx.numpy_helper.from_array(kernel().transpose(3, 2, 0, 1), "w")],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(
        helper.make_model(graph, opset_imports=[opset], ir_version=9), path, **saving
    )


class TeacherTestCase(RefusalTestCase):
    """Has five pictures, and opens teachers."""

    def setUp(self):
        super().setUp()
        self.pictures = np.stack([colour(seed, SIZE) for seed in range(5)])

    def save(self, network, name="other.keras"):
        network.save(self.folder / name)
        return self.folder / name

    def teacher(self, path, options="input=0:1,larger=farther"):
        return load_teacher(parse_teacher(f"{path},{options}"))
