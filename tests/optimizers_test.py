"""Steps, gradients that are not finite, accumulation, clipping and the schedule."""

import dataclasses
import re

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from keras import ops

from keras_depthseg.callbacks.non_finite import NonFiniteError, StopAtNonFinite
from keras_depthseg.optimizers import OPTIMIZERS, cosine_decay, non_finite_steps
from keras_depthseg.training.compiled_model import make_optimizer
from keras_depthseg.training.recipes import RECIPES
from tests.support import processes


def _root(y_true, y_pred):
    """Finite, with an infinite gradient where prediction and truth are equal."""
    return ops.sqrt(ops.abs(y_true - y_pred))


def _model(optimizer, loss="mse", policy=None):
    inputs = keras.Input((2,))
    outputs = keras.layers.Dense(
        1, use_bias=False, kernel_initializer="ones", dtype=policy
    )
    model = keras.Model(inputs, outputs(inputs))
    if policy:
        model.dtype_policy = policy
    model.compile(optimizer, loss)
    return model


def _trained(optimizer, start, gradients):
    """A variable after steps, the optimizer's state for it, and the kernels it used."""
    variable = keras.Variable(start)
    optimizer.build([variable])

    @tf.function
    def step(gradient):
        optimizer.apply([gradient], [variable])

    for gradient in gradients:
        step(tf.constant(gradient))
    state = [v.numpy() for v in optimizer.variables if v.shape == start.shape]
    graph = str(step.get_concrete_function(tf.constant(gradient)).graph.as_graph_def())
    return [variable.numpy(), *state], set(re.findall(r'"(ResourceApply\w+)"', graph))


class FusedStepTest(tf.test.TestCase, parameterized.TestCase):
    """Against Keras's own optimizers, built from separate operations."""

    @parameterized.parameters(
        ("sgd", {"momentum": 0.9}, "ResourceApplyKerasMomentum"),
        ("sgd", {}, None),
        ("sgd", {"momentum": 0.9, "nesterov": True}, None),
        ("adam", {}, "ResourceApplyAdam"),
        ("adam", {"amsgrad": True}, None),
        (
            *("adam", {"global_clipnorm": 0.5, "gradient_accumulation_steps": 2}),
            "ResourceApplyAdam",
        ),
        ("adamw", {"weight_decay": 0.1}, "ResourceApplyAdam"),
    )
    def test_equals_keras(self, name, options, kernel):
        ours = OPTIMIZERS[name](cosine_decay(0.1, 20), **options)
        keras_class = getattr(keras.optimizers, type(ours).__name__)
        theirs = keras_class(cosine_decay(0.1, 20), **options)
        random = np.random.default_rng(0)
        start = random.normal(size=(40, 3)).astype("float32")
        gradients = random.normal(size=(20, 40, 3)).astype("float32")
        results, kernels = zip(
            *(_trained(o, start, gradients) for o in (ours, theirs)), strict=True
        )
        self.assertEqual(kernels, ({kernel} if kernel else set(), set()))
        for one, other in zip(*results, strict=True):
            # The kernel of Adam takes 1 - 0.999 in float32, which is 1.3e-5 off.
            self.assertAllClose(one, other, rtol=5e-5, atol=5e-6)
        self.assertNotAllClose(results[0][0], start, atol=0.05)


class NonFiniteTest(tf.test.TestCase, parameterized.TestCase):
    def _fit(self, model, y):
        x = np.ones((8, 2), "float32")
        model.fit(
            *(x, np.array(y, "float32")[:, None]),
            batch_size=2,
            shuffle=False,
            verbose=0,
            epochs=2,
            callbacks=[StopAtNonFinite()],
        )

    @parameterized.parameters("sgd", "adam")
    def test_gradient(self, name):
        # The third batch has a target that is met exactly: learning rate 0.
        model = _model(OPTIMIZERS[name](0.0), _root)
        with self.assertRaises(NonFiniteError) as caught:
            self._fit(model, [5, 5, 4, 5, 5, 2, 5, 5])
        error = caught.exception
        self.assertEqual((error.what, error.epoch, error.step), ("gradient", 0, 2))

    def test_loss(self):
        model = _model(OPTIMIZERS["sgd"](0.0))
        with self.assertRaises(NonFiniteError) as caught:
            self._fit(model, [1, 1, 1, np.inf, 1, 1, 1, 1])
        error = caught.exception
        self.assertEqual((error.what, error.epoch, error.step), ("loss", 0, 1))

    def test_loss_scale_may_overflow_but_not_for_ever(self):
        optimizer = OPTIMIZERS["sgd"](0.0)
        model = _model(optimizer, policy="mixed_float16")
        self.assertIsInstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
        model.optimizer.initial_scale = 2.0**18
        self._fit(model, [5] * 8)
        self.assertEqual(non_finite_steps(model.optimizer), 0)
        self.assertEqual(non_finite_steps(keras.optimizers.SGD(0.1)), 0)
        self.assertLess(float(model.optimizer.dynamic_scale), 2.0**18)

        model = _model(OPTIMIZERS["sgd"](0.0), _root, policy="mixed_float16")
        model.optimizer.initial_scale = 2.0
        with self.assertRaises(NonFiniteError) as caught:
            self._fit(model, [2] * 8)
        self.assertEqual((caught.exception.what, caught.exception.step), ("gradient", 1))


_TRAINED_TWICE = """
import gc
import keras, numpy as np, tensorflow as tf
from keras_depthseg.optimizers import OPTIMIZERS
for optimizer in [*OPTIMIZERS.values()] * 2:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(optimizer(0.1, global_clipnorm=1.0), "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
del model
keras.backend.clear_session()
gc.collect()
graphs = [each for each in gc.get_objects() if isinstance(each, tf.Graph)]
print([each.name for each in graphs if "one_step" in getattr(each, "name", "")])
"""


class ReleaseTest(tf.test.TestCase):
    def test_graphs_of_trainings_are_released(self):
        # Another process: other tests may hold on to theirs.
        (output,) = processes.finish(processes.start("tensorflow", "-c", _TRAINED_TWICE))
        self.assertEqual(output.splitlines()[-1], "[]")


class RecipeOptimizerTest(tf.test.TestCase):
    def _recipe(self, **fields):
        return dataclasses.replace(RECIPES["rmse_bce_dice"], **fields)

    def test_accumulated_and_clipped_steps_against_numpy(self):
        recipe = self._recipe(
            optimizer="sgd", learning_rate=0.1, accumulate=2, clip_norm=0.5
        )
        model = _model(make_optimizer(recipe, 100))
        rng = np.random.default_rng(0)
        x = rng.normal(size=(24, 2)).astype("float32")
        y = rng.normal(size=(24, 1)).astype("float32")
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0)
        w, velocity = np.ones((2, 1)), 0.0
        clipped = 0
        for start in range(0, 24, 8):
            # Two batches of four have the gradient of one of eight.
            at = slice(start, start + 8)
            gradient = 2 * x[at].T @ (x[at] @ w - y[at]) / 8
            norm = np.linalg.norm(gradient)
            clipped += norm > 0.5
            gradient *= min(1.0, 0.5 / norm)
            velocity = 0.9 * velocity - 0.1 * gradient
            w = w + velocity
        self.assertGreater(clipped, 0)
        self.assertAllClose(model.get_weights()[0], w, atol=1e-5)

    def test_kinds(self):
        for name, cls in OPTIMIZERS.items():
            optimizer = make_optimizer(self._recipe(optimizer=name), 10)
            self.assertIs(type(optimizer), cls)
            revived = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
            self.assertIs(type(revived), cls)
            self.assertEqual(revived.get_config(), optimizer.get_config())
        decayed = make_optimizer(self._recipe(optimizer="adamw", weight_decay=0.1), 10)
        self.assertEqual(decayed.weight_decay, 0.1)

    def test_cosine(self):
        schedule = cosine_decay(2.0, 200)
        steps = np.arange(201)
        rates = [float(schedule(step)) for step in steps]
        x = np.clip((steps - 10) / 190, 0, 1)
        expected = 2.0 * (0.01 + 0.99 * (1 + np.cos(np.pi * x)) / 2)
        self.assertAllClose(rates, np.where(steps < 10, steps / 5, expected), atol=1e-5)
