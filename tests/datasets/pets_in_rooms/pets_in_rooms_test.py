"""The builder of public data sets, on dummy archives made here."""

from unittest import mock

import h5py
import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets import pets_in_rooms
from keras_depthseg.datasets.pets_in_rooms import sources
from keras_depthseg.errors import UserError
from tests.support.tiny_data import RefusalTestCase, encoded

PLACES, PETS = 6, 8


def write_archives(root):
    """What the three archives extract to: a floor to stand on, and discs with ears."""
    rng = np.random.default_rng(0)
    # A camera 1.5 m above a floor, a wall at 6 m: NYU's focal length is 0.81 widths.
    rows = (np.arange(480) + 0.5 - 240) / 519
    floor = np.where(rows > 0, 1.5 / np.maximum(rows, 1e-3), np.inf)
    depth = np.repeat(np.minimum(floor, 6.0)[:, None], 640, axis=1)
    for place in range(PLACES):
        for recording in "ab":
            folder = root / f"nyudepthv2/train/office_{place:04}{recording}"
            folder.mkdir(parents=True)
            with h5py.File(folder / "00001.h5", "w") as file:
                colour = rng.integers(0, 200, (3, 12, 16), dtype=np.uint8)
                file["rgb"] = np.kron(colour, np.ones((1, 40, 40), np.uint8))
                file["depth"] = depth.astype(np.float32)
    (root / "images").mkdir()
    (root / "annotations/trimaps").mkdir(parents=True)
    y, x = np.mgrid[:120, :90]
    for pet in range(PETS):
        radius = np.hypot(y - 60, x - 45)
        trimap = np.where(radius < 30, 1, np.where(radius < 38, 3, 2)).astype(np.uint8)
        picture = rng.integers(0, 256, (120, 90, 3), dtype=np.uint8)
        (root / f"images/beagle_{pet}.jpg").write_bytes(encoded(picture))
        name = root / f"annotations/trimaps/beagle_{pet}.png"
        name.write_bytes(encoded(trimap, "png"))
        # The archive holds such shadows of macOS.
        name.with_name(f"._{name.name}").write_bytes(b"not a picture")
    return root


class SourcesTest(RefusalTestCase):
    def test_undecided_pixels_are_partly_opaque(self):
        row = np.array([[1, 1, 3, 3, 3, 2, 2]], np.uint8)
        alpha = sources.trimap_to_alpha(row)
        self.assertAllEqual(alpha, [[255, 255, 191, 128, 64, 0, 0]])
        for kind, expected in ((1, 255), (2, 0)):
            alpha = sources.trimap_to_alpha(np.full((2, 2), kind, np.uint8))
            self.assertAllEqual(alpha, np.full((2, 2), expected))

    def test_rooms_are_grouped_by_place(self):
        found = sources.nyu_rooms(write_archives(self.folder), frame_step=1)
        self.assertLen(found, 2 * PLACES)
        self.assertEqual(found[1].name, "office_0000b/00001.h5")
        self.assertEqual({room.group for room in found[:2]}, {"office_0000"})
        bg, depth = found[0].read(56)
        self.assertEqual((bg.shape, bg.dtype), ((56, 56, 3), np.uint8))
        self.assertAllClose(depth[0], np.full(56, 0.6), atol=1e-6)
        # Row 50.5 of 56 is row 16 + 50.5 * 8 = 420 of 480.
        self.assertAllClose(depth[50, 0], 1.5 / (180.5 / 519) / 10, rtol=0.05)

    def test_every_third_frame(self):
        folder = self.folder / "nyudepthv2/val/den_0001"
        folder.mkdir(parents=True)
        for frame in range(7):
            (folder / f"{frame:05}.h5").touch()
        found = sources.nyu_rooms(self.folder, frame_step=3)
        self.assertEqual([room.path.stem for room in found], ["00000", "00003", "00006"])
        with self.assertRaisesRegex(UserError, "00000.h5: received a damaged file"):
            found[0].read(32)

    def test_pets_are_cut_out(self):
        root = write_archives(self.folder)
        found = sources.pets(root, root)
        self.assertLen(found, PETS)
        layer = found[0].read(height=75, largest=75)
        # 75 pixels across: 38 on each side of the middle, which is opaque by its share.
        self.assertEqual(layer.alpha.shape, (75, 75))
        self.assertEqual(layer.alpha[37, 37], 255)
        self.assertEqual(layer.alpha[0, 0], 0)
        self.assertLess(0, layer.alpha[3, 37])
        self.assertLess(layer.alpha[3, 37], 255)


class BuildTest(RefusalTestCase):
    def test_pets_stand_on_the_ground_at_its_depth(self):
        root = write_archives(self.folder / "archives")
        with mock.patch.object(
            tfds.download.DownloadManager,
            "download_and_extract",
            side_effect=lambda urls: dict.fromkeys(urls, root),
        ):
            path = pets_in_rooms.build(self.folder / "data", num_samples=60, size=64)
        builder = tfds.builder_from_directory(path)
        self.assertEqual(builder.info.metadata["depth"]["unit"], "metre")
        self.assertEqual(builder.info.metadata["depth"]["scale"], 10)
        self.assertIn("CC BY-SA", builder.info.metadata["licences"]["fg"])
        self.assertEqual(builder.info.splits.total_num_examples, 60)
        self.assertEqual(builder.info.metadata["sources"]["fg001"]["file"], "beagle_0")
        names = set(builder.info.splits)
        self.assertContainsSubset({"train", "unseen_bg", "unseen_fg"}, names)
        places = {
            name: {sample["bg_id"] for sample in tfds.as_numpy(builder.as_dataset(name))}
            for name in names
        }
        self.assertEmpty(places["train"] & places["unseen_bg"])
        checked = 0
        for sample in tfds.as_numpy(builder.as_dataset("train")):
            opaque = sample["mask"][..., 0] >= 128
            depths = np.unique(sample["depth"][..., 0][opaque])
            # One depth, an upright plane, and that of the floor at its lowest row.
            self.assertLen(depths, 1)
            lowest = np.flatnonzero((sample["mask"][..., 0] > 0).any(axis=1))[-1]
            row = (16 + (lowest + 0.5) * 7 + 0.5 - 240) / 519
            if lowest < 63:
                self.assertAllClose(depths[0] / 65535 * 10, 1.5 / row, rtol=0.1)
                checked += 1
        self.assertGreater(checked, 10)

    def test_download_fails(self):
        with mock.patch.object(
            tfds.download.DownloadManager,
            "download_and_extract",
            side_effect=ConnectionError("no\nroute to host"),
        ):
            self.assert_refused(
                lambda: pets_in_rooms.build(self.folder, num_samples=60, size=64),
                "ConnectionError: no route to host",
            )
        self.assertEmpty(
            [*self.folder.rglob("*.partial"), *self.folder.rglob("*incomplete*")]
        )

    def test_bad_arguments(self):
        for name in ("num_samples", "size", "frame_step"):
            with self.assertRaisesRegex(UserError, f"received {name}=0"):
                pets_in_rooms.PetsInRoomsConfig(name="bad", **{name: 0})
