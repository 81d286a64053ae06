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


class ScheduleTest(tf.test.TestCase, parameterized.TestCase):
    def test_example(self):
        self.assertEqual(
            parse_schedule(" 96:3, 160:5 ,224:3:8", default_batch_size=12),
            (Phase(96, 3, 12), Phase(160, 5, 12), Phase(224, 3, 8)),
        )

    @hypothesis.given(PHASES)
    def test_reads_back_what_was_formatted(self, phases):
        self.assertEqual(parse_schedule(format_schedule(phases)), phases)

    @parameterized.parameters(
        ("96:0", "epochs of a phase must be at least 1: received 0"),
        ("96:3:0", "batch_size of a phase must be at least 1"),
        ("100:3", "received 100.*the nearest are 96 and 128"),
        ("16:3", "at least 32.*the nearest are 32 and 64"),
        ("96:3,", "received ''.*resolution:epochs or resolution:epochs:batch"),
        ("９６:1", "received '９６:1'"),  # noqa: RUF001 (full-width digits)
    )
    def test_refused(self, text, message):
        with self.assertRaisesRegex(UserError, f"`schedule` {text!r}.*{message}"):
            parse_schedule(text)
