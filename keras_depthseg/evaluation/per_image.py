"""All scores of each image of a batch.

The definitions are those of `keras_depthseg.metrics` and of `matting`, and each score has
the name that it has everywhere: `mask_hard_iou`, `depth_rmse`, …. Boundary F1 and the
scores of depth are computed by OpenCV and NumPy: Keras's operations, one by one, take
several times as long, and scores are computed while a network needs the processor.
"""

from __future__ import annotations

import cv2
import keras
import numpy as np

from keras_depthseg.evaluation import matting
from keras_depthseg.metrics import BoundaryF1, HardIoU, SoftIoU
from keras_depthseg.shapes import VALID_DEPTH

_SOFT_IOU, _HARD_IOU, _BOUNDARY_F1 = SoftIoU(), HardIoU(), BoundaryF1()
_MATTING = {
    "mask_mad": matting.mad,
    "mask_mse": matting.mse,
    "mask_grad": matting.grad,
    "mask_conn": matting.conn,
}

MASK_SCORES = (
    "mask_soft_iou", "mask_soft_iou_ceiling", "mask_hard_iou", "mask_boundary_f1",
    *_MATTING,
)  # fmt: skip
DEPTH_SCORES = (
    "depth_rmse", "depth_mae", "depth_abs_rel",
    "depth_delta1", "depth_delta2", "depth_delta3",
)  # fmt: skip


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
        "mask_boundary_f1": np.array(
            [
                _boundary_f1(*images)
                for images in zip(whole[..., 0], y_pred[..., 0], strict=True)
            ]
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
    rows = [_depth_scores(*images) for images in zip(y_true, y_pred, strict=True)]
    return dict(zip(DEPTH_SCORES, np.array(rows, np.float64).T, strict=True))


def _boundary_f1(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    """Return the value of `metrics.BoundaryF1` for an image (H, W)."""
    masks = ((x >= _BOUNDARY_F1.threshold).view(np.uint8) for x in (y_true, y_pred))
    # What is outside the image counts as inside the mask.
    true, predicted = (mask - cv2.erode(mask, _CROSS) for mask in masks)
    shares = []
    for part, whole in ((predicted, true), (true, predicted)):
        size = cv2.countNonZero(part)
        near = cv2.countNonZero(cv2.bitwise_and(part, cv2.dilate(whole, _DISK)))
        shares.append(near / size if size else None)
    precision, recall = shares
    if precision is None and recall is None:
        return 1.0
    return 2 * precision * recall / (precision + recall) if precision and recall else 0.0


def _disk(radius: int) -> np.ndarray:
    offsets = np.arange(-radius, radius + 1) ** 2
    return (offsets[:, None] + offsets <= radius**2).view(np.uint8)


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
_DISK = _disk(_BOUNDARY_F1.tolerance)


def _depth_scores(y_true: np.ndarray, y_pred: np.ndarray) -> list[float]:
    """Return the values of `DEPTH_SCORES` for an image; NaN without known depth."""
    known = y_true > VALID_DEPTH
    true, predicted = y_true[known], y_pred[known]
    if not true.size:
        return [np.nan] * len(DEPTH_SCORES)
    error = np.abs(true - predicted)
    safe = np.maximum(predicted, 1e-6)
    ratio = np.maximum(safe / true, true / safe)
    return [
        np.sqrt(np.mean(error * error, dtype=np.float64)),
        np.mean(error, dtype=np.float64),
        np.mean(error / true, dtype=np.float64),
        *(np.count_nonzero(ratio < 1.25**power) / true.size for power in (1, 2, 3)),
    ]


def _tensors(*images: np.ndarray) -> list:
    return [keras.ops.convert_to_tensor(image, "float32") for image in images]


def _values(metric, y_true, y_pred) -> np.ndarray:
    # Operations one by one: the sides vary, and a traced function would be traced again.
    values, counts = (
        np.asarray(keras.ops.convert_to_numpy(x), np.float64)
        for x in metric.values(y_true, y_pred)
    )
    return np.where(counts > 0, values, np.nan)
