"""Make a plate fit a photograph: undo the camera's movement, fit exposure and colours."""

from __future__ import annotations

import dataclasses

import cv2
import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.inference.exposure import fit_gain
from keras_depthseg.inference.movement import MovementFinder, moved, turn_of, zoom_of
from keras_depthseg.inference.parallax import find_flow
from keras_depthseg.inference.sizes import within

# Movements are looked for in images of this longer side: 0.1 of their pixels is 0.8 of
# those of a photograph with 12 million.
_SIDE = 512
# Level from which a pixel may have been saturated.
_SATURATED = 250
# Levels by which a plate may differ where it fits. On composites moved by 10 px of 224
# the hard IoU was 0.900 with all of the border mirrored, 0.952 so; where the border cuts
# the foreground 0.900 and 0.943, but 0.878 with the photograph's values everywhere.
_FITS = 20
_STRIP = 64
# OpenCV does not resample longer images.
_LONGEST = 32767
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
        flow: (h, w, 2) float32, x and y in pixels of a reduced photograph: added to a
            pixel's place before the movement, where near things moved otherwise; `None`
            where the movement is enough.
    """

    movement: np.ndarray
    gain: np.ndarray
    residual: tuple[float, float]
    size: tuple[int, int]
    flow: np.ndarray | None = None

    @property
    def shift(self) -> float:
        """How far the middle of the photograph moved, in its pixels."""
        middle = (np.array([self.size]) - 1) / 2
        return float(np.hypot(*(moved(self.movement, middle) - middle)[0]))

    @property
    def has_moved(self) -> bool:
        """Whether the plate is not where the photograph is."""
        return self.flow is not None or not np.array_equal(self.movement, np.eye(3))

    def apply(self, bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
        """Return a plate as the photograph's camera would have taken it.

        What the plate does not show gets the photograph's value if the plate fits at the
        nearest place that it shows, and is mirrored at its borders if not: something in
        front may leave the picture there. Where the plate is saturated and the photograph
        is darker, the scene may be as bright as the photograph: there it gets the
        photograph's value, if that is the brighter one.

        Args:
            bg, fg_bg: (H, W, 3) uint8 RGB.

        Returns:
            (H, W, 3) uint8.
        """
        moves = self.has_moved
        fits = self._fits(bg, fg_bg) if moves else None
        fitted = np.empty_like(bg)
        # In strips: all places of 12 million pixels would take 100 MB.
        for top in range(0, len(bg), _STRIP):
            rows = slice(top, min(top + _STRIP, len(bg)))
            part, seen = bg[rows], None
            if moves:
                part, seen = self._moved(bg, rows)
            fitted[rows] = _exposed(part, fg_bg[rows], self.gain)
            if fits is not None and seen is not None and not seen.all():
                copied = ~seen & (_strip_of(fits, self.size, rows) > 0)
                fitted[rows][copied] = fg_bg[rows][copied]
        return fitted

    def _moved(self, bg: np.ndarray, rows: slice) -> tuple[np.ndarray, np.ndarray]:
        """Return rows of the moved plate, and where it shows them; `bg` of any size."""
        height, width = bg.shape[:2]
        y, x = np.mgrid[rows, :width].astype(np.float32)
        if self.flow is not None:
            flow = _strip_of(self.flow, (width, height), rows)
            x += flow[..., 0] * np.float32(width / self.flow.shape[1])
            y += flow[..., 1] * np.float32(height / self.flow.shape[0])
        scale = width / self.size[0], height / self.size[1]
        matrix = _enlarged(self.movement, *scale).astype(np.float32)
        divisor = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
        x, y = ((row[0] * x + row[1] * y + row[2]) / divisor for row in matrix[:2])
        seen = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
        part = cv2.remap(bg, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
        return part, seen

    def _fits(self, bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray | None:
        """Return where the plate fits at the nearest place that it shows, reduced.

        `None` if it shows everything, or nothing.
        """
        width, height = self.size
        size = within(height, width, _SIDE)
        bg, fg_bg = (_reduced(image, size) for image in (bg, fg_bg))
        part, seen = self._moved(bg, slice(0, len(bg)))
        # Beside the border the smoothing sees what lies outside.
        inner = cv2.erode(
            seen.astype(np.uint8), np.ones((5, 5)), borderType=cv2.BORDER_REPLICATE
        )
        if inner.all() or not inner.any():
            return None
        difference = cv2.absdiff(_exposed(part, fg_bg, self.gain), fg_bg)
        fits = cv2.blur(difference.astype(np.float32).mean(-1), (5, 5)) < _FITS
        _, labels = cv2.distanceTransformWithLabels(
            1 - inner, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
        )
        nearest = np.asarray(labels, np.int32)
        values = np.zeros(nearest.max() + 1, np.uint8)
        values[nearest[inner > 0]] = fits[inner > 0]
        return values[nearest]

    def __str__(self) -> str:
        found = []
        if self.shift >= _SMALLEST_SHIFT:
            found.append(f"moved {self.shift:.1f} px")
        turn, zoom = abs(turn_of(self.movement)), zoom_of(self.movement)
        if turn >= _SMALLEST_TURN:
            found.append(f"turned {turn:.1f} degrees")
        if abs(zoom - 1) >= _SMALLEST_ZOOM:
            found.append(f"{abs(zoom - 1):.1%} {'larger' if zoom > 1 else 'smaller'}")
        if self.flow is not None:
            scale = self.size[0] / self.flow.shape[1]
            farthest = scale * float(np.linalg.norm(self.flow, axis=-1).max())
            found.append(f"parallax up to {farthest:.1f} px")
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
    size = within(height, width, _SIDE)
    bg, fg_bg = _reduced(bg, size), _reduced(fg_bg, size)
    background = None if mask is None else _background(_reduced(mask, size))
    gain = fit_gain(bg, fg_bg, background)
    before = MovementFinder(bg, fg_bg, background).residual(np.eye(3))
    finder = MovementFinder(_exposed(bg, fg_bg, gain), fg_bg, background)
    movement, after = finder.find()
    found = Alignment(movement, gain, (before, after), size)
    if max(height, width) >= _LONGEST or min(size) < 2:
        return dataclasses.replace(found, movement=np.eye(3), size=(width, height))
    flow = None
    plate, seen = found._moved(bg, slice(0, len(bg)))
    if not np.array_equal(movement, np.eye(3)):
        # Of what lies over each other now.
        gain = fit_gain(plate, fg_bg, background)
    if background is not None:
        flow = find_flow(_exposed(plate, fg_bg, gain), fg_bg, background & seen)
    movement = _enlarged(movement, width / size[0], height / size[1])
    return Alignment(movement, gain, (before, after), (width, height), flow)


def _strip_of(image: np.ndarray, size: tuple[int, int], rows: slice) -> np.ndarray:
    """Return rows of a reduced image enlarged to a size."""
    height, width = image.shape[:2]
    x, y = width / size[0], height / size[1]
    matrix = np.array(
        [[x, 0, x / 2 - 0.5], [0, y, (rows.start + 0.5) * y - 0.5]], np.float64
    )
    return cv2.warpAffine(
        image,
        matrix,
        (size[0], rows.stop - rows.start),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
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
