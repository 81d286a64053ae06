"""The networks by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras_depthseg.model import ORIGINAL_STATISTICS, DSResNet, TwoPictureNetwork
from keras_depthseg.networks.siamese import SiameseNet

NETWORKS: dict[str, Callable[..., TwoPictureNetwork]] = {
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
