"""Tables of scores, with names of any kind."""

import csv
import math

import pytest

from keras_depthseg.evaluation.evaluate import Evaluation
from keras_depthseg.evaluation.files import write_samples
from keras_depthseg.evaluation.results import Condition, SampleScores
from keras_depthseg.evaluation.worst import Worst


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Stühle, 椅子", "Stühle, 椅子"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\u202eb\nc", "a\\u202eb\\nc"),
        ("\udcff", "\\udcff"),
    ],
)
def test_names_in_samples(tmp_path, name, shown):
    row = SampleScores(
        name, name, name, name, {"mask_hard_iou": 0.5, "mask_mad": math.nan}
    )
    condition = Condition("clean", {"model": [row]})
    evaluation = Evaluation([condition], [], scenes=False, worst=Worst())
    write_samples(tmp_path / "samples.csv", evaluation)
    with (tmp_path / "samples.csv").open(encoding="utf-8", newline="") as file:
        (found,) = csv.DictReader(file)
    assert {found[key] for key in ("group", "sample_id", "bg_id", "fg_id")} == {shown}
    assert (found["mask_hard_iou"], found["mask_mad"]) == ("0.5", "")
