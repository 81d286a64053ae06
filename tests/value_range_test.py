"""Pictures in 0..1 are noticed, those of dark scenes are not taken for them."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from keras_depthseg import Predictor
from keras_depthseg.errors import UserError
from keras_depthseg.inference.network import open_network
from keras_depthseg.model import OUTPUTS, TwoPictureNetwork, picture_inputs
from keras_depthseg.value_range import has_other_range
from tests.support.tiny_data import RefusalTestCase, colour

SIZE = (32, 32)


def pictures(change=lambda x: x, dtype="float32"):
    """`bg` and `fg_bg`, in 0..255 before `change`."""
    found = {
        name: np.stack([colour(seed + i, SIZE) for i in range(2)])
        for seed, name in enumerate(("bg", "fg_bg"))
    }
    return {name: change(x.astype("float64")).astype(dtype) for name, x in found.items()}


@keras.saving.register_keras_serializable("tests")
class TinyNetwork(TwoPictureNetwork):
    def __init__(self, width=1, resolution=None, dtype=None, name="tiny"):
        inputs = picture_inputs()
        joined = keras.layers.Concatenate()([inputs["bg"], inputs["fg_bg"]])
        outputs = {o: keras.layers.Conv2D(1, 1, name=o)(joined) for o in OUTPUTS}
        policy = keras.dtype_policies.get(dtype or "float32")
        super().__init__(
            inputs, outputs, width=width, resolution=resolution, dtype=policy, name=name
        )


def generated(generate, dtype="float32"):
    """A data set of batches of pictures, of unknown length."""
    spec = {name: tf.TensorSpec((2, *SIZE, 3), dtype) for name in ("bg", "fg_bg")}
    return tf.data.Dataset.from_generator(generate, output_signature=spec)


def to_unit(x):
    return x / 255


OTHER = {
    "unit": to_unit,
    "night": lambda x: to_unit(x) * 0.05,
    "resized": lambda x: to_unit(x) * 1.08,
    "minus_one_to_one": lambda x: x / 127.5 - 1,
    "imagenet": lambda x: (to_unit(x) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225],
}
RIGHT = {
    "floats": lambda x: x,
    "dark": lambda x: x * 0.02,
    "darker": lambda x: x * 0.008,
    "black": lambda x: 0 * x,
    "noise_on_black": lambda x: np.rint(x / 255),
    "resized": lambda x: x * 1.2 - 25,
    "not_finite": lambda x: np.where(x > 200, np.nan, to_unit(x)),
}


class ValueRangeTest(RefusalTestCase):
    @parameterized.product(name=tuple(OTHER), dtype=("float16", "float32", "float64"))
    def test_other_ranges(self, name, dtype):
        self.assertTrue(has_other_range(pictures(OTHER[name], dtype)["bg"]))

    @parameterized.parameters(*RIGHT)
    def test_right_ranges(self, name):
        self.assertFalse(has_other_range(pictures(RIGHT[name])["bg"]))

    @parameterized.parameters("uint8", "uint16", "int32")
    def test_integers(self, dtype):
        self.assertFalse(has_other_range(pictures(to_unit, dtype)["bg"]))

    def check(self, call, other, right):
        """The first of two calls with other values warns, a right one does not."""
        with self.assertNoLogs("keras_depthseg"):
            call(right)
        with self.assertLogs("keras_depthseg") as logs:
            call(other)
            call(other)
        self.assertLen(logs.output, 1)
        self.assertIn("pictures of 0 to 1; the network takes 0..255", logs.output[0])
        return logs.records[0].getMessage()

    @parameterized.parameters("call", "predict", "predict_on_batch", "tensors")
    def test_models(self, how):
        model = TinyNetwork()

        def call(inputs):
            if how == "tensors":
                return model({name: tf.constant(x) for name, x in inputs.items()})
            if how == "call":
                return model(inputs)
            options = {"verbose": 0} if how == "predict" else {}
            return getattr(model, how)(inputs, **options)

        self.check(call, pictures(to_unit), pictures())

    @parameterized.parameters("inputs", "inputs and labels")
    def test_data_sets(self, elements):
        model = TinyNetwork()

        def call(inputs):
            if elements != "inputs":
                inputs = (inputs, np.zeros(2))
            model.predict(tf.data.Dataset.from_tensor_slices(inputs).batch(1), verbose=0)

        self.check(call, pictures(to_unit), pictures())

    def test_integers_are_not_read_for_it(self):
        read = []

        def generate():
            read.append(1)
            yield pictures(dtype="uint8")

        one = tf.data.experimental.assert_cardinality(1)
        data = generated(generate, "uint8").apply(one)
        TinyNetwork().predict(data, verbose=0)
        self.assertEqual(read, [1])

    def test_batches_that_come_once(self):
        """A generator of floats loses none of them."""
        batches = (pictures() for _ in range(3))
        data = generated(lambda: batches)
        found = TinyNetwork().predict(data.repeat(1), steps=3, verbose=0)
        self.assertLen(found["mask"], 6)

    def test_nothing_is_read_after_the_warning(self):
        read = []

        def generate():
            read.append(1)
            yield pictures(to_unit)

        data = generated(generate).apply(tf.data.experimental.assert_cardinality(1))
        model = TinyNetwork()
        with self.assertLogs("keras_depthseg"):
            model.predict(data, verbose=0)
        self.assertLen(read, 2)
        model.predict(data, verbose=0)
        self.assertLen(read, 3)

    @parameterized.parameters("fit", "evaluate")
    def test_training(self, how):
        model = TinyNetwork()
        model.compile("sgd", loss={"mask": "mse", "depth": "mse"})
        zeros = np.zeros((2, *SIZE, 1), "float32")
        labels = {"mask": zeros, "depth": zeros}
        call = getattr(model, how)
        self.check(lambda x: call(x, labels, verbose=0), pictures(to_unit), pictures())

    def test_one_of_the_two(self):
        mixed = pictures() | {"fg_bg": pictures(to_unit)["fg_bg"]}
        line = self.check(TinyNetwork(), mixed, pictures())
        self.assertStartsWith(line, "`fg_bg`: received float32 pictures of 0 to 1;")

    def test_saved_and_exported(self):
        """The check is no part of the graph."""
        model = TinyNetwork()
        other = pictures(to_unit)
        self.check(model, other, pictures())
        model.save(self.folder / "model.keras")
        again = keras.saving.load_model(self.folder / "model.keras")
        # Another model: it tells again.
        self.check(again, other, pictures())
        again.export(self.folder / "saved", verbose=False)
        exported = tf.saved_model.load(str(self.folder / "saved"))
        served = exported.serve(other)
        self.assertAllClose(served["mask"], again.predict_on_batch(other)["mask"], 1e-5)

    def test_running_network(self):
        network = open_network(TinyNetwork())

        def call(inputs):
            network.predict(inputs["fg_bg"], network.features(inputs["bg"]))

        self.check(call, pictures(to_unit), pictures())

    def test_predictor_refuses_them(self):
        predictor = Predictor(TinyNetwork())
        bg, fg_bg = (x[0] for x in pictures(to_unit).values())
        with self.assertRaisesRegex(UserError, "values of 0..1 times 255"):
            predictor.predict(bg, fg_bg)
