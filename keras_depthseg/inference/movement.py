"""Find how the camera moved between two photographs of one scene."""

from __future__ import annotations

import cv2
import numpy as np

_LINEAR = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
_NEAREST = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP

# A movement counts only if it takes away this share of the residual: on a flat wall a
# wrong one correlates as well as the right one.
_FALL = 0.03
# Residual, in levels of 255, below which matched features (SIFT) are not asked: they
# take as long as all the rest.
_GOOD = 1.0
# Share of the pixels, those that fit best, that is compared: the rest may be foreground.
# With 0.6 a homography bent the plate to a foreground of 55 %.
_COMPARED = 0.4
# Share of the pixels at which ECC looks, those that fit best at its start; all of a given
# background: corners were 0.3 to 1 px off without its worst quarter, 0.05 with it.
_TRUSTED = 0.75
_MODELS = (cv2.MOTION_TRANSLATION, cv2.MOTION_EUCLIDEAN, cv2.MOTION_HOMOGRAPHY)
_CRITERIA = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, 1e-4)
# Features that match: nearer than this share of the second nearest, and as few of them
# as a homography can be believed of.
_RATIO, _FEWEST = 0.8, 8
# Movements beyond are not believed: of a corner, as a share of the longer side; in
# degrees; as a factor.
_FARTHEST, _LARGEST_TURN, _LARGEST_ZOOM = 0.3, 12.0, 1.2
_SMALLEST_SIDE = 16


class MovementFinder:
    """Compares a plate with a photograph at different movements.

    A movement is a homography (3, 3) from a pixel of the photograph to that of the plate.

    Args:
        plate, photograph: (H, W, 3) uint8 RGB, of one size and exposure.
        background: (H, W) bool, where the photograph shows the background; by default
            everywhere is looked.
    """

    def __init__(
        self,
        plate: np.ndarray,
        photograph: np.ndarray,
        background: np.ndarray | None = None,
    ):
        # A resampled plate is smoother: unless both are smooth, its noise alone would
        # make a movement look better than none.
        self._plate, self._photograph = _grey(plate), _grey(photograph)
        self._size = photograph.shape[1::-1]
        seen = np.ones(photograph.shape[:2], bool) if background is None else background
        self._background = seen.astype(np.uint8)

    def find(self) -> tuple[np.ndarray, float]:
        """Return the movement of the lowest residual, or the identity, and its residual.

        Begins at the identity or the phase correlation; then translation, rotation and
        homography are refined by ECC, in turn. Unless that fits to 1 level, matched
        features are refined by ECC too. Each is kept only if the residual falls by 3 %.
        """
        best = np.eye(3)
        lowest = self.residual(best)
        if min(self._size) < _SMALLEST_SIDE:
            return best, lowest
        found = self._ascended(self._better(self._shift(), best, lowest))
        if found[1] <= _GOOD:
            return found
        matched = self._better(self._matched(), best, lowest)
        if matched[1] < lowest:
            found = min(found, self._ascended(matched), key=lambda pair: pair[1])
        return found

    def _ascended(self, start: tuple[np.ndarray, float]) -> tuple[np.ndarray, float]:
        """Return a movement and its residual refined by ECC.

        The homography twice if the first time helped: ECC leaves out what fits worst at
        its start, the corners before a turn or a zoom is known.
        """
        best, lowest = start
        for model in _MODELS:
            before = lowest
            best, lowest = self._better(self._refined(model, best), best, lowest)
        if lowest < before:
            best, lowest = self._better(self._refined(_MODELS[-1], best), best, lowest)
        return best, lowest

    def residual(self, movement: np.ndarray) -> float:
        """Return the mean difference of what fits best, in levels of 255.

        Pixels count by the plate's gradients there. Infinite where nothing overlaps.
        """
        plate, inside = self._moved(movement)
        if inside.mean() < 0.02:
            return float("inf")
        difference = np.abs(plate - self._photograph)[inside]
        return mean_of_best(difference, (gradients(plate) + 1)[inside], _COMPARED)

    def _better(
        self, movement: np.ndarray | None, best: np.ndarray, lowest: float
    ) -> tuple[np.ndarray, float]:
        if movement is None or not self._plausible(movement):
            return best, lowest
        residual = self.residual(movement)
        return (movement, residual) if residual < (1 - _FALL) * lowest else (best, lowest)

    def _moved(self, movement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the moved plate, and where the plate and the background are seen."""
        plate = cv2.warpPerspective(self._plate, movement, self._size, flags=_LINEAR)
        inside = np.ones_like(self._background)
        inside = cv2.warpPerspective(inside, movement, self._size, flags=_NEAREST)
        # Beside the border the smoothing has seen what lies outside.
        inside = cv2.erode(inside, np.ones((5, 5), np.uint8))
        return plate, np.logical_and(inside, self._background)

    def _shift(self) -> np.ndarray:
        """Return the movement without a turn that the phase correlation finds."""
        window = cv2.createHanningWindow(self._size, cv2.CV_32F)
        shift, _ = cv2.phaseCorrelate(
            gradients(self._photograph), gradients(self._plate), window
        )
        movement = np.eye(3)
        movement[:2, 2] = shift
        return movement

    def _matched(self) -> np.ndarray | None:
        """Return the homography of matched features (SIFT, MAGSAC)."""
        sift = cv2.SIFT.create(nfeatures=1500, contrastThreshold=0.02)
        found = [
            sift.detectAndCompute(np.clip(image, 0, 255).astype(np.uint8), mask)
            for image, mask in (
                (self._photograph, self._background),
                (self._plate, None),
            )
        ]
        (points, words), (plate_points, plate_words) = found
        if min(len(points), len(plate_points)) < _FEWEST:
            return None
        pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(words, plate_words, 2)
        good = [
            first for first, second in pairs if first.distance < _RATIO * second.distance
        ]
        if len(good) < _FEWEST:
            return None
        movement, inliers = cv2.findHomography(
            np.array([points[match.queryIdx].pt for match in good], np.float32),
            np.array([plate_points[match.trainIdx].pt for match in good], np.float32),
            cv2.USAC_MAGSAC,
            1.5,
        )
        if movement is None or inliers.sum() < _FEWEST:
            return None
        return movement

    def _refined(self, model: int, start: np.ndarray) -> np.ndarray | None:
        """Return the movement to which ECC converges, `None` if it does not."""
        plate, inside = self._moved(start)
        difference = cv2.blur(np.abs(plate - self._photograph), (15, 15))
        if not inside.any():
            return None
        if self._background.all():
            inside &= difference <= np.quantile(difference[inside], _TRUSTED)
        begin = self._nearest(model, start).astype(np.float32)
        # OpenCV asks for what is valid in the plate, not in the photograph.
        valid = cv2.warpPerspective(
            inside.astype(np.uint8), begin, self._size, flags=cv2.INTER_NEAREST
        )
        try:
            _, found = cv2.findTransformECC(
                self._photograph,
                self._plate,
                begin if model == cv2.MOTION_HOMOGRAPHY else begin[:2],
                model,
                _CRITERIA,
                valid,
                1,
            )
        except cv2.error:  # It says so when it does not converge.
            return None
        movement = np.eye(3)
        movement[: len(found)] = found
        return movement

    def _nearest(self, model: int, movement: np.ndarray) -> np.ndarray:
        """Return the movement of a model that moves the middle as another one does."""
        if model == cv2.MOTION_HOMOGRAPHY:
            return movement
        nearest = np.eye(3)
        if model == cv2.MOTION_EUCLIDEAN:
            turn = np.deg2rad(turn_of(movement))
            nearest[:2, :2] = [
                [np.cos(turn), -np.sin(turn)],
                [np.sin(turn), np.cos(turn)],
            ]
        middle = (np.array([self._size]) - 1) / 2
        nearest[:2, 2] = moved(movement, middle)[0] - nearest[:2, :2] @ middle[0]
        return nearest

    def _plausible(self, movement: np.ndarray) -> bool:
        if not np.isfinite(movement).all() or abs(movement[2, 2]) < 1e-6:
            return False
        width, height = self._size
        corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
        distances = np.hypot(*(moved(movement, corners) - corners).T)
        zoom = zoom_of(movement)
        return bool(
            distances.max() <= _FARTHEST * max(self._size)
            and 1 / _LARGEST_ZOOM <= zoom <= _LARGEST_ZOOM
            and abs(turn_of(movement)) <= _LARGEST_TURN
        )


def moved(movement: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return where points (N, 2) of the photograph, x and y, lie in the plate."""
    return cv2.perspectiveTransform(points[None], movement)[0]


def turn_of(movement: np.ndarray) -> float:
    """Return by how many degrees a movement turns, clockwise."""
    linear = movement[:2, :2]
    return float(np.rad2deg(np.arctan2(linear[1, 0] - linear[0, 1], np.trace(linear))))


def zoom_of(movement: np.ndarray) -> float:
    """Return the factor by which things are larger in the plate."""
    return float(np.sqrt(abs(np.linalg.det(movement[:2, :2] / movement[2, 2]))))


def mean_of_best(values: np.ndarray, weights: np.ndarray, share: float) -> float:
    """Return the weighted mean of the lowest values that hold a share of the weights.

    Args:
        values: (N,), levels in [0, 255], compared in steps of 1/64.
        weights: (N,) of them.
        share: of the weights, in (0, 1].
    """
    # A histogram: sorting took a third of the time of an alignment.
    steps = (values * 64).astype(np.int32)
    held = np.cumsum(np.bincount(steps, weights))
    sums = np.cumsum(np.bincount(steps, weights * values))
    last = int(np.searchsorted(held, share * held[-1]))
    last = min(last, len(held) - 1)
    return float(sums[last] / held[last])


def gradients(grey: np.ndarray) -> np.ndarray:
    """Return the length of the gradient of (H, W) float32, in levels per pixel."""
    x, y = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    return cv2.magnitude(x, y) / 8


def _grey(image: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return cv2.GaussianBlur(grey, (0, 0), 1)
