"""Bring a mask of the network's size to the photograph's, with the photograph's edges.

Where the mask is sure nothing changes. Around its edges a guided filter lets it follow
the photograph, and a plate tells more: there a pixel either fits the plate's colour (in
a shadow, too) or that of the foreground beside it, or is a mixture of both.
"""

from __future__ import annotations

import dataclasses
import math

import cv2
import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.inference.sizes import within
from keras_depthseg.inference.tiles import Enlarged, Tile, box, tiles

# How far from where the mask changes its edge may lie, in the mask's pixels.
_REACH = 2
# From which value the mask counts as sure enough to ask the plate: blobs that the network
# itself doubts (shadows, reflections, leaves) would become certain foreground.
_SURE = 0.8
# How far from 0 and 1 a mask is unsure.
_DOUBTFUL = 0.05
# Standard deviation in the mask's pixels over which that fades out.
_FADE = 1.0
# Of the guided filter: half the window in the mask's pixels, regularisation.
_RADIUS, _EPSILON = 3, 1e-4
# The foreground's colours are collected in images of this longer side, in windows of
# these radii; the larger one counts where the smaller one has nothing.
_SIDE, _NEAR, _FAR = 512, 4, 16
# Smallest variance of colours in levels, and how likely one is that was not seen nearby:
# in the foreground, in front of the plate without being foreground.
_VARIANCE, _NEW, _NEW_BACKGROUND = 30.0, 0.2, 0.02
# Least share of the light left in a shadow, log of how seldom a pixel lies in one, and
# how much the share differs between channels.
_DARKEST, _SHADOW, _TINT = 0.45, -3.0, 0.06
# How much one pixel's colour may say, as a log ratio; it is averaged with its neighbours'
# (standard deviation in pixels) against noise.
_LOUDEST, _SMOOTH = 4.0, 0.8
# Least doubt about what was found without the plate.
_DOUBT = 0.005
# Standard deviation of alpha about the likelihood of being foreground.
_TRUST = 0.2
# Radius of windows of mixed pixels' foreground.
_MIXED = 6
# Noise in levels and misalignment in pixels where there is too little to measure them.
_UNKNOWN = (6.0, 0.5)
# Log density of a colour of which nothing is known, in the scale of `_likelihood`.
_ANY_COLOUR = 1.5 * math.log(2 * math.pi) - 3 * math.log(255)


def refine(
    mask: np.ndarray, fg_bg: np.ndarray, bg: np.ndarray | None = None
) -> np.ndarray:
    """Return a mask of the photograph's size: alpha, the share of foreground.

    It differs from a bilinear enlargement only within a few of the mask's pixels of where
    that is neither 0 nor 1. How noisy both images are and how far the plate is off is
    measured in the background.

    Args:
        mask: (h, w) float32 in [0, 1], as the network gave it.
        fg_bg: (H, W, 3) uint8 RGB, the photograph.
        bg: (H, W, 3) uint8 RGB, the plate with the photograph's position and exposure
            (see `alignment.align`); without one only the guided filter is used.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        UserError: if the plate has another size than the photograph.

    Sources: He and Sun 2015, Fast guided filter, https://arxiv.org/abs/1505.00996; mixed
    pixels as in Chuang et al. 2001, A Bayesian approach to digital matting,
    https://doi.org/10.1109/CVPR.2001.990970, with a known background.
    """
    if bg is not None and bg.shape != fg_bg.shape:
        raise UserError(
            f"`bg`: received the shape {bg.shape}; accepted is that of `fg_bg`, "
            f"{fg_bg.shape}. Resize one of them."
        )
    height, width = fg_bg.shape[:2]
    smaller = height * width < mask.size
    alpha = cv2.resize(
        mask,
        (width, height),
        interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR,
    )
    alpha = np.clip(alpha, 0, 1, out=alpha)
    window = np.ones((2 * _REACH + 1,) * 2, np.uint8)
    unsure = cv2.dilate(mask, window) > _DOUBTFUL
    unsure &= cv2.erode(mask, window) < 1 - _DOUBTFUL
    if not unsure.any():
        return alpha
    filtered = Enlarged(_guided_filter(mask, fg_bg), height, width)
    # Between a sure foreground and a sure background, both within reach.
    edge = cv2.dilate((mask > _SURE).astype(np.float32), window)
    edge *= cv2.dilate((mask < 1 - _SURE).astype(np.float32), window)
    # Else the mask's pixels show as blocks where the plate is no longer asked.
    edge = cv2.GaussianBlur(edge, (0, 0), _FADE)
    plate = None if bg is None else _Plate(mask, fg_bg, bg)
    weights = Enlarged(
        np.dstack([unsure, edge * unsure]).astype(np.float32), height, width
    )
    for tile, wide, inside in tiles(height, width, _MIXED):
        unsure_here, edge_here = np.moveaxis(weights[wide], -1, 0)
        if not unsure_here.any():
            continue
        factors = filtered[wide]
        found = _sum(factors[..., :3] * fg_bg[wide]) + factors[..., 3]
        found = np.clip(found, 0, 1)
        if plate is not None and edge_here.any():
            found += edge_here * (plate.alpha(found, wide) - found)
        found = alpha[wide] + unsure_here * (found - alpha[wide])
        alpha[tile] = found[inside]
    return alpha


def _guided_filter(mask: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
    """Return (h, w, 4), the filter's factors of the channels and its constant."""
    small = cv2.resize(fg_bg, mask.shape[::-1], interpolation=cv2.INTER_AREA)
    guide = small.astype(np.float32) / 255
    mean, mean_mask = box(guide, _RADIUS), box(mask, _RADIUS)
    shared = box(guide * mask[..., None], _RADIUS) - mean * mean_mask[..., None]
    products = (guide[..., :, None] * guide[..., None, :]).reshape(*mask.shape, 9)
    spread = box(products, _RADIUS).reshape(*mask.shape, 3, 3)
    spread -= mean[..., :, None] * mean[..., None, :]
    spread += _EPSILON * np.eye(3, dtype=np.float32)
    factors = np.linalg.solve(spread, shared[..., None])[..., 0]
    constant = mean_mask - (factors * mean).sum(-1)
    return box(np.dstack([factors / 255, constant]), _RADIUS)


class _Plate:
    """What a plate and a photograph tell of alpha where both are known."""

    def __init__(self, mask: np.ndarray, fg_bg: np.ndarray, bg: np.ndarray):
        self.fg_bg, self.bg = fg_bg, bg
        height, width = fg_bg.shape[:2]
        size = within(height, width, _SIDE)
        small, plate = (
            cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (fg_bg, bg)
        )
        errors = _Errors.between(mask, small, plate)
        small, plate = small.astype(np.float32), plate.astype(np.float32)
        alpha = np.clip(cv2.resize(mask, size), 0, 1)
        colours = _colours(small, alpha)
        for _ in range(2):
            alpha = _likely(alpha, small, plate, colours, errors)
            colours = _colours(small, alpha)
        self.colours = Enlarged(colours, height, width)
        self.errors = _Errors.between(mask, fg_bg, bg)

    def alpha(self, prior: np.ndarray, tile: Tile) -> np.ndarray:
        """Return alpha in a tile, where it is `prior` without the plate."""
        image = self.fg_bg[tile].astype(np.float32)
        plate = self.bg[tile].astype(np.float32)
        likely = _likely(prior, image, plate, self.colours[tile], self.errors)
        return _mixed(likely, image, plate, self.errors)


@dataclasses.dataclass(frozen=True)
class _Errors:
    """By how much a photograph of the plate may differ from it.

    Attributes:
        noise: in levels.
        shift: in pixels.
    """

    noise: float
    shift: float

    @classmethod
    def between(cls, mask: np.ndarray, fg_bg: np.ndarray, bg: np.ndarray) -> _Errors:
        """Measure both in the background, in at most some 200,000 pixels."""
        height, width = fg_bg.shape[:2]
        step = max(1, round((height * width / 2e5) ** 0.5))
        y, x = np.arange(1, height - 1, step), np.arange(1, width - 1, step)

        def at(image: np.ndarray, down: int = 0, right: int = 0) -> np.ndarray:
            return image[np.ix_(y + down, x + right)].astype(np.float32)

        outside = (cv2.dilate(mask, np.ones((5, 5), np.uint8)) < 0.02).astype(np.uint8)
        outside = cv2.resize(outside, (width, height), interpolation=cv2.INTER_NEAREST)
        outside = outside[np.ix_(y, x)] > 0
        if outside.sum() < 500:
            return cls(*_UNKNOWN)
        error = np.square(at(fg_bg) - at(bg)).mean(-1)[outside]
        slope = np.square(at(bg, 0, 1) - at(bg, 0, -1))
        slope += np.square(at(bg, 1, 0) - at(bg, -1, 0))
        slope = slope.mean(-1)[outside] / 4
        flat, steep = slope <= np.quantile(slope, 0.3), slope >= np.quantile(slope, 0.8)
        # The mean of three squares of normal errors is 1.3 times its median.
        noise = 1.3 * float(np.median(error[flat]))
        more = 1.3 * float(np.median(error[steep])) - noise
        shift = max(more, 0) / max(float(np.median(slope[steep])), 1)
        return cls(max(noise**0.5, 2), shift**0.5)

    def variance(self, plate: np.ndarray) -> np.ndarray:
        """Return the variance of a pixel of the plate, (H, W, 1)."""
        slope = cv2.Scharr(plate, -1, 1, 0) ** 2 + cv2.Scharr(plate, -1, 0, 1) ** 2
        slope = cv2.dilate(_sum(slope) / (3 * 32**2), np.ones((3, 3), np.uint8))
        return (self.noise**2 + self.shift**2 * slope)[..., None]


def _colours(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Return the mean and the variance of the foreground's colours nearby, (H, W, 6)."""
    weight = np.where(alpha > _SURE, alpha, 1e-4 * alpha)[..., None]
    sums = np.dstack([weight, weight * image, weight * image * image])
    sums = box(sums, _NEAR) + 0.01 * box(sums, _FAR) + 1e-9
    mean = sums[..., 1:4] / sums[..., :1]
    variance = sums[..., 4:] / sums[..., :1] - mean * mean
    return np.dstack([mean, np.maximum(variance, 0)])


def _likely(
    prior: np.ndarray,
    image: np.ndarray,
    plate: np.ndarray,
    colours: np.ndarray,
    errors: _Errors,
) -> np.ndarray:
    """Return how likely each pixel shows foreground, given its colour and `prior`."""
    variance = colours[..., 3:] + (errors.noise**2 + _VARIANCE)
    own = _likelihood(image - colours[..., :3], variance) + math.log(1 - _NEW)
    own = np.logaddexp(own, math.log(_NEW) + _ANY_COLOUR)
    variance = errors.variance(plate)
    light = _sum(image * plate) / np.maximum(_sum(plate * plate), 1)
    light = np.clip(light, _DARKEST, 1)[..., None]
    tint = np.square(_TINT * (1 - light) * plate)
    shadow = _likelihood(image - light * plate, variance + tint) + _SHADOW
    other = np.logaddexp(_likelihood(image - plate, variance), shadow)
    other = np.logaddexp(other, math.log(_NEW_BACKGROUND) + _ANY_COLOUR)
    says = np.clip(own - other, -_LOUDEST, _LOUDEST)
    says = cv2.GaussianBlur(says, (0, 0), _SMOOTH)
    prior = np.clip(prior, _DOUBT, 1 - _DOUBT)
    return prior / (prior + (1 - prior) * np.exp(-says))


def _likelihood(error: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return the log of the normal density, times (2 pi)^1.5, of (H, W, 3) errors."""
    return -0.5 * _sum(error * error / variance + np.log(variance))


def _sum(image: np.ndarray) -> np.ndarray:
    """Return the sum of three channels; NumPy takes five times as long."""
    return cv2.transform(image, np.ones((1, 3), np.float32))


def _mixed(
    likely: np.ndarray, image: np.ndarray, plate: np.ndarray, errors: _Errors
) -> np.ndarray:
    """Return alpha: at the outline, where a colour lies from the plate's to foreground's.

    The most probable alpha for image = alpha foreground + (1 - alpha) plate with normal
    errors, and normal about `likely`. A foreground like the plate leaves `likely`.
    """
    inside = (likely > 0.5).astype(np.uint8)
    window = np.ones((5, 5), np.uint8)
    outline = cv2.dilate(inside, window) != cv2.erode(inside, window)
    if not outline.any():
        return likely
    # Without its outermost pixels, which are mixtures.
    pure = (likely * (cv2.erode(inside, window[:3, :3]) + np.float32(1e-3)))[..., None]
    weight = box(pure, _MIXED)[..., None] + np.float32(1e-6)
    mean = box(pure * image, _MIXED) / weight
    variance = np.maximum(box(pure * image * image, _MIXED) / weight - mean * mean, 0)
    variance = errors.variance(plate) + variance * np.square(likely)[..., None]
    way = mean - plate
    solved = _sum((image - plate) * way / variance) + likely / _TRUST**2
    solved /= _sum(way * way / variance) + 1 / _TRUST**2
    return np.where(outline, np.clip(solved, 0, 1), likely)
