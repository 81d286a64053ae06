"""All scores of each image of a batch.

The definitions are those of `keras_depthseg.metrics` and of `matting`, and each score has
the name that it has everywhere: `mask_hard_iou`, `depth_rmse`, ….
"""

from __future__ import annotations

import keras
import numpy as np

from keras_depthseg.evaluation import matting
from keras_depthseg.metrics import BoundaryF1, HardIoU, SoftIoU, evaluation_metrics

_SOFT_IOU, _HARD_IOU, _BOUNDARY_F1 = SoftIoU(), HardIoU(), BoundaryF1()
_MATTING = {
    "mask_mad": matting.mad,
    "mask_mse": matting.mse,
    "mask_grad": matting.grad,
    "mask_conn": matting.conn,
}
_DEPTH = {f"depth_{metric.name}": metric for metric in evaluation_metrics()["depth"]}

MASK_SCORES = (
    "mask_soft_iou", "mask_soft_iou_ceiling", "mask_hard_iou", "mask_boundary_f1",
    *_MATTING,
)  # fmt: skip
DEPTH_SCORES = tuple(_DEPTH)


def mask_scores(
    y_true: np.ndarray, y_pred: np.ndarray, known: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Compute the scores of masks, by name.

    Args:
        y_true, y_pred: (B, H, W, 1) float32 in [0, 1].
        known: (B, H, W, 1) bool, where `y_true` is known; `None`: everywhere. The rest
            does not count: IoU, MAD and MSE are taken over known pixels. For the boundary
            F1, Grad and Conn, which look at neighbours, an unknown pixel of `y_true`
            takes the predicted value; Grad and Conn then sum known pixels. So a boundary
            that lies among unknown pixels is right, and none is invented at their rim.

    Returns:
        For each of `MASK_SCORES` (B,) float64; NaN for an image without a known pixel.
        Two empty masks have IoU and F1 1; an empty and another one 0.
    """
    whole, true, predicted = y_true, y_true, y_pred
    if known is not None:
        whole = matting.completed(y_true, y_pred, known)
        true, predicted = y_true * known, y_pred * known
    tensors = _tensors(true, predicted)
    scores = {
        "mask_soft_iou": _values(_SOFT_IOU, *tensors),
        "mask_soft_iou_ceiling": _values(_SOFT_IOU, tensors[0], tensors[0]),
        "mask_hard_iou": _values(_HARD_IOU, *tensors),
        "mask_boundary_f1": _values(
            _BOUNDARY_F1, *(tensors if known is None else _tensors(whole, y_pred))
        ),
    }
    for name, measure in _MATTING.items():
        scores[name] = np.array(
            [
                measure(*images, None if known is None else known[i, ..., 0])
                for i, images in enumerate(
                    zip(y_true[..., 0], y_pred[..., 0], strict=True)
                )
            ]
        )
    if known is not None:
        nothing = ~known.any(axis=(1, 2, 3))
        for values in scores.values():
            values[nothing] = np.nan
    return scores


def depth_scores(y_true: np.ndarray, y_pred: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the scores of depth maps, by name, over pixels with `y_true > 1e-4`.

    Args:
        y_true, y_pred: (B, H, W, 1) float32 in [0, 1].

    Returns:
        For each of `DEPTH_SCORES` (B,) float64; NaN for an image without known depth.
    """
    tensors = _tensors(y_true, y_pred)
    return {name: _values(metric, *tensors) for name, metric in _DEPTH.items()}


def _tensors(*images: np.ndarray) -> list:
    return [keras.ops.convert_to_tensor(image, "float32") for image in images]


def _values(metric, y_true, y_pred) -> np.ndarray:
    # Operations one by one: the sides vary, and a traced function would be traced again.
    values, counts = (
        np.asarray(keras.ops.convert_to_numpy(x), np.float64)
        for x in metric.values(y_true, y_pred)
    )
    return np.where(counts > 0, values, np.nan)
