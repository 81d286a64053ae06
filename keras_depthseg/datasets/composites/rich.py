"""Composites that teach: several cutouts, in other light, with holes, disguised.

A network that was trained on one opaque cutout of one height and one light looks perfect
on such composites, and fails on photographs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from keras_depthseg.datasets.composites.camouflage import disguise
from keras_depthseg.datasets.composites.holes import cut_holes
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.composites.paste import Composite, Place, cast_shadow
from keras_depthseg.datasets.composites.placing import LEAST_SEEN, place_depth
from keras_depthseg.datasets.composites.pose import LARGEST, random_pose
from keras_depthseg.datasets.composites.relight import relight
from keras_depthseg.datasets.composites.scene import Scene
from keras_depthseg.datasets.composites.stack import Piece, stack
from keras_depthseg.datasets.composites.thin import make_thin

EMPTY = 0.04
"""Share of pairs without any foreground: a network that never saw one invents some."""

NUMBERS = (0.65, 0.25, 0.1)
"""Shares of 1, 2 and 3 cutouts. One is the usual case; more give masks of several parts,
and outlines of one cutout on another."""

FURTHER = 0.5
"""Height of further cutouts at most, as part of the image's: background stays in view."""

THIN = 0.12
"""Share with a rod, wire or branch besides: cutouts rarely have parts so thin."""

HOLED = 0.15
"""Share of cutouts with holes: what is closed in need not be foreground."""

DISGUISED = 0.12
"""Share of cutouts in the colours of the background, where a difference shows nothing
and the network must fill. More would teach it to find what cannot be seen."""

RELIT = 0.8
"""Share of the other cutouts in a light of their own. Some keep theirs: the better the
match, the harder the outline."""

DISGUISED_LIGHT = 0.3
"""Strength of the light on a disguised cutout: enough to be found at all."""

BEYOND = 0.3
"""Share of places that may reach over the border of the image, as passers-by do."""

_TRIES = 8


def choose(first: int, others: np.ndarray, rng: np.random.Generator) -> tuple[int, ...]:
    """Return the cutouts of a composite: none, or `first` and up to two of `others`.

    Args:
        first: index of a cutout.
        others: indices of the cutouts that may be beside it, (N,) int, N > 0.
        rng: random numbers.
    """
    empty, number = rng.random(2)
    if empty < EMPTY:
        return ()
    more = int(np.searchsorted(np.cumsum(NUMBERS[:-1]), number, side="right"))
    return first, *rng.choice(others, more).tolist()


def make_rich(
    scene: Scene, cutouts: Sequence[Layer], shadow: float, rng: np.random.Generator
) -> Composite:
    """Compose cutouts at random places of a scene.

    Of the first at least `LEAST_SEEN` is inside the image and not behind surfaces of the
    scene. A further one without such a place is left out.

    Args:
        scene: the background.
        cutouts: best about as high as the image; none for an empty pair.
        shadow: probability that the first casts one, 0..1.
        rng: random numbers.
    """
    if not cutouts:
        return stack(scene, ())
    size = scene.bg.shape[0]
    shade = None
    pieces = []
    casts, slender = rng.random(2) < (shadow, THIN)
    for number, cutout in enumerate(cutouts):
        layer = random_pose(cutout, size, rng, FURTHER if number else LARGEST)
        piece, place = _placed(scene, layer, rng)
        if number == 0 and piece.seen < LEAST_SEEN:
            piece, place = _in_front(scene, layer, rng)
        if number == 0 and casts:
            shade = cast_shadow(scene, layer, place, rng)
        pieces.append(piece)
    if slender:
        pieces.append(_placed(scene, make_thin(size, rng), rng)[0])
    pieces = [
        _dressed(scene, piece, rng)
        for number, piece in enumerate(pieces)
        if number == 0 or piece.seen >= LEAST_SEEN
    ]
    if scene.depth is None:
        pieces = [pieces[index] for index in rng.permutation(len(pieces))]
    else:
        pieces.sort(key=lambda piece: -(piece.depth or 0.0))
    return stack(scene, pieces, shade)


def _placed(scene: Scene, layer: Layer, rng: np.random.Generator) -> tuple[Piece, Place]:
    """Return the first place where enough is seen, or the last one tried."""
    beyond = rng.random() < BEYOND
    for _ in range(_TRIES):
        place = _place(scene, layer, rng, 0.6 if beyond else 0.0)
        piece = Piece.of(scene, layer, place)
        if piece.seen >= LEAST_SEEN:
            break
    return piece, place


def _in_front(
    scene: Scene, layer: Layer, rng: np.random.Generator
) -> tuple[Piece, Place]:
    """Return a place inside the image, nearer than everything."""
    place = _place(scene, layer, rng, 0.0)
    if scene.depth is not None:
        place = dataclasses.replace(place, depth=float(scene.surfaces.min()))
    return Piece.of(scene, layer, place), place


def _place(scene: Scene, layer: Layer, rng: np.random.Generator, beyond: float) -> Place:
    """Draw a place; up to the part `beyond` of the layer lies outside each border."""
    start = []
    for length, side in zip(layer.alpha.shape, scene.bg.shape[:2], strict=True):
        # A turned layer may be larger than the image.
        ends = sorted((-beyond * length, side - (1 - beyond) * length))
        start.append(round(rng.uniform(*ends)))
    top, left = start
    return Place(top, left, place_depth(scene, top, left, layer, rng))


def _dressed(scene: Scene, piece: Piece, rng: np.random.Generator) -> Piece:
    """Return a piece in other colours, with holes."""
    holed, disguised, relit = rng.random(3) < (HOLED, DISGUISED, RELIT)
    colour, alpha = piece.colour, piece.alpha
    if disguised:
        colour = disguise(colour, scene.bg, piece.top, piece.left, rng)
        colour = relight(colour, rng, DISGUISED_LIGHT)
    elif relit:
        colour = relight(colour, rng)
    if holed:
        alpha = cut_holes(alpha, rng)
    return dataclasses.replace(piece, colour=colour, alpha=alpha)
