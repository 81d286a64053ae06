"""Pairs to apply the effects of a capture to, and where things are in an image."""

import numpy as np

from keras_depthseg.augment.capture import Capture

SPACING = 32


def captured(
    strengths, bg, fg_bg=None, mask=None, depth=None, seed=0, count=1, capture=None
):
    """Apply strengths to one pair, `count` times.

    Returns:
        images (2, count, H, W, 3) int, labels (2, count, H, W) and boxes (count, 4).
    """
    side = bg.shape[:2]
    fg_bg = bg if fg_bg is None else fg_bg
    mask = np.zeros(side) if mask is None else mask
    depth = np.zeros(side) if depth is None else depth
    images = np.repeat(np.stack([bg, fg_bg])[:, None], count, axis=1).astype(np.uint8)
    labels = np.stack([mask, depth]).astype(np.float32)[:, None, ..., None]
    labels = np.repeat(labels, count, axis=1)
    boxes = np.zeros((count, 4), np.float32)
    capture = capture or Capture.fixed(strengths)
    capture(images, labels, boxes, np.random.default_rng(seed))
    return images.astype(int), labels[..., 0], boxes


def centres(side):
    """Return the places of the dots, (N, 2) as x and y."""
    line = np.arange(SPACING / 2, side, SPACING)
    return np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)


def dots(side, sigma=2.5):
    """Return white dots on black, (side, side, 3) uint8."""
    x = np.arange(side)
    image = np.zeros((side, side))
    for cx, cy in centres(side):
        square = (x - cx) ** 2 + (x[:, None] - cy) ** 2
        image += 220 * np.exp(-square / (2 * sigma**2))
    return np.repeat(np.rint(image)[..., None], 3, axis=2).astype(np.uint8)


def found(image):
    """Return the centres of mass of the dots, (N, 2)."""
    return np.array([_moments(image, centre)[0] for centre in centres(len(image))])


def covariances(image):
    """Return the covariance matrices of the dots, (N, 2, 2)."""
    return np.array([_moments(image, centre)[1] for centre in centres(len(image))])


def _moments(image, centre):
    left, top = np.int64(centre) - SPACING // 2
    window = np.asarray(image, float)[top : top + SPACING, left : left + SPACING]
    window = window[..., 1] if window.ndim == 3 else window
    y, x = np.mgrid[top : top + SPACING, left : left + SPACING]
    points = np.stack([x.ravel(), y.ravel()])
    weights = window.ravel() / window.sum()
    mean = points @ weights
    return mean, (weights * (points - mean[:, None])) @ (points - mean[:, None]).T
