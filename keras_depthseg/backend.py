"""Code that depends on the Keras backend, and all uses of Keras's private API.

No other module touches a private attribute of Keras, or asks more of the backend than
its name. Each assumption about private behaviour (tested with Keras 3.15) has a test of
its own.
"""

from __future__ import annotations

import importlib
import io
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops


def backend_name() -> str:
    """Return the name of the Keras backend: `"tensorflow"`, `"jax"` or `"torch"`."""
    return keras.backend.backend()


def software_versions() -> dict[str, str]:
    """Return the versions of what computes, and the name of the backend."""
    backend = backend_name()
    names = ("keras_depthseg", "keras", "tensorflow", backend)
    modules = {name: importlib.import_module(name) for name in names}
    return {
        "python": platform.python_version(),
        **{name: module.__version__ for name, module in modules.items()},
        "backend": backend,
    }


# === Replicas of a distribution strategy ===


def replicas() -> int:
    """Return the number of replicas of the model that share the current batch.

    More than one within a step under TensorFlow's `MirroredStrategy`, where each replica
    computes its part of the batch. One on JAX, whose devices compute one step together.
    """
    if backend_name() != "tensorflow":
        return 1
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return 1 if context is None else context.num_replicas_in_sync


def sum_over_replicas(values: list) -> list:
    """Return the sum of each tensor over all replicas; of one, the tensors themselves."""
    if replicas() == 1:
        return values
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    return context.all_reduce(tf.distribute.ReduceOp.SUM, values)


def mean_over_replicas(x):
    """Return the mean of all elements of all replicas, whose parts may differ in size.

    Args:
        x: float32, of any shape; may be empty on some replicas.

    Returns:
        A scalar, the same on each replica.
    """
    if replicas() == 1:
        return ops.mean(x)
    total, count = sum_over_replicas([ops.sum(x), ops.cast(ops.size(x), "float32")])
    return total / count


class SumsOverReplicas(keras.optimizers.Optimizer):
    """A mixin: clips the whole gradient, and sums over replicas where there are several.

    Overrides Keras's private `_clip_gradients`, which gets the share of each replica
    before the shares are summed: it clips the gradient of the whole batch. Overrides
    `_all_reduce_sum_gradients`: with one replica there is nothing to sum, and TensorFlow
    2.21 keeps the graph of a step that sums for as long as the process lives, 25 MB a
    training (https://github.com/tensorflow/tensorflow/issues/97697).
    """

    def _clip_gradients(self, grads):
        clip = super()._clip_gradients
        clips = self.clipnorm or self.global_clipnorm or self.clipvalue
        if replicas() == 1 or not clips:
            return clip(grads)
        return [gradient / replicas() for gradient in clip(sum_over_replicas(grads))]

    def _all_reduce_sum_gradients(self, grads_and_vars):
        if replicas() == 1:
            return list(grads_and_vars)
        return super()._all_reduce_sum_gradients(grads_and_vars)


# === TensorFlow's kernels ===


def has_resize_kernel() -> bool:
    """Return whether `resize_2x` works: under TensorFlow."""
    return backend_name() == "tensorflow"


def resize_2x(x, output_shape):
    """Double height and width by half-pixel bilinear interpolation, in one kernel.

    Args:
        x: (B, H, W, C).
        output_shape: (B, 2H, 2W, C), `None` where unknown.

    Returns:
        (B, 2H, 2W, C), dtype of `x`.
    """
    import tensorflow as tf

    height, width = tf.unstack(tf.shape(x)[1:3])
    outputs = tf.image.resize(x, (2 * height, 2 * width))
    outputs.set_shape(output_shape)
    return tf.cast(outputs, x.dtype)  # The kernel returns float32.


def has_fused_batch_norm() -> bool:
    """Return whether `fused_batch_norm` works: under TensorFlow, with one replica.

    The kernel takes the moments of its own replica only.
    """
    return backend_name() == "tensorflow" and replicas() == 1


def fused_batch_norm(x, gamma, beta, epsilon: float):
    """Normalise a batch by its own moments, in one kernel.

    Args:
        x: (B, H, W, C), float32, or half precision (statistics are float32 then, too).
        gamma, beta: (C,), scale and offset, float32.
        epsilon: added to the variance.

    Returns:
        Outputs (B, H, W, C) in the dtype of `x`, mean (C,), and unbiased variance (C,).
    """
    import tensorflow as tf

    outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=gamma,
        offset=beta,
        mean=tf.zeros([0]),
        variance=tf.zeros([0]),
        epsilon=epsilon,
        is_training=True,
    )
    return outputs, mean, variance


def has_fused_steps() -> bool:
    """Return whether `fused_momentum_step` and `fused_adam_step` work.

    Under TensorFlow, outside its distribution strategies.

    Keras computes the step of an optimizer by several operations, each of which reads
    and writes arrays as large as all weights. Width 16, one core of an AMD EPYC, medians
    of 15 turns: Adam 68 ms, 37 in one kernel; SGD with momentum 35 ms, 26 in one kernel;
    a training step at 96 px, batch 16, bfloat16 takes 640 ms there.
    """
    if backend_name() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.distribute.has_strategy()


def fused_momentum_step(optimizer, variable, gradient, learning_rate) -> None:
    """Make a step of SGD with momentum.

    Formula, as in `keras.optimizers.SGD`:
    `velocity = momentum velocity - learning_rate gradient`, `variable += velocity`.

    Args:
        optimizer: a `keras.optimizers.SGD`; its velocity of the variable is updated.
        variable: a TensorFlow variable, as `update_step` of an optimizer receives it.
        gradient: of the same shape.
        learning_rate: a scalar.
    """
    import tensorflow as tf

    (velocity,) = _slots(optimizer, variable, optimizer.momentums)
    tf.raw_ops.ResourceApplyKerasMomentum(
        var=variable.handle,
        accum=velocity.value.handle,
        lr=ops.cast(learning_rate, variable.dtype),
        grad=ops.cast(gradient, variable.dtype),
        momentum=ops.cast(optimizer.momentum, variable.dtype),
    )


def fused_adam_step(optimizer, variable, gradient, learning_rate) -> None:
    """Make a step of Adam; formula as in `keras.optimizers.Adam`.

    Args:
        optimizer: a `keras.optimizers.Adam`; its moments of the variable are updated.
        variable: a TensorFlow variable, as `update_step` of an optimizer receives it.
        gradient: of the same shape.
        learning_rate: a scalar.
    """
    import tensorflow as tf

    first, second = _slots(
        optimizer, variable, optimizer._momentums, optimizer._velocities
    )
    beta1 = ops.cast(optimizer.beta_1, variable.dtype)
    beta2 = ops.cast(optimizer.beta_2, variable.dtype)
    step = ops.cast(optimizer.iterations + 1, variable.dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=first.value.handle,
        v=second.value.handle,
        beta1_power=ops.power(beta1, step),
        beta2_power=ops.power(beta2, step),
        lr=ops.cast(learning_rate, variable.dtype),
        beta1=beta1,
        beta2=beta2,
        epsilon=ops.cast(optimizer.epsilon, variable.dtype),
        grad=ops.cast(gradient, variable.dtype),
    )


def _slots(optimizer, variable, *slots: Sequence) -> list[keras.Variable]:
    """Return the optimizer's own variables for a trainable variable, one of each list."""
    index = optimizer._get_variable_index(variable)
    return [variables[index] for variables in slots]


# === State of a model within `fit` ===


def known_values(x) -> np.ndarray | None:
    """Return the values of an array or tensor; `None` while a graph is built."""
    if isinstance(x, np.ndarray):
        return x
    if isinstance(x, keras.KerasTensor):
        return None
    name = backend_name()
    if name == "tensorflow":
        return x.numpy() if hasattr(x, "numpy") else None
    if name == "jax":
        from jax.core import Tracer

        return None if isinstance(x, Tracer) else np.asarray(x)
    if name == "torch" and getattr(getattr(x, "device", None), "type", "") != "meta":
        return np.asarray(ops.convert_to_numpy(x))
    return None


def holds_state_apart(model: keras.Model) -> bool:
    """Return whether variables are out of date within `fit` until `synchronise`.

    JAX keeps the state in a loop of its own, and copies it back after an epoch.
    """
    return hasattr(model, "jax_state_sync")


def synchronise(model: keras.Model) -> None:
    """Bring the variables of a model that is being trained up to the current step."""
    if holds_state_apart(model):
        model.jax_state_sync()


def build_metrics(model: keras.Model, batch) -> None:
    """Create the variables of a compiled model's metrics, without computing a step.

    Keras creates them in the first step. A training that resumes within an epoch needs
    them earlier, to hold the sums of the steps before. On JAX, calling the model instead
    took 19 s.

    Args:
        model: a compiled model.
        batch: a batch as `fit` gets it.
    """
    model._symbolic_build(data_batch=batch)


def forget_traces(model: keras.Model) -> None:
    """Retrace the functions that train, test and predict at their next use.

    A function that has seen two shapes is generalised to any shape, and rounds otherwise
    than a function of one shape.
    """
    model.train_function = model.test_function = model.predict_function = None


def weights_file(model: keras.Model) -> bytes:
    """Return what `model.save_weights` writes, made in memory.

    HDF5 cannot close a file whose disk is full: h5py reports that in hundreds of lines,
    and the process ends by a segmentation fault.
    """
    from keras.src.saving import saving_lib

    content = io.BytesIO()
    store = saving_lib.H5IOStore(content, mode="w")
    saving_lib._save_state(
        model,
        weights_store=store,
        assets_store=None,
        inner_path="",
        visited_saveables=set(),
    )
    store.close()
    return content.getvalue()


# === tf.data ===


def first_of_floats(x: Any) -> Any:
    """Return the inputs in the first batch of a `tf.data.Dataset` of floats, as arrays.

    Anything else is returned as it is: data sets of integers, and those of unknown
    length, which may be generators that give each batch once. A data set of a known
    length is taken for one that can be read again.
    """
    spec = getattr(x, "element_spec", None)
    inputs = spec[0] if isinstance(spec, tuple) and spec else spec
    if not isinstance(inputs, Mapping) or not hasattr(x, "take"):
        return x
    dtypes = [getattr(each, "dtype", None) for each in inputs.values()]
    if not any(dtype is not None and dtype.is_floating for dtype in dtypes):
        return x
    if int(x.cardinality()) <= 0:
        return x
    for batch in x.take(1).as_numpy_iterator():
        return batch[0] if isinstance(batch, tuple) else batch
    return x


def untuned():
    """Return tf.data options that switch off tuning while a pipeline runs.

    The thread that tunes (TensorFlow 2.21) sleeps 10 ms, 20 ms, 40 ms … up to a minute
    between two looks, and the end of every pass waits for it to wake up: passes take
    2.55, 5.11, 10.23 s, never less, up to twice their work.
    """
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def graph_calls(model: keras.Model) -> list[tuple[list, list]]:
    """Return inputs and outputs of every call of a layer in a functional model, in order.

    `layer.input` fails for a layer that is called more than once, as shared ones are.
    """
    depths = model._nodes_by_depth  # pyright: ignore[reportAttributeAccessIssue]
    return [
        (list(node.input_tensors), list(node.outputs))
        for depth in sorted(depths, reverse=True)
        for node in depths[depth]
        if not node.is_input
    ]
