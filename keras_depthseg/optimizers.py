"""Optimizers that count gradients that are not finite, with TensorFlow's fused steps."""

# Keras's ops are not typed: pyright infers that they may return None.
# pyright: reportOperatorIssue=false, reportArgumentType=false

from __future__ import annotations

import keras
from keras import ops
from keras.optimizers import schedules

from keras_depthseg.backend import (
    SumsOverReplicas,
    fused_adam_step,
    fused_momentum_step,
    has_fused_steps,
    sum_over_replicas,
)

# Of a cosine schedule: the share of the steps in which the learning rate rises from 0,
# and the share of the highest rate at the end.
WARMUP = 0.05
FINAL = 0.01


class _CountsNonFinite(SumsOverReplicas):
    """A mixin that counts the steps in which a gradient was infinite or not a number.

    The loss of such a step may be finite: it is computed before the gradient. The sum of
    a gradient is finite if all its elements are. `LossScaleOptimizer` passes only finite
    gradients to its inner optimizer, which then counts nothing.
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


class _FusedAdam(keras.optimizers.Adam):
    """Adam whose step is one kernel where the backend has one."""

    def update_step(self, gradient, variable, learning_rate):
        if self.amsgrad or not has_fused_steps():
            super().update_step(gradient, variable, learning_rate)
            return
        fused_adam_step(self, variable, gradient, learning_rate)


@keras.saving.register_keras_serializable(package="keras_depthseg")
class SGD(_CountsNonFinite, keras.optimizers.SGD):
    """`keras.optimizers.SGD` with `non_finite_steps`."""

    def update_step(self, gradient, variable, learning_rate):
        if not self.momentum or self.nesterov or not has_fused_steps():
            super().update_step(gradient, variable, learning_rate)
            return
        fused_momentum_step(self, variable, gradient, learning_rate)


@keras.saving.register_keras_serializable(package="keras_depthseg")
class Adam(  # pyright: ignore[reportIncompatibleMethodOverride] (names of arguments)
    _CountsNonFinite, _FusedAdam
):
    """`keras.optimizers.Adam` with `non_finite_steps`."""


@keras.saving.register_keras_serializable(package="keras_depthseg")
class AdamW(  # pyright: ignore[reportIncompatibleMethodOverride] (names of arguments)
    _CountsNonFinite, _FusedAdam, keras.optimizers.AdamW
):
    """`keras.optimizers.AdamW` with `non_finite_steps`."""


OPTIMIZERS = {"sgd": SGD, "adam": Adam, "adamw": AdamW}


def non_finite_steps(optimizer: keras.optimizers.Optimizer) -> int:
    """Return the number of steps whose gradients were not finite.

    Loss scaling skips such steps and halves the scale, which is normal now and then. It
    counts as one such step once the scale is below 1, where unscaled gradients are not
    finite either. Optimizers of other packages give 0.
    """
    scale = getattr(optimizer, "dynamic_scale", None)
    if scale is not None:
        return int(ops.convert_to_numpy(scale) < 1.0)
    counter = getattr(optimizer, "non_finite_steps", None)
    return 0 if counter is None else int(ops.convert_to_numpy(counter))


def cosine_decay(learning_rate: float, steps: int) -> schedules.CosineDecay:
    """Return a schedule: a linear rise in a twentieth of the steps, then half a cosine.

    From 0 to `learning_rate`, then to a hundredth of it. Source: Loshchilov and Hutter
    2017, https://arxiv.org/abs/1608.03983, without restarts; with a linear warm-up.

    Args:
        learning_rate: the highest.
        steps: batches of the whole training, gradients accumulated or not.
    """
    warmup = max(1, round(WARMUP * steps))
    return schedules.CosineDecay(
        initial_learning_rate=0.0,
        decay_steps=max(1, steps - warmup),
        alpha=FINAL,
        warmup_target=learning_rate,
        warmup_steps=warmup,
    )
