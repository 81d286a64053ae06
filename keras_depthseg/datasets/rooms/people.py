"""Seeded people: a skeleton with random proportions and pose, dressed and shaded."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from keras_depthseg.datasets.rooms import brush, textures
from keras_depthseg.datasets.rooms.brush import Canvas

# Angles in degrees from straight down, outwards positive, for each pose:
# upper arm and forearm, then thigh and shin, each for the left and the right side.
_POSES = {
    "stand": ((8, 12), (9, 6), (4, 2), (4, 3)),
    "walk": ((-22, -45), (20, 5), (24, -4), (22, 40)),
    "wave": ((12, 8), (118, 172), (5, 3), (6, 2)),
    "hips": ((42, -38), (44, -40), (9, 6), (8, 6)),
    "reach": ((88, 96), (24, 60), (8, 4), (12, 8)),
    "cheer": ((150, 168), (146, 172), (14, 8), (12, 8)),
    "talk": ((20, -75), (15, -100), (5, 3), (7, 2)),
    "stride": ((30, 60), (25, 50), (32, 18), (30, 24)),
    "dance": ((75, 140), (110, 60), (12, 2), (48, -20)),
}

_SKIN = ((255, 219, 190), (240, 196, 160), (214, 164, 124), (170, 118, 82),
         (128, 84, 56), (88, 58, 42))  # fmt: skip
_HAIR = ((28, 22, 20), (60, 40, 26), (110, 70, 36), (200, 160, 90), (150, 60, 30),
         (170, 168, 165))  # fmt: skip


def _ahead(point: tuple[float, float], degrees: float, length: float, side: int):
    """Return the end of a bone that hangs from `point`."""
    angle = math.radians(degrees)
    return (
        point[0] + side * length * math.sin(angle),
        point[1] - length * math.cos(angle),
    )


@dataclasses.dataclass
class _Look:
    """The clothes of a person."""

    skin: np.ndarray
    hair: np.ndarray
    top: np.ndarray
    bottom: np.ndarray
    shoe: np.ndarray
    sleeve: float
    leg: float
    skirt: bool
    coat: bool


def _look(rng: np.random.Generator) -> _Look:
    skin = np.array(_SKIN[int(rng.integers(len(_SKIN)))]) * rng.uniform(0.93, 1.04)
    hair = np.array(_HAIR[int(rng.integers(len(_HAIR)))]) * rng.uniform(0.8, 1.2)
    top = textures.pick(rng, (textures.fabric, textures.fabric, textures.wallpaper))
    if rng.random() < 0.5:
        # Denim and the like.
        hue = (0.55, 0.66) if rng.random() < 0.6 else (0.0, 1.0)
        bottom = textures.weave(rng, textures.colour(rng, hue, (0.1, 0.6), (0.15, 0.6)))
    else:
        bottom = textures.fabric(rng)
    return _Look(
        skin=skin,
        hair=hair,
        top=top,
        bottom=bottom,
        shoe=textures.colour(rng, saturation=(0.0, 0.8), value=(0.1, 0.9)),
        sleeve=float(rng.choice([0.0, 0.45, 1.0, 1.0])),
        leg=float(rng.choice([0.35, 1.0, 1.0, 1.0])),
        skirt=bool(rng.random() < 0.22),
        coat=bool(rng.random() < 0.18),
    )


def person(rng: np.random.Generator, size: int, light: tuple[float, float]) -> Canvas:
    """Draw one person, a child to a tall adult, about `size` pixels high."""
    tall = rng.uniform(1.5, 1.95) if rng.random() < 0.8 else rng.uniform(0.95, 1.4)
    head = 0.045 + 0.04 * tall  # half its height; children have larger heads
    canvas = Canvas(tall * 1.35, tall * 1.28, size / tall, light)
    look = _look(rng)
    names = sorted(_POSES)
    pose = np.array(_POSES[names[int(rng.integers(len(names)))]], np.float64)
    pose += rng.normal(0, 5, pose.shape)
    stout = rng.uniform(0.85, 1.3)
    turned = rng.uniform(0.6, 1.0)  # shoulders are narrower seen from the side
    facing = int(rng.choice([-1, 1]))

    thigh, shin = 0.245 * tall, 0.235 * tall
    # The lower foot stands on the floor, whatever the legs do.
    reach = max(
        thigh * math.cos(math.radians(a)) + shin * math.cos(math.radians(b))
        for a, b in pose[2:]
    )
    hip_y = reach + 0.03 * tall
    torso = 0.31 * tall
    lean = rng.normal(0, 0.02) * tall
    neck = (lean, hip_y + torso)
    hip, shoulder = 0.052 * tall * stout * turned, 0.1 * tall * turned * stout**0.4
    arm = 0.028 * tall * stout**0.5

    def leg(side: int, tone: float) -> None:
        a, b = pose[2 + int(side > 0)]
        top = (side * hip * facing, hip_y)
        knee = _ahead(top, a, thigh, side * facing)
        ankle = _ahead(knee, b, shin, side * facing)
        wide = 0.046 * tall * stout**0.6
        toe = (ankle[0] + facing * 0.05 * tall * (1.2 - turned) * 2, ankle[1] - 0.008)
        toe = (toe[0] + side * facing * 0.012 * tall, toe[1])
        canvas.part(
            brush.limb(ankle, toe, (0.028 * tall, 0.022 * tall)), look.shoe, tone=tone
        )
        bare = look.skirt or look.leg < 1
        cloth = look.skin if bare else look.bottom
        canvas.part(
            brush.limb(knee, ankle, (wide * 0.72, wide * 0.5)), cloth, 0.35, tone=tone
        )
        canvas.part(
            brush.limb(top, knee, (wide, wide * 0.74)),
            look.skin if look.skirt else look.bottom, 0.35, tone=tone,
        )  # fmt: skip

    def hang(side: int, tone: float) -> None:
        a, b = pose[int(side > 0)]
        start = (neck[0] + side * shoulder * facing, neck[1] - 0.03 * tall)
        elbow = _ahead(start, a, 0.165 * tall, side * facing)
        wrist = _ahead(elbow, b, 0.15 * tall, side * facing)
        hand = _ahead(wrist, b, 0.035 * tall, side * facing)
        canvas.part(
            brush.limb(wrist, hand, (arm * 0.6, arm * 0.75)), look.skin, tone=tone
        )
        lower = look.top if look.sleeve >= 1 else look.skin
        canvas.part(
            brush.limb(elbow, wrist, (arm * 0.85, arm * 0.65)), lower, 0.35, tone=tone
        )
        upper = look.top if look.sleeve > 0 else look.skin
        canvas.part(
            brush.limb(start, elbow, (arm * 1.15, arm * 0.9)), upper, 0.35, tone=tone
        )

    long_hair = rng.random() < 0.35
    centre = (neck[0] + rng.normal(0, 0.01), neck[1] + 0.05 * tall + head * 0.9)
    if long_hair:
        drop = rng.uniform(0.8, 2.6) * head
        canvas.part(
            brush.smooth(
                [(centre[0] - head * 0.85, centre[1] + head * 0.4),
                 (centre[0], centre[1] + head * 1.1),
                 (centre[0] + head * 0.85, centre[1] + head * 0.4),
                 (centre[0] + head * 0.8, centre[1] - drop),
                 (centre[0] - head * 0.8, centre[1] - drop)]
            ),
            look.hair, tone=0.8,
        )  # fmt: skip
    hang(-1, 0.82)
    leg(-1, 0.82)
    leg(1, 1.0)
    _torso(canvas, look, neck, hip_y, hip, shoulder, tall, stout, rng)
    _head(canvas, look, centre, head, neck, facing, turned, long_hair, rng)
    hang(1, 1.0)
    if rng.random() < 0.2:
        strap = textures.colour(rng, value=(0.15, 0.8))
        side = float(rng.choice([-1, 1]))
        x = neck[0] + side * shoulder * 1.15
        canvas.part(
            brush.smooth([(x - 0.11, hip_y - 0.14), (x + 0.11, hip_y - 0.14),
                          (x + 0.1, hip_y + 0.08), (x - 0.1, hip_y + 0.08)]), strap,
        )  # fmt: skip
        line = [(x, hip_y + 0.05), (neck[0] - side * shoulder * 0.4, neck[1])]
        canvas.part(brush.limb(line[0], line[1], (0.012, 0.012)), strap)
    return canvas


def _torso(canvas, look, neck, hip_y, hip, shoulder, tall, stout, rng) -> None:
    """Trunk, then a skirt, a coat or a belt over the hips."""
    top, waist = neck[1], hip_y + 0.11 * tall
    belly = (0.075 + 0.03 * (stout - 1)) * tall * (shoulder / (0.1 * tall))
    trunk = [
        (neck[0] - 0.03 * tall, top + 0.012 * tall),
        (neck[0] + 0.03 * tall, top + 0.012 * tall),
        (neck[0] + shoulder * 1.12, top - 0.025 * tall),
        (neck[0] + shoulder, top - 0.11 * tall),
        (belly * 1.02, waist),
        (hip + 0.05 * tall * stout, hip_y - 0.02 * tall),
        (-hip - 0.05 * tall * stout, hip_y - 0.02 * tall),
        (-belly * 1.02, waist),
        (neck[0] - shoulder, top - 0.11 * tall),
        (neck[0] - shoulder * 1.12, top - 0.025 * tall),
    ]
    wide = hip + 0.05 * tall * stout
    if not look.skirt:
        hips = [(-wide, hip_y + 0.05 * tall), (wide, hip_y + 0.05 * tall),
                (wide, hip_y - 0.03 * tall), (0, hip_y - 0.06 * tall),
                (-wide, hip_y - 0.03 * tall)]  # fmt: skip
        canvas.part(brush.smooth(hips), look.bottom, 0.35)
    canvas.part(brush.smooth(trunk), look.top, rng.uniform(0.3, 0.6), contrast=0.5)
    if look.skirt:
        hem = hip_y - rng.uniform(0.1, 0.36) * tall
        flare = wide * rng.uniform(1.1, 1.9)
        xs = np.linspace(-flare, flare, 7)
        lower = [(x, hem + 0.01 * tall * (-1) ** i) for i, x in enumerate(xs)]
        body = look.top if rng.random() < 0.5 else look.bottom
        shape = [*lower, (belly, waist), (-belly, waist)]
        canvas.part(brush.smooth(shape), body, 0.45, contrast=0.55)
    elif look.coat:
        hem = hip_y - rng.uniform(0.08, 0.25) * tall
        for side in (-1, 1):
            shape = [(side * 0.02, top - 0.02 * tall),
                     (side * shoulder, top - 0.04 * tall),
                     (side * wide * 1.15, hem), (side * 0.02, hem)]  # fmt: skip
            canvas.part(shape, look.top, 0.5, tone=0.85, contrast=0.5)
    elif rng.random() < 0.5:
        canvas.part(
            brush.limb(
                (-wide * 0.9, hip_y + 0.03), (wide * 0.9, hip_y + 0.03), (0.018,) * 2
            ),
            look.shoe, tone=0.7,
        )  # fmt: skip


def _head(canvas, look, centre, head, neck, facing, turned, long_hair, rng) -> None:
    """Neck, face or back of the head, hair, perhaps a hat."""
    canvas.part(brush.limb(neck, centre, (head * 0.42, head * 0.4)), look.skin, tone=0.88)
    x, y = centre
    wide = head * rng.uniform(0.74, 0.86)
    canvas.part(brush.oval((x, y), (wide, head)), look.skin, contrast=0.5)
    from_behind = rng.random() < 0.2
    if from_behind:
        canvas.part(brush.oval((x, y + head * 0.12), (wide * 1.05, head)), look.hair)
        return
    shift = facing * (1 - turned) * wide
    ink, dark = np.array([40, 30, 28]), look.skin * 0.72
    for side in (-1, 1):
        eye = (x + shift + side * wide * 0.36, y + head * 0.08)
        canvas.part(
            brush.oval(eye, (head * 0.11, head * 0.07)), np.array([235, 235, 235])
        )
        canvas.part(brush.oval(eye, (head * 0.06, head * 0.07)), ink)
        brow = [
            (eye[0] - head * 0.14, y + head * 0.24),
            (eye[0] + head * 0.14, y + head * 0.24),
        ]
        canvas.part(brush.limb(brow[0], brow[1], (head * 0.035,) * 2), look.hair)
    canvas.part(
        brush.oval((x + shift * 1.3, y - head * 0.14), (head * 0.09, head * 0.15)), dark
    )
    mouth = (x + shift, y - head * 0.48)
    canvas.part(
        brush.oval(mouth, (head * 0.24, head * 0.06)), look.skin * (0.8, 0.55, 0.55)
    )
    if rng.random() < 0.2:
        beard = [(x - wide, y - head * 0.1), (x + shift, y - head * 0.55),
                 (x + wide, y - head * 0.1),
                 (x + wide * 0.6, y - head * 0.95),
                 (x - wide * 0.6, y - head * 0.95)]  # fmt: skip
        canvas.part(brush.smooth(beard), look.hair)
    bald = rng.random() < 0.08
    if not bald or long_hair:
        crown = y + head * 0.35
        shape = [(x - wide * 1.06, crown - head * rng.uniform(0.0, 0.5)),
                 (x - wide * 0.9, y + head * 0.85), (x, y + head * 1.12),
                 (x + wide * 0.9, y + head * 0.85),
                 (x + wide * 1.06, crown - head * rng.uniform(0.0, 0.5)),
                 (x + wide * 0.4, crown + head * rng.uniform(0.0, 0.3)),
                 (x - wide * 0.4, crown + head * rng.uniform(0.0, 0.3))]  # fmt: skip
        canvas.part(brush.smooth(shape), look.hair)
    if rng.random() < 0.2:
        felt = textures.colour(rng, value=(0.15, 0.9))
        brim = wide * rng.uniform(1.2, 1.8)
        crown = [(x - wide, y + head * 0.5), (x - wide * 0.85, y + head * 1.2),
                 (x + wide * 0.85, y + head * 1.2),
                 (x + wide, y + head * 0.5)]  # fmt: skip
        canvas.part(crown, felt)
        ends = ((x - brim, y + head * 0.5), (x + brim, y + head * 0.5))
        canvas.part(brush.limb(ends[0], ends[1], (head * 0.08,) * 2), felt, tone=0.8)
