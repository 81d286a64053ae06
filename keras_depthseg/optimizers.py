"""Optimizers that notice gradients that are not finite, and are fast on TensorFlow."""

from __future__ import annotations

import keras
from keras import ops
from keras.optimizers import schedules

from keras_depthseg.backend import (
    fused_adam_step,
    fused_momentum_step,
    has_fused_steps,
    replicas,
    sum_over_replicas,
)

# Share of the steps over which the learning rate of a cosine schedule rises from 0, and
# what is left of it at the end.
WARMUP = 0.05
FINAL = 0.01


class _CountsNonFinite:
    """Counts the steps in which a gradient was infinite or not a number.

    The loss may be finite then: it is computed before the gradient. One sum over each
    gradient tells. `LossScaleOptimizer` hands finite gradients on only, so that there
    nothing is counted.
    """

    def build(self, variables):
        super().build(variables)
        self.non_finite_steps = self.add_variable(
            (), dtype="int", name="non_finite", aggregation="only_first_replica"
        )

    def apply(self, grads, trainable_variables=None):
        grads = list(grads)
        if not self.built:
            self.build(list(trainable_variables))
        sums = [ops.sum(ops.cast(gradient, "float32")) for gradient in grads]
        finite = ops.all(ops.isfinite(ops.stack(sum_over_replicas(sums))))
        self.non_finite_steps.assign_add(
            ops.cast(ops.logical_not(finite), self.non_finite_steps.dtype)
        )
        return super().apply(grads, trainable_variables)

    def _clip_gradients(self, grads):
        clips = self.clipnorm or self.global_clipnorm or self.clipvalue
        if replicas() == 1 or not clips:
            return super()._clip_gradients(grads)
        # Keras would clip the share of each replica, and then add them up.
        clipped = super()._clip_gradients(sum_over_replicas(grads))
        return [gradient / replicas() for gradient in clipped]


class _FusedAdam:
    """Adam's step in one kernel, where there is one."""

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad or not has_fused_steps():
            super().update_step(gradient, variable, learning_rate)
            return
        index = self._get_variable_index(variable)
        fused_adam_step(
            variable,
            (self._momentums[index], self._velocities[index]),
            gradient,
            learning_rate,
            step=self.iterations + 1,
            betas=(self.beta_1, self.beta_2),
            epsilon=self.epsilon,
        )


@keras.saving.register_keras_serializable(package="keras_depthseg")
class SGD(_CountsNonFinite, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with `non_finite_steps`."""

    def update_step(self, gradient, variable, learning_rate):
        if not self.momentum or self.nesterov or not has_fused_steps():
            super().update_step(gradient, variable, learning_rate)
            return
        velocity = self.momentums[self._get_variable_index(variable)]
        fused_momentum_step(variable, velocity, gradient, learning_rate, self.momentum)


@keras.saving.register_keras_serializable(package="keras_depthseg")
class Adam(_CountsNonFinite, _FusedAdam, keras.optimizers.Adam):
    """`keras.optimizers.Adam` with `non_finite_steps`."""


@keras.saving.register_keras_serializable(package="keras_depthseg")
class AdamW(_CountsNonFinite, _FusedAdam, keras.optimizers.AdamW):
    """`keras.optimizers.AdamW` with `non_finite_steps`."""


OPTIMIZERS = {"sgd": SGD, "adam": Adam, "adamw": AdamW}


def non_finite_steps(optimizer: keras.optimizers.Optimizer) -> int:
    """How many steps had gradients that are not finite.

    Under loss scaling such steps are left out and the scale is halved, which is normal
    now and then; they count once the scale has fallen below 1, where not even unscaled
    gradients are finite.
    """
    scale = getattr(optimizer, "dynamic_scale", None)
    if scale is not None:
        return int(ops.convert_to_numpy(scale) < 1.0)
    counter = getattr(optimizer, "non_finite_steps", None)
    return 0 if counter is None else int(ops.convert_to_numpy(counter))


def cosine_decay(learning_rate: float, steps: int) -> schedules.CosineDecay:
    """From 0 up to `learning_rate` in a twentieth of the steps, then down half a cosine.

    Ends at a hundredth of `learning_rate`. Source: Loshchilov and Hutter 2017,
    https://arxiv.org/abs/1608.03983, without restarts; with a linear warm-up.

    Args:
        learning_rate: the highest.
        steps: of the whole training; batches, also where gradients of several are
            accumulated.
    """
    warmup = max(1, round(WARMUP * steps))
    return schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, steps - warmup),
        alpha=FINAL,
        warmup_target=learning_rate,
        warmup_steps=warmup,
    )
