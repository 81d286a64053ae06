"""The scores of maps, by NumPy in float64, SciPy and OpenCV."""

import cv2
import numpy as np
from scipy import ndimage

MASK_NAMES = ("soft_iou", "hard_iou", "boundary_f1")
MATTING_NAMES = ("mad", "mse", "grad", "conn")
DEPTH_NAMES = ("rmse", "mae", "abs_rel", "delta1", "delta2", "delta3")


def mask_scores(y_true, p, known=None):
    """Scores of a mask (H, W), by their names in tables."""
    a, b = np.float64(y_true), np.float64(p)
    known = np.ones(a.shape, bool) if known is None else known
    if not known.any():
        names = (*MASK_NAMES, "soft_iou_ceiling", *MATTING_NAMES)
        return {f"mask_{name}": np.nan for name in names}
    whole, inside = np.where(known, a, b), (a[known], b[known])
    scores = {
        "soft_iou": _soft_iou(*inside),
        "soft_iou_ceiling": _soft_iou(inside[0], inside[0]),
        "hard_iou": hard_iou(*inside),
        "boundary_f1": boundary_f1(whole >= 0.5, b >= 0.5, radius=2),
        "mad": 1e3 * np.mean(abs(inside[0] - inside[1])),
        "mse": 1e3 * np.mean((inside[0] - inside[1]) ** 2),
        "grad": np.sum((_gradient(whole) - _gradient(b))[known] ** 2) / 1e3,
        "conn": np.sum(_connectivity_error(whole, b)[known]) / 1e3,
    }
    return {f"mask_{name}": value for name, value in scores.items()}


def depth_scores(y_true, p):
    """Scores of a depth map, by their names in tables; NaN without known depth."""
    known = y_true > 1e-4
    a, b = np.float64(y_true)[known], np.float64(p)[known]
    if not a.size:
        return {f"depth_{name}": np.nan for name in DEPTH_NAMES}
    ratio = np.maximum(a / np.maximum(b, 1e-6), b / a)
    values = (
        np.sqrt(np.mean((a - b) ** 2)),
        np.mean(abs(a - b)),
        np.mean(abs(a - b) / a),
        *(np.mean(ratio < 1.25**power) for power in (1, 2, 3)),
    )
    return {
        f"depth_{name}": value for name, value in zip(DEPTH_NAMES, values, strict=True)
    }


def mean_scores(y_true, p):
    """Means over images (B, H, W, 1), of the names without `mask_` and `depth_`."""
    images = [
        mask_scores(a[..., 0], b[..., 0]) | depth_scores(a, b)
        for a, b in zip(y_true, p, strict=True)
    ]
    names = [f"mask_{name}" for name in MASK_NAMES]
    names += [f"depth_{name}" for name in DEPTH_NAMES]
    return {
        name.partition("_")[2]: np.nanmean([scores[name] for scores in images])
        for name in names
    }


def _soft_iou(a, b):
    intersection = (a * b).sum() + 1e-6
    return intersection / (a.sum() + b.sum() - (a * b).sum() + 1e-6)


def hard_iou(a, b):
    union = ((a >= 0.5) | (b >= 0.5)).sum()
    return ((a >= 0.5) & (b >= 0.5)).sum() / union if union else 1.0


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


def _gradient(image):
    """SciPy's derivatives, divided by the root of the sum of squares of their kernel."""
    impulse = np.zeros((19, 19))
    impulse[9, 9] = 1
    squares = 0
    for order in ((0, 1), (1, 0)):
        kernel, derivative = (
            ndimage.gaussian_filter(x, 1.4, order, mode="nearest", radius=4)
            for x in (impulse, image)
        )
        squares = squares + derivative**2 / (kernel**2).sum()
    return np.sqrt(squares)


def _connectivity_error(a, b):
    steps = np.arange(11) / 10
    level = np.full(a.shape, -1.0)
    for below, step in zip(steps, steps[1:], strict=False):
        regions, count = ndimage.label((a >= step) & (b >= step))
        sizes = ndimage.sum_labels(regions > 0, regions, np.arange(1, count + 1))
        source = regions == 1 + np.argmax(sizes) if count else regions > 0
        level[(level < 0) & ~source] = below
    level[level < 0] = 1
    degrees = []
    for image in (a, b):
        excess = image - level
        degrees.append(np.where(excess >= 0.15, 1 - excess, 1))
    return abs(degrees[0] - degrees[1])
