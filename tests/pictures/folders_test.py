"""Finding pictures in folders and zips: names, links, damaged and hostile zips."""

import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

from absl.testing import parameterized

from keras_depthseg.pictures.folders import PictureFile
from tests.support.picture_files import SourcesTestCase, rgba, saved
from tests.support.tiny_data import mask


class FolderTest(SourcesTestCase):
    def test_names(self):
        names = [
            "Stühle/椅子 🪑.png",
            "a b/c d.png",
            'a b/it\'s 100% "new" & more.PNG',
            "new\nline.png",
            os.fsdecode(b"not utf-8 \xff.png"),
            f"{'x' * 251}.png",
        ]
        self.write({name: saved(rgba(seed)) for seed, name in enumerate(names)})
        self.write({f"{name[:-4]}.png": saved(mask()) for name in names}, self.beside)
        self.assertEqual(self.cutouts(), sorted(names))
        self.assertEqual(self.cutouts(masks=self.beside), sorted(names))
        self.assertEqual(self.lines, [])

    def test_what_is_passed_over(self):
        good = saved(rgba(0))
        self.write(
            {
                "good.png": good,
                "notes.txt": b"",
                ".hidden.png": good,
                ".thumbnails/a.png": good,
                "__MACOSX/._good.png": good,
                "a/._b.png": b"a shadow",
            }
        )
        self.assertEqual(self.cutouts(), ["good.png"])
        self.assertEqual(self.cutouts(self.zipped()), ["good.png"])
        self.assertEqual(self.lines, [])

    def test_linked_folders(self):
        self.write({"a.png": saved(rgba(0))}, self.beside)
        self.write({"b.png": saved(rgba(1))})
        (self.root / "linked").symlink_to(self.beside)
        (self.beside / "loop").symlink_to(self.root)
        self.assertEqual(self.cutouts(), ["b.png", "linked/a.png"])

    @parameterized.named_parameters(
        ("missing", lambda root: None, "No such file", "expected a folder or a zip"),
        ("a_file", Path.touch, "it is no folder", "Give its path"),
        ("empty", Path.mkdir, "there is no usable picture in it", "Give another folder"),
    )
    def test_refused(self, make, *parts):
        make(self.root)
        for find in (self.cutouts, self.backgrounds):
            self.assert_refused(find, self.root, *parts)
        self.assertEqual(self.lines, [])

    def test_vanished_file(self):
        file = PictureFile("a.png", self.root)
        self.assert_refused(
            file.read, f"{self.root}/a.png: it cannot be read (No such file", "expected"
        )

    def test_files_that_do_not_say_how_long_they_are(self):
        # Linux says 0 of those that it makes up while they are read.
        file = PictureFile("maps", Path("/proc/self"))
        self.assert_refused(lambda: file.read(10), "received a file of 11 bytes")
        self.assertNotEmpty(file.read())

    def test_links(self):
        self.write({"good.png": saved(rgba(0))})
        for name, target in {
            "itself.png": "itself.png",
            "one.png": "other.png",
            "other.png": "one.png",
            "nowhere.png": "/nowhere",
            "zero.png": "/dev/zero",
            "folder.png": "/",
        }.items():
            (self.root / name).symlink_to(target)
        (self.root / "above").symlink_to("..")
        (self.root / "round").symlink_to("round")
        self.assertEqual(self.cutouts(), ["good.png"])
        self.assertLen(self.lines, 6)
        for line in self.lines:
            self.assertIn("received a folder, a broken link or something else", line)


class ZipTest(SourcesTestCase):
    def setUp(self):
        super().setUp()
        self.path = self.folder / "source.zip"

    def write_zip(self, files, method=zipfile.ZIP_STORED):
        with zipfile.ZipFile(self.path, "w", method) as archive:
            for name, data in files.items():
                archive.writestr(name, data)

    def patch_member(self, offset, form, value):
        """Changes what the list says of the first member."""
        data = bytearray(self.path.read_bytes())
        struct.pack_into(form, data, data.index(b"PK\1\2") + offset, value)
        self.path.write_bytes(data)

    @parameterized.parameters(zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
    def test_good(self, method):
        self.write_zip({"b/c.png": saved(rgba(0)), "a.png": saved(rgba(1))}, method)
        self.assertEqual(self.cutouts(self.path), ["a.png", "b/c.png"])
        file = PictureFile("b/c.png", self.path, in_zip=True)
        self.assertEqual(file.read(), saved(rgba(0)))

    @parameterized.parameters("/evil.png", "a/../../evil.png")
    def test_leaves_the_zip(self, name):
        (self.folder / "evil.png").write_bytes(saved(rgba(1)))
        self.write_zip({name: saved(rgba(1)), "good.png": saved(rgba(0))})
        self.assertEqual(self.cutouts(self.path), ["good.png"])
        self.assert_told(
            *(name, "received a path that leaves the zip", "expected one inside", "Pack"),
            root=self.path,
        )

    @parameterized.named_parameters(
        ("encrypted", 8, "<H", 1, "is encrypted", "without a password", "Pack it again"),
        ("unknown_compression", 10, "<H", 99, "unsupported member of a zip"),
        ("gigabytes", 24, "<I", 3 * 2**30, "3,221,225,472 bytes", "at most 268,435,456"),
        ("wrong_sum", 16, "<I", 0, "Bad CRC-32"),
    )
    def test_bad_member(self, offset, form, value, *parts):
        files = {"a.png": saved(rgba(1)), "good.png": saved(rgba(0))}
        self.write_zip(files, zipfile.ZIP_DEFLATED)
        self.patch_member(offset, form, value)
        self.assertEqual(self.cutouts(self.path), ["good.png"])
        self.assert_told("a.png", *parts, root=self.path)

    def test_reasons_of_any_length(self):
        self.write_zip({"a.png": saved(rgba(1)), "good.png": saved(rgba(0))})
        data = bytearray(self.path.read_bytes())
        # The name of the first member reaches into its picture.
        data[26:28] = (700).to_bytes(2, "little")
        self.path.write_bytes(data)
        self.assertEqual(self.cutouts(self.path), ["good.png"])
        self.assert_told("a.png", "File name in directory", root=self.path)
        self.assertLess(len(self.lines[0]), 500)

    def test_not_more_than_it_claims_is_unpacked(self):
        self.write_zip({"a.png": bytes(2**26)}, zipfile.ZIP_DEFLATED)
        self.patch_member(24, "<I", 50)
        file = PictureFile("a.png", self.path, in_zip=True)
        tracemalloc.start()
        self.assert_refused(file.read, "damaged or unsupported member of a zip")
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        self.assertLess(most, 2**23)

    def test_folder_named_like_a_picture(self):
        self.write_zip({"a.png/": b"", "b/": b"", "good.png": saved(rgba(0))})
        self.assertEqual(self.cutouts(self.path), ["good.png"])
        self.assert_told("a.png: received a folder", root=self.path)

    def test_damaged(self):
        self.write_zip({"a.png": saved(rgba(0))})
        self.path.write_bytes(self.path.read_bytes()[:99])
        self.assert_refused(
            lambda: self.cutouts(self.path),
            *(self.path, "received a damaged zip", "expected a whole one", "Copy"),
        )

    def test_written_anew(self):
        self.write_zip({"a.png": saved(rgba(0))})
        self.assertEqual(self.cutouts(self.path), ["a.png"])
        self.write_zip({"b.png": saved(rgba(1)), "longer.png": saved(rgba(2))})
        self.assertEqual(self.cutouts(self.path), ["b.png", "longer.png"])
        file = PictureFile("a.png", self.path, in_zip=True)
        self.assert_refused(file.read, "a.png", "no longer there")
