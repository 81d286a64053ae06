"""The plateau callback: resumed in the middle of its patience."""

import keras
import numpy as np
import tensorflow as tf

from keras_depthseg.callbacks.plateau import ReduceLROnPlateau


class ReduceLROnPlateauTest(tf.test.TestCase):
    def _run(self, losses, state=None):
        """The learning rates after epochs of these losses, and the state."""
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(1.0), "mse")
        plateau = ReduceLROnPlateau("loss", factor=0.5, patience=3, cooldown=2)
        plateau.set_model(model)
        plateau.on_train_begin()
        if state is not None:
            plateau.set_state(state)
        rates = []
        for epoch, loss in enumerate(losses):
            plateau.on_epoch_end(epoch, {"loss": loss})
            rates.append(float(model.optimizer.learning_rate))
        return rates, plateau.state()

    def test_resumes_to_the_same_rates(self):
        losses = [3.0, 2.0, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5, 2.5]
        whole, _ = self._run(losses)
        self.assertLess(whole[-1], whole[0])
        for stop in range(len(losses)):
            first, state = self._run(losses[:stop])
            self.assertTrue(all(isinstance(v, np.ndarray) for v in state.values()))
            rest, _ = self._run(losses[stop:], state)
            share = first[-1] if first else 1.0
            self.assertAllClose([*first, *np.multiply(rest, share)], whole)
