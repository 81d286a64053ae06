"""The networks by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from keras_depthseg.model import ORIGINAL_STATISTICS, DSResNet, TwoPictureNetwork
from keras_depthseg.networks.siamese import SiameseNet

NETWORKS: dict[str, Any] = {
    "ds_resnet": DSResNet,
    "siamese": SiameseNet,
}


def make_network(
    name: str,
    width: int,
    dtype: str,
    statistics: Mapping[str, Any] | None = None,
) -> TwoPictureNetwork:
    """Return a new network.

    Args:
        name: one of `NETWORKS`.
        width: channels of its first block.
        dtype: dtype policy of its layers.
        statistics: of the data, for `DSResNet`; the other normalises both pictures
            alike, by fixed numbers.
    """
    if name == "ds_resnet":
        return DSResNet(width, statistics or ORIGINAL_STATISTICS, dtype=dtype)
    return NETWORKS[name](width=width, dtype=dtype)


def make_alike(name: str, config: Mapping[str, Any], dtype: str) -> TwoPictureNetwork:
    """Return a new network with the arguments of another, but not its training.

    Args:
        name: one of `NETWORKS`.
        config: the other's `get_config()`.
        dtype: dtype policy of its layers.
    """
    policy = keras.dtype_policies.serialize(keras.dtype_policies.get(dtype))
    return NETWORKS[name].from_config({**config, "dtype": policy, "resolution": None})
