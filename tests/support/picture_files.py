"""Bytes of picture files of all kinds, and folders of them as sources."""

import io
import struct
import zipfile
import zlib

import cv2
import numpy as np
from PIL import Image

from keras_depthseg.datasets.composites import gather
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.text import printable
from tests.support.tiny_data import RefusalTestCase, colour, mask

SIZE = (24, 32)


def saved(pixels, kind="PNG", mode=None, **options):
    """The bytes of a picture; of 16 bit through OpenCV."""
    pixels = np.asarray(pixels)
    if pixels.dtype == np.uint16 and pixels.ndim == 3:
        return cv2.imencode(".png", pixels)[1].tobytes()
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def rgba(seed, size=SIZE):
    """A cutout: a box of alpha 255."""
    return np.dstack([colour(seed, size), mask(size)])


def depth(seed, size=SIZE):
    """Millimetres up to 9 m; nothing at 0."""
    levels = np.random.default_rng(seed).integers(1000, 9000, size)
    return levels.astype(np.uint16)


def exif(tag):
    tags = Image.Exif()
    tags[0x0112] = tag
    return tags.tobytes()


def png_header(width, height):
    """The beginning of a PNG that claims a size."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    pixels = b"IDAT" + zlib.compress(bytes(99))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in (head, pixels)
    )


def changed(data, position):
    position %= len(data)
    return data[:position] + bytes([data[position] ^ 0xFF]) + data[position + 1 :]


class SourcesTestCase(RefusalTestCase):
    def setUp(self):
        super().setUp()
        self.root = self.folder / "source"
        self.beside = self.folder / "beside"
        self.lines = []

    def write(self, files, root=None):
        """Writes files of a folder, by name: bytes, or what makes the file."""
        for name, content in files.items():
            path = (root or self.root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            content(path) if callable(content) else path.write_bytes(content)

    def zipped(self, root=None):
        """A zip of a folder."""
        root = root or self.root
        path = root.with_name(f"{root.name}.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(root.rglob("*")):
                archive.write(file, file.relative_to(root))
        return path

    def cutouts(self, root=None, masks=None):
        """Names of the cutouts that are used."""
        found = gather.gather_cutouts(
            root or self.root, masks, self.lines.append, 15, SIZE[1]
        )
        return [cutout.name for cutout in found]

    def backgrounds(self, root=None, maps=None):
        """Names of the backgrounds that are used."""
        found = gather.gather_backgrounds(
            root or self.root, maps, self.lines.append, SIZE[1]
        )
        return [background.name for background in found]

    def maps(self, **settings):
        return DepthFolder(self.beside, **{"step": 0.001, "scale": 10, **settings})

    def assert_told(self, *parts, root=None):
        """One line, which names a file, says what is accepted and what to do."""
        (line,) = self.lines
        self.assertEqual(line, printable(line))
        self.assertStartsWith(line, f"{root or self.root}/")
        self.assertRegex(line, r": received .+[;,] .*(expected|accepted).*\. .+\.$")
        for part in parts:
            self.assertIn(part, line)
