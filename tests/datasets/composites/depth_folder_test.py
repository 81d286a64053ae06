"""The text of the option `depth`, and the meaning of grey levels."""

from pathlib import Path

import hypothesis
import numpy as np
from absl.testing import parameterized
from hypothesis import strategies as st

from keras_depthseg.datasets.composites.depth_folder import (
    DepthFolder,
    parse_depth_folder,
)
from keras_depthseg.datasets.records import NEAREST_DEPTH
from tests.support.tiny_data import RefusalTestCase


class DepthTextTest(RefusalTestCase):
    @parameterized.parameters(
        ("maps,step=0.001", DepthFolder(Path("maps"), 0.001, 10.0)),
        ("a, b/c.zip,step=1e-3,scale=80", DepthFolder(Path("a, b/c.zip"), 1e-3, 80)),
        ("maps,larger=farther,step=1", DepthFolder(Path("maps"), 1, 10.0)),
        ("maps,larger=nearer", DepthFolder(Path("maps"), larger="nearer")),
    )
    def test_accepted(self, text, expected):
        self.assertEqual(parse_depth_folder(text), expected)

    @parameterized.parameters(
        ("maps", "received no more", "step=METRES", "larger=nearer", "For instance"),
        ("maps,unit=metre", "received 'unit=metre'", "accepted: each of step, scale"),
        ("maps,step=1,step=2", "received 'step=2'", "once"),
        ("maps,step=1mm", "received step=1mm"),
        ("maps,scale=10", "received scale without step", "accepted: step=METRES"),
        ("maps,larger=nearer,step=1", "received larger=nearer with step"),
        (",step=1", "without a folder", "depth_maps,step=0.001"),
    )
    def test_refused(self, text, *parts):
        self.assert_refused(lambda: parse_depth_folder(text), "`depth`", *parts)

    @parameterized.parameters(
        ("farther", [0, 1 / 255, 1]), ("nearer", [0, 254 / 255, NEAREST_DEPTH])
    )
    def test_relative(self, larger, expected):
        levels = np.array([0, 1, 255], np.uint8)
        result = parse_depth_folder(f"maps,larger={larger}").normalise(levels)
        self.assertAllClose(result, expected)

    @hypothesis.settings(max_examples=100, deadline=None, database=None)
    @hypothesis.given(*[st.floats(1e-6, 1e6)] * 2, st.integers(1, 65535))
    def test_any_numbers(self, step, scale, level):
        found = parse_depth_folder(f"maps,step={step!r},scale={scale!r}")
        self.assertEqual((found.step, found.scale), (step, scale))
        (result,) = found.normalise(np.array([level], np.uint16))
        self.assertAllClose(result, np.clip(level * step / scale, NEAREST_DEPTH, 1), 1e-5)
