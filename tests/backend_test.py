"""What the package assumes of Keras beyond its documentation; a test an assumption."""

import ast
import re
from pathlib import Path

import h5py
import keras
import numpy as np
import tensorflow as tf

import keras_depthseg
from keras_depthseg import backend

PACKAGE = Path(keras_depthseg.__file__).parent

PRIVATE_NAMES = {
    *(
        "_clip_gradients",
        "_all_reduce_sum_gradients",
        "_get_variable_index",
        "_momentums",
        "_velocities",
    ),
    *("_symbolic_build", "_initial_epoch", "jax_state_sync"),
    *("train_function", "test_function"),
}


def _model():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), "mse", metrics=["mae"])
    return model


class OnlyHereTest(tf.test.TestCase):
    """No other module branches on the backend or uses private names of Keras."""

    def test_modules(self):
        for path in PACKAGE.rglob("*.py"):
            name = path.relative_to(PACKAGE).as_posix()
            if name == "backend.py":
                continue
            source = path.read_text()
            self.assertNotRegex(source, r"backend\.backend\(\)", name)
            attributes = {
                node.attr
                for node in ast.walk(ast.parse(source))
                if isinstance(node, ast.Attribute)
            }
            self.assertEmpty(attributes & PRIVATE_NAMES, name)
            self.assertIsNone(re.search(r"keras\.src|from keras\._", source), name)


class ReplicasTest(tf.test.TestCase):
    """One only; for several see distribution_test.py."""

    def test_nothing_is_changed(self):
        x = tf.constant(np.random.default_rng(0).normal(size=(3, 4)).astype("float32"))
        for strategy in (tf.distribute.get_strategy(), tf.distribute.MirroredStrategy()):
            # Within the scope there is no replica, within a step one.
            with strategy.scope():
                self.assertEqual(backend.replicas(), 1)
            for value in (x, tf.zeros((0,))):
                (same,) = strategy.run(lambda v=value: backend.sum_over_replicas([v]))
                self.assertIs(same, value)
        self.assertAllClose(backend.mean_over_replicas(x), x.numpy().mean())


class OptimizerTest(tf.test.TestCase):
    def test_clip_gradients_gets_all_gradients_before_the_step(self):
        received = []

        class Recording(keras.optimizers.SGD):
            def _clip_gradients(self, grads):
                received.append([float(gradient) for gradient in grads])
                return [2.0 * gradient for gradient in grads]

        optimizer = Recording(1.0, clipvalue=9.0)
        variables = [keras.Variable(0.0), keras.Variable(0.0)]
        optimizer.build(variables)
        optimizer.apply([tf.constant(1.0), tf.constant(3.0)], variables)
        self.assertEqual(received, [[1.0, 3.0]])
        self.assertAllClose([v.numpy() for v in variables], [-2.0, -6.0])

    def test_all_reduce_sum_gradients_gets_pairs_and_returns_what_is_applied(self):
        class Doubling(keras.optimizers.SGD):
            def _all_reduce_sum_gradients(self, grads_and_vars):
                return [
                    (2.0 * gradient, variable) for gradient, variable in grads_and_vars
                ]

        optimizer = Doubling(1.0)
        variable = keras.Variable(0.0)
        optimizer.build([variable])
        optimizer.apply([tf.constant(1.5)], [variable])
        self.assertAllClose(variable.numpy(), -3.0)

    def test_slots_are_lists_in_the_order_of_the_variables(self):
        variables = [keras.Variable(np.zeros(size, "float32")) for size in (2, 3)]
        adam = keras.optimizers.Adam(0.1)
        sgd = keras.optimizers.SGD(0.1, momentum=0.9)
        for optimizer in (adam, sgd):
            optimizer.build(variables)
            for number, variable in enumerate(variables):
                self.assertEqual(optimizer._get_variable_index(variable), number)
        for slots in (adam._momentums, adam._velocities, sgd.momentums):
            self.assertEqual([slot.shape for slot in slots], [(2,), (3,)])
        self.assertTrue(hasattr(variables[0].value, "handle"))


class FitTest(tf.test.TestCase):
    def test_build_metrics_creates_their_variables_and_computes_nothing(self):
        model = _model()
        weights = model.get_weights()
        self.assertEmpty(model.metrics_variables[2:])
        x = np.ones((4, 2), "float32")
        backend.build_metrics(model, (x, x[:, :1]))
        created = model.metrics_variables
        self.assertLen(created, 4)  # Total and count, of loss and mae.
        self.assertAllEqual([v.numpy() for v in created], np.zeros(4))
        self.assertAllEqual(model.get_weights()[0], weights[0])
        model.fit(x, x[:, :1], verbose=0)
        for before, now in zip(created, model.metrics_variables, strict=True):
            self.assertIs(before, now)

    def test_forget_traces_retraces_and_fit_alone_does_not(self):
        model = _model()
        x = np.ones((4, 2), "float32")
        functions = []
        for forget in (False, False, True):
            if forget:
                backend.forget_traces(model)
            model.fit(x, x[:, :1], validation_data=(x, x[:, :1]), verbose=0)
            model.predict(x, verbose=0)
            functions.append(
                (model.train_function, model.test_function, model.predict_function)
            )
        for first, same, other in zip(*functions, strict=True):
            self.assertIs(first, same)
            self.assertIsNot(first, other)

    def test_fit_uses_a_ready_callback_list_as_it_is(self):
        calls = []

        class Recording(keras.callbacks.CallbackList):
            def on_train_begin(self, logs=None):
                super().on_train_begin(logs)
                calls.append("begin")

            def on_train_batch_end(self, batch, logs=None):
                calls.append(batch)

            def on_train_end(self, logs=None):
                calls.append("end")

        model = _model()
        callbacks = Recording([], add_history=True, model=model)
        x = np.ones((4, 2), "float32")
        for epoch in (0, 1):
            model.fit(
                *(x, x[:, :1], 2),
                initial_epoch=epoch,
                epochs=epoch + 1,
                callbacks=callbacks,
                verbose=0,
            )
        self.assertEqual(calls, ["begin", 0, 1, "end"] * 2)
        self.assertIs(model.history, callbacks._history)


class GraphCallsTest(tf.test.TestCase):
    def test_every_call_of_a_shared_layer_in_order(self):
        one, other = keras.Input((2,), name="one"), keras.Input((2,), name="other")
        shared = keras.layers.Dense(3)
        x, y = shared(one), shared(other)
        total = keras.layers.Add()([x, y])
        calls = backend.graph_calls(keras.Model([one, other], total))
        self.assertCountEqual(
            [
                ([id(t) for t in inputs], [id(t) for t in outputs])
                for inputs, outputs in calls
            ],
            [([id(one)], [id(x)]), ([id(other)], [id(y)]), ([id(x), id(y)], [id(total)])],
        )
        self.assertIs(calls[-1][1][0], total)


class WeightsFileTest(tf.test.TestCase):
    def test_as_save_weights_writes_it(self):
        """Also what the optimizer has."""
        model = _model()
        x = np.ones((4, 2), "float32")
        model.fit(x, x[:, :1], verbose=0)
        folder = Path(self.get_temp_dir())
        model.save_weights(folder / "keras.weights.h5")
        (folder / "ours.weights.h5").write_bytes(backend.weights_file(model))
        contents = []
        for name in ("keras", "ours"):
            found = {}
            with h5py.File(folder / f"{name}.weights.h5") as file:
                file.visititems(
                    lambda path, item, found=found: found.setdefault(
                        path, item[()] if isinstance(item, h5py.Dataset) else None
                    )
                )
                found["attributes"] = sorted(file.attrs)
            contents.append(found)
        self.assertEqual(contents[0].keys(), contents[1].keys())
        for path, value in contents[0].items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, contents[1][path])
        other = _model()
        other.fit(x, x[:, :1], verbose=0)
        other.load_weights(folder / "ours.weights.h5")
        self.assertAllEqual(other.predict(x, verbose=0), model.predict(x, verbose=0))
