"""Make a plate fit a photograph: undo the camera's movement, fit exposure and colours."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.inference.exposure import fit_gain
from keras_depthseg.inference.movement import MovementFinder, moved, turn_of, zoom_of

# Movements are looked for in images of this longer side: 0.1 of their pixels is 0.8 of
# those of a photograph with 12 million.
_SIDE = 512
# Level from which a pixel may have been saturated.
_SATURATED = 250
# A given mask is made larger by this share of the longer side.
_MARGIN = 0.02
# What is told of, in pixels, degrees and as factors.
_SMALLEST_SHIFT, _SMALLEST_TURN, _SMALLEST_ZOOM, _SMALLEST_CHANGE = 0.1, 0.05, 0.002, 0.01


@dataclasses.dataclass(frozen=True, eq=False)
class Alignment:
    """The movement and the exposure of a plate against a photograph.

    `str` tells what was found: "plate moved 3.1 px, turned 0.2 degrees, 12 % darker".

    Attributes:
        movement: (3, 3), a homography from a pixel of the photograph to that of the
            plate; the identity if none fits better.
        gain: (3,), by which the channels of the plate become those of the photograph.
        residual: difference in levels of 255 of what fits best, before and after.
        size: width and height of the photograph.
    """

    movement: np.ndarray
    gain: np.ndarray
    residual: tuple[float, float]
    size: tuple[int, int]

    @property
    def shift(self) -> float:
        """How far the middle of the photograph moved, in its pixels."""
        middle = (np.array([self.size]) - 1) / 2
        return float(np.hypot(*(moved(self.movement, middle) - middle)[0]))

    def apply(self, bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
        """Return a plate as the photograph's camera would have taken it.

        What the plate does not show is mirrored at its borders. Where it is saturated and
        the photograph is darker, the scene may be as bright as the photograph: there it
        gets the photograph's value, if that is the brighter one.

        Args:
            bg, fg_bg: (H, W, 3) uint8 RGB.

        Returns:
            (H, W, 3) uint8.
        """
        if not np.array_equal(self.movement, np.eye(3)):
            bg = _warped(bg, self.movement)
        return _exposed(bg, fg_bg, self.gain)

    def __str__(self) -> str:
        found = []
        if self.shift >= _SMALLEST_SHIFT:
            found.append(f"moved {self.shift:.1f} px")
        turn, zoom = abs(turn_of(self.movement)), zoom_of(self.movement)
        if turn >= _SMALLEST_TURN:
            found.append(f"turned {turn:.1f} degrees")
        if abs(zoom - 1) >= _SMALLEST_ZOOM:
            found.append(f"{abs(zoom - 1):.1%} {'larger' if zoom > 1 else 'smaller'}")
        brightness = float(1 / self.gain.mean())
        if abs(brightness - 1) >= _SMALLEST_CHANGE:
            found.append(
                f"{abs(brightness - 1):.0%} {'brighter' if brightness > 1 else 'darker'}"
            )
        return f"plate {', '.join(found) or 'in place'}".replace("%", " %")


def align(bg: np.ndarray, fg_bg: np.ndarray, mask: np.ndarray | None = None) -> Alignment:
    """Find the movement and the exposure with which a plate fits a photograph.

    Where nothing fits better than the plate as it is, it is left there.

    Args:
        bg, fg_bg: (H, W, 3) uint8 RGB, of one size.
        mask: (H, W) float32 in [0, 1], a first mask of the foreground, which is left out.

    Raises:
        UserError: if the sizes differ.
    """
    if bg.shape != fg_bg.shape:
        raise UserError(
            f"`bg`: received the shape {bg.shape}; accepted is that of `fg_bg`, "
            f"{fg_bg.shape}. Resize one of them."
        )
    height, width = fg_bg.shape[:2]
    background = None if mask is None else _background(mask)
    gain = fit_gain(bg, fg_bg, background)
    scale = min(1.0, _SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small_bg, small = _reduced(bg, size), _reduced(fg_bg, size)
    seen = None
    if background is not None:
        seen = _reduced(background.astype(np.uint8), size) > 0
    before = MovementFinder(small_bg, small, seen).residual(np.eye(3))
    exposed = _exposed(small_bg, small, gain)
    movement, after = MovementFinder(exposed, small, seen).find()
    if not np.array_equal(movement, np.eye(3)):
        movement = _enlarged(movement, width / size[0], height / size[1])
        # Of what lies over each other now.
        gain = fit_gain(_warped(bg, movement), fg_bg, background)
    return Alignment(movement, gain, (before, after), (width, height))


def _warped(bg: np.ndarray, movement: np.ndarray) -> np.ndarray:
    return cv2.warpPerspective(
        bg,
        movement,
        bg.shape[1::-1],
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def _exposed(bg: np.ndarray, fg_bg: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return a plate with the exposure of a photograph, see `Alignment.apply`."""
    levels = np.arange(256)[:, None] * gain
    fitted = cv2.LUT(bg, np.rint(np.minimum(levels, 255)).astype(np.uint8)[None])
    darker = (bg >= _SATURATED) & (gain < 1)
    fitted[darker] = np.maximum(fitted, fg_bg)[darker]
    return fitted


def _reduced(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def _background(mask: np.ndarray) -> np.ndarray | None:
    """Return where a mask and its surroundings are not; `None` if that is too little."""
    radius = max(1, round(_MARGIN * max(mask.shape)))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    background = cv2.dilate((mask > 0.1).astype(np.uint8), kernel) == 0
    return background if background.mean() > 0.05 else None


def _enlarged(movement: np.ndarray, x: float, y: float) -> np.ndarray:
    """Return a movement in pixels that are smaller by the factors `x` and `y`."""
    # The middle of the first pixel, 0, lies half a pixel from the border.
    enlarge = np.array([[x, 0, x / 2 - 0.5], [0, y, y / 2 - 0.5], [0, 0, 1]])
    movement = enlarge @ movement @ np.linalg.inv(enlarge)
    return movement / movement[2, 2]
