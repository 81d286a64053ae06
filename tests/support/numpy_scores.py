"""The metrics of maps, by NumPy in float64 and OpenCV."""

import cv2
import numpy as np

MASK_NAMES = ("soft_iou", "hard_iou", "boundary_f1")
DEPTH_NAMES = ("rmse", "mae", "abs_rel", "delta1", "delta2", "delta3")


def _numpy_scores(y_true, p):
    """All scores of one image (H, W, 1), in float64; None where it does not count."""
    a, b = np.float64(y_true), np.float64(p)
    soft = (a * b).sum() + 1e-6, a.sum() + b.sum() - (a * b).sum() + 1e-6
    hard = ((a >= 0.5) & (b >= 0.5)).sum(), ((a >= 0.5) | (b >= 0.5)).sum()
    scores = {
        "soft_iou": soft[0] / soft[1],
        "hard_iou": hard[0] / hard[1] if hard[1] else 1.0,
        "boundary_f1": boundary_f1(a >= 0.5, b >= 0.5, radius=2),
    }
    a, b = a[y_true > 1e-4], b[y_true > 1e-4]
    if not a.size:
        return {**scores, **dict.fromkeys(DEPTH_NAMES)}
    ratio = np.maximum(a / np.maximum(b, 1e-6), b / a)
    depth_scores = (
        np.sqrt(np.mean((a - b) ** 2)),
        np.mean(abs(a - b)),
        np.mean(abs(a - b) / a),
        *(np.mean(ratio < 1.25**power) for power in (1, 2, 3)),
    )
    return {**scores, **dict(zip(DEPTH_NAMES, depth_scores, strict=True))}


def boundary_f1(true, predicted, radius):
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)
    offsets = np.arange(-radius, radius + 1)
    disk = (np.hypot(*np.meshgrid(offsets, offsets)) <= radius).astype(np.uint8)
    masks = [np.uint8(mask).reshape(mask.shape[:2]) for mask in (true, predicted)]
    # cv2.erode takes what lies outside the image as inside the mask.
    contours = [(mask - cv2.erode(mask, cross)).astype(bool) for mask in masks]
    if not (contours[0].any() or contours[1].any()):
        return 1.0
    if not (contours[0].any() and contours[1].any()):
        return 0.0
    near = [cv2.dilate(np.uint8(contour), disk).astype(bool) for contour in contours]
    precision = near[0][contours[1]].mean()
    recall = near[1][contours[0]].mean()
    both = precision + recall
    return 2 * precision * recall / both if both else 0.0


def mean_scores(y_true, p):
    images = [_numpy_scores(*pair) for pair in zip(y_true, p, strict=True)]
    return {
        name: np.mean([s[name] for s in images if s[name] is not None])
        for name in images[0]
    }
