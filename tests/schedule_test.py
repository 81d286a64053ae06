"""The text of a schedule: round trip, and refusals that say what to write instead."""

import hypothesis
import tensorflow as tf
from absl.testing import parameterized
from hypothesis import strategies as st

from keras_depthseg.errors import UserError
from keras_depthseg.schedule import Phase, format_schedule, parse_schedule

PHASES = st.lists(
    st.builds(
        Phase,
        resolution=st.integers(1, 1000).map(lambda n: 32 * n),
        epochs=st.integers(1, 10**6),
        batch_size=st.integers(1, 10**6),
    ),
    min_size=1,
).map(tuple)

FORM = "resolution:epochs or resolution:epochs:batch"


class ScheduleTest(tf.test.TestCase, parameterized.TestCase):
    def test_example(self):
        self.assertEqual(
            parse_schedule(" 96:3, 160:5 ,224:3:8", default_batch_size=12),
            (Phase(96, 3, 12), Phase(160, 5, 12), Phase(224, 3, 8)),
        )

    @hypothesis.given(PHASES)
    def test_reads_back_what_was_formatted(self, phases):
        self.assertEqual(parse_schedule(format_schedule(phases)), phases)

    @hypothesis.given(PHASES, st.integers(1, 99))
    def test_default_batch_size(self, phases, default):
        text = ",".join(f"{phase.resolution}:{phase.epochs}" for phase in phases)
        for phase, given in zip(parse_schedule(text, default), phases, strict=True):
            self.assertEqual(phase, Phase(given.resolution, given.epochs, default))
        with self.assertRaisesRegex(UserError, "received 0 at"):
            parse_schedule(text, 0)

    @parameterized.parameters(
        ("96:0", "epochs of a phase must be at least 1", "received 0 at resolution 96"),
        ("96:3:0", "batch_size of a phase must be at least 1", "received 0"),
        ("100:3", "multiple of 32", "received 100", "the nearest are 96 and 128"),
        ("16:3", "at least 32", "received 16", "the nearest are 32 and 64"),
        ("", "received ''", FORM),
        ("96", "received '96'", FORM),
        ("96:3,", "received ''", FORM),
        ("96:3:4:5", "received '96:3:4:5'", FORM),
        ("-96:1", "received '-96:1'", FORM),
        ("９６:1", "received '９６:1'", FORM),  # noqa: RUF001 (full-width digits)
        ("96:3;160:5", "separated by commas", "received '96:3;160:5'", FORM),
        ("96:3\n160:5", FORM),
    )
    def test_refused(self, text, *parts):
        with self.assertRaises(UserError) as caught:
            parse_schedule(text)
        message = str(caught.exception)
        self.assertLen(message.splitlines(), 1)
        for part in (f"schedule {text!r}", *parts):
            self.assertIn(part, message)

    @hypothesis.given(st.text("0123456789:,; -x\n", max_size=12))
    def test_any_text_is_read_or_refused_in_one_line(self, text):
        try:
            phases = parse_schedule(text)
        except UserError as error:
            self.assertLen(str(error).splitlines(), 1)
        else:
            self.assertEqual(parse_schedule(format_schedule(phases)), phases)


if __name__ == "__main__":
    tf.test.main()
