"""The speed of phases, and what limits it, as lines for the terminal."""

import tensorflow as tf

from keras_depthseg.training.speed import speed_summary


class SpeedSummaryTest(tf.test.TestCase):
    def test_a_line_a_phase(self):
        history = {
            "phase": [0, 0, 1, 2],
            "resolution": [96, 96, 160, 96],
            "step_seconds": [0.1, 0.3, 0.5, 0.25],
            "images_per_second": [160.0, 53.3333, 32.0, 64.0],
            "input_wait": [0.0, 0.04, 0.1, 0.11],
            "loss": [4, 3, 2, 1],
        }
        phases = [
            {"resolution": side, "epochs": epochs, "batch_size": 16}
            for side, epochs in ((96, 2), (160, 1), (96, 1), (96, 5))
        ]
        # The last phase was not reached.
        lines = speed_summary(phases, history).splitlines()
        self.assertEqual(
            lines[:2],
            [
                # Medians.
                "96 px: 106.7 images/s, 200 ms a step, 2.0% of it waiting for input: "
                "limited by computing",
                "160 px: 32.0 images/s, 500 ms a step, 10.0% of it waiting for input: "
                "limited by computing",
            ],
        )
        self.assertLen(lines, 3)
        self.assertStartsWith(lines[2], "96 px: 64.0 images/s, 250 ms a step, 11.0% of")
        self.assertIn("limited by input", lines[2])
        self.assertIn("`augment` none", lines[2])

    def test_no_epochs(self):
        names = ("resolution", "step_seconds", "images_per_second", "input_wait")
        self.assertEqual(speed_summary([], {name: [] for name in names}), "")
