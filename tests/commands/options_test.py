"""Tables of options for the documentation."""

from absl.testing import parameterized

from keras_depthseg.commands.main import make_parsers
from keras_depthseg.commands.options import option_table


class OptionTableTest(parameterized.TestCase):
    @parameterized.parameters(
        "train",
        "evaluate",
        "predict",
        "export",
        "demo",
        "data compose",
        "data card",
        "data validate",
    )
    def test_every_option_has_a_row(self, command):
        head, line, *rows = option_table(command).splitlines()
        self.assertEqual(head, "| group | option | meaning | default |")
        self.assertEqual(line, "| --- | --- | --- | --- |")
        options = sum(make_parsers()[command].groups.values(), [])
        self.assertLen(rows, len(options))
        for row in rows:
            self.assertLen(row.replace(r"\|", "").split("|"), 6, row)
            self.assertNotIn("%", row)

    @parameterized.parameters(
        ("train", "| run | `--keep EPOCHS` | Keep the weights of the last epochs, this "),
        ("data compose", "| output | `--layout records,original` | records, for train"),
        ("train", "| recipe | `--start-from [MODEL]` | Start from the weights of this "),
        ("predict", "| network | `--model MODEL` | Run folder, .keras file, name of tr"),
        ("evaluate", "| programs | `[MODEL]` | Run folder, .keras file, or the name of "),
        ("data card", "| data | `--seed N` | Seed of the choice of pictures | `0` |"),
    )
    def test_row(self, command, start):
        self.assertIn(f"\n{start}", option_table(command))

    def test_defaults(self):
        table = option_table("train") + option_table("data compose")
        for end in (
            "give none | `16` |",
            "mixture with --data | `1.0` |",
            "true depth | required |",
        ):
            self.assertIn(end, table)
        self.assertIn(r"larger=farther\|nearer", table)
