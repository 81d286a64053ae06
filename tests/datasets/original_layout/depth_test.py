"""Depth whose larger numbers are nearer is turned; the wrong direction is warned of."""

import logging

import cv2
import numpy as np
import tensorflow_datasets as tfds
from absl.testing import parameterized

from keras_depthseg.datasets.original_layout.depth import turned
from tests.support.sources import SourceTestCase
from tests.support.tiny_data import SIDE, encoded, mask, write_source

LOGGER = "keras_depthseg.datasets.original_layout"


def scene(seed, dtype=np.uint8, foreground=0.6):
    """Depth of a foreground before a wall; larger is farther."""
    full = np.iinfo(dtype).max
    wall = 0.4 + 0.5 * np.random.default_rng(seed).random((SIDE // 16, SIDE // 16))
    depth = cv2.resize(wall, (SIDE, SIDE))
    depth[mask((SIDE, SIDE)) > 0] *= foreground
    depth[:2] = 0
    return np.round(depth * full).astype(dtype)


class DepthTest(SourceTestCase):
    def _stored(self, **settings):
        """Depth of the records, by sample, and warnings."""
        with self.assertLogs(LOGGER, logging.INFO) as logs:
            logging.getLogger(LOGGER).info("begun")
            path = self.build(**settings)
        builder = tfds.builder_from_directory(path)
        found = {
            sample["sample_id"].decode(): sample["depth"][..., 0]
            for split in builder.info.splits
            for sample in tfds.as_numpy(builder.as_dataset(split))
        }
        return path, found, [record.getMessage() for record in logs.records[1:]]

    @parameterized.parameters(np.uint8, np.uint16)
    def test_turned_depth_equals_depth_that_was_right(self, dtype):
        full, unknown = np.iinfo(dtype).max, scene(0, dtype) == 0

        def bright_is_near(seed):
            levels = np.where(unknown, 0, full - scene(seed, dtype))
            return encoded(levels.astype(dtype), "png")

        write_source(self.source, 5, 5, bright_is_near, size=(SIDE, SIDE))
        path, found, lines = self._stored(larger="nearer")
        self.assertEmpty(lines)
        self.assertLen(found, 25)
        for name, depth in found.items():
            seed = 100 * int(name[2:5]) + int(name[8:11])
            self.assertAllEqual(depth, scene(seed, dtype))
        metadata = tfds.builder_from_directory(path).info.metadata
        self.assertEqual(metadata["depth"]["direction"], "larger is farther")
        # Another meaning is another data set.
        other, found, (line,) = self._stored()
        self.assertNotEqual(other, path)
        self.assertAllEqual(found["bg001_fg001_01"] == 0, unknown)
        self.assertIn("by larger=farther, the foreground of 25 of 25 samples is", line)
        self.assertIn("should it be larger=nearer?", line)

    @parameterized.named_parameters(
        ("right", lambda seed: encoded(scene(seed), "png")),
        # As of a network that saw the plate only.
        ("of_the_plate", lambda seed: encoded(scene(seed, foreground=1), "png")),
        ("flat", lambda seed: encoded(0 * scene(seed) + 9, "png")),
    )
    def test_nothing_is_said_of(self, depth):
        write_source(self.source, 5, 5, depth, size=(SIDE, SIDE))
        _, _, lines = self._stored()
        self.assertEmpty(lines)

    def test_the_nearest_is_known_and_unknown_stays(self):
        self.assertAllEqual(turned(np.array([0, 1, 254, 255], np.uint8)), [0, 254, 1, 1])
        levels = np.array([0, 1, 65534, 65535], np.uint16)
        self.assertAllEqual(turned(levels), [0, 65534, 14, 14])

    def test_another_meaning_is_refused(self):
        write_source(self.source, 1, 1)
        call = lambda: self.build(larger="closer")  # noqa: E731
        self.assert_refused("`larger`: received 'closer'", "bright", call=call)

    def test_inverted_masks_say_nothing_about_depth(self):
        right = lambda seed: encoded(scene(seed), "png")  # noqa: E731
        write_source(self.source, 5, 5, right, size=(SIDE, SIDE))
        for path in (self.source / "fg_bg_mask").iterdir():
            path.write_bytes(encoded(255 - mask((SIDE, SIDE)), "png"))
        _, _, lines = self._stored()
        self.assertLen([line for line in lines if "inverted" in line], 20)
        self.assertNotIn("larger", " ".join(lines))
