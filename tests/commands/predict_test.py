"""`depthseg predict`: photographs, folders and videos as files in, files out."""

import contextlib
import csv
import os
import tempfile
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
from absl.testing import parameterized
from PIL import Image, ImageCms

from keras_depthseg import Predictor, load_pretrained
from keras_depthseg.commands import main
from tests.support.plain_network import hard_iou, pair, plain_network
from tests.support.tiny_data import RefusalTestCase
from tests.support.videos import decoded, heard, write_video

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
FRAMES = 12


def read_image(path):
    """A Pillow image whose file is closed."""
    with Image.open(path) as image:
        image.load()
        return image


def video_frames(bg):
    """A box that goes to the right before a plate, and its masks."""
    images, masks = [], []
    for index in range(FRAMES):
        mask = np.zeros(bg.shape[:2], np.float32)
        mask[30:80, 10 + 9 * index : 50 + 9 * index] = 1
        images.append(np.where(mask[..., None] > 0, np.uint8((250, 20, 240)), bg))
        masks.append(mask)
    return np.stack(images), np.stack(masks)


class PredictTestCase(RefusalTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cache = {"KERAS_DEPTHSEG_CACHE": str(cls.shared / "cache")}
        cls.enterClassContext(mock.patch.dict(os.environ, cache))
        cls.model = cls.shared / "model.keras"
        plain_network().save(cls.model)
        bg, fg_bg, cls.truth = pair(120, 160)
        Image.fromarray(bg).save(cls.shared / "plate.png")
        Image.fromarray(fg_bg).save(cls.shared / "photo.png", icc_profile=PROFILE)
        cls.bg, cls.fg_bg = bg, fg_bg
        images, cls.masks = video_frames(bg)
        write_video(cls.shared / "film.mp4", images, sound="aac")

    def predict(self, image, *options, bg="plate.png", out=None):
        arguments = ["predict", "--model", str(self.model), "--image", str(image)]
        arguments += ["--out", str(out or self.folder / "out")]
        if bg is not None:
            arguments += ["--bg", str(self.shared / bg)]
        return main.main([*arguments, *options])

    def written(self, out=None):
        return sorted(path.name for path in (out or self.folder / "out").iterdir())


class PhotographTest(PredictTestCase):
    def test_all_results_of_one(self):
        with self.assertLogs("keras_depthseg") as logs:
            self.assertEqual(self.predict(self.shared / "photo.png"), 0)
        out = self.folder / "out"
        names = ["cutout", "depth", "depth_colour", "mask"]
        expected = [*(f"photo_{name}.png" for name in names), "photo_overlay.jpg"]
        self.assertEqual(self.written(), sorted(expected))
        mask = np.asarray(read_image(out / "photo_mask.png")) / 255
        self.assertGreater(hard_iou(mask, self.truth), 0.95)
        cutout = read_image(out / "photo_cutout.png")
        self.assertEqual(cutout.mode, "RGBA")
        self.assertEqual(cutout.info["icc_profile"], PROFILE)
        np.testing.assert_array_equal(np.asarray(cutout)[..., 3], np.rint(mask * 255))
        depth = read_image(out / "photo_depth.png")
        self.assertEqual(depth.text["depth:direction"], "larger is farther")
        self.assertEqual(np.asarray(depth).max() > 256, True)
        told = "\n".join(logs.output)
        self.assertIn("plate in place", told)
        self.assertIn("confidence", told)
        self.assertIn("larger is farther", told)
        self.assertIn("1 photograph in", told)

    def test_without_a_model_it_is_small(self):
        # A folder of that name changes nothing.
        (self.folder / "small").mkdir()
        plate, photo = self.shared / "plate.png", self.shared / "photo.png"
        arguments = ["predict", "--bg", str(plate), "--image", str(photo), "--out"]
        options = ["--write", "mask", "--engine", "keras"]
        with contextlib.chdir(self.folder), self.assertLogs("keras_depthseg") as logs:
            self.assertEqual(main.main([*arguments, "out", *options]), 0)
            main.main([*arguments, "named", *options, "--model", "small"])
            self.assert_refused(
                lambda: main.main([*arguments, "path", "--model", "./small"]),
                "small: received a folder without model.keras",
            )
        self.assertEqual(logs.records[0].getMessage().partition(",")[0], "Model: small")
        mask = np.asarray(read_image(self.folder / "out/photo_mask.png"))
        expected = Predictor(load_pretrained("small")).predict(plate, photo).mask
        np.testing.assert_array_equal(mask, np.rint(expected * 255))
        named = np.asarray(read_image(self.folder / "named/photo_mask.png"))
        np.testing.assert_array_equal(mask, named)

    def test_folder_in_natural_order(self):
        photos = self.folder / "photos"
        photos.mkdir()
        for name in ("b10.png", "b9.png", "a ü.png"):
            Image.fromarray(self.fg_bg).save(photos / name)
        Image.fromarray(self.bg).save(photos / "empty.png")
        (photos / ".DS_Store").write_bytes(b"x")
        (photos / "Thumbs.db").write_bytes(b"x")
        (photos / "broken.jpg").write_bytes(b"\xff\xd8 no more")
        with self.assertLogs("keras_depthseg") as logs:
            status = self.predict(photos, "--write", "mask")
        self.assertEqual(status, 2)
        names = ["a ü", "b10", "b9", "empty"]
        expected = sorted([*(f"{name}_mask.png" for name in names), "photographs.csv"])
        self.assertEqual(self.written(), expected)
        with (self.folder / "out/photographs.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        order = [row["photograph"] for row in rows]
        self.assertEqual(order, ["a ü.png", "b9.png", "b10.png", "empty.png"])
        self.assertLess(float(rows[3]["foreground"]), 1e-4)
        told = "\n".join(logs.output)
        self.assertIn("broken.jpg", told)
        self.assertIn("4 photographs in", told)
        self.assertIn("1 without foreground", told)
        self.assertIn("1 left out", told)

    def test_one_that_is_too_long_is_left_out(self):
        photos = self.folder / "photos"
        photos.mkdir()
        Image.fromarray(self.fg_bg).save(photos / "a.png")
        Image.new("RGB", (70000, 2)).save(photos / "b.png")
        (photos / os.fsdecode(b"c\xff.png")).write_bytes((photos / "a.png").read_bytes())
        self.assertEqual(self.predict(photos, "--write", "overlay"), 2)
        self.assertIn("a_overlay.jpg", self.written())
        with (self.folder / "out/photographs.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.assertLen(rows, 2)
        self.assertEqual(rows[0]["photograph"], "a.png")

    def test_results_are_not_overwritten(self):
        photo = self.shared / "photo.png"
        self.predict(photo, "--write", "mask")
        before = (self.folder / "out/photo_mask.png").read_bytes()
        self.assert_refused(
            lambda: self.predict(photo, "--write", "mask,cutout"), "photo_mask.png"
        )
        self.assertEqual(self.written(), ["photo_mask.png"])
        self.predict(photo, "--write", "mask", "--force")
        self.assertEqual((self.folder / "out/photo_mask.png").read_bytes(), before)

    def test_new_backgrounds(self):
        new = np.full((50, 80, 3), (10, 200, 30), np.uint8)
        Image.fromarray(new).save(self.folder / "new.png")
        photo = self.shared / "photo.png"
        far = cv2.erode(1 - self.truth, np.ones((25, 25))) > 0
        near = cv2.erode(self.truth, np.ones((25, 25))) > 0
        for number, (choice, colour) in enumerate(
            {"#00ff00": (0, 255, 0), str(self.folder / "new.png"): (10, 200, 30)}.items()
        ):
            out = self.folder / f"out{number}"
            self.predict(photo, "--replace-bg", choice, "--write", "mask", out=out)
            replaced = np.asarray(read_image(out / "photo_replaced.jpg")).astype(int)
            self.assertLess(np.abs(replaced[far] - colour).max(), 12)
            self.assertLess(np.abs(replaced[near] - (250, 20, 240)).mean(), 12)

    def test_order_by_depth(self):
        # Depth is the plate's brightness: a bright scene lies behind, a dark one before.
        photo = self.shared / "photo.png"
        near = cv2.erode(self.truth, np.ones((25, 25))) > 0
        for colour, hidden in (("#ffffff", False), ("#000000", True)):
            out = self.folder / colour[1:]
            options = ("--replace-bg", colour, "--order", "depth", "--write", "mask")
            self.predict(photo, *options, out=out)
            replaced = np.asarray(read_image(out / "photo_replaced.jpg")).astype(int)
            expected = (0, 0, 0) if hidden else (250, 20, 240)
            self.assertLess(np.abs(replaced[near] - expected).mean(), 25)

    def test_plate_of_another_scene_is_told(self):
        other = np.random.default_rng(3).integers(0, 255, (15, 20, 3), np.uint8)
        other = cv2.resize(other, (160, 120), interpolation=cv2.INTER_NEAREST)
        Image.fromarray(other).save(self.folder / "other.png")
        with self.assertLogs("keras_depthseg", "WARNING") as logs:
            status = self.predict(
                self.shared / "photo.png", "--write", "mask", bg=self.folder / "other.png"
            )
        self.assertEqual(status, 0)
        self.assertIn("does not seem to belong to this photograph", logs.output[0])

    @parameterized.parameters(
        ("photo.png", ("--write", "masks"), "--write: received masks", "mask, cutout"),
        ("photo.png", ("--order", "depth"), "--order: received depth without"),
        ("photo.png", ("--replace-bg", "colourful"), "--replace-bg: received"),
        ("clip.mov", ("--bg", "film.mp4"), "--bg: film.mp4 is a video"),
        ("9" * 30, (), "9: there is no such file"),
        ("x" * 300, (), "there is no such file"),
        ("none.png", (), "none.png"),
        ("film.mp4", ("--write", "depth"), "--write: received depth for a video"),
        ("9", (), "no camera 9"),
    )
    def test_one_line(self, image, options, *parts):
        path = image if image.isdecimal() else self.shared / image
        self.assert_refused(lambda: self.predict(path, *options), *parts)
        out = self.folder / "out"
        self.assertFalse(out.exists() and self.written())

    def test_bad_plates(self):
        photo = self.shared / "photo.png"
        for bg, part in (
            (None, "--bg: received none; photographs need a plate"),
            (self.shared, "--bg: "),
            (self.shared / "none.png", "none.png"),
        ):
            self.assert_refused(lambda bg=bg: self.predict(photo, bg=bg), part)


class VideoTest(PredictTestCase):
    def masks_of(self, path):
        _, images = decoded(path)
        return [image[..., 0] / 255 for image in images]

    def test_mask_of_every_frame(self):
        film = self.shared / "film.mp4"
        with self.assertLogs("keras_depthseg") as logs:
            self.predict(film, "--write", "mask,overlay", "--no-smoothing")
        self.assertEqual(self.written(), ["film_mask.mp4", "film_overlay.mp4"])
        path = self.folder / "out/film_mask.mp4"
        masks = self.masks_of(path)
        self.assertLen(masks, FRAMES)
        for mask, truth in zip(masks, self.masks, strict=True):
            self.assertGreater(hard_iou(mask, truth), 0.85)
        self.assertEqual(decoded(path)[0], decoded(film)[0])
        self.assertTrue(heard(path))
        self.assertIn(f"{FRAMES} frames in", "\n".join(logs.output))

    def test_plate_from_the_video(self):
        with self.assertLogs("keras_depthseg") as logs:
            self.predict(self.shared / "film.mp4", "--replace-bg", "green", bg=None)
        expected = ["film_mask.mp4", "film_plate.png", "film_replaced.mp4"]
        self.assertEqual(self.written(), expected)
        plate = np.asarray(read_image(self.folder / "out/film_plate.png")).astype(int)
        self.assertLess(np.abs(plate - self.bg).mean(), 6)
        self.assertIn("Made a plate from the video", "\n".join(logs.output))
        masks = self.masks_of(self.folder / "out/film_mask.mp4")
        self.assertGreater(hard_iou(masks[6], self.masks[6]), 0.85)

    def test_stopped_run_without_a_plate_goes_on(self):
        film = self.shared / "film.mp4"
        out = self.folder / "out"
        out.mkdir()
        # Of the stopped run, and retouched since.
        Image.fromarray(self.bg).save(out / "film_plate.png")
        before = (out / "film_plate.png").read_bytes()
        with self.assertLogs("keras_depthseg") as logs:
            self.predict(film, bg=None)
        self.assertIn("of an earlier run", "\n".join(logs.output))
        self.assertEqual((out / "film_plate.png").read_bytes(), before)
        self.assertIn("film_mask.mp4", self.written())

    def test_names_with_dots_and_colons(self):
        for name in ("clip.1.mp4", "10:20.mp4"):
            film = self.folder / name
            film.write_bytes((self.shared / "film.mp4").read_bytes())
            out = self.folder / f"out {name}"
            with contextlib.chdir(self.folder):
                self.predict(
                    name, "--write", "cutout", "--cutout-format", "png", out=out.name
                )
            folder = out / f"{film.stem}_cutout"
            self.assertLen(list(folder.glob("??????.png")), FRAMES)

    def test_killed_run_is_resumed(self):
        film = self.shared / "film.mp4"
        options = ("--write", "mask,cutout", "--cutout-format", "png")
        self.predict(film, *options)
        whole = self.folder / "out"
        from keras_depthseg.inference import video_run

        # After eight frames, of which segments of five keep five.
        writer = video_run.VideoWriter
        shorter = mock.patch.object(
            video_run, "VideoWriter", lambda *args: writer(*args, segment=5)
        )
        reader = video_run.VideoReader.read

        def stopping(self, start=0):
            for frame in reader(self, start):
                if frame.index == 8:
                    raise KeyboardInterrupt
                yield frame

        out = self.folder / "again"
        with shorter:
            with (
                mock.patch.object(video_run.VideoReader, "read", stopping),
                self.assertRaises(KeyboardInterrupt),
            ):
                self.predict(film, *options, out=out)
            self.assertFalse((out / "film_mask.mp4").exists())
            with self.assertLogs("keras_depthseg") as logs:
                self.predict(film, *options, out=out)
        self.assertIn("5 frames were there from an earlier run", "\n".join(logs.output))
        self.assertEqual(self.written(out), self.written(whole))
        for index in range(FRAMES):
            name = f"film_cutout/{index:06d}.png"
            self.assertEqual((whole / name).read_bytes(), (out / name).read_bytes())
