"""What depends on the Keras backend, and every use of private API of Keras."""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import ops


def replicas() -> int:
    """How many replicas of the model share the batch that is being computed.

    More than one within a step under TensorFlow's `MirroredStrategy`, where each computes
    from its part of the batch. One on JAX, whose devices compute one step of the whole.
    """
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def sum_over_replicas(values: list) -> list:
    """The sum of each tensor over all replicas; the same tensors if there is one only."""
    if replicas() == 1:
        return values
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def mean_over_replicas(x):
    """The mean of all elements of all replicas, whose parts may differ in size.

    Args:
        x: float32, of any shape; may be empty if that of another replica is not.

    Returns:
        A scalar, the same on each replica.
    """
    if replicas() == 1:
        return ops.mean(x)
    total, count = sum_over_replicas([ops.sum(x), ops.cast(ops.size(x), "float32")])
    return total / count


def has_fused_steps() -> bool:
    """Whether `fused_momentum_step` and `fused_adam_step` work here.

    Under TensorFlow only, and not within its distribution strategies.

    Keras computes the step of an optimizer by several operations, each of which reads
    and writes arrays as large as all weights. Width 16, one core of an AMD EPYC, medians
    of 15 turns: Adam 68 ms and 37 in one kernel, SGD with momentum 35 and 26; a training
    step at 96 px, batch 16, bfloat16 takes 640 there.
    """
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.distribute.has_strategy()


def fused_momentum_step(variable, velocity, gradient, learning_rate, momentum) -> None:
    """A step of SGD with momentum.

    Formula, as in `keras.optimizers.SGD`:
    `velocity = momentum velocity - learning_rate gradient`, `variable += velocity`.

    Args:
        variable: a TensorFlow variable, as `update_step` of an optimizer gets it.
        velocity: the Keras variable of the same shape.
        gradient: of the same shape.
        learning_rate, momentum: scalars.
    """
    import tensorflow as tf

    tf.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=velocity.value.handle,
        lr=ops.cast(learning_rate, variable.dtype),
        grad=ops.cast(gradient, variable.dtype),
        momentum=ops.cast(momentum, variable.dtype),
    )


def fused_adam_step(
    variable, moments: Sequence, gradient, learning_rate, step, betas, epsilon
) -> None:
    """A step of Adam; formula as in `keras.optimizers.Adam`.

    Args:
        variable: a TensorFlow variable, as `update_step` of an optimizer gets it.
        moments: the Keras variables of the first and the second moment.
        gradient: of the same shape.
        learning_rate: a scalar.
        step: the number of the step, from 1.
        betas: decays of the two moments.
        epsilon: added to the root of the second moment.
    """
    import tensorflow as tf

    beta1, beta2 = (ops.cast(beta, variable.dtype) for beta in betas)
    step = ops.cast(step, variable.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=moments[0].value.handle,
        v=moments[1].value.handle,
        beta1_power=ops.power(beta1, step),
        beta2_power=ops.power(beta2, step),
        lr=ops.cast(learning_rate, variable.dtype),
        beta1=beta1,
        beta2=beta2,
        epsilon=ops.cast(epsilon, variable.dtype),
        grad=ops.cast(gradient, variable.dtype),
    )


def synchronise(model: keras.Model) -> None:
    """Makes the variables of a model that is being trained what they are at this step."""
    # Within `fit` JAX keeps the state in a loop of its own; this hands it back.
    sync = getattr(model, "jax_state_sync", None)
    if sync is not None:
        sync()


def untuned():
    """Options that switch off tf.data's tuning while it runs.

    Its thread (TensorFlow 2.21) sleeps 10 ms, 20 ms, 40 ms … up to a minute between two
    looks, and the end of every pass waits for it to wake up: passes take 2.55, 5.11,
    10.23 s, never less, up to twice their work.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return options
