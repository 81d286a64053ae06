"""The pictures of the shipped weights: gathered from made-up ones, always the same."""

import base64
import contextlib
import hashlib
import io
import tarfile
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
from absl.testing import absltest
from PIL import Image

from keras_depthseg.errors import UserError
from pretraining import gather, npm, panoramas
from tests.support.picture_files import changed, rgba, saved
from tests.support.tiny_data import colour


def emoji(seed, square=False):
    """A picture with a box, or nearly all of it, opaque."""
    picture = rgba(seed, (64, 64))
    picture[..., 3] = 0
    for row in range(8, 56):
        # A triangle fills half of its box.
        picture[row, 8 : 56 if square else row, 3] = 255
    return saved(picture, "WEBP", lossless=True)


def panorama():
    """A linear one, grey, with a lamp too bright for a sensor in its middle."""
    pixels = np.full((64, 128, 3), 0.2, np.float32)
    pixels[30:34, 60:68] = 500
    return pixels


class GatherTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        self.root = Path(self.enter_context(tempfile.TemporaryDirectory()))
        self.photographs, self.offices = self.root / "photographs", self.root / "offices"
        files = {
            "photographs/hill.jpg": saved(colour(1, (900, 1200)), "JPEG"),
            "offices/bg/office_1.jpg": saved(colour(2), "JPEG"),
            "offices/fg/office_1.png": saved(rgba(3)),
        }
        rows = ["file\tsha256\tlicence\tauthor\tsource"]
        for name, data in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            rows.append(f"{name}\t{digest}\tCC0-1.0\tA. Uthor\tfrom here")
        pictures = self.root / "pictures.tsv"
        pictures.write_text("\n".join(rows) + "\n")
        self.enter_context(mock.patch.object(gather, "PICTURES", pictures))
        self.enter_context(mock.patch.object(gather, "_DRAWN", 2))
        self.enter_context(mock.patch.object(gather, "_THINGS", 3))
        self.enter_context(mock.patch.object(gather, "_EMOJI", 2))
        script = b"export default 'data:application/exr;base64,AAAA'"
        self.publish("PANORAMAS", "@a/b", {"hdri/room.exr.js": script})
        drawings = {
            "1f44b": emoji(4),
            **{f"1f44b-1f3f{tone}": emoji(int(tone, 16)) for tone in "bcdef"},
            **{f"1f44d-1f3f{tone}": emoji(int(tone, 16) + 9) for tone in "bcdef"},
            "1f436": emoji(5),
            "1f4d5": emoji(6, square=True),
            "0031-fe0f-20e3": emoji(7),
            "1f43b": emoji(5),
        }
        files = {f"assets/{name}.webp": data for name, data in drawings.items()}
        self.publish("EMOJI", "@a/c", files)
        self.drawings = drawings
        # The tests of CI run without the package `OpenEXR`.
        read = mock.patch.object(
            panoramas, "read_panorama", side_effect=lambda *_: panorama()
        )
        self.read = self.enter_context(read)

    def publish(self, name, package, files):
        """Put a tarball into a registry in the folder, and pin its hash."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
            for path, data in files.items():
                info = tarfile.TarInfo(f"package/{path}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
        data = buffer.getvalue()
        path = self.root / package / "-" / f"{package.rpartition('/')[2]}-1.0.0.tgz"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
        digest = base64.b64encode(hashlib.sha512(data).digest()).decode()
        pinned = npm.Package(package, "1.0.0", digest)
        self.enter_context(mock.patch.object(gather, name, pinned))
        return path

    def gather(self, out="out"):
        registry = self.root.as_uri()
        gather.gather(self.photographs, self.offices, self.root / out, registry)
        return {
            path.relative_to(self.root / out).as_posix(): path.read_bytes()
            for path in (self.root / out).rglob("*")
            if path.is_file()
        }

    def refused(self):
        """Return the one line that the command shows."""
        error = io.StringIO()
        with contextlib.redirect_stderr(error):
            code = gather.main(
                [
                    *("--photographs", str(self.photographs)),
                    *("--offices", str(self.offices)),
                    *("--out", str(self.root / "out")),
                    *("--registry", self.root.as_uri()),
                ]
            )
        self.assertEqual(code, 2)
        (line,) = error.getvalue().splitlines()
        return line

    def test_backgrounds_and_cutouts(self):
        files = self.gather()
        views = {f"bg/room/room_{number:02}.jpg" for number in range(12)}
        emoji = {"fg/emoji_1f44d.webp", "fg/emoji_1f436.webp", "fg/plain_1f44b.webp"}
        hill = {"bg/hill/hill.jpg", *(f"bg/hill/hill_{i}.jpg" for i in range(9))}
        drawn = {"fg/drawn_000.webp", "fg/drawn_001.webp"}
        offices = {"bg/office_1.jpg", "fg/office_1.png"}
        things = {f"fg/thing_00{number}.webp" for number in range(3)}
        self.assertEqual(set(files), hill | offices | views | emoji | drawn | things)
        sizes = {name: Image.open(io.BytesIO(files[name])).size for name in hill}
        self.assertEqual(sizes.pop("bg/hill/hill.jpg"), (800, 600))
        for width, height in sizes.values():
            self.assertEqual(width, height)
            self.assertBetween(width, 280, 384)
        for name in ("bg/office_1.jpg", "fg/office_1.png"):
            self.assertEqual(files[name], (self.offices / name).read_bytes())
        self.assertEqual(files["fg/emoji_1f436.webp"], self.drawings["1f436"])

    def test_the_same_bytes_again(self):
        self.assertEqual(self.gather(), self.gather("again"))

    def test_a_changed_download(self):
        path = self.root / "@a/c/-/c-1.0.0.tgz"
        path.write_bytes(changed(path.read_bytes(), -20))
        line = self.refused()
        self.assertIn("c-1.0.0.tgz", line)
        self.assertIn("SHA-512", line)
        self.assertFalse((self.root / "out").exists())

    def test_without_openexr(self):
        missing = UserError("OpenEXR: it is not installed")
        self.read.side_effect = missing
        self.assertEqual(self.refused(), str(missing))
        self.assertFalse((self.root / "out").exists())

    def test_no_download(self):
        (self.root / "@a/b/-/b-1.0.0.tgz").unlink()
        self.assertIn("b-1.0.0.tgz: it cannot be fetched", self.refused())

    def test_a_missing_photograph(self):
        (self.photographs / "hill.jpg").unlink()
        line = self.refused()
        self.assertIn("hill.jpg: it cannot be read (No such file", line)
        self.assertIn("`photographs`", line)

    def test_another_picture_of_that_name(self):
        path = self.offices / "fg/office_1.png"
        path.write_bytes(changed(path.read_bytes(), -1))
        line = self.refused()
        self.assertIn("office_1.png: received a file with SHA-256", line)

    def test_a_folder_with_files(self):
        (self.root / "out").mkdir()
        (self.root / "out/mine.jpg").touch()
        self.assertIn("expected a new or an empty one for `out`", self.refused())


class PicturesTest(absltest.TestCase):
    def test_the_list_names_licence_and_source_of_all(self):
        rows = gather.PICTURES.read_text().splitlines()
        table = [row.split("\t") for row in rows]
        self.assertEqual(table[0], ["file", "sha256", "licence", "author", "source"])
        self.assertLen(table, 226)
        self.assertLen({row[0] for row in table}, 226)
        for row in table[1:]:
            self.assertLen(row, 5)
            self.assertLen(row[1], 64)
            self.assertIn(row[2], ("CC0-1.0", "CC-BY-4.0", "Apache-2.0"))
            self.assertNotIn("", row)


class PanoramasTest(absltest.TestCase):
    def test_a_view_shows_its_direction(self):
        # Longitude as red, latitude as green: both are linear in the panorama.
        rows, columns = np.mgrid[:256, :512].astype(np.float32)
        ramps = np.dstack([columns / 512, rows / 256, np.ones_like(rows)]) * 0.5
        # At the middle of the picture the camera looks where it is turned to.
        focal = panoramas.SIDE / 2
        view = panoramas._view(ramps, np.radians(90), np.radians(-18), focal)
        middle = panoramas.SIDE // 2
        linear = decoded(view[middle, middle])
        self.assertAlmostEqual(linear[0] / linear[2], 90 / 360, delta=0.01)
        self.assertAlmostEqual(linear[1] / linear[2], 0.5 + 18 / 180, delta=0.01)
        # The field of view is 90 degrees: 45 to the left at the middle of the edge.
        level = panoramas._view(ramps, np.radians(90), 0, focal)
        linear = decoded(level[middle, 0])
        self.assertAlmostEqual(linear[0] / linear[2], 45 / 360, delta=0.01)

    def test_no_seam_where_the_panorama_is_joined(self):
        # Of 64 waves: a quarter of a turn further everything looks the same.
        wave = 0.3 + 0.1 * np.sin(np.arange(512) * 64 * 2 * np.pi / 512)
        panorama = np.broadcast_to(wave[None, :, None], (256, 512, 3)).astype(np.float32)
        joined, whole = (
            panoramas._view(panorama, turn, 0, panoramas.SIDE / 2).astype(int)
            for turn in (0, np.pi / 2)
        )
        np.testing.assert_allclose(joined, whole, atol=1)

    def test_exposed_alike_in_the_dark_and_in_the_sun(self):
        bright, dark = (
            list(panoramas.views(panorama() * light, np.random.default_rng(0)))
            for light in (40, 0.01)
        )
        for one, other in zip(bright, dark, strict=True):
            np.testing.assert_allclose(one.astype(int), other, atol=1)

    def test_artefacts_of_compression_are_filled(self):
        pixels = panorama()
        # What it leaves of the sun: one channel, far above and far below black.
        pixels[30:34, 60:76] = 0
        pixels[30:34, 60:76, 2] = [900, -80] * 4 + [900] * 8
        view = panoramas._view(pixels, np.pi, 0, panoramas.SIDE / 2).astype(int)
        # Grey or white, never blue or black.
        self.assertLess(np.ptp(view, axis=2).max(), 8)
        self.assertGreater(view.min(), view[0, 0, 0] - 15)

    def test_without_a_panorama(self):
        modules = mock.patch.dict("sys.modules", {"OpenEXR": mock.Mock()})
        refused = self.assertRaisesRegex(UserError, "a.js: there is no file in base 64")
        with modules, refused:
            panoramas.read_panorama(b"export default 1", "a.js")

    def test_without_openexr(self):
        modules = mock.patch.dict("sys.modules", {"OpenEXR": None})
        with modules, self.assertRaisesRegex(UserError, "pip install OpenEXR"):
            panoramas.read_panorama(b"", "a.js")


def decoded(levels):
    """Linear values of sRGB (IEC 61966-2-1)."""
    encoded = levels / 255
    return np.where(
        encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4
    )


if __name__ == "__main__":
    absltest.main()
