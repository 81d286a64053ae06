"""Movements of the camera, measured by the places of dots."""

import cv2
import numpy as np
import tensorflow as tf

from tests.support.captures import captured, centres, dots, found

SIDE = 192
INNER = (np.abs(centres(SIDE) - SIDE / 2) < SIDE / 2 - 20).all(axis=1)


def _movement(images, i):
    """Return the places in `bg` and how far they moved to `fg_bg`, of inner dots."""
    before, after = found(images[0, i])[INNER], found(images[1, i])[INNER]
    return before, after - before


def _homography(images, i):
    before, movement = _movement(images, i)
    return cv2.findHomography(before, before + movement)[0]


class MoveCameraTest(tf.test.TestCase):
    def test_shift(self):
        for strength in (0.5, 2, 5):
            images, _, _ = captured({"shift": strength}, dots(SIDE), count=8)
            directions = []
            for i in range(8):
                _, movement = _movement(images, i)
                lengths = np.linalg.norm(movement, axis=1)
                self.assertAllClose(lengths, np.full(len(lengths), strength), atol=0.08)
                directions.append(movement.mean(axis=0) / strength)
            self.assertLess(np.min(directions), -0.5)
            self.assertGreater(np.max(directions), 0.5)

    def test_both_halves_move(self):
        images, _, _ = captured({"shift": 4}, dots(SIDE))
        places = centres(SIDE)[INNER]
        bg, fg_bg = (found(image)[INNER] - places for image in images[:, 0])
        self.assertAllClose(bg, -fg_bg, atol=0.1)

    def test_rotation_and_zoom(self):
        for name, strength in (("rotation", 1.5), ("zoom", 3)):
            images, _, _ = captured({name: strength}, dots(SIDE), count=6)
            signs = []
            for i in range(6):
                matrix = _homography(images, i)
                angle = np.rad2deg(np.arctan2(matrix[0, 1], matrix[0, 0]))
                scale = np.sqrt(np.linalg.det(matrix[:2, :2]))
                wanted = (strength, 0) if name == "rotation" else (0, strength)
                gain = 100 * (max(scale, 1 / scale) - 1)
                self.assertAllClose((abs(angle), gain), wanted, atol=0.06)
                centre = cv2.perspectiveTransform(
                    np.full((1, 1, 2), (SIDE - 1) / 2), matrix
                )
                self.assertAllClose(centre, np.full((1, 1, 2), (SIDE - 1) / 2), atol=0.05)
                signs.append(np.sign(angle if name == "rotation" else scale - 1))
            self.assertCountEqual(set(signs), (-1, 1))

    def test_perspective_displaces_the_corners(self):
        last = SIDE - 1.0
        corners = np.array([[(0, 0), (last, 0), (last, last), (0, last)]])
        images, _, _ = captured({"perspective": 4}, dots(SIDE), count=4)
        for i in range(4):
            moved = cv2.perspectiveTransform(corners, _homography(images, i))[0]
            displaced = np.linalg.norm(moved - corners[0], axis=1)
            self.assertAllClose(displaced, np.full(4, 4.0), atol=0.5)
            self.assertAllClose((moved - corners[0]).mean(axis=0), (0, 0), atol=0.25)

    def test_movements_add_up_in_one_resampling(self):
        strengths = {"shift": 3, "rotation": 1, "zoom": 2, "perspective": 2}
        images, _, _ = captured(strengths, dots(SIDE))
        matrix = _homography(images, 0)
        self.assertGreater(np.abs(matrix - np.eye(3)).max(), 1)
        # One cubic resampling keeps the peaks; two would lower them twice.
        self.assertAllClose(images.max(axis=(1, 2, 3, 4)), (220, 220), atol=6)

    def test_borders_have_no_frame(self):
        white = np.full((64, 64, 3), 200, np.uint8)
        images, _, _ = captured({"shift": 8, "rotation": 5, "zoom": 10}, white, count=4)
        self.assertAllEqual(np.unique(images), [200])


class ParallaxTest(tf.test.TestCase):
    def test_disparity_between_nearest_and_farthest(self):
        depth = np.full((SIDE, SIDE), 0.8)
        depth[:, : SIDE // 2] = 0.2
        images, _, _ = captured({"parallax": 4}, dots(SIDE), depth=depth, count=4)
        for i in range(4):
            places, movement = _movement(images, i)
            near = movement[places[:, 0] < SIDE / 2 - 20].mean(axis=0)
            far = movement[places[:, 0] > SIDE / 2 + 20].mean(axis=0)
            self.assertAllClose(np.linalg.norm(near - far), 4, atol=0.15)

    def test_disparity_is_inverse_to_depth(self):
        # Depths of 1, 2 and 4: disparities of 1, 1/3 and 0 of the strength.
        depth = np.repeat(np.repeat([1.0, 2.0, 4.0], SIDE // 3)[None], SIDE, axis=0)
        images, _, _ = captured({"parallax": 6}, dots(SIDE), depth=depth)
        places, movement = _movement(images, 0)
        column = np.int64(places[:, 0] // (SIDE // 3))
        near, middle, far = (np.median(movement[column == c], axis=0) for c in range(3))
        self.assertAllClose(middle - far, (near - far) / 3, atol=0.15)

    def test_unknown_or_level_depth_changes_nothing(self):
        picture = dots(64)
        for depth in (np.zeros((64, 64)), np.full((64, 64), 0.5)):
            images, _, boxes = captured({"parallax": 4}, picture, depth=depth)
            self.assertAllEqual(images[:, 0], [picture, picture])
            self.assertAllEqual(boxes, np.zeros((1, 4)))

    def test_the_plate_does_not_show_the_foreground(self):
        # The near foreground moves; what is behind it in the plate does not move with it.
        mask = np.zeros((SIDE, SIDE))
        mask[48:144, 48:144] = 1
        depth = np.where(mask > 0, 0.2, 0.8)
        depth[:8] = 0
        images, labels, _ = captured(
            {"parallax": 6}, dots(SIDE), mask=mask, depth=depth, seed=1
        )
        bg, fg_bg = (found(image)[INNER] for image in images[:, 0])
        places = centres(SIDE)[INNER]
        inside = (np.abs(places - SIDE / 2) < 40).all(axis=1)
        self.assertAllClose(bg, places, atol=0.1)
        # Its half of the disparity.
        moved = (fg_bg - places)[inside].mean(axis=0)
        self.assertAllClose(np.linalg.norm(moved), 3, atol=0.1)
        # Unknown depth stays unknown, and nothing is made up.
        self.assertAllEqual(np.unique(labels[1]), np.unique(np.float32(depth)))


class LabelsTest(tf.test.TestCase):
    def test_they_follow_fg_bg(self):
        mask = np.zeros((SIDE, SIDE), np.float32)
        mask[60:130, 40:150] = 1
        shade = np.repeat(np.uint8(255 * mask)[..., None], 3, axis=2)
        depth = np.where(mask > 0, 0.25, 0.75)
        strengths = {
            "shift": 6,
            "rotation": 2,
            "zoom": 4,
            "perspective": 4,
            "parallax": 6,
        }
        images, labels, boxes = captured(
            strengths, np.zeros_like(shade), shade, mask, depth, count=6
        )
        for i in range(6):
            moved, moved_depth = labels[:, i]
            self.assertLess(np.abs(images[1, i, ..., 1] / 255 - moved).max(), 0.2)
            self.assertGreater(np.abs(moved - mask).max(), 0.9)
            unlike = (moved_depth == np.float32(0.25)) != (moved > 0.5)
            self.assertLess(unlike.mean(), 0.001)
            y, x = np.nonzero(moved)
            box = np.array([y.min(), x.min(), y.max() + 1, x.max() + 1]) / SIDE
            self.assertAllClose(boxes[i], box)
