"""Simple programs: what they find, how they are tuned, and what they hold out."""

import cv2
import numpy as np
import pytest

from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.baselines import Baselines, Example
from keras_depthseg.evaluation.differences import (
    ThresholdSearch,
    difference,
    searched_difference,
)

SHAPE = (64, 80)


def _scene(seed, contrast=90, noise=6):
    """A textured plate, and a picture with a box of another colour in it."""
    rng = np.random.default_rng(seed)
    texture = cv2.GaussianBlur(rng.random((*SHAPE, 3)), (0, 0), 4)
    bg = 60 + 900 * (texture - texture.min())
    mask = np.zeros(SHAPE, np.float32)
    y, x = rng.integers(8, 24, 2)
    mask[y : y + 30, x : x + 36] = 1
    fg_bg = bg + contrast * mask[..., None]
    bg, fg_bg = (
        np.clip(i + rng.normal(size=i.shape) * noise, 0, 255) for i in (bg, fg_bg)
    )
    depth = np.linspace(0.2, 0.8, SHAPE[0], dtype=np.float32)[:, None] + 0 * mask
    return Example(bg.astype(np.uint8), fg_bg.astype(np.uint8), mask, depth)


def _iou(program, sample):
    a, b = program(sample.bg, sample.fg_bg) >= 0.5, sample.mask >= 0.5
    return (a & b).sum() / (a | b).sum()


def _program(programs, beginning):
    (name,) = (name for name in programs if name.startswith(beginning))
    return programs[name]


@pytest.fixture(scope="module")
def fitted():
    return Baselines.fit(_scene(seed, contrast=40) for seed in range(6))


def test_names(fitted):
    assert list(fitted.masks) == [
        "difference (tuned on val)",
        "difference, local search (tuned on val)",
        "difference, Otsu",
        "MOG2",
        "GrabCut",
        "constant (mean mask of val)",
    ]
    assert list(fitted.depths) == ["mean map of val", "image row of val"]
    fixed = Baselines.fixed()
    assert list(fixed.masks)[0] == "difference (fixed: 40 of 255)"
    assert list(fixed.masks)[-1] == "constant (all foreground)"
    assert not fixed.depths


@pytest.mark.parametrize(
    "name", ["difference (", "difference, local", "difference, Otsu", "MOG2", "GrabCut"]
)
def test_finds_a_box(fitted, name):
    # MOG2 takes more noise than this for foreground.
    sample = _scene(99, noise=2)
    for baselines in (Baselines.fixed(), fitted):
        assert _iou(_program(baselines.masks, name), sample) > 0.85


def test_tuning_finds_what_a_fixed_threshold_misses(fitted):
    sample = _scene(98, contrast=30)
    for name in ("difference (", "difference, local"):
        fixed, tuned = (
            _iou(_program(b.masks, name), sample) for b in (Baselines.fixed(), fitted)
        )
        assert fixed < 0.5 < 0.9 < tuned


@pytest.mark.parametrize("measure", [difference, searched_difference])
def test_the_search_is_exhaustive(measure):
    samples = [_scene(seed, contrast=30, noise=12) for seed in range(3)]
    rng = np.random.default_rng(0)
    samples[1] = samples[1]._replace(known=rng.random(SHAPE) < 0.7)
    samples[2] = samples[2]._replace(mask=np.zeros(SHAPE, np.float32))
    search = ThresholdSearch(measure)
    for sample in samples:
        search.add(sample.bg, sample.fg_bg, sample.mask, sample.known)
    best = search.best()
    scores = {}
    levels = [measure(sample.bg, sample.fg_bg) for sample in samples]
    for median in (1, 3, 5, 7, 9):
        for threshold in range(256):
            total = 0
            for level, (_, _, mask, _, known) in zip(levels, samples, strict=True):
                a = cv2.medianBlur(np.uint8(level > threshold), median) > 0
                known = mask >= 0 if known is None else known
                union = ((a | (mask >= 0.5)) & known).sum()
                total += (a & (mask >= 0.5) & known).sum() / union if union else 1
            scores[median, threshold] = total
    assert scores[best.median, best.threshold] == pytest.approx(max(scores.values()))


def test_the_search_counts_empty_pairs():
    sample = _scene(0, contrast=0)
    search = ThresholdSearch(difference)
    search.add(sample.bg, sample.fg_bg, np.zeros(SHAPE, np.float32))
    assert not search.best()(sample.bg, sample.fg_bg).any()


def test_local_search_forgives_a_moved_plate():
    sample = _scene(97, noise=0)
    moved = sample._replace(bg=np.roll(sample.bg, (1, 2), (0, 1)))
    inside = np.s_[3:-3, 3:-3]
    background = sample.mask[inside] == 0
    plain, searched = (
        f(moved.bg, moved.fg_bg)[inside][background]
        for f in (difference, searched_difference)
    )
    assert plain.max() > 0 == searched.max()


def test_constants(fitted):
    samples = [_scene(seed, contrast=40) for seed in range(6)]
    sample = samples[0]
    mean = np.mean([sample.mask for sample in samples], 0)
    program = _program(fitted.masks, "constant")
    np.testing.assert_allclose(program(sample.bg, sample.fg_bg), mean, atol=1e-6)
    for name in ("mean map", "image row"):
        depth = _program(fitted.depths, name)(sample.bg, sample.fg_bg)
        np.testing.assert_allclose(depth, sample.depth, atol=1e-6)
    half = np.zeros((32, 40, 3), np.uint8)
    assert program(half, half).shape == (32, 40)


def test_unknown_depth_is_left_out():
    first, second = _scene(0), _scene(1)
    holes = np.where(np.arange(80) < 20, 0, first.depth).astype(np.float32)
    nowhere = np.where(np.arange(80) < 10, 0, 0.5 * second.depth).astype(np.float32)
    depths = Baselines.fit(
        [first._replace(depth=holes), second._replace(depth=nowhere)]
    ).depths
    mean = _program(depths, "mean map")(first.bg, first.fg_bg)
    np.testing.assert_allclose(mean[:, 20:], 0.75 * first.depth[:, 20:], rtol=1e-5)
    np.testing.assert_allclose(mean[:, 10:20], 0.5 * first.depth[:, 10:20], rtol=1e-5)
    known = np.concatenate([mean[:, 20:].ravel()] * 2 + [mean[:, 10:20].ravel()])
    np.testing.assert_allclose(mean[:, :10], known.mean(), rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 40), (17, 5)])
def test_empty_differences_and_tiny_images(shape):
    flat = np.full((*shape, 3), 90, np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, flat.shape, np.uint8)
    for name, program in Baselines.fixed().masks.items():
        for fg_bg in (flat, flat + np.uint8(100), noise):
            mask = program(flat, fg_bg)
            assert (mask.shape, mask.dtype) == (shape, np.float32)
            assert mask.min() >= 0 and mask.max() <= 1
            if fg_bg is flat:
                assert mask.all() == name.startswith("constant")
            elif fg_bg is not noise and "Otsu" in name:
                assert not mask.any()


def test_programs_repeat_themselves():
    sample = _scene(5, noise=20)
    for program in Baselines.fixed().masks.values():
        first, second = (program(sample.bg, sample.fg_bg) for _ in range(2))
        np.testing.assert_array_equal(first, second)


def test_nothing_to_fit():
    with pytest.raises(UserError, match="^train: received no samples; expected .*"):
        Baselines.fit([], "train")
