"""Near duplicates: copies of drawn pictures are found, other pictures are not."""

import io

import cv2
import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from keras_depthseg.pictures.near_duplicates import groups, near_duplicates, picture_hash

COUNT = 24


def drawn(seed, size=(160, 200)):
    """Shapes of random colours before a slope of brightness."""
    rng = np.random.default_rng(seed)
    height, width = size
    slope = np.linspace(rng.uniform(60, 140), rng.uniform(60, 140), width)
    picture = np.repeat(np.tile(slope, (height, 1))[..., None], 3, axis=-1)
    picture = picture.astype(np.uint8)
    for _ in range(14):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = (int(side) for side in rng.integers(10, 80, 2))
        colour = tuple(int(level) for level in rng.integers(0, 230, 3))
        if rng.random() < 0.5:
            cv2.rectangle(picture, (x, y), (x + w, y + h), colour, -1)
        else:
            cv2.ellipse(picture, (x, y), (w, h), 0, 0, 360, colour, -1, cv2.LINE_AA)
    return picture


def jpeg(quality):
    def change(picture):
        data = io.BytesIO()
        Image.fromarray(picture).save(data, "JPEG", quality=quality)
        return np.asarray(Image.open(data))

    return change


def halved(picture):
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height))


def brighter(factor):
    return lambda picture: np.clip(picture * factor, 0, 255).round().astype(np.uint8)


def cropped(picture):
    height, width = picture.shape[:2]
    top, left = round(height * 0.015), round(width * 0.015)
    return np.ascontiguousarray(picture[top : height - top, left : width - left])


def mirrored(picture):
    return np.ascontiguousarray(picture[:, ::-1])


def several(picture):
    return jpeg(70)(brighter(1.1)(cropped(mirrored(picture))))


def flat(*colour, noise=0):
    rng = np.random.default_rng(0)
    levels = np.array(colour) + rng.integers(-noise, noise + 1, (64, 64, 3))
    return levels.astype(np.uint8)


def found(**pictures):
    return near_duplicates({name: picture_hash(x) for name, x in pictures.items()})


class NearDuplicatesTest(tf.test.TestCase, parameterized.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pictures = {f"p{i:02}": drawn(i) for i in range(COUNT)}
        cls.hashes = {name: picture_hash(x) for name, x in cls.pictures.items()}

    def test_different_pictures(self):
        self.assertEmpty(near_duplicates(self.hashes))
        self.assertEqual((near_duplicates({}), groups({})), ([], {}))
        self.assertEqual(groups(self.hashes), {name: name for name in self.hashes})

    @parameterized.named_parameters(
        ("same", np.copy),
        ("jpeg_60", jpeg(60)),
        ("halved", halved),
        ("mirrored", mirrored),
        ("several", several),
    )
    def test_copies(self, change):
        copies = {
            f"{name}_copy": picture_hash(change(picture))
            for name, picture in self.pictures.items()
        }
        pairs = near_duplicates({**copies, **self.hashes})
        expected = [(name, f"{name}_copy") for name in self.pictures]
        self.assertEqual([pair[:2] for pair in pairs], expected)
        if change in (np.copy, mirrored):
            self.assertEqual({distance for *_, distance in pairs}, {0})

    def test_flat_pictures(self):
        self.assertEmpty(found(a=flat(10, 200, 30), b=flat(10, 30, 200)))
        self.assertEmpty(found(a=flat(90, 90, 90), b=flat(100, 100, 100)))
        self.assertEmpty(found(a=flat(128, 128, 128), b=self.pictures["p00"]))
        self.assertEqual(found(a=flat(10, 200, 30), b=flat(12, 199, 30)), [("a", "b", 2)])
        self.assertEqual(
            found(a=flat(10, 200, 30, noise=1), b=flat(10, 200, 30)), [("a", "b", 0)]
        )

    def test_at_most_64_bits(self):
        for changed, distances in ((64, [64]), (65, [])):
            bits = np.unpackbits(self.hashes["p00"])
            bits[:changed] ^= 1
            pairs = near_duplicates({"a": np.packbits(bits), "b": self.hashes["p00"]})
            self.assertEqual([distance for *_, distance in pairs], distances)

    def test_groups_join_pairs(self):
        # Neighbours are equal within 4 grey levels, the first and the last are not.
        chain = {f"g{i}": picture_hash(flat(80 + 3 * i, 80, 80)) for i in range(4)}
        pairs = {pair[:2] for pair in near_duplicates(chain)}
        self.assertEqual(pairs, {("g0", "g1"), ("g1", "g2"), ("g2", "g3")})
        joined = groups({**chain, **self.hashes, "a": self.hashes["p05"]})
        self.assertEqual({joined[name] for name in chain}, {"g0"})
        self.assertEqual((joined["a"], joined["p05"], joined["p06"]), ("a", "a", "p06"))

    def test_more_than_a_block(self):
        hashes = {f"n{i:04}": picture_hash(flat(i % 256, i // 256 * 9, 0))
                  for i in range(0, 1300, 5)}  # fmt: skip
        many = {f"{kind}{name}": x for kind in "abc" for name, x in hashes.items()}
        # The three of each name, and no neighbour: 5 levels apart.
        self.assertLen(near_duplicates(many), 3 * len(hashes))
        self.assertLen(set(groups(many).values()), len(hashes))

    def test_refuses_other_arrays(self):
        for wrong in (np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)):
            with self.assertRaisesRegex(ValueError, "must be .H, W, 3. uint8"):
                picture_hash(wrong)
