"""The two tables of the original layout are read or refused in one line."""

import hypothesis
from absl.testing import parameterized
from hypothesis import strategies as st

from keras_depthseg.datasets.original_layout import tables
from keras_depthseg.errors import UserError
from tests.support.tiny_data import RefusalTestCase

LINE = b"bg001\tbg001_fg001_01\tbg001_fg001_01_mask\tbg001_fg001_01_depth_map\n"
BOX = b"bg001_fg001_01\t1\t2\t3\t4\n"

NAME = st.text(
    st.characters(codec="utf-8", exclude_characters="\t\n\r\ufeff"), min_size=1
).filter(lambda text: text == text.strip())
ROWS = st.lists(
    st.tuples(NAME, NAME, NAME, NAME), min_size=1, unique_by=lambda row: row[1]
)


class TablesTest(RefusalTestCase):
    @hypothesis.given(ROWS, st.sampled_from(["\n", "\r\n", "\n\n"]), st.booleans())
    def test_reads_back_what_was_written(self, rows, end, mark):
        text = "".join("\t".join(row) + end for row in rows)
        content = text.encode("utf-8-sig" if mark else "utf-8")
        samples = tables.parse_file_map(content)
        self.assertEqual([(s.bg, s.fg_bg, s.mask, s.depth) for s in samples], rows)
        lines = text.split("\n")
        for sample in samples:
            self.assertIn(sample.fg_bg, lines[sample.line - 1])

    @hypothesis.given(
        st.one_of(st.binary(), st.text("a\t\n\x1e\u2028 1").map(str.encode)),
        st.sampled_from([tables.parse_file_map, tables.parse_labels]),
    )
    def test_any_bytes_are_read_or_refused_in_one_line(self, content, parse):
        try:
            parse(content)
        except UserError as error:
            self.assertLen(str(error).splitlines(), 1)

    @hypothesis.given(st.lists(st.floats(0, 1e6), min_size=4, max_size=4))
    def test_boxes_read_back(self, numbers):
        content = "\t".join(["name", *map(repr, numbers)]).encode()
        box = tables.parse_labels(content)["name"]
        self.assertEqual([box.x, box.y, box.width, box.height], numbers)

    @parameterized.parameters(
        ("bg001_fg002_03", "bg001", "fg002"),
        ("a_b", "plate", "a_b"),
        ("a_b_c_d", "plate", "a_b_c_d"),
    )
    def test_identities(self, name, bg_id, fg_id):
        sample = tables.MapRow(1, "plate", name, "m", "d")
        self.assertEqual((sample.bg_id, sample.fg_id), (bg_id, fg_id))

    @parameterized.parameters(
        (b"\n \r\n", "there are no samples"),
        (LINE + b"\nbg001\tx\n", "line 3: expected 4", "received 2: ['bg001', 'x']"),
        (b"a\t\tb\tc\n", "line 1", "none of them empty"),
        (LINE + b"b\xe9\tx\ty\tz", "line 2", "not UTF-8", "Save the file as UTF-8"),
        (LINE + LINE, "line 2", "'bg001_fg001_01' is already on line 1"),
    )
    def test_refused_file_maps(self, content, *parts):
        self.assert_refused(
            lambda: tables.parse_file_map(content), "file_map.txt", *parts
        )

    @parameterized.parameters(
        (b"bg001_fg001_01\t1\t2\n", "line 1: expected 5", "received 3"),
        (BOX.replace(b"3", b"three"), "line 1", "all of them numbers", "'three'"),
        (BOX.replace(b"3", b"nan"), "line 1", "all of them numbers", "'nan'"),
        (BOX + BOX, "line 2", "already on line 1"),
    )
    def test_refused_labels(self, content, *parts):
        self.assert_refused(lambda: tables.parse_labels(content), "labels.txt", *parts)
