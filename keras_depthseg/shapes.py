"""Sides and shapes of images, and the depth that counts as known."""

# Keras's ops are not typed: pyright infers that they may return None.
# pyright: reportOptionalMemberAccess=false, reportArgumentType=false

from __future__ import annotations

# Both sides are halved five times on the way down and doubled on the way up.
SIDE_MULTIPLE = 32

# Depth up to this is unknown, as in the original project.
VALID_DEPTH = 1e-4


def ceil_div(a: int, b: int) -> int:
    """Return a / b, rounded up."""
    return -(-a // b)


def next_multiple(side: int) -> int:
    """Return the smallest side that the network accepts and that holds `side` pixels."""
    return max(SIDE_MULTIPLE, ceil_div(side, SIDE_MULTIPLE) * SIDE_MULTIPLE)


def same_shape(y_true, y_pred, caller: str = ""):
    """Return both as float32 tensors of one shape; nothing is broadcast.

    Args:
        y_true, y_pred: arrays or tensors of one shape; unknown dimensions pass.
        caller: name to begin the message of an error with.

    Raises:
        ValueError: if the shapes differ.
    """
    # Imported here: a schedule is parsed before Keras is imported, which takes seconds.
    from keras import ops

    y_true = ops.cast(ops.convert_to_tensor(y_true), "float32")
    y_pred = ops.cast(ops.convert_to_tensor(y_pred), "float32")
    shapes = tuple(y_true.shape), tuple(y_pred.shape)
    compatible = len(shapes[0]) == len(shapes[1]) and all(
        a == b or None in (a, b) for a, b in zip(*shapes, strict=True)
    )
    if not compatible:
        raise ValueError(
            f"{caller + ': ' if caller else ''}y_true and y_pred must have the same "
            "shape; nothing is broadcast. "
            f"Received: y_true {shapes[0]}, y_pred {shapes[1]}."
        )
    return y_true, y_pred


def labels_and_maps(y_true, y_pred, from_logits: bool):
    """Return labels and maps in [0, 1] as `same_shape` does, with its errors.

    Args:
        y_true: labels.
        y_pred: logits, or maps in [0, 1] if not `from_logits`.
        from_logits: whether to apply the sigmoid.
    """
    from keras import ops

    y_true, y_pred = same_shape(y_true, y_pred)
    return y_true, ops.sigmoid(y_pred) if from_logits else y_pred
