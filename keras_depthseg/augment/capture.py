"""Differences between two photographs of one scene, for training and evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np

from keras_depthseg.augment.boxes import bounds
from keras_depthseg.augment.camera import MOVEMENTS, move_camera
from keras_depthseg.augment.effects import (
    EFFECTS,
    PIXELS,
    Effect,
    check_strengths,
    parse_strengths,
)
from keras_depthseg.augment.light import change_tones, flicker
from keras_depthseg.augment.names import PRESETS
from keras_depthseg.augment.pair import Pair
from keras_depthseg.augment.sensor import add_noise, compress, defocus, motion_blur
from keras_depthseg.augment.shadows import cast_shadow, contact_shadow, outside_shadow
from keras_depthseg.errors import UserError

__all__ = ["EFFECTS", "Capture", "Effect", "parse_capture"]

# Share of the samples that a preset leaves alone: what is aligned must stay easy. With
# 0.15 a network lost 0.023 of hard IoU on clean composites, with 0.4 0.013.
CLEAN = 0.4
# The best JPEG quality that a preset draws.
BEST_JPEG = 95

# For each effect of a preset: probability, strongest strength. First values, to be tuned
# on photographs. `handheld` follows the changes with which a network trained for twelve
# minutes on composites reached a hard IoU of 0.89 on 19 real scenes, where training on
# clean pairs gave 0.68: shift to 2.5 % of 96 px, rotation to 0.8 degrees, scale to 1 %,
# gain to 22 %. `tripod` keeps the noise and the shadows, and less of the light and of the
# movement: fractions of a pixel. `phone` is half as strong again or more. `aligned` has
# the noise of `phone`, stronger JPEG and shadows, and rarely more movement than fractions
# of a pixel: the plate is aligned before a prediction, and seldom in vain.
_SHADOWS: dict[str, tuple[float, float]] = {
    "cast_shadow": (0.4, 70),
    "contact_shadow": (0.3, 70),
    "outside_shadow": (0.3, 70),
}
_PRESETS: dict[str, dict[str, tuple[float, float]]] = {
    "tripod": _SHADOWS
    | {
        "shift": (0.7, 0.7),
        "rotation": (0.4, 0.05),
        "defocus": (0.3, 0.7),
        "exposure": (0.6, 15),
        "white_balance": (0.5, 5),
        "gamma": (0.4, 8),
        "flicker": (0.15, 4),
        "noise": (0.7, 8),
        "jpeg": (0.6, 50),
    },
    "handheld": _SHADOWS
    | {
        "shift": (0.8, 4),
        "rotation": (0.6, 0.8),
        "zoom": (0.4, 1),
        "perspective": (0.4, 2),
        "parallax": (0.4, 2),
        "defocus": (0.3, 1),
        "motion_blur": (0.2, 2),
        "exposure": (0.6, 22),
        "white_balance": (0.5, 8),
        "gamma": (0.4, 15),
        "flicker": (0.15, 4),
        "noise": (0.7, 8),
        "jpeg": (0.6, 40),
    },
    "phone": _SHADOWS
    | {
        "shift": (0.9, 6),
        "rotation": (0.7, 1.5),
        "zoom": (0.5, 2),
        "perspective": (0.5, 4),
        "parallax": (0.5, 4),
        "defocus": (0.3, 1.5),
        "motion_blur": (0.3, 3),
        "exposure": (0.7, 35),
        "white_balance": (0.6, 12),
        "gamma": (0.5, 25),
        "flicker": (0.2, 6),
        "noise": (0.8, 12),
        "jpeg": (0.7, 30),
    },
    "aligned": {
        "cast_shadow": (0.5, 80),
        "contact_shadow": (0.3, 80),
        "outside_shadow": (0.4, 70),
        "shift": (0.6, 4),
        "rotation": (0.3, 0.4),
        "perspective": (0.3, 1),
        "parallax": (0.4, 3),
        "defocus": (0.3, 1),
        "motion_blur": (0.2, 2),
        "exposure": (0.6, 25),
        "white_balance": (0.5, 8),
        "gamma": (0.4, 15),
        "flicker": (0.15, 4),
        "noise": (0.8, 12),
        "jpeg": (0.7, 25),
    },
}
_IN_SCENE = {
    "outside_shadow": outside_shadow,
    "cast_shadow": cast_shadow,
    "contact_shadow": contact_shadow,
}
_IN_LENS = {"defocus": defocus, "motion_blur": motion_blur}
_ON_SENSOR = {"flicker": flicker, "noise": add_noise, "jpeg": compress}
_NUMBERS = {name: number for number, name in enumerate(sorted(EFFECTS))}


class Capture:
    """Simulates two photographs of one scene, taken one after the other.

    Both images of a pair pass the same processing, and what differs falls on either with
    equal probability: nothing but the scene tells `bg` from `fg_bg`. Safe to call from
    several threads. Made by `preset`, `fixed` or `parse_capture`.

    Args:
        probabilities: of each effect, for samples that are not left alone.
        strengths: the strongest of each effect.
        drawn: whether strengths are drawn up to the strongest, or always that.
        clean: share of the samples that are left alone.
    """

    def __init__(
        self,
        probabilities: Mapping[str, float],
        strengths: Mapping[str, float],
        drawn: bool,
        clean: float,
    ):
        self._probabilities = dict(probabilities)
        self._strengths = dict(strengths)
        self._drawn = drawn
        self._clean = clean

    @classmethod
    def preset(cls, name: str, clean: float = CLEAN) -> Capture:
        """Return the distribution of strengths of one of `names.PRESETS`.

        Args:
            name: of the preset.
            clean: share of the samples that are left alone; 0 to evaluate.

        Raises:
            UserError: if there is no such preset.
        """
        if name not in _PRESETS:
            raise UserError(
                f"`capture`: received {name!r}; accepted are {', '.join(PRESETS)}."
            )
        probabilities = {key: value[0] for key, value in _PRESETS[name].items()}
        strengths = {key: value[1] for key, value in _PRESETS[name].items()}
        return cls(probabilities, strengths, drawn=True, clean=clean)

    @classmethod
    def fixed(cls, strengths: Mapping[str, float]) -> Capture:
        """Return effects of exactly these strengths for every sample.

        Directions, signs and everything else stay random.

        Raises:
            UserError: if an effect is unknown or a strength out of range.
        """
        check_strengths(dict(strengths))
        return cls(dict.fromkeys(strengths, 1.0), strengths, drawn=False, clean=0.0)

    def __call__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        boxes: np.ndarray,
        rng: np.random.Generator,
        pixel: float = 1.0,
    ) -> None:
        """Change a batch in place.

        What happens to a sample depends on the state of `rng` and its place in the batch,
        not on other samples; an effect's draws do not depend on the other effects.

        Args:
            images: `bg` and `fg_bg`, (2, B, H, W, 3) uint8 RGB, contiguous.
            labels: `mask` in [0, 1] and `depth`, larger = farther, 0 = unknown,
                (2, B, H, W, 1) float32, contiguous; they follow `fg_bg`.
            boxes: (B, 4): top, left, bottom and right of the foreground as shares of the
                sides.
            rng: source of everything random.
            pixel: length of one "px of 224", in pixels of these images.
        """
        seeds = rng.integers(2**63, size=images.shape[1])
        for i, seed in enumerate(seeds):
            strengths = self._draw(np.random.default_rng(int(seed)))
            pair = Pair(*images[:, i], *labels[:, i, :, :, 0])
            if _change(pair, strengths, int(seed), pixel):
                boxes[i] = bounds(pair.mask)

    def _draw(self, rng: np.random.Generator) -> dict[str, float]:
        """Return the strengths of the effects that happen to a sample."""
        if rng.random() < self._clean:
            return {}
        happening, shares = rng.random((2, len(EFFECTS)))
        strengths = {}
        for name, strongest in self._strengths.items():
            number = _NUMBERS[name]
            if happening[number] >= self._probabilities[name]:
                continue
            strength = strongest
            if self._drawn:
                strength = _strength(name, strongest, float(shares[number]))
            if strength != EFFECTS[name].none:
                strengths[name] = strength
        return strengths


def _strength(name: str, strongest: float, share: float) -> float:
    if name == "jpeg":
        return BEST_JPEG + share * (strongest - BEST_JPEG)
    # Many small movements: half of them at most a quarter as far as the strongest.
    return strongest * (share**2 if name in MOVEMENTS else share)


def _change(pair: Pair, strengths: Mapping[str, float], seed: int, pixel: float) -> bool:
    """Apply effects in physical order; return whether `fg_bg` moved."""

    @cache
    def rng_of(name: str) -> np.random.Generator:
        # Not [seed, 0], which NumPy takes for the stream of `seed` itself.
        return np.random.default_rng([seed, 1 + _NUMBERS[name]])

    strengths = {
        name: strength * pixel if EFFECTS[name].unit == PIXELS else strength
        for name, strength in strengths.items()
    }
    _apply(_IN_SCENE, pair, strengths, rng_of)
    movements = {name: strengths[name] for name in MOVEMENTS if name in strengths}
    moved = bool(movements) and move_camera(pair, movements, rng_of)
    _apply(_IN_LENS, pair, strengths, rng_of)
    change_tones(pair, strengths, rng_of)
    _apply(_ON_SENSOR, pair, strengths, rng_of)
    return moved


def _apply(effects, pair: Pair, strengths: Mapping[str, float], rng_of) -> None:
    for name, effect in effects.items():
        if name in strengths:
            effect(pair, strengths[name], rng_of(name))


def parse_capture(text: str) -> Capture:
    """Return the capture that a text describes, to evaluate: it changes every sample.

    Args:
        text: a preset's name, or strengths such as `"shift=2,jpeg=40"`.

    Raises:
        UserError: if it is neither.
    """
    text = text.strip()
    return (
        Capture.preset(text, clean=0)
        if text in PRESETS
        else Capture.fixed(parse_strengths(text))
    )
