"""Sources with something missing, damaged or of another kind are refused in one line."""

import shutil
import zipfile

from absl.testing import parameterized

from tests.support.sources import SourceTestCase, zip_folders
from tests.support.tiny_data import colour, encoded, grey, write_source


def _write(path, content):
    def change(root):
        (root / path).write_bytes(content(root) if callable(content) else content)

    return change


def _cut(path, stop):
    return _write(path, lambda root: (root / path).read_bytes()[:stop])


def _replace(path, new, data):
    def change(root):
        (root / path).unlink()
        (root / new).write_bytes(data)

    return change


def _zipped(then):
    def change(root):
        zip_folders(root)
        then(root)

    return change


def _without_member(root):
    path = root / "fg_bg/bg001.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.jpeg", b"")


def _wrong_sum(root):
    """Changes a byte inside a member of a zip."""
    path = root / "fg_bg/bg001.zip"
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(data)


BG, COMPOSITE = "bg/bg001.jpeg", "fg_bg/bg001_fg001_01.jpeg"
MASK = "fg_bg_mask/bg001_fg001_01_mask.png"
DEPTH = "fg_bg_depth/bg001_fg001_01_depth_map.JPG"
TRUNCATED = ("received a truncated or damaged picture", "Copy or write it again")
# What is done to a good source, and what the message must say.
BAD = {
    "no_source": (shutil.rmtree, "source", "does not exist", "Give the path"),
    "a_file": (
        lambda root: (shutil.rmtree(root), root.write_bytes(b"")),
        *("source", "is not a folder"),
    ),
    "no_folder": (
        lambda root: shutil.rmtree(root / "fg_bg_depth"),
        *("source", "has no folder fg_bg_depth/", "Give the folder"),
    ),
    "no_file_map": (
        lambda root: (root / "file_map.txt").unlink(),
        *("source", "has no file_map.txt", "Write one line a sample"),
    ),
    "no_picture": (
        lambda root: (root / COMPOSITE).unlink(),
        *("file_map.txt, line 1", "there is no", "fg_bg/bg001_fg001_01.jpeg"),
    ),
    "two_of_a_name": (
        _write("bg/bg001.png", encoded(colour(0), "png")),
        *("bg: 'bg001' may be bg001.jpeg and bg001.png", "Remove one"),
    ),
    "empty_jpeg": (_write(COMPOSITE, b""), COMPOSITE, "received an empty file"),
    "jpeg_without_2_bytes": (_cut(COMPOSITE, -2), COMPOSITE, *TRUNCATED),
    "half_png": (_cut(MASK, 60), MASK, *TRUNCATED),
    "grey_bg": (
        _write(BG, encoded(grey(0))),
        *(BG, "received greyscale (1 channel, 8 bit)", "expected RGB"),
    ),
    "mask_16_bit": (
        _write(MASK, encoded(grey(0, "u2"), "png")),
        *(MASK, "received 16 bit", "expected one channel of 8 bit"),
    ),
    "depth_of_other_bits": (
        _replace(
            "fg_bg_depth/bg002_fg002_01_depth_map.JPG",
            "fg_bg_depth/bg002_fg002_01_depth_map.png",
            encoded(grey(0, "u2"), "png"),
        ),
        *("bg002_fg002_01_depth_map.png", "received depth of 16 bit, expected 8"),
    ),
    "sizes": (
        _write(COMPOSITE, encoded(colour(0, (16, 16)))),
        *(COMPOSITE, "received 16x16 pixels", "bg001.jpeg is 32x24 pixels"),
    ),
    "no_zip": (
        lambda root: (
            _write("fg_bg/bg001.zip", b"PK, but no zip")(root)
            or (root / COMPOSITE).unlink()
        ),
        *("fg_bg/bg001.zip", "damaged or unsupported zip", "download it again"),
    ),
    "zip_sum": (
        _zipped(_wrong_sum),
        *("fg_bg/bg001.zip/inner/bg001_fg001_01.jpeg", "damaged or unsupported zip"),
    ),
    "no_member": (
        _zipped(_without_member),
        *("file_map.txt, line 1", "picture 'bg001_fg001_01' in", "fg_bg/bg001.zip"),
        "(and 1 more)",
    ),
    "label_missing": (
        _write("labels.txt", b"bg001_fg001_01\t1\t2\t3\t4\n"),
        *("labels.txt: there is no box for 'bg001_fg002_01' (and 2 more)",),
    ),
    "label_outside": (
        _write(
            "labels.txt",
            "".join(
                f"bg00{b}_fg00{f}_01\t30\t0\t9\t9\n" for b in "12" for f in "12"
            ).encode(),
        ),
        *("labels.txt, line ", "a box that ends at x=39, y=9", "32x24 pixels"),
    ),
}


class BadInputTest(SourceTestCase):
    @parameterized.named_parameters((name, *case) for name, case in BAD.items())
    def test_refused(self, spoil, *parts):
        write_source(self.source, 2, 2)
        spoil(self.source)
        # With two of each, a validation pair might leave nothing to train on.
        self.assert_refused(*parts, call=lambda: self.build(val_fraction=0))
