"""Damaged files of every kind are read, or refused in a line; also all found once."""

import tempfile
import warnings
from pathlib import Path

import pytest
from absl.testing import parameterized

from fuzzing.targets import KINDS, opened_target
from tests.support.tiny_data import RefusalTestCase

# Seeds and numbers of cases in which something was wrong once.
FOUND = {
    "info": [(0, 51), (0, 55), (0, 63), (0, 78), (1, 11), (1, 54), (1, 109)]
    + [(0, 408), (0, 1717), (0, 2176), (1, 2732)],
    "records": [(0, 4452), (0, 4988)],
    "runs": [(0, n) for n in (866, 1047, 1050, 1730, 2440, 5982, 7133)] + [(1, 5289)],
    "positions": [(0, 0), (0, 7), (0, 13), (0, 31), (0, 53), (0, 64), (1, 153)],
    "videos": [(0, 18), (0, 27), (0, 34), (0, 90), (0, 175), (0, 6279)],
    "segments": [(0, n) for n in (0, 4, 5, 6, 7, 12, 16, 19, 23, 32, 40, 46, 50, 69, 77)],
    "models": [(0, 7), (0, 508)],
    "onnx": [(0, 107), (0, 539)],
    "litert": [(0, n) for n in (50, 436, 592)],
    "cutouts": [(0, 236), (1, 278)],
    "maps": [(0, 3), (0, 12), (0, 36), (0, 261)],
    "pairs": [(1, 49)],
    "photographs": [(1, 581), (1, 1437), (1, 1765)],
    "tables": [(1, 326), (1, 556), (1, 1424)],
    "zips": [(0, 17), (0, 44), (0, 112)],
}
FRESH = 4

# These convert or export networks first.
SLOW = {"onnx", "litert", "openvino", "savedmodel", "converted", "checkpoints", "weights"}


class TargetsTest(RefusalTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.shared = Path(cls.enterClassContext(tempfile.TemporaryDirectory()))

    def _cases(self, kind, cases):
        target = opened_target(kind, self.shared / kind, self.shared / "case")
        if kind in ("onnx", "litert"):
            target.reported = 0  # Else what was found would be refused by its checksum.
        verdicts = set()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for seed, number in cases:
                with self.subTest(kind=kind, seed=seed, number=number):
                    verdicts.add(target.run_case(seed, number))
        self.assertLessEqual(verdicts, {"accepted", "refused"})

    @parameterized.parameters(*(kind for kind in KINDS if kind not in SLOW))
    def test_kind(self, kind):
        self._cases(kind, [*FOUND.get(kind, []), *((7, n) for n in range(FRESH))])

    @parameterized.parameters(*sorted(SLOW))
    @pytest.mark.long
    def test_slow_kind(self, kind):
        self._cases(kind, [*FOUND.get(kind, []), *((7, n) for n in range(FRESH))])
