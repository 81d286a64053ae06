"""The building blocks of the network, as functions on Keras tensors."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_depthseg.layers import BatchNormalization, BilinearUpsampling2x


def conv(filters: int, kernel_size: int, *, name: str, dtype=None, **kwargs):
    """Apply a convolution whose kernel starts as PyTorch's: variance 1 / (3 fan-in).

    The variance of Keras's default kernel is larger; the 1x1 shortcuts are not
    normalised, so that activations would grow from block to block and training with SGD
    diverge.
    """
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        padding="same",
        # Typed by its default, a name.
        kernel_initializer=keras.initializers.VarianceScaling(  # pyright: ignore[reportArgumentType]
            1 / 3, mode="fan_in", distribution="uniform"
        ),
        dtype=dtype,
        name=name,
        **kwargs,
    )


def double_conv(x, filters: int, *, name: str, dtype=None):
    """Apply twice [conv3x3 with bias -> ReLU -> batch normalisation].

    Args:
        x: (B, H, W, C).
        filters: output channels.
        name: prefix of the layers' names.
        dtype: dtype policy of the layers.

    Returns:
        (B, H, W, filters).
    """
    for i in (1, 2):
        x = conv(filters, 3, activation="relu", dtype=dtype, name=f"{name}_conv{i}")(x)
        x = BatchNormalization(dtype=dtype, name=f"{name}_norm{i}")(x)
    return x


def residual_double_conv(x, filters: int, *, name: str, dtype=None):
    """Return `double_conv(x) + conv1x1(x)`: (B, H, W, C) to (B, H, W, filters)."""
    shortcut = conv(filters, 1, dtype=dtype, name=f"{name}_shortcut")(x)
    x = double_conv(x, filters, name=name, dtype=dtype)
    return keras.layers.Add(dtype=dtype, name=f"{name}_add")([x, shortcut])


def encoder_block(x, filters: int, *, name: str, dtype=None):
    """Apply one step down.

    Args:
        x: (B, H, W, C), H and W even.
        filters: output channels.
        name: prefix of the layers' names.
        dtype: dtype policy of the layers.

    Returns:
        A pair: (B, H/2, W/2, filters) for the next block, and (B, H, W, filters) for
        the skip connection.
    """
    out = residual_double_conv(x, filters, name=name, dtype=dtype)
    return keras.layers.MaxPooling2D(dtype=dtype, name=f"{name}_pool")(out), out


def decoder_block(x, skips: Sequence, filters: int, *, name: str, dtype=None):
    """Apply one step up.

    Args:
        x: (B, H, W, C), from the level below.
        skips: one tensor (B, 2H, 2W, filters) from the shared encoder, or one from each
            of the two branches; those are joined and squeezed to `filters` channels.
        filters: output channels.
        name: prefix of the layers' names.
        dtype: dtype policy of the layers.

    Returns:
        (B, 2H, 2W, filters).
    """
    # The 1x1 convolution comes first: it commutes with the interpolation and here works
    # on a quarter of the pixels.
    x = conv(filters, 1, dtype=dtype, name=f"{name}_transition")(x)
    x = BilinearUpsampling2x(dtype=dtype, name=f"{name}_upsample")(x)
    if len(skips) == 1:
        (skip,) = skips
    else:
        skip = keras.layers.Concatenate(dtype=dtype, name=f"{name}_join_skips")(skips)
        skip = conv(filters, 1, dtype=dtype, name=f"{name}_squeeze_skips")(skip)
    x = keras.layers.Concatenate(dtype=dtype, name=f"{name}_concat")([x, skip])
    return residual_double_conv(x, filters, name=name, dtype=dtype)
