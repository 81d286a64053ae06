"""From a plate and a photograph of any size to mask, depth and cutout."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from keras_depthseg.inference.alignment import Alignment, align
from keras_depthseg.inference.confidence import plate_confidence
from keras_depthseg.inference.enlarge import enlarge_depth
from keras_depthseg.inference.foreground import foreground_colours
from keras_depthseg.inference.kept_alignment import KeptAlignment
from keras_depthseg.inference.network import Network, open_network
from keras_depthseg.inference.photographs import Photograph, read_photograph
from keras_depthseg.inference.refinement import refine
from keras_depthseg.inference.replacement import cover
from keras_depthseg.inference.sizes import resized, working_size
from keras_depthseg.inference.smoothing import TemporalSmoothing
from keras_depthseg.pretrained import DEFAULT

if TYPE_CHECKING:
    import keras
    import PIL.Image

    Source = str | Path | np.ndarray | PIL.Image.Image | Photograph


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What was found in a photograph.

    Attributes:
        photograph: the photograph, as it was read.
        bg: (H, W, 3) uint8, the plate as the photograph's camera would have taken it.
        mask: (H, W) float32 in [0, 1], the opacity of the foreground.
        depth: (H, W) float32 in [0, 1], larger is farther; `None` if not asked
            for.
        confidence: in [0, 1]; below 0.5 the plate does not seem to belong to the
            photograph, and the maps mean nothing.
        alignment: how the plate was moved and exposed to fit.
    """

    photograph: Photograph
    bg: np.ndarray
    mask: np.ndarray
    depth: np.ndarray | None
    confidence: float
    alignment: Alignment | None

    @functools.cached_property
    def foreground(self) -> np.ndarray:
        """The colours of the foreground, (H, W, 3) uint8, without those of the plate."""
        return foreground_colours(self.photograph.pixels, self.mask, self.bg)

    @property
    def fit(self) -> str:
        """How the plate was moved and exposed to fit, in words."""
        return "plate as it is" if self.alignment is None else str(self.alignment)

    def cutout(self) -> np.ndarray:
        """Return the foreground, (H, W, 4) uint8 RGBA; opacity is not premultiplied."""
        alpha = np.rint(self.mask * 255).astype(np.uint8)
        return np.dstack([self.foreground, alpha])


class Plate:
    """A plate for many photographs, which is read once.

    Its features are kept as long as the plate fits the photographs in the same way.

    Args:
        source: as for `Predictor.predict`.

    Raises:
        UserError: it cannot be read.
    """

    def __init__(self, source: Source):
        self.photograph = _read(source, "bg")
        self._fitted = functools.lru_cache(2)(self._fit)
        self._features: tuple[np.ndarray, list[np.ndarray]] | None = None

    def fitted(self, size: tuple[int, int]) -> np.ndarray:
        """Return the plate at the width and height of a photograph, (H, W, 3) uint8.

        Of a plate of another aspect, the middle is used.
        """
        return self._fitted(size)

    def features(self, network: Network, bg: np.ndarray) -> list[np.ndarray]:
        """Return the features of the plate as the network sees it, (h, w, 3) uint8.

        They are kept while that is the same, as with a camera that stands still.
        """
        if self._features is None or not np.array_equal(self._features[0], bg):
            self._features = bg, network.features(bg[None])
        return self._features[1]

    def _fit(self, size: tuple[int, int]) -> np.ndarray:
        pixels = self.photograph.pixels
        return (
            pixels if pixels.shape[1::-1] == size else cover(pixels, (size[1], size[0]))
        )


class Predictor:
    """Gives mask and depth of photographs of any size, with a network of a fixed one.

    The plate is moved and exposed to fit the photograph, both are reduced to about the
    size at which the network was trained, and its maps are enlarged along the edges of
    the photograph.

    Args:
        model: a `.keras` file, the folder of a training run, a Keras model, what
            `depthseg export` wrote, or the name of trained weights, by default `"small"`.
        engine: `"openvino"` or `"keras"`; by default the faster one that is installed,
            and `"keras"` for a Keras model. For an exported file it must be left out.

    Raises:
        UserError: the model cannot be opened.

    Example:

    >>> import numpy as np
    >>> predictor = Predictor()
    >>> plate, photograph = np.full((2, 300, 400, 3), 128, np.uint8)
    >>> predictor.predict(plate, photograph).mask.shape
    (300, 400)
    """

    def __init__(
        self, model: str | Path | keras.Model = DEFAULT, engine: str | None = None
    ):
        self.network = open_network(model, engine)

    def predict(
        self, bg: Source | Plate, fg_bg: Source, *, depth: bool = True, align: bool = True
    ) -> Prediction:
        """Predict a photograph.

        Args:
            bg: the plate: a path, a PIL image, an array (H, W, 3) uint8 RGB, or a
                `Plate`, which is read once for many photographs.
            fg_bg: the photograph, as `bg`, of any size.
            depth: without it, two thirds of the network's time are enough.
            align: whether to move and expose the plate to fit the photograph.

        Raises:
            UserError: one of them cannot be read.
        """
        return self.predict_batch(bg, [fg_bg], depth=depth, align=align)[0]

    def predict_batch(
        self,
        bg: Source | Plate,
        fg_bg: Sequence[Source],
        *,
        depth: bool = True,
        align: bool = True,
    ) -> list[Prediction]:
        """Predict several photographs with one plate; those of one size in one batch.

        Args and errors are those of `predict`.
        """
        plate = bg if isinstance(bg, Plate) else Plate(bg)
        fit = _align if align else _leave
        pairs = [self._pair(plate, _read(source, "fg_bg"), fit) for source in fg_bg]
        sizes: dict[tuple[int, ...], list[int]] = {}
        for index, pair in enumerate(pairs):
            sizes.setdefault(pair.small.shape, []).append(index)
        predictions: dict[int, Prediction] = {}
        for indices in sizes.values():
            maps = self._maps(plate, [pairs[index] for index in indices], depth)
            for number, index in enumerate(indices):
                pair, found = self._without_parallax(
                    plate, pairs[index], {name: m[number] for name, m in maps.items()}
                )
                predictions[index] = _prediction(pair, found, pair.bg)
        return [predictions[index] for index in range(len(pairs))]

    def predict_frame(
        self,
        plate: Plate,
        image: np.ndarray,
        *,
        depth: bool,
        alignment: KeptAlignment | None,
        smoothing: TemporalSmoothing | None,
    ) -> Prediction:
        """Predict the next frame of a video; see `video_run.VideoPredictor`.

        Args:
            plate: of the video.
            image: (H, W, 3) uint8 RGB.
            depth: whether to predict it.
            alignment: of the frames before; `None` leaves the plate as it is.
            smoothing: of the masks before; `None` leaves the mask as it is.
        """
        fit = _leave if alignment is None else alignment.apply
        pair = self._pair(plate, Photograph(image), fit)
        maps = {name: m[0] for name, m in self._maps(plate, [pair], depth).items()}
        if smoothing is not None:
            maps["mask"] = smoothing(maps["mask"], pair.small)
        # With the plate an edge of 1080p takes 0.4 s, seven times as long.
        return _prediction(pair, maps, None)

    def _pair(self, plate: Plate, photograph: Photograph, fit: _Fit) -> _Pair:
        pixels = photograph.pixels
        height, width = pixels.shape[:2]
        alignment, bg = fit(plate.fitted((width, height)), pixels)
        small_height, small_width = self.network.size or working_size(
            height, width, self.network.resolution
        )
        size = small_width, small_height
        return _Pair(photograph, bg, alignment, resized(bg, size), resized(pixels, size))

    def _without_parallax(
        self, plate: Plate, pair: _Pair, maps: dict[str, np.ndarray]
    ) -> tuple[_Pair, dict[str, np.ndarray]]:
        """Undo parallax of a camera that moved, now that the foreground is known."""
        if pair.alignment is None or not pair.alignment.has_moved:
            return pair, maps
        pixels = pair.photograph.pixels
        size = pixels.shape[1], pixels.shape[0]
        bg = plate.fitted(size)
        again = align(bg, pixels, resized(maps["mask"], size))
        if again.flow is None:
            return pair, maps
        bg = again.apply(bg, pixels)
        small_bg = resized(bg, (pair.small.shape[1], pair.small.shape[0]))
        pair = dataclasses.replace(pair, bg=bg, alignment=again, small_bg=small_bg)
        maps = self._maps(plate, [pair], "depth" in maps)
        return pair, {name: batch[0] for name, batch in maps.items()}

    def _maps(
        self, plate: Plate, pairs: Sequence[_Pair], depth: bool
    ) -> dict[str, np.ndarray]:
        features = [plate.features(self.network, pair.small_bg) for pair in pairs]
        joined = [np.concatenate(parts) for parts in zip(*features, strict=True)]
        small = np.stack([pair.small for pair in pairs])
        return self.network.predict(small, joined, depth)


@dataclasses.dataclass(frozen=True, eq=False)
class _Pair:
    """A photograph with its plate, as they are and as the network sees them."""

    photograph: Photograph
    bg: np.ndarray
    alignment: Alignment | None
    small_bg: np.ndarray
    small: np.ndarray


_Fit = Callable[[np.ndarray, np.ndarray], tuple[Alignment | None, np.ndarray]]


def _align(bg: np.ndarray, fg_bg: np.ndarray) -> tuple[Alignment, np.ndarray]:
    alignment = align(bg, fg_bg)
    return alignment, alignment.apply(bg, fg_bg)


def _leave(bg: np.ndarray, fg_bg: np.ndarray) -> tuple[None, np.ndarray]:
    return None, bg


def _prediction(
    pair: _Pair, maps: dict[str, np.ndarray], bg: np.ndarray | None
) -> Prediction:
    mask = refine(maps["mask"], pair.photograph.pixels, bg)
    depth = None
    if "depth" in maps:
        depth = enlarge_depth(maps["depth"], maps["mask"], mask)
    confidence = plate_confidence(pair.small_bg, pair.small, maps["mask"])
    return Prediction(pair.photograph, pair.bg, mask, depth, confidence, pair.alignment)


def _read(source: Source, argument: str) -> Photograph:
    return source if isinstance(source, Photograph) else read_photograph(source, argument)
