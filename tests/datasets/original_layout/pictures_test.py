"""Pictures of other formats, modes and orientations than records have."""

import io

import numpy as np
from absl.testing import parameterized
from PIL import Image

from keras_depthseg.datasets.original_layout import reader
from keras_depthseg.datasets.original_layout.examples import ExampleReader
from keras_depthseg.pictures.decode import Decoder
from tests.support.sources import SourceTestCase
from tests.support.tiny_data import colour, encoded, grey, mask, write_source

SIZE = (32, 32)
TAG = 0x0112


def written(pixels, kind, mode=None, turn=1, **options):
    """The bytes of a picture, with an orientation tag."""
    image = Image.fromarray(np.asarray(pixels))
    image = image.convert(mode) if mode else image
    exif = image.getexif()
    if turn != 1:
        exif[TAG] = turn
    buffer = io.BytesIO()
    image.save(buffer, kind, exif=exif, **options)
    return buffer.getvalue()


class PicturesTest(SourceTestCase):
    def replace(self, folder, suffix, data):
        """Put another picture in place of that of the only sample."""
        (path,) = (self.source / folder).iterdir()
        path.unlink()
        path.with_suffix(suffix).write_bytes(data)

    def fields(self):
        layout = reader.Layout(self.source)
        (sample,) = layout.samples
        examples = ExampleReader(layout, np.uint8, "farther", {8: 255, 16: 65535})
        # Twice: the background is kept in between.
        first = examples.decode(sample).example.features
        self.assertEqual(examples.decode(sample).example.features, first)
        return first

    @parameterized.named_parameters(
        ("greyscale", ".jpg", written(colour(0, SIZE), "JPEG", "L")),
        ("opaque_alpha", ".png", written(colour(0, SIZE), "PNG", "RGBA")),
        ("palette", ".png", written(colour(0, SIZE), "PNG", "P")),
        ("gif", ".gif", written(colour(0, SIZE), "GIF")),
        ("tiff", ".TIFF", written(colour(0, SIZE), "TIFF")),
        ("webp", ".webp", written(colour(0, SIZE), "WEBP", lossless=True)),
        ("bmp", ".bmp", written(colour(0, SIZE), "BMP")),
    )
    def test_photographs_are_written_again(self, suffix, data):
        write_source(self.source, 1, 1, size=SIZE)
        expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        for folder in ("bg", "fg_bg"):
            self.replace(folder, suffix, data)
        fields = self.fields()
        for field in ("bg", "fg_bg"):
            self.assertAllEqual(Decoder(3, 32)(fields[field]), expected)

    @parameterized.parameters(".jfif", ".JPG", ".pjpeg")
    def test_jpegs_by_other_names_stay_as_they_are(self, suffix):
        write_source(self.source, 1, 1, size=SIZE)
        data = encoded(colour(0, SIZE))
        self.replace("bg", suffix, data)
        self.assertEqual(self.fields()["bg"], data)

    def test_maps_of_other_formats(self):
        write_source(self.source, 1, 1, size=SIZE)
        self.replace("fg_bg_mask", ".bmp", written(mask(SIZE), "BMP"))
        self.replace("fg_bg_depth", ".tif", written(grey(0, size=SIZE), "TIFF"))
        fields = self.fields()
        self.assertAllEqual(Decoder(1, 32)(fields["mask"])[..., 0], mask(SIZE))
        self.assertAllEqual(Decoder(1, 32)(fields["depth"])[..., 0], grey(0, size=SIZE))

    def test_a_jpeg_or_png_is_taken_before_others(self):
        write_source(self.source, 1, 1, size=SIZE)
        (path,) = (self.source / "bg").iterdir()
        path.with_suffix(".webp").write_bytes(written(colour(7, SIZE), "WEBP"))
        self.assertEqual(self.fields()["bg"], path.read_bytes())

    @parameterized.parameters(
        *((turn, tagged) for turn in (2, 3, 6) for tagged in (False, True))
    )
    def test_maps_are_turned_as_their_pictures(self, turn, tagged):
        """`tagged`: the maps have the tag, too, or were made of the stored pixels."""
        write_source(self.source, 1, 1, size=(24, 32))
        upright = {2: np.fliplr, 3: lambda x: x[::-1, ::-1], 6: lambda x: np.rot90(x, -1)}
        opaque = mask((24, 32))
        opaque[0, 0] = 255
        for folder in ("bg", "fg_bg"):
            self.replace(folder, ".png", written(colour(3, (24, 32)), "PNG", turn=turn))
        own = turn if tagged else 1
        self.replace("fg_bg_mask", ".png", written(opaque, "PNG", turn=own))
        depth = grey(3, size=(24, 32))
        self.replace("fg_bg_depth", ".png", written(depth, "PNG", turn=own))
        fields = self.fields()
        # Without a tag, and of one size either way, it is taken for upright.
        as_it_is = not tagged and turn < 5
        stored = np.asarray(Image.open(io.BytesIO(fields["mask"])))
        self.assertAllEqual(stored, opaque if as_it_is else upright[turn](opaque))
        plate = np.asarray(Image.open(io.BytesIO(fields["bg"])))
        self.assertAllEqual(plate, upright[turn](colour(3, (24, 32))))

    def test_maps_on_their_side_are_told(self):
        write_source(self.source, 1, 1, size=(24, 32))
        side = encoded(np.ascontiguousarray(mask((24, 32)).T), "png")
        self.replace("fg_bg_mask", ".png", side)
        self.assert_refused("fg_bg_mask/", "one of them is turned by a quarter")
