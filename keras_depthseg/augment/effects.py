"""What makes two photographs of one scene differ: names, units and strengths.

The command line reads this module before it imports OpenCV: nothing heavy here.
"""

from __future__ import annotations

from dataclasses import dataclass

from keras_depthseg.augment.names import PRESETS
from keras_depthseg.errors import UserError

SIDE = 224
"""The side, in pixels, for which lengths of effects are given."""

PIXELS = f"px of {SIDE}"


@dataclass(frozen=True)
class Effect:
    """A difference between `bg` and `fg_bg`, with a strength.

    Attributes:
        name: as in `Capture.fixed`.
        unit: of the strength.
        strengths: what a sweep uses, weakest first.
        description: what a strength means.
        limit: the strongest that is accepted.
        none: the strength that changes nothing.
        needs_depth: whether it changes nothing where no depth is known.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    description: str
    limit: float
    none: float = 0
    needs_depth: bool = False


# In physical order: what happens in the scene, in front of the lens, in the lens, on the
# sensor, in the file.
EFFECTS: dict[str, Effect] = {
    effect.name: effect
    for effect in (
        Effect(
            "cast_shadow",
            "%",
            (15, 30, 45, 60),
            "light lost in the core of the shadow that the foreground casts",
            limit=100,
        ),
        Effect(
            "contact_shadow",
            "%",
            (15, 30, 45, 60),
            "light lost in the core of a soft shadow at the foot of the foreground",
            limit=100,
        ),
        Effect(
            "outside_shadow",
            "%",
            (15, 30, 45, 60),
            "light lost in the core of a shadow of something outside one of the images",
            limit=100,
        ),
        Effect(
            "parallax",
            PIXELS,
            (0.5, 1, 2, 4, 8),
            "disparity between the nearest and the farthest known depth",
            limit=32,
            needs_depth=True,
        ),
        Effect(
            "perspective",
            PIXELS,
            (0.5, 1, 2, 4, 8),
            "displacement of the corners by a tilt of the camera",
            limit=32,
        ),
        Effect(
            "zoom",
            "%",
            (0.25, 0.5, 1, 2, 4),
            "relative change of scale about the centre",
            limit=30,
        ),
        Effect(
            "rotation",
            "degrees",
            (0.1, 0.25, 0.5, 1, 2),
            "relative rotation about the centre",
            limit=45,
        ),
        Effect(
            "shift",
            PIXELS,
            (0.25, 0.5, 1, 2, 4, 8),
            "relative shift in any direction",
            limit=64,
        ),
        Effect(
            "defocus",
            PIXELS,
            (0.5, 1, 2, 3),
            "radius of the blur disc in one or both images",
            limit=32,
        ),
        Effect(
            "motion_blur",
            PIXELS,
            (1, 2, 4, 6),
            "length of the streak in one or both images",
            limit=64,
        ),
        Effect(
            "exposure",
            "%",
            (5, 10, 20, 40),
            "gain of all channels of one image",
            limit=400,
        ),
        Effect(
            "white_balance",
            "%",
            (2.5, 5, 10, 20),
            "gain of red, and loss of blue, or the reverse, of one image",
            limit=400,
        ),
        Effect(
            "gamma",
            "%",
            (5, 10, 20, 40),
            "change of the exponent of one image's tone curve",
            limit=400,
        ),
        Effect(
            "flicker",
            "%",
            (2, 4, 8, 16),
            "amplitude of horizontal bands by mains light",
            limit=100,
        ),
        Effect(
            "noise",
            "levels of 255",
            (2, 4, 8, 16),
            "standard deviation of sensor noise at mid-grey",
            limit=100,
        ),
        Effect(
            "jpeg",
            "JPEG quality",
            (90, 70, 50, 30, 10),
            "quality of the compression of both images",
            limit=1,
            none=100,
        ),
    )
}


def check_strengths(strengths: dict[str, float]) -> None:
    """Refuse unknown effects and strengths out of range.

    Raises:
        UserError: naming the effect and the range.
    """
    for name, strength in strengths.items():
        if name not in EFFECTS:
            raise UserError(
                f"`capture`: received the effect {name!r}; accepted are "
                f"{', '.join(EFFECTS)}."
            )
        effect = EFFECTS[name]
        low, high = sorted((effect.none, effect.limit))
        if not low <= strength <= high:
            raise UserError(
                f"`capture`: received {name}={strength:g}; accepted is {low:g} to "
                f"{high:g} ({effect.unit})."
            )


def parse_strengths(text: str) -> dict[str, float]:
    """Read strengths such as `"shift=2,jpeg=40"`.

    Raises:
        UserError: if the text has another form, an effect is unknown or comes twice, or
            a strength is out of range.
    """
    strengths: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = (piece.strip() for piece in part.partition("="))
        try:
            strength = float(number)
        except ValueError:
            raise UserError(
                f"`capture`: received {text!r}; accepted are {', '.join(PRESETS)}, and "
                "strengths such as shift=2,jpeg=40."
            ) from None
        if name in strengths:
            raise UserError(f"`capture`: {name} comes twice in {text!r}; give it once.")
        strengths[name] = strength
    check_strengths(strengths)
    return strengths
