"""Pipelines saved by albumentations: shared by the four planes, seeded, or refused."""

import concurrent.futures
from pathlib import Path

import albumentations
import numpy as np
from absl.testing import parameterized

from keras_depthseg.augment.changes import make_augmentation
from tests.support.tiny_data import RefusalTestCase, colour

SIDE = 16


def _batch(count=6):
    """The same picture twice in each sample, its red as labels, the box of the mask."""
    picture = colour(0, (SIDE, SIDE))
    picture[:4, :6] = 0
    images = np.tile(picture, (2, count, 1, 1, 1))
    labels = images[..., :1].astype(np.float32) / 255
    labels[:, :, :4] = 0
    labels[:, :, :, :6] = 0
    return images, labels, np.tile(np.float32([0.25, 0.375, 1, 1]), (count, 1))


class SavedPipelineTest(RefusalTestCase, parameterized.TestCase):
    def _save(self, *transforms, name="changes.yaml"):
        path = Path(self.get_temp_dir()) / name
        data_format = "json" if path.suffix == ".json" else "yaml"
        pipeline = transforms[0] if len(transforms) == 1 else None
        pipeline = pipeline or albumentations.Compose(list(transforms))
        albumentations.save(pipeline, path, data_format=data_format)
        return str(path)

    def _changed(self, path, seed=0, count=6):
        batch = _batch(count)
        make_augmentation(path, SIDE)(*batch, seed=seed)
        return batch

    @parameterized.parameters("changes.yml", "changes.json")
    def test_geometry_is_shared_and_the_box_follows(self, name):
        path = self._save(albumentations.HorizontalFlip(p=0.5), name=name)
        images, labels, boxes = self._changed(path, count=40)
        before, labels_before, boxes_before = _batch(40)
        flipped = (images[1] != before[1]).any(axis=(1, 2, 3))
        self.assertBetween(flipped.mean(), 0.2, 0.8)
        for planes, expected in ((images, before), (labels, labels_before)):
            expected[:, flipped] = expected[:, flipped, :, ::-1]
            self.assertAllEqual(planes, expected)
        boxes_before[flipped] = 0.25, 0, 1, 0.625
        self.assertAllClose(boxes, boxes_before)

    def test_equals_albumentations_with_the_same_draws(self):
        path = self._save(
            albumentations.Affine(rotate=(20, 20), fill_mask=0, p=1.0),
            albumentations.RandomBrightnessContrast((0.1, 0.1), (0.2, 0.2), p=1.0),
        )
        images, labels, _ = self._changed(path, count=1)
        before, labels_before, _ = _batch(1)
        expected = albumentations.load(path, data_format="yaml")(
            image=before[1, 0], mask=labels_before[0, 0]
        )
        self.assertAllEqual(images[1, 0], expected["image"])
        self.assertAllEqual(labels[0, 0], expected["mask"].reshape(SIDE, SIDE, 1))
        self.assertAllEqual(labels[0], labels[1])

    def test_same_seed_same_changes_from_any_thread(self):
        path = self._save(
            albumentations.HorizontalFlip(p=0.5), albumentations.HueSaturationValue(p=0.7)
        )
        change = make_augmentation(path, SIDE)

        def changed(seed):
            batch = _batch()
            change(*batch, seed=seed)
            return batch[0]

        expected = [changed(seed) for seed in range(4)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            results = list(pool.map(changed, [*range(4)] * 8))
        for number, result in enumerate(results):
            self.assertAllEqual(result, expected[number % 4])
        self.assertNotAllEqual(expected[0], expected[1])

    def test_foreground_moved_out(self):
        path = self._save(albumentations.Affine(translate_px=(99, 99), p=1.0))
        _, labels, boxes = self._changed(path)
        self.assertAllEqual(labels, np.zeros_like(labels))
        self.assertAllEqual(boxes, np.zeros_like(boxes))

    def test_refused(self):
        folder = Path(self.get_temp_dir())
        (folder / "list.yaml").write_text("- a list\n")
        (folder / "text.json").write_text("{")
        for name, part in (
            ("absent.yaml", "no such file"),
            ("list.yaml", "not a pipeline of albumentations"),
            ("text.json", "data_format='json'"),
        ):
            path = str(folder / name)
            self.assert_refused(
                lambda p=path: make_augmentation(p, SIDE),
                *(path, part, "albumentations.save"),
            )

    @parameterized.parameters(
        (albumentations.RandomCrop(8, 8, p=0.5), "must not change the size"),
        (albumentations.ToFloat(p=1.0), "must not change the type"),
        (albumentations.CropNonEmptyMaskIfExists(99, 99, p=1.0), "fails on a sample"),
    )
    def test_size_and_type(self, transform, message):
        path = self._save(transform)
        self.assert_refused(lambda: make_augmentation(path, SIDE), path, message)
