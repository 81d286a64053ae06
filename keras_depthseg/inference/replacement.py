"""Put the foreground before another background."""

from __future__ import annotations

import os

import cv2
import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.inference.photographs import is_picture, read_photograph
from keras_depthseg.pictures import profiles
from keras_depthseg.text import printable

# Of the longer side: the background of a portrait with a wide aperture.
_BLUR = 0.02
# The blur is computed on an image reduced until this is its standard deviation: enlarged
# again, its pixels are not seen.
_SIGMA = 4.0
_GAMMA = 2.2
# Opacity from which a pixel has colours of the foreground.
_FOREGROUND = 0.05

_SOFTNESS = 0.02


def replace_background(
    fg: np.ndarray,
    alpha: np.ndarray,
    new: np.ndarray,
    depth: np.ndarray | None = None,
    new_depth: np.ndarray | None = None,
) -> np.ndarray:
    """Return the foreground before another background: `alpha * fg + (1 - alpha) * new`.

    With both depths the foreground stands *in* the new scene: what is nearer there hides
    it. As a cutout on a stand, the foreground has one depth, the median of `depth` where
    `alpha` is over a half, since errors of single pixels would tear holes:

        seen = sigmoid((new_depth - median) / 0.02)
        alpha * seen * fg + (1 - alpha * seen) * new

    A thing of the new scene at the same depth is seen through by half. Depths count only
    as far as they are comparable: of one network, for photographs of like scenes.

    Args:
        fg: (H, W, 3) uint8 RGB, the colours of the foreground.
        alpha: (H, W) float32 in [0, 1], its opacity.
        new: (H, W, 3) uint8 RGB.
        depth, new_depth: (H, W) float32 in [0, 1], larger is farther, of the photograph
            and of `new`; one alone has no effect.

    Returns:
        (H, W, 3) uint8.

    Raises:
        UserError: the sizes differ.
    """
    for name, image in (("new", new), ("depth", depth), ("new_depth", new_depth)):
        if image is not None and image.shape[:2] != alpha.shape:
            raise UserError(
                f"`{name}`: received the shape {image.shape}; accepted is the size of "
                f"`alpha`, {alpha.shape}. Resize it."
            )
    if depth is not None and new_depth is not None:
        alpha = alpha * _seen(alpha, depth, new_depth)
    alpha = np.ascontiguousarray(alpha, np.float32)
    return np.asarray(cv2.blendLinear(fg, new, alpha, 1 - alpha))


def _seen(alpha: np.ndarray, depth: np.ndarray, new_depth: np.ndarray) -> np.ndarray:
    """Return how far the foreground is seen before a scene, (H, W) float32 in [0, 1]."""
    inside = depth[alpha > 0.5]
    if not inside.size:
        return np.ones_like(alpha)
    distance = (new_depth - np.median(inside)) / _SOFTNESS
    # The sigmoid, which overflows nowhere as a tanh.
    return 0.5 + 0.5 * np.tanh(0.5 * distance)


def new_background(
    choice: str,
    pixels: np.ndarray,
    icc: bytes | None = None,
    alpha: np.ndarray | None = None,
    argument: str = "replace_bg",
) -> np.ndarray:
    """Return the background that a choice names.

    Args:
        choice: a picture file, which is scaled to cover and cropped in its middle; a
            colour as in CSS: `#00ff00`, `green`, `rgb(0, 255, 0)`; or `blur`.
        pixels: (H, W, 3) uint8 RGB: what is blurred, the plate or the photograph, and
            whose size the result has.
        icc: the profile of `pixels`, which the result is for.
        alpha: (H, W) float32, for `blur` of a photograph: what is left out.
        argument: that gave the choice, for messages.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        UserError: it is none of these, or the picture cannot be read.
    """
    if choice == "blur":
        return blurred(pixels, alpha)
    colour = _colour(choice)
    if colour is not None:
        plain = np.full((1, 1, 3), colour, np.uint8)
        return np.broadcast_to(profiles.convert(plain, None, icc), pixels.shape).copy()
    if not (is_picture(choice) or os.path.isfile(choice)):
        raise UserError(
            f"`{argument}`: received {printable(choice)!r}; accepted are a picture file, "
            "a colour such as `#00ff00`, `green` or `rgb(0, 255, 0)`, and `blur`. Check "
            "its spelling."
        )
    photograph = read_photograph(choice, argument)
    covering = cover(photograph.pixels, pixels.shape[:2])
    return profiles.convert(covering, photograph.icc, icc)


def _colour(text: str) -> tuple[int, ...] | None:
    from PIL import ImageColor

    try:
        colour = ImageColor.getrgb(text)
    except ValueError:
        return None
    # Transparent ones, and what Pillow lets pass: rgb(300, 0, 0).
    opaque = len(colour) == 3 or colour[3] == 255
    return colour[:3] if opaque and all(0 <= level <= 255 for level in colour) else None


def cover(pixels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the middle of a picture that has the proportions of a shape, at its size.

    Args:
        pixels: (h, w, 3) uint8.
        shape: height and width of the result.
    """
    height, width = pixels.shape[:2]
    scale = max(shape[0] / height, shape[1] / width)
    rows, columns = (
        min(side, max(1, round(wanted / scale)))
        for side, wanted in ((height, shape[0]), (width, shape[1]))
    )
    top, left = (height - rows) // 2, (width - columns) // 2
    middle = pixels[top : top + rows, left : left + columns]
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(middle, shape[::-1], interpolation=how))


def blurred(pixels: np.ndarray, alpha: np.ndarray | None = None) -> np.ndarray:
    """Return a background out of focus: blurred by 2 % of the longer side.

    In linear light, in which lenses blur: lamps stay bright.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        alpha: (H, W) float32 in [0, 1], a foreground whose colours are left out: a mean
            of those around takes their place.

    Returns:
        (H, W, 3) uint8.
    """
    height, width = pixels.shape[:2]
    factor = max(1.0, _BLUR * max(height, width) / _SIGMA)
    size = (max(1, round(width / factor)), max(1, round(height / factor)))
    small = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    light = (small / np.float32(255)) ** _GAMMA
    # Not 0, so that there is a mean where all is foreground.
    weights = np.full((*small.shape[:2], 1), 1e-6, np.float32)
    weights += 1 if alpha is None else _without(alpha, size)
    mean = (light * weights).mean((0, 1)) / weights.mean()
    sigma = _BLUR * max(height, width) / factor
    light, share = (
        np.asarray(cv2.GaussianBlur(image, (0, 0), sigma, borderType=cv2.BORDER_REFLECT))
        for image in (light * weights, weights)
    )
    # Far inside the foreground nothing is known but the mean.
    light = (light + 1e-3 * mean) / (share[..., None] + 1e-3)
    levels = np.rint(light ** (1 / _GAMMA) * 255).astype(np.uint8)
    return np.asarray(cv2.resize(levels, (width, height), interpolation=cv2.INTER_CUBIC))


def _without(alpha: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return 1 where no pixel of a reduced image has a part of a foreground."""
    foreground = (alpha > _FOREGROUND).astype(np.float32)
    share = cv2.resize(foreground, size, interpolation=cv2.INTER_AREA)
    return (np.asarray(share) == 0)[..., None]
