"""Masks of other values than 0 to 255 are scaled, refused or warned of."""

import io
import logging

import cv2
import numpy as np
from absl.testing import parameterized
from PIL import Image

from keras_depthseg.datasets.building.shards import Finding
from keras_depthseg.datasets.original_layout import reader, survey
from keras_depthseg.datasets.original_layout.examples import ExampleReader, LayoutShard
from keras_depthseg.datasets.original_layout.masks import opaque_values
from tests.support.sources import SourceTestCase
from tests.support.tiny_data import SIDE, encoded, mask, write_source

SIZE = (SIDE, SIDE)
HARD = mask(SIZE) // 255
SOFT = cv2.normalize(
    cv2.GaussianBlur(mask(SIZE), (0, 0), 3).astype(float), None, 0, 255, cv2.NORM_MINMAX
)
SOFT = np.round(SOFT).astype(np.uint8)


def png(levels, dtype=np.uint8):
    return encoded(np.asarray(levels).astype(dtype), "png")


def palette(levels, colours):
    image = Image.fromarray(np.asarray(levels, np.uint8))
    image.putpalette([channel for colour in colours for channel in colour])
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def tiff(levels):
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "TIFF")
    return buffer.getvalue()


def bands(*levels):
    """The foreground in bands of several levels."""
    found = np.zeros(SIZE, int)
    rows = np.array_split(np.flatnonzero(HARD.any(axis=1)), len(levels))
    for level, band in zip(levels, rows, strict=True):
        found[band] = level * HARD[band]
    return found


class MasksTestCase(SourceTestCase):
    def write(self, data, number=None, size=SIZE):
        """A source of 9 samples, whose masks are `data`, or only that of one."""
        if not self.source.exists():
            write_source(self.source, 3, 3, size=size)
        paths = sorted((self.source / "fg_bg_mask").iterdir())
        for path in paths if number is None else [paths[number]]:
            path.unlink()
            suffixes = {b"\x89": ".png", b"\xff": ".jpeg"}
            path.with_suffix(suffixes.get(data[:1], ".tiff")).write_bytes(data)
        return paths[number or 0].stem

    def found(self):
        """Masks and boxes of the records, what is found, and what is logged."""
        logger = "keras_depthseg.datasets.original_layout"
        with self.assertLogs(logger, logging.INFO) as logs:
            logging.getLogger(logger).info("begun")
            layout = reader.Layout(self.source)
            opaque = opaque_values(survey.mask_peaks(layout))
            examples = ExampleReader(layout, np.uint8, "farther", opaque)
            made = list(LayoutShard(examples, layout.samples).examples())
        findings = [found for found in made if isinstance(found, Finding)]
        samples = [found.features for found in made if not isinstance(found, Finding)]
        pictures = [Image.open(io.BytesIO(sample["mask"])) for sample in samples]
        # Of black and white Pillow makes booleans.
        masks = [np.asarray(image.convert("L")) for image in pictures]
        boxes = [tuple(sample["box"]) for sample in samples]
        logged = [record.getMessage() for record in logs.records[1:]]
        return masks, boxes, findings, logged


class ScaledTest(MasksTestCase):
    @parameterized.named_parameters(
        ("0_1", png(HARD), 255 * HARD, "masks of 0 to 1 (8 bit)"),
        ("0_1_in_16_bit", png(HARD, np.uint16), 255 * HARD, "masks of 0 to 1 (16 bit)"),
        ("0_255_in_16_bit", png(SOFT, np.uint16), SOFT, "masks of 0 to 255 (16 bit)"),
        ("16_bit", png(SOFT * 257.0, np.uint16), SOFT, "masks of 0 to 65,535 (16 bit)"),
        ("0_1_palette", palette(HARD, [(0, 0, 0), (1, 1, 1)]), 255 * HARD, "0 to 1 (8"),
        ("equal_channels", png(np.dstack([HARD] * 3)), 255 * HARD, "masks of 0 to 1 (8"),
    )
    def test_what_is_surely_meant(self, data, expected, said):
        self.write(data)
        masks, boxes, findings, (line,) = self.found()
        self.assertEmpty(findings)
        self.assertLen(masks, 9)
        for found in masks:
            self.assertAllEqual(found, expected)
        self.assertLen(set(boxes), 1)
        self.assertNotEqual(boxes[0], (0, 0, 0, 0))
        self.assertIn(said, line)

    def test_pairs_without_foreground_among_masks_of_0_and_1(self):
        self.write(png(HARD))
        self.write(png(0 * HARD), number=4)
        masks, boxes, findings, lines = self.found()
        self.assertCountEqual([found.max() for found in masks], [0] + [255] * 8)
        self.assertLen([box for box in boxes if not any(box)], 1)
        self.assertEmpty(findings)
        self.assertLen(lines, 1)

    @parameterized.named_parameters(
        ("black_and_white", encoded(HARD > 0, "png"), 255 * HARD),
        ("palette", palette(HARD, [(0, 0, 0), (255, 255, 255)]), 255 * HARD),
        ("opaque_alpha", encoded(255 * HARD, "png", mode="RGBA"), 255 * HARD),
        ("soft", png(SOFT), SOFT),
        ("nearly_opaque", png(254 * HARD), 254 * HARD),
        ("few_levels_at_the_edge", png(cv2.blur(255 * HARD, (2, 2))), None),
        ("jpeg", encoded(255 * HARD), None),
    )
    def test_nothing_is_said_of_good_masks(self, data, expected):
        self.write(data)
        masks, _, findings, lines = self.found()
        self.assertEmpty(findings)
        self.assertEmpty(lines)
        self.assertLen(masks, 9)
        if expected is not None:
            self.assertAllEqual(masks[0], expected)


class RefusedTest(MasksTestCase):
    @parameterized.named_parameters(
        ("label_number", png(3 * HARD), "values up to 3;", "in place of label numbers"),
        ("per_cent", png(np.round(SOFT / 2.55)), "values up to 100;", "of 100 by 2.55"),
        ("7_bit", png(SOFT // 2), "values up to 127;", "Write 255"),
        ("12_bit", png(SOFT * 16.0, np.uint16), "values up to 4,080;"),
        ("0_1_as_jpeg", encoded(HARD), "as JPEG", "as PNG"),
    )
    def test_no_mask_is_meant(self, data, *parts):
        name = self.write(data)[:5]
        self.assert_refused(f"fg_bg_mask/{name}", *parts)

    @parameterized.named_parameters(
        ("label_numbers", png(bands(1, 2, 255)), "areas of the values 0, 1, 2, 255, as"),
        ("trimap", png(bands(128, 255)), "the values 0, 128, 255, as of label numbers"),
        ("levels_for_labels", png(bands(85, 170, 255)), "the values 0, 85, 170, 255, as"),
        ("many_labels", png(bands(1, 2, 3, 4, 5, 255)), "0, 1, 2, 3, 4, …, as of label"),
        (
            "colours",
            palette(HARD, [(0, 0, 0), (128, 0, 0)]),
            "a colour palette",
            "labels",
        ),
        ("fractions", tiff(HARD.astype(np.float32)), "received 32 bit", "of fractions"),
    )
    def test_every_mask_is_named(self, data, *parts):
        self.write(data)
        masks, _, findings, _ = self.found()
        self.assertEmpty(masks)
        self.assertLen(findings, 9)
        for finding in findings:
            self.assertTrue(finding.left_out)
            for part in (f"{finding.sample_id}_mask", *parts):
                self.assertIn(part, finding.text)

    @parameterized.named_parameters(
        ("0_255_among_0_1", png(HARD), png(255 * HARD), "0 to 1; expected one scale"),
        ("0_1_among_0_255", png(255 * HARD), png(HARD), "areas of the values 0, 1, as"),
        ("labels_among_0_255", png(255 * HARD), png(bands(1, 2, 255)), "0, 1, 2, 255"),
    )
    def test_one_of_another_kind_is_named(self, most, other, said):
        self.write(most)
        name = self.write(other, number=5)
        self.assert_refused(f"fg_bg_mask/{name}.png: received", said, "`skip_damaged`")


class WarnedTest(MasksTestCase):
    def assert_doubtful(self, said, *names):
        """Masks, by the parts of a line, are kept, and no others are doubtful."""
        masks, _, findings, _ = self.found()
        self.assertLen(masks, 9)
        for name, finding in zip(names, findings, strict=True):
            self.assertFalse(finding.left_out)
            self.assertIn(f"{name}.png: ", finding.text)
            self.assertIn(said, finding.text)

    def test_inverted_masks(self):
        self.write(png(255 - SOFT))
        names = sorted(path.stem for path in (self.source / "fg_bg_mask").iterdir())
        self.assert_doubtful("is it inverted?", *names)

    def test_inverted_masks_of_0_and_1(self):
        self.write(png(HARD))
        name = self.write(png(1 - HARD), number=4)
        self.assert_doubtful("is it inverted?", name)

    def test_an_inverted_mask(self):
        self.write(png(SOFT))
        name = self.write(png(255 * (1 - HARD)), number=7)
        self.assert_doubtful("fg_bg differs from bg by", name)

    def test_opaque_everywhere(self):
        self.write(png(255 * HARD))
        name = self.write(png(0 * HARD + 255), number=0)
        self.assert_doubtful("it is opaque everywhere", name)

    def test_a_faint_mask(self):
        self.write(png(SOFT))
        name = self.write(png(SOFT // 4), number=3)
        self.assert_doubtful("its largest value is 63 of 255", name)

    @parameterized.parameters(
        (png(SOFT * 0.7), "the largest value of all masks looked at is 178 of 255"),
        (png(0 * HARD), "it and all other masks looked at are black"),
    )
    def test_all_masks(self, data, said):
        self.write(data)
        masks, _, _, (line,) = self.found()
        self.assertLen(masks, 9)
        self.assertIn(said, line)

    def test_the_user_is_told(self):
        self.write(png(1 - HARD))
        with self.assertLogs("keras_depthseg.datasets.original_layout") as logs:
            path = self.build()
        lines = [record.getMessage() for record in logs.records]
        self.assertIn("masks of 0 to 1 (8 bit) are taken as 0 to 255", lines[0])
        self.assertIn("doubtful: ", lines[1])
        self.assertIn("9 of 9 samples are doubtful, all of them named in", lines[-1])
        self.assertLen((path / "findings.txt").read_text().splitlines(), 9)
        with self.assertLogs("keras_depthseg.datasets.original_layout") as logs:
            self.assertEqual(self.build(), path)
        (line,) = [record.getMessage() for record in logs.records]
        self.assertIn("9 doubtful; named in", line)
