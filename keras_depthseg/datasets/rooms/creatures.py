"""Seeded animals, living and plush."""

from __future__ import annotations

import numpy as np

from keras_depthseg.datasets.rooms import brush, textures
from keras_depthseg.datasets.rooms.brush import Canvas

_Light = tuple[float, float]


def animal(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """Something with four legs, a tail and ears: dog, cat, pony, by proportions."""
    tall = rng.choice(
        [rng.uniform(0.25, 0.4), rng.uniform(0.4, 0.8), rng.uniform(0.9, 1.3)]
    )
    canvas = Canvas(tall * 2.2, tall * 1.5, size / tall * 0.7, light)
    tint = textures.colour(rng, (0.02, 0.12), (0.0, 0.6), (0.2, 0.95))
    fur = textures.weave(rng, tint)
    if rng.random() < 0.4:
        patches = textures.fractal_noise(rng, 2, 3) > 0.3
        fur = np.where(patches[..., None], fur // 3, fur)
    long, leg, thick = (
        rng.uniform(0.7, 1.1) * tall,
        rng.uniform(0.3, 0.5) * tall,
        0.05 * tall,
    )
    belly = rng.uniform(0.14, 0.22) * tall
    spine = leg + belly * 0.8
    half = long / 2
    tail = brush.smooth(
        [(-half, spine), (-half - 0.15 * tall, spine + rng.uniform(-0.1, 0.25) * tall),
         (-half - 0.25 * tall, spine + rng.uniform(-0.3, 0.4) * tall)], closed=False,
    )  # fmt: skip
    canvas.part(brush.band(tail, np.linspace(0.035, 0.012, len(tail)) * tall), fur, 0.3)
    for near in (False, True):
        tone = 1.0 if near else 0.7
        for x in (-half * 0.8, half * 0.75):
            x += 0.0 if near else 0.09 * tall
            step = rng.normal(0, 0.06) * tall
            knee = (x + step * 0.4 - 0.02 * tall, leg * 0.5)
            canvas.part(
                brush.limb((x, leg * 1.1), knee, (thick * 1.5, thick)),
                fur,
                0.3,
                tone=tone,
            )
            paw = (x + step, thick * 0.6)
            canvas.part(brush.limb(knee, paw, (thick, thick * 0.6)), fur, 0.3, tone=tone)
            toe = (paw[0] + thick, paw[1])
            canvas.part(brush.limb(paw, toe, (thick * 0.6,) * 2), fur, 0.3, tone=tone)
        if not near:
            body = [(-half, spine), (-half * 0.9, leg), (0, leg * rng.uniform(0.9, 1.1)),
                    (half * 0.8, leg * 0.95), (half, spine),
                    (half * 0.7, leg + 2 * belly),
                    (0, leg + 1.8 * belly), (-half * 0.8, leg + 1.9 * belly)]  # fmt: skip
            canvas.part(brush.smooth(body), fur, 0.4, contrast=0.6)
    skull = rng.uniform(0.11, 0.16) * tall
    head = (half + rng.uniform(0.05, 0.25) * tall, tall - skull)
    canvas.part(
        brush.limb((half * 0.8, spine + belly * 0.4), head, (belly * 0.9, skull * 0.7)),
        fur,
        0.3,
    )
    droop = rng.uniform(-1, 1)
    for offset, tone in ((0.5, 0.7), (-0.3, 0.9)):
        base = (head[0] + offset * skull * 0.6, head[1] + skull * 0.6)
        tip = (base[0] - 0.4 * skull, base[1] + droop * skull * 1.3)
        canvas.part(
            brush.limb(base, tip, (skull * 0.4, skull * 0.15)), fur, 0.3, tone=tone
        )
    snout = (head[0] + skull * rng.uniform(0.9, 1.8), head[1] - skull * 0.3)
    canvas.part(brush.oval(head, (skull, skull)), fur, 0.3, contrast=0.6)
    canvas.part(brush.limb(head, snout, (skull * 0.6, skull * 0.4)), fur, 0.3)
    dark = np.array([25, 20, 20])
    canvas.part(
        brush.oval(
            (snout[0] + skull * 0.25, snout[1] + skull * 0.1), (skull * 0.18,) * 2
        ),
        dark,
    )
    canvas.part(
        brush.oval((head[0] + skull * 0.4, head[1] + skull * 0.25), (skull * 0.12,) * 2),
        dark,
    )
    return canvas


def bird(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """A long-legged bird: a thin neck, a beak, legs like sticks."""
    tall = rng.uniform(0.6, 1.5)
    canvas = Canvas(tall * 1.2, tall * 1.08, size / tall, light)
    feather = textures.weave(
        rng, textures.colour(rng, saturation=(0.0, 0.6), value=(0.4, 1.0))
    )
    bone = textures.colour(rng, (0.0, 0.12), (0.4, 0.9), (0.4, 0.9))
    hip, thin = tall * rng.uniform(0.4, 0.5), 0.009 * tall
    for side, tone in ((-1, 0.75), (1, 1.0)):
        foot = (side * 0.05 * tall, thin)
        canvas.part(
            brush.limb((side * 0.03 * tall, hip), foot, (thin * 1.2, thin)),
            bone,
            tone=tone,
        )
        toe = (foot[0] + 0.08 * tall, foot[1])
        canvas.part(brush.limb(foot, toe, (thin, thin * 0.6)), bone, tone=tone)
    body = [(-0.3 * tall, hip + 0.05 * tall), (-0.1 * tall, hip - 0.03 * tall),
            (0.13 * tall, hip + 0.04 * tall), (0.16 * tall, hip + 0.16 * tall),
            (0, hip + 0.2 * tall), (-0.2 * tall, hip + 0.14 * tall)]  # fmt: skip
    neck = brush.smooth(
        [(0.12 * tall, hip + 0.12 * tall), (0.24 * tall, hip + 0.24 * tall),
         (0.12 * tall, tall * 0.8), (0.16 * tall, tall * 0.94)], closed=False,
    )  # fmt: skip
    canvas.part(
        brush.band(neck, np.linspace(0.055, 0.022, len(neck)) * tall), feather, 0.3
    )
    canvas.part(brush.smooth(body), feather, 0.3, contrast=0.6)
    wing = [(-0.32 * tall, hip + 0.04 * tall), (0.06 * tall, hip + 0.06 * tall),
            (0.08 * tall, hip + 0.14 * tall),
            (-0.1 * tall, hip + 0.16 * tall)]  # fmt: skip
    canvas.part(brush.smooth(wing), feather, 0.3, tone=0.75)
    head = (0.17 * tall, tall * 0.95)
    beak = (head[0] + rng.uniform(0.08, 0.2) * tall, head[1] - 0.04 * tall)
    canvas.part(brush.limb(head, beak, (0.022 * tall, 0.005 * tall)), bone)
    canvas.part(brush.oval(head, (0.04 * tall, 0.035 * tall)), feather, 0.3)
    eye = (head[0] + 0.015 * tall, head[1] + 0.01 * tall)
    canvas.part(brush.oval(eye, (0.008 * tall,) * 2), np.array([20, 20, 20]))
    return canvas


def teddy(rng: np.random.Generator, size: int, light: _Light) -> Canvas:
    """A sitting plush bear, rabbit or robot."""
    tall = rng.uniform(0.35, 1.1)
    canvas = Canvas(tall * 1.1, tall * 1.3, size / tall * 0.8, light)
    fur = textures.carpet(rng)
    pale = np.clip(fur.mean((0, 1)) * 0.5 + 125, 0, 255)
    rabbit = rng.random() < 0.4
    for side in (-1, 1):
        if rabbit:
            ear = [
                (side * 0.1 * tall, tall * 0.85),
                (side * rng.uniform(0.1, 0.3) * tall, tall * 1.22),
            ]
            canvas.part(brush.limb(ear[0], ear[1], (0.05 * tall, 0.06 * tall)), fur, 0.2)
        else:
            ear = (side * 0.19 * tall, tall * 0.93)
            canvas.part(brush.oval(ear, (0.085 * tall,) * 2), fur, 0.2)
            canvas.part(brush.oval(ear, (0.045 * tall,) * 2), pale)
        shoulder = (side * 0.18 * tall, tall * 0.5)
        hand = (side * rng.uniform(0.28, 0.42) * tall, tall * rng.uniform(0.25, 0.65))
        canvas.part(brush.limb(shoulder, hand, (0.085 * tall, 0.075 * tall)), fur, 0.2)
    canvas.part(
        brush.oval((0, tall * 0.34), (0.25 * tall, 0.3 * tall)), fur, 0.2, contrast=0.6
    )
    canvas.part(
        brush.oval((0, tall * 0.33), (0.15 * tall, 0.19 * tall)), pale, contrast=0.3
    )
    for side in (-1, 1):
        foot = (side * 0.23 * tall, tall * 0.11)
        canvas.part(brush.oval(foot, (0.13 * tall, 0.11 * tall)), fur, 0.2, contrast=0.6)
        canvas.part(brush.oval(foot, (0.07 * tall, 0.065 * tall)), pale)
    canvas.part(
        brush.oval((0, tall * 0.78), (0.24 * tall, 0.21 * tall)), fur, 0.2, contrast=0.6
    )
    canvas.part(brush.oval((0, tall * 0.71), (0.1 * tall, 0.075 * tall)), pale)
    ink = np.array([20, 18, 18])
    canvas.part(brush.oval((0, tall * 0.74), (0.035 * tall, 0.025 * tall)), ink)
    for side in (-1, 1):
        canvas.part(
            brush.oval((side * 0.09 * tall, tall * 0.82), (0.022 * tall,) * 2), ink
        )
    return canvas


CREATURES = (animal, animal, animal, bird, teddy)
