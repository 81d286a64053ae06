"""Sources with something missing, damaged or of another kind are refused in one line."""

import shutil
import struct
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


def _remove(path):
    return lambda root: (root / path).unlink()


def _both(*changes):
    def change(root):
        for one in changes:
            one(root)

    return change


def _without_member(root):
    with zipfile.ZipFile(root / "fg_bg/bg001.zip", "w") as archive:
        archive.writestr("other.jpeg", b"")


def _wrong_sum(root):
    """Changes a byte inside a member of a zip."""
    path = root / "fg_bg/bg001.zip"
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes(data)


def _bomb(root):
    """Packs three gigabytes of zeros in place of a composite."""
    path = root / "fg_bg/bg001.zip"
    other = "inner/bg001_fg002_01.jpeg"
    with zipfile.ZipFile(path) as archive:
        content = archive.read(other)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bg001_fg001_01.jpeg", bytes(2**20))
        archive.writestr(other, content)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, 3 * 2**30)
    path.write_bytes(data)


BG, COMPOSITE = "bg/bg001.jpeg", "fg_bg/bg001_fg001_01.jpeg"
MASK = "fg_bg_mask/bg001_fg001_01_mask.png"
DEPTH = "fg_bg_depth/bg002_fg002_01_depth_map"
TRUNCATED = "received a truncated or damaged picture"
DEEP = encoded(grey(0, "u2"), "png")
NAMES = ("bg001_fg001", "bg001_fg002", "bg002_fg001", "bg002_fg002")
BOXES = "".join(f"{name}_01\t30\t0\t9\t9\n" for name in NAMES).encode()

# What is done to a good source, and what the message must say.
BAD = {
    "no_source": (shutil.rmtree, "does not exist; expected a folder"),
    "a_file": (_both(shutil.rmtree, lambda root: root.touch()), "is not a folder"),
    "no_folder": (lambda root: shutil.rmtree(root / "bg"), "has no folder bg/"),
    "no_file_map": (_remove("file_map.txt"), "has no file_map.txt"),
    "no_picture": (_remove(COMPOSITE), "file_map.txt, line 1", f"source/{COMPOSITE} / ."),
    "name_of_a_picture_that_does_not_print": (
        _write("file_map.txt", b"bg001\tbg001_fg001_01\tm\x1cm\td\x1b[31m\n"),
        *("file_map.txt, line 1", r"source/fg_bg_mask/m\x1cm.jpeg", r"'m\x1cm'"),
    ),
    "two_of_a_name": (_write("bg/bg001.png", b""), "'bg001' may be bg001.jpeg and bg001"),
    "empty_jpeg": (_write(COMPOSITE, b""), COMPOSITE, "received an empty file"),
    "jpeg_without_2_bytes": (_cut(COMPOSITE, -2), COMPOSITE, TRUNCATED),
    "half_png": (_cut(MASK, 60), MASK, TRUNCATED),
    "cmyk": (_write(BG, encoded(colour(0), mode="CMYK")), BG, "received CMYK"),
    "mask_of_colours": (_write(MASK, encoded(colour(0), "png")), MASK, "channels differ"),
    "depth_of_other_bits": (
        _both(_remove(f"{DEPTH}.JPG"), _write(f"{DEPTH}.png", DEEP)),
        *(f"{DEPTH}.png", "received depth of 16 bit, expected 8"),
    ),
    "sizes": (
        _write(COMPOSITE, encoded(colour(0, (16, 16)))),
        *(COMPOSITE, "received 16x16 pixels", "bg001.jpeg is 32x24 pixels"),
    ),
    "no_zip": (
        _both(_write("fg_bg/bg001.zip", b"PK, but no zip"), _remove(COMPOSITE)),
        "fg_bg/bg001.zip: received a damaged or unsupported zip",
    ),
    "zip_sum": (
        _both(zip_folders, _wrong_sum),
        *("fg_bg/bg001.zip/inner/bg001_fg001_01.jpeg", "damaged or unsupported zip"),
    ),
    "zip_bomb": (
        _both(zip_folders, _bomb),
        *("bg001_fg001_01.jpeg", "3,221,225,472 bytes; at most 268,435,456"),
    ),
    "no_member": (
        _both(zip_folders, _without_member),
        *("file_map.txt, line 1", "picture 'bg001_fg001_01' in", "2 of 4 samples"),
    ),
    "label_missing": (
        _write("labels.txt", b"bg001_fg001_01\t1\t2\t3\t4\n"),
        "labels.txt: there is no box for 'bg001_fg002_01'",
        "3 of 4 samples cannot be used, for 2 more reasons, above",
    ),
    "label_outside": (_write("labels.txt", BOXES), "a box that ends at x=39, y=9"),
}


class BadInputTest(SourceTestCase):
    @parameterized.named_parameters((name, *case) for name, case in BAD.items())
    def test_refused(self, spoil, *parts):
        write_source(self.source, 2, 2)
        spoil(self.source)
        # With two of each, a validation pair might leave nothing to train on.
        self.assert_refused(*parts, call=lambda: self.build(val_fraction=0))
