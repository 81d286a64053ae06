"""`depthseg evaluate`: what the command says about bad input, before it takes long."""

from absl.testing import parameterized

from keras_depthseg.commands import main
from keras_depthseg.model import DSResNet
from tests.support.tiny_data import TinyDataTestCase


class RefusedTest(TinyDataTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = cls.shared / "small.keras"
        DSResNet(width=1).save(cls.model)
        (cls.shared / "empty").mkdir()
        (cls.shared / "bad.keras").write_bytes(b"no model")
        cls.out = cls.shared / "out"

    def refused(self, arguments, *parts):
        words = {
            "MODEL": self.model,
            "DATA": self.records,
            "EMPTY": self.shared / "empty",
            "BAD": self.shared / "bad.keras",
            "NONE": self.shared / "none",
        }
        words = [str(words.get(word, word)) for word in arguments.split()]
        if "--out" not in words:
            words += ["--out", str(self.out)]
        self.assert_refused(lambda: main.main(["evaluate", *words]), *parts)
        self.assertFalse(self.out.exists())

    @parameterized.parameters(
        ("MODEL", "--data, --pairs: received none", "give one of the two"),
        ("MODEL --data DATA --pairs EMPTY", "--data, --pairs: received both"),
        ("--data DATA", "received no model", "--predictions"),
        ("MODEL --data DATA --predictions EMPTY", "--predictions: received with the"),
        ("NONE --data DATA", "none: no such model; give a run folder, a .keras file"),
        ("EMPTY --data DATA", "without model.keras", "a run that is finished"),
        ("BAD --data DATA", "bad.keras: this network cannot be opened"),
        ("MODEL --data NONE", "none: no such folder"),
        ("MODEL --data EMPTY", "neither records"),
        ("MODEL --pairs NONE", "none: no such folder", "NAME/mask"),
        ("MODEL --pairs EMPTY", "empty: there is no usable picture"),
        ("--predictions NONE --data DATA", "none: no such folder", "masks NAME.png"),
        ("--predictions EMPTY --data DATA", "empty: received no mask"),
        ("MODEL --data DATA --split test", "--split: received 'test'", "unseen_both"),
        ("MODEL --pairs EMPTY --split val", "--split: received val with --pairs"),
        ("MODEL --pairs EMPTY --capture tripod", "--capture: received tripod with"),
        ("MODEL --data DATA --capture wind=3", "--capture: received the effect 'wind'"),
        ("MODEL --data DATA --capture strong", "--capture: received 'strong'", "tripod"),
        ("--predictions EMPTY --data DATA --capture sweep", "--capture: received sweep"),
        ("MODEL --data DATA --resolution 100", "--resolution: received 100", "of 32"),
        ("MODEL --data DATA --samples 0", "--samples: received 0; accepted: 1 or more"),
        ("MODEL --data DATA --out EMPTY/..", "this exists, and nothing is overwritten"),
    )
    def test_one_line(self, arguments, *parts):
        self.refused(arguments.replace("EMPTY/..", str(self.shared)), *parts)
