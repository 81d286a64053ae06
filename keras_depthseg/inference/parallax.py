"""Find what a homography leaves: near things move farther than what is behind them."""

from __future__ import annotations

import cv2
import numpy as np

from keras_depthseg.inference.movement import gradients, mean_of_best

# Longer movements are not parallax but foreground: share of the longer side.
_FARTHEST = 0.03
# Pixels by which the way there and back may miss.
_MISSED = 1.0
# Spread of the smoothing, and of what fills gaps, as shares of the longer side.
_SMOOTH, _FILL = 0.01, 0.06
# A flow counts only if it takes away this share of the residual of the background, and as
# many levels of 255: of pairs without parallax it took at most 0.2, of rooms whose camera
# moved by 2 cm 0.2 to 2.3.
_FALL, _FALLEN = 0.15, 0.25
# A flow that is nowhere longer than this share of the longer side, 2.2 px of 224, is left
# out: networks are trained to take as much, and lose more by a flow's mistakes. Of rooms
# whose camera moved by 1, 2 and 5 cm it kept 1, 3 and 10 of 16, which gained 0.000, 0.000
# and 0.011 of hard IoU on average; the others lost 0.001, 0.001 and gained 0.002.
_SHORTEST = 0.01
# Share of the background that is compared, that which fits best: some is shadow.
_COMPARED = 0.9
# Below this side, DIS finds no patches.
_SMALLEST_SIDE = 32


def find_flow(
    plate: np.ndarray, photograph: np.ndarray, background: np.ndarray
) -> np.ndarray | None:
    """Return by how much a plate still differs from a photograph in place.

    Dense flow (DIS, Kroeger et al. 2016) of the background, where the way back leads to
    where it began. Elsewhere, mainly under the foreground, it is filled from around.

    Args:
        plate, photograph: (H, W, 3) uint8 RGB, aligned and of one exposure.
        background: (H, W) bool, where both show the background.

    Returns:
        (H, W, 2) float32, x and y in pixels, from a pixel of the photograph to that of
        the plate; `None` unless it is long and the residual falls clearly.
    """
    if min(plate.shape[:2]) < _SMALLEST_SIDE:
        return None
    first, second = (
        cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (photograph, plate)
    )
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = dis.calc(first, second, None)  # pyright: ignore[reportCallIssue, reportArgumentType]
    back = dis.calc(second, first, None)  # pyright: ignore[reportCallIssue, reportArgumentType]
    missed = np.linalg.norm(flow + _shifted(back, flow), axis=-1)
    length = np.linalg.norm(flow, axis=-1)
    side = max(plate.shape)
    trusted = background & (missed < _MISSED) & (length < _FARTHEST * side)
    if not trusted.any():
        return None
    # On a flat wall any flow fits: what has edges counts.
    weights = (gradients(first.astype(np.float32)) + 0.1) * trusted
    flow = _filled(flow, weights, side)
    if np.linalg.norm(flow, axis=-1).max() < _SHORTEST * side:
        return None
    before, after = (
        _residual(image, first, background) for image in (second, _shifted(second, flow))
    )
    clear = after < min((1 - _FALL) * before, before - _FALLEN)
    return flow if clear else None


def _shifted(image: np.ndarray, flow: np.ndarray) -> np.ndarray:
    """Return what an image shows where a flow leads."""
    height, width = flow.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(
        image,
        x + flow[..., 0],
        y + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )


def _filled(flow: np.ndarray, weights: np.ndarray, side: int) -> np.ndarray:
    """Return a flow smoothed by its weights, filled from farther away where they lack."""
    fine, fine_weight = _blurred(flow, weights, _SMOOTH * side)
    coarse, coarse_weight = _blurred(flow, weights, _FILL * side)
    mean = np.average(flow.reshape(-1, 2), axis=0, weights=weights.ravel())
    # Each step counts by the weight it found, against a little of the next.
    little = np.float32(0.05 * weights.mean())
    coarse = (coarse + little * mean) / (coarse_weight + little)
    return ((fine + little * coarse) / (fine_weight + little)).astype(np.float32)


def _blurred(
    flow: np.ndarray, weights: np.ndarray, sigma: float
) -> tuple[np.ndarray, np.ndarray]:
    return (
        cv2.GaussianBlur(flow * weights[..., None], (0, 0), sigma),
        cv2.GaussianBlur(weights, (0, 0), sigma)[..., None],
    )


def _residual(plate: np.ndarray, photograph: np.ndarray, where: np.ndarray) -> float:
    # Smoothed, as in `MovementFinder`: a resampled plate has less noise.
    images = [
        cv2.GaussianBlur(image.astype(np.float32), (0, 0), 1)
        for image in (plate, photograph)
    ]
    weights = gradients(images[0]) + 1
    return mean_of_best(np.abs(images[0] - images[1])[where], weights[where], _COMPARED)
