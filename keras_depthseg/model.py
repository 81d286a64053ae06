"""DSResNet: mask and depth from a background plate and a picture."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from keras_depthseg.backend import first_of_floats, known_values
from keras_depthseg.blocks import conv, decoder_block, encoder_block, residual_double_conv
from keras_depthseg.shapes import SIDE_MULTIPLE, next_multiple
from keras_depthseg.value_range import warn_of_other_range

# Mean and standard deviation per RGB channel of the data set of the original project
# (100 backgrounds, 400,000 composites), in units of 0..1, as its page states them.
ORIGINAL_STATISTICS = {
    "bg": {
        "mean": (0.40086, 0.46599, 0.53281),
        "std": (0.25451, 0.24249, 0.23615),
    },
    "fg_bg": {
        "mean": (0.41221, 0.47368, 0.53431),
        "std": (0.25699, 0.24577, 0.24217),
    },
}

INPUTS = tuple(ORIGINAL_STATISTICS)
OUTPUTS = ("depth", "mask")


class TwoPictureNetwork(keras.Model):
    """A functional model that takes `bg` and `fg_bg` and gives `mask` and `depth`.

    Inputs, a dict: `bg`, `fg_bg`: (B, H, W, 3) RGB in 0..255, uint8 or float, H and W
    multiples of 32 (any, and several in one process). Normalisation is part of the
    model.

    Outputs, a dict: `depth`, `mask`: (B, H, W, 1) float32. Calling the model gives
    logits, which losses and metrics take; `predict`, `predict_on_batch` and exported
    files give maps in [0, 1]: `mask` is the opacity of the foreground, `depth` is larger
    where farther.

    Args:
        inputs, outputs, name: as for a functional `keras.Model`, with the names above.
        width: channels of the first encoder block.
        resolution: side in pixels of the last phase of its training, which a run sets
            when it saves the model; `None` before. The network takes any.
        dtype: dtype policy of the layers.
    """

    def __init__(
        self,
        inputs,
        outputs,
        *,
        width: int,
        resolution: int | None,
        dtype: keras.DTypePolicy,
        name: str,
    ):
        if resolution is not None and (not isinstance(resolution, int) or resolution < 1):
            raise ValueError(
                "resolution must be a positive integer or None. Received: "
                f"{resolution!r}."
            )
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self.width = width
        self.resolution = resolution
        self._warned_of_range = False
        self.dtype_policy = dtype

    def call(self, inputs, training=None, mask=None):
        _check_images(inputs)
        self._check_range(inputs)
        return super().call(inputs, training=training, mask=mask)

    def predict(self, x, **kwargs) -> dict[str, np.ndarray]:
        """Predict as `keras.Model.predict`, with maps in [0, 1] in place of logits.

        Args:
            x: a dict `{"bg": …, "fg_bg": …}` of arrays (B, H, W, 3) in 0..255, or a
                `tf.data.Dataset` of such dicts (labels beside them are ignored). Of
                pictures in 0..1 a warning is logged, once; of a data set of floats whose
                length is known, the first batch is read for it.
            **kwargs: `batch_size`, `verbose`, `steps`, `callbacks` of `keras.Model`.

        Returns:
            `{"depth": …, "mask": …}`: (B, H, W, 1) float32 in [0, 1].
        """
        if isinstance(x, Mapping):
            _check_images(x)
        if not self._warned_of_range:
            self._check_range(first_of_floats(x))
        return _maps(super().predict(x, **kwargs))

    def predict_on_batch(self, x) -> dict[str, np.ndarray]:
        """Predict one batch; arguments and result as those of `predict`."""
        _check_images(x)
        self._check_range(x)
        return _maps(super().predict_on_batch(x))

    def fit(self, x=None, *args, **kwargs) -> keras.callbacks.History:
        """Train as `keras.Model.fit`, with a warning of arrays in 0..1, once."""
        self._check_range(x)
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs) -> Any:
        """Score as `keras.Model.evaluate`, with a warning of arrays in 0..1, once."""
        self._check_range(x)
        return super().evaluate(x, *args, **kwargs)

    def _check_range(self, x) -> None:
        """Warn once of pictures in 0..1; while a graph is built there are no values."""
        if self._warned_of_range or not isinstance(x, Mapping):
            return
        values = {name: known_values(x[name]) for name in INPUTS if name in x}
        known = {name: array for name, array in values.items() if array is not None}
        self._warned_of_range = warn_of_other_range(known)

    def export(  # pyright: ignore[reportIncompatibleMethodOverride] (in **kwargs)
        self, filepath, format: str = "tf_saved_model", **kwargs
    ) -> None:
        """Export the network for inference: as `predict`, it gives maps in [0, 1].

        Inputs and outputs keep their names and shapes; sides stay free.

        Args:
            filepath: file or folder to write.
            format: a format of `keras.Model.export`.
            **kwargs: further arguments of `keras.Model.export`.
        """
        # A plain keras.Model, whose export is Keras's own.
        serving_model(self).export(filepath, format, **kwargs)

    def get_config(self):
        return {
            "width": self.width,
            "resolution": self.resolution,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        # A functional keras.Model would look for a saved graph; ours is rebuilt.
        dtype = keras.dtype_policies.deserialize(config["dtype"])
        return cls(**{**config, "dtype": dtype})


@keras.saving.register_keras_serializable(package="keras_depthseg")
class DSResNet(TwoPictureNetwork):
    """Two-branch residual U-Net that predicts foreground mask and scene depth.

    `bg` and `fg_bg` pass two encoder blocks each, are merged, and pass four shared
    encoder blocks. Two decoders of the same form, each with its own weights, lead to the
    two outputs. The two outer blocks of each decoder see the skips of both branches.

    Inputs and outputs are those of `TwoPictureNetwork`.

    Args:
        width: channels of the first encoder block; 16 gives 10,343,490 trainable
            parameters, 8 is the fast network.
        statistics: mean and standard deviation per branch and RGB channel, in units of
            0..1: `{"bg": {"mean": (r, g, b), "std": (r, g, b)}, "fg_bg": …}`. Those of
            the original project's data set by default.
        resolution: as for `TwoPictureNetwork`.
        dtype: dtype policy of the layers; the global one by default. Normalisation and
            heads are float32 under every policy.
        name: name of the model.

    Raises:
        ValueError: if an argument is out of range; on a call, if an input is missing,
            has another number of channels, or sides that are not multiples of 32.

    Example:

    >>> model = DSResNet(width=8)
    >>> model.predict({"bg": bg, "fg_bg": fg_bg})["mask"].shape
    (1, 224, 224, 1)
    """

    def __init__(
        self,
        width: int = 16,
        statistics: Mapping[str, Mapping[str, Sequence[float]]] = ORIGINAL_STATISTICS,
        *,
        resolution: int | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        name: str = "ds_resnet",
        **kwargs,
    ):
        check_arguments(DSResNet, width, kwargs)
        statistics = _checked_statistics(statistics)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())

        # === Functional model ===
        inputs = picture_inputs()
        # skips[i]: outputs of the encoders for the decoder block of level i, where sides
        # are 1 / 2**(i - 1) of the input's.
        skips = {1: [], 2: []}
        branches = []
        for branch in INPUTS:
            # Not keras.layers.Normalization: tf2onnx 1.17 makes its constants, tensors
            # that the graph captures, inputs of the ONNX file.
            mean, std = (np.array(statistics[branch][key]) for key in ("mean", "std"))
            scale: Any = 1 / (255.0 * std)
            offset: Any = -mean / std
            x = keras.layers.Rescaling(
                scale.tolist(),
                offset.tolist(),
                dtype="float32",
                name=f"{branch}_normalization",
            )(inputs[branch])
            for level in (1, 2):
                x, skip = encoder_block(
                    x,
                    width * 2 ** (level - 1),
                    name=f"{branch}_encoder{level}",
                    dtype=policy,
                )
                skips[level].append(skip)
            branches.append(x)
        x = keras.layers.Concatenate(dtype=policy, name="join_branches")(branches)
        x = conv(2 * width, 1, dtype=policy, name="merge")(x)
        for level in (3, 4, 5):
            x, skip = encoder_block(
                x, width * 2 ** (level - 1), name=f"encoder{level}", dtype=policy
            )
            skips[level] = [skip]
        bottom = residual_double_conv(x, width * 32, name="encoder6", dtype=policy)

        outputs = {}
        for output in OUTPUTS:
            x = bottom
            for level in (5, 4, 3, 2, 1):
                x = decoder_block(
                    x,
                    skips[level],
                    width * 2 ** (level - 1),
                    name=f"{output}_decoder{level}",
                    dtype=policy,
                )
            outputs[output] = conv(1, 1, dtype="float32", name=output)(x)
        super().__init__(
            inputs, outputs, width=width, resolution=resolution, dtype=policy, name=name
        )
        self.statistics = statistics

    def get_config(self):
        return {**super().get_config(), "statistics": self.statistics}


def serving_model(
    network: keras.Model, height: int | None = None, width: int | None = None
) -> keras.Model:
    """Return a plain model that gives maps in [0, 1], as exported files do.

    Args:
        network: a `TwoPictureNetwork`, or another with its inputs and outputs.
        height, width: of the images it takes, in pixels; any by default.
    """
    inputs = picture_inputs(height, width)
    logits: Any = network(inputs)
    maps = {
        name: keras.layers.Activation("sigmoid", dtype="float32", name=name)(logits[name])
        for name in OUTPUTS
        if name in logits
    }
    model = keras.Model(inputs, maps, name=network.name)
    model(inputs)  # Keras 3.15 exports to ONNX only what was called.
    return model


def picture_inputs(height: int | None = None, width: int | None = None) -> dict[str, Any]:
    """Return new inputs of a network, by name."""
    return {
        branch: keras.Input((height, width, 3), name=branch, dtype="float32")
        for branch in INPUTS
    }


def check_arguments(
    network: type[TwoPictureNetwork], width: int, unknown: Mapping[str, Any]
) -> None:
    """Refuse a width that is no positive integer, and arguments that nothing takes.

    A functional `keras.Model` swallows unknown keywords; a typo would train.

    Raises:
        ValueError: naming what is accepted.
    """
    if unknown:
        _, *accepted, _ = inspect.signature(network.__init__).parameters
        raise ValueError(
            f"{network.__name__} does not know these arguments. Received: "
            f"{sorted(unknown)}. Accepted: {', '.join(accepted)}."
        )
    if not isinstance(width, int) or width < 1:
        raise ValueError(f"width must be a positive integer. Received: {width!r}.")


def _maps(logits: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    # In NumPy, after the backend's own predict, so that it is the same for every
    # backend. tanh does not overflow where exp does.
    return {
        name: (0.5 * (1.0 + np.tanh(0.5 * value))).astype("float32")
        for name, value in logits.items()
    }


def _checked_statistics(statistics) -> dict[str, dict[str, tuple[float, ...]]]:
    checked = {}
    for branch in INPUTS:
        checked[branch] = {}
        for kind in ("mean", "std"):
            try:
                values = tuple(float(value) for value in statistics[branch][kind])
            except (KeyError, TypeError, ValueError):
                values = ()
            if len(values) != 3 or (kind == "std" and min(values) <= 0):
                raise ValueError(
                    "statistics must be {'bg': {'mean': (r, g, b), 'std': (r, g, b)}, "
                    "'fg_bg': …} in units of 0..1, std above 0. Received: "
                    f"{statistics!r}."
                )
            checked[branch][kind] = values
    return checked


def _check_images(inputs) -> None:
    """Refuse inputs that the graph would fail on; unknown dimensions pass."""
    if not isinstance(inputs, Mapping) or set(inputs) != set(INPUTS):
        received = (
            f"a dict with {sorted(inputs)}"
            if isinstance(inputs, Mapping)
            else type(inputs).__name__
        )
        raise ValueError(
            "the network takes a dict with 'bg' and 'fg_bg', each (B, H, W, 3) RGB in "
            f"0..255. Received: {received}."
        )
    shapes = {name: tuple(inputs[name].shape) for name in INPUTS}
    for name, shape in shapes.items():
        if len(shape) != 4 or shape[3] not in (3, None):
            raise ValueError(
                f"{name!r} must be a batch of RGB images, (B, H, W, 3). Received: "
                f"shape {shape}."
            )
        for side in shape[1:3]:
            if side is not None and (side < SIDE_MULTIPLE or side % SIDE_MULTIPLE):
                raise ValueError(
                    f"the sides of {name!r} must be multiples of {SIDE_MULTIPLE}. "
                    f"Received: {shape[1]}x{shape[2]}. Resize or pad, for instance to "
                    f"{next_multiple(shape[1])}x{next_multiple(shape[2])}."
                )
    if any(a != b for a, b in zip(*shapes.values(), strict=True) if None not in (a, b)):
        raise ValueError(
            "'bg' and 'fg_bg' must have one shape. Received: "
            f"{shapes['bg']} and {shapes['fg_bg']}."
        )
