"""Photographs of any size and kind against the true mask of a disk."""

import dataclasses

import cv2
import keras
import numpy as np
import pytest
from PIL import Image

from keras_depthseg.errors import UserError
from keras_depthseg.inference.kept_alignment import KeptAlignment
from keras_depthseg.inference.predictor import Plate, Predictor
from keras_depthseg.inference.sizes import resized, working_size
from keras_depthseg.inference.smoothing import TemporalSmoothing
from tests.support.plain_network import hard_iou, pair, plain_network, textured


@pytest.fixture(scope="module")
def predictor():
    keras.utils.set_random_seed(0)
    return Predictor(plain_network())


@pytest.fixture
def counting(predictor, monkeypatch):
    """The predictor, and a list with the number of plates of each run of its part."""
    runs = []
    plate = predictor.network.plate

    def run(*arrays):
        runs.append(len(arrays[0]))
        return plate.run(*arrays)

    counted = dataclasses.replace(plate, run=run)
    network = dataclasses.replace(predictor.network, plate=counted)
    monkeypatch.setattr(predictor, "network", network)
    return predictor, runs


@pytest.mark.parametrize(
    "size", [(300, 400), (400, 225), (97, 640), (900, 1200), (31, 33)]
)
def test_any_size(predictor, size):
    bg, fg_bg, truth = pair(*size)
    prediction = predictor.predict(bg, fg_bg)
    assert prediction.mask.shape == prediction.depth.shape == size
    assert prediction.mask.dtype == prediction.depth.dtype == np.float32
    assert 0 <= prediction.mask.min() <= prediction.mask.max() <= 1
    assert hard_iou(prediction.mask, truth) > (0.97 if min(size) > 90 else 0.8)
    assert 0 <= prediction.confidence <= 1


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (40, 1)])
def test_hardly_any_pixels(predictor, size):
    grey = np.full((*size, 3), 90, np.uint8)
    assert predictor.predict(grey, grey).mask.max() < 0.5
    white = np.full((*size, 3), 255, np.uint8)
    assert predictor.predict(grey, white, align=False).mask.min() > 0.5


def test_paths_images_and_arrays_agree(predictor, tmp_path):
    bg, fg_bg, _ = pair()
    expected = predictor.predict(bg, fg_bg).mask
    for name, pixels in (("bg", bg), ("fg_bg", fg_bg)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    path = predictor.predict(tmp_path / "bg.png", str(tmp_path / "fg_bg.png"))
    image = predictor.predict(Image.fromarray(bg), Image.fromarray(fg_bg))
    np.testing.assert_array_equal(path.mask, expected)
    np.testing.assert_array_equal(image.mask, expected)


def test_empty_scene_is_an_empty_mask(predictor):
    bg, _, _ = pair()
    prediction = predictor.predict(bg, bg)
    assert prediction.mask.max() < 0.1
    assert not prediction.cutout()[..., 3].any()


def test_moved_and_darker_plate(predictor):
    bg, fg_bg, truth = pair()
    darker = (fg_bg * 0.75).astype(np.uint8)
    moved = cv2.warpAffine(
        bg, np.array([[1.0, 0, 6], [0, 1, -4]]), (400, 300), borderMode=cv2.BORDER_REFLECT
    )
    found = predictor.predict(moved, darker)
    assert hard_iou(found.mask, truth) > 0.95
    assert found.alignment.shift == pytest.approx(np.hypot(6, 4), abs=0.5)
    assert "moved" in str(found.alignment) and "brighter" in str(found.alignment)
    left = predictor.predict(moved, darker, align=False)
    assert left.alignment is None
    assert hard_iou(left.mask, truth) < 0.7


def test_batch_equals_one_by_one(counting):
    predictor, runs = counting
    plate, images = None, []
    for seed, size in enumerate([(300, 400), (400, 300), (300, 400)]):
        bg, fg_bg, _ = pair(*size, seed=seed)
        plate = bg if plate is None else plate
        images.append(fg_bg)
    together = predictor.predict_batch(plate, images, align=False)
    runs.clear()
    for image, prediction in zip(images, together, strict=True):
        alone = predictor.predict(plate, image, align=False)
        np.testing.assert_allclose(prediction.mask, alone.mask, atol=1e-5)
        np.testing.assert_array_equal(prediction.photograph.pixels, image)


def test_features_of_a_plate_are_computed_once(counting):
    predictor, runs = counting
    bg, fg_bg, truth = pair()
    plate = Plate(bg)
    for _ in range(3):
        found = predictor.predict(plate, fg_bg, align=False)
        assert hard_iou(found.mask, truth) > 0.97
    assert runs == [1]
    other, _, _ = pair(seed=5)
    predictor.predict(other, fg_bg, align=False)
    predictor.predict(plate, fg_bg[::-1], align=False)
    assert runs == [1, 1]


def test_without_depth(predictor):
    bg, fg_bg, _ = pair()
    whole = predictor.predict(bg, fg_bg)
    mask = predictor.predict(bg, fg_bg, depth=False)
    assert mask.depth is None
    np.testing.assert_array_equal(mask.mask, whole.mask)
    # Of the network: the mean of the plate.
    outside = whole.mask < 0.01
    expected = 1 / (1 + np.exp(2 - bg.mean(-1) * 2 / 127.5))
    difference = np.abs(whole.depth - cv2.blur(expected, (3, 3)))[outside]
    assert difference.mean() < 0.02


def test_plate_of_another_size(predictor):
    bg, fg_bg, truth = pair()
    small = cv2.resize(bg, (200, 150), interpolation=cv2.INTER_AREA)
    assert hard_iou(predictor.predict(small, fg_bg).mask, truth) > 0.95
    # Wider on both sides: its middle is what the photograph shows.
    wider = cv2.copyMakeBorder(bg, 0, 0, 50, 50, cv2.BORDER_REFLECT)
    assert hard_iou(predictor.predict(wider, fg_bg).mask, truth) > 0.97


def test_wrong_plate_changes_the_confidence(predictor):
    bg, fg_bg, _ = pair()
    right = predictor.predict(bg, fg_bg).confidence
    wrong = predictor.predict(textured(300, 400, seed=9), fg_bg).confidence
    assert wrong < 0.5 < right


def test_cutout(predictor):
    bg, fg_bg, truth = pair()
    prediction = predictor.predict(bg, fg_bg)
    cutout = prediction.cutout()
    assert cutout.shape == (300, 400, 4) and cutout.dtype == np.uint8
    np.testing.assert_allclose(cutout[..., 3] / 255, prediction.mask, atol=0.003)
    inside = cv2.erode(truth, np.ones((9, 9))) > 0
    assert np.abs(cutout[inside][:, :3].astype(int) - (250, 20, 240)).max() < 30


def test_frames_keep_their_alignment(predictor):
    bg, fg_bg, truth = pair()
    moved = np.roll(fg_bg, 3, axis=1)
    plate, kept = Plate(bg), KeptAlignment()
    options = {"depth": False, "smoothing": None}
    rng = np.random.default_rng(0)

    def frame(pixels):
        return np.clip(pixels + rng.normal(0, 2, pixels.shape), 0, 255).astype(np.uint8)

    first = predictor.predict_frame(plate, frame(moved), alignment=kept, **options)
    assert first.alignment.shift == pytest.approx(3, abs=0.3)
    second = predictor.predict_frame(plate, frame(moved), alignment=kept, **options)
    assert second.alignment is first.alignment and second.bg is first.bg
    # The camera is pushed: the plate is aligned anew.
    third = predictor.predict_frame(
        plate, frame(np.roll(fg_bg, -8, axis=1)), alignment=kept, **options
    )
    assert third.alignment.shift == pytest.approx(8, abs=0.5)
    assert hard_iou(third.mask, np.roll(truth, -8, axis=1)) > 0.95

    # What follows is the same after the state was stored.
    restored = KeptAlignment()
    restored.restore(kept.state)
    after = frame(np.roll(fg_bg, -8, axis=1))
    ours, theirs = (
        predictor.predict_frame(Plate(bg), after, alignment=each, **options)
        for each in (kept, restored)
    )
    np.testing.assert_array_equal(ours.mask, theirs.mask)


def test_frames_are_smoothed(predictor):
    bg, fg_bg, _ = pair()
    unsure = np.where(fg_bg == bg, bg, np.clip(bg.astype(int) + 20, 0, 255))
    smoothing = TemporalSmoothing()
    options = {"depth": False, "alignment": None}
    plain, smooth = [], []
    for seed in range(6):
        noise = np.random.default_rng(seed).normal(0, 3, bg.shape)
        image = np.clip(unsure + noise, 0, 255).astype(np.uint8)
        plain.append(predictor.predict_frame(Plate(bg), image, smoothing=None, **options))
        smooth.append(
            predictor.predict_frame(Plate(bg), image, smoothing=smoothing, **options)
        )

    def flicker(predictions):
        masks = np.stack([prediction.mask for prediction in predictions])
        return np.abs(np.diff(masks, axis=0)).mean()

    assert flicker(smooth[2:]) < 0.9 * flicker(plain[2:])


@pytest.mark.parametrize(
    ("height", "width", "resolution", "expected"),
    [
        (224, 224, 224, (224, 224)),
        (3000, 4000, 224, (192, 256)),
        (4000, 3000, 224, (256, 192)),
        (1080, 1920, 224, (160, 288)),
        (1, 1, 96, (96, 96)),
    ],
)
def test_working_size(height, width, resolution, expected):
    assert working_size(height, width, resolution) == expected


def test_panoramas_keep_to_a_limit():
    for height, width in ((100, 2000), (2000, 100), (10, 100_000)):
        size = working_size(height, width, 224)
        assert min(size) >= 32 and max(size) <= 896
        assert not any(side % 32 for side in size)


def test_resized_averages_what_it_reduces():
    image = textured(64, 64)
    small = resized(image, (32, 16))
    expected = image.reshape(16, 4, 32, 2, 3).mean((1, 3))
    np.testing.assert_allclose(small, expected, atol=1)
    assert resized(image, (64, 64)) is image


def test_refused(predictor, tmp_path):
    bg, _, _ = pair(64, 64)
    text = tmp_path / "text.jpg"
    text.write_text("no picture")
    for plate, photograph, message in (
        (tmp_path / "none.jpg", bg, "`bg`: .*none.jpg"),
        (bg, text, "`fg_bg`: .*text.jpg"),
        (bg / 255.0, bg, "`bg`: "),
        (bg, 3, "`fg_bg`: received int"),
    ):
        with pytest.raises(UserError, match=message):
            predictor.predict(plate, photograph)
