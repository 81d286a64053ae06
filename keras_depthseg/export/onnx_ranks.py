"""Gives the outputs of an ONNX model the rank of images."""

from __future__ import annotations

from typing import Any

import numpy as np

_RANK = 4  # (batch, height, width, channels)


def restore_ranks(onnx: Any, model: Any) -> None:
    """Squeeze outputs that have leading sides of 1 too many, in place.

    To turn (B, 1, H, W) into (B, H, W, 1), tf2onnx 1.17 reshapes to (1, B, H, W, 1) and
    squeezes (`optimizer/reshape_optimizer.py`). Of an output of the graph it loses the
    squeeze, depending on the order in which it meets the nodes: in one file of twenty.

    Args:
        onnx: the module.
        model: an `onnx.ModelProto`, whose outputs are meant to be images.
    """
    graph = model.graph
    for output in graph.output:
        sides = output.type.tensor_type.shape.dim
        excess = len(sides) - _RANK
        if excess <= 0:
            continue
        place, producer = next(
            (place, node)
            for place, node in enumerate(graph.node)
            if output.name in node.output
        )
        raw = f"{output.name}_unsqueezed"
        producer.output[list(producer.output).index(output.name)] = raw
        axes = onnx.numpy_helper.from_array(np.arange(excess), f"{output.name}_axes")
        graph.initializer.append(axes)
        squeeze = onnx.helper.make_node("Squeeze", [raw, axes.name], [output.name])
        graph.node.insert(place + 1, squeeze)
        del sides[:excess]
