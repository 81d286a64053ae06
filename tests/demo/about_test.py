"""What the page says about its model."""

import json
import tempfile
from pathlib import Path

from absl.testing import absltest

from keras_depthseg.demo.about import about, reports


class AboutTest(absltest.TestCase):
    def setUp(self):
        super().setUp()
        folder = Path(self.enter_context(tempfile.TemporaryDirectory())).resolve()
        self.run_folder, self.data = folder / "run", folder / "data"
        self.run_folder.mkdir()
        self.data.mkdir()

    def test_the_card_has_no_dead_links(self):
        card = about("small")
        self.assertIn("Limits", card)
        self.assertNotIn("](..", card)
        self.assertIn("](https://", card)
        self.assertEqual(reports("small"), {})

    def test_a_run_without_reports(self):
        self.assertIn("no reports", about(str(self.run_folder)))

    def test_pages_of_training_evaluation_and_data(self):
        evaluation = self.run_folder / "evaluation-rooms"
        evaluation.mkdir()
        pages = [
            self.run_folder / "report.html",
            evaluation / "report.html",
            self.data / "card.html",
        ]
        for page in pages:
            page.touch()
        self.configure([f"{self.data},weight=2", "rooms"])
        # The model's file stands for its folder.
        for model in (self.run_folder, self.run_folder / "model.keras"):
            self.assertEqual(list(reports(str(model))), pages)
        text = about(str(self.run_folder))
        self.assertIn(f"[report.html](/gradio_api/file={pages[0]})", text)
        self.assertIn("[evaluation-rooms/report.html]", text)
        self.assertIn(f"[card of {self.data}]", text)

    def test_data_without_a_card(self):
        self.configure([str(self.data)])
        self.assertEqual(reports(str(self.run_folder)), {})

    def test_a_configuration_of_another_program(self):
        for text in ("[1]", "{", '{"data": 3}', '{"data": [3]}', "{}"):
            (self.run_folder / "config.json").write_text(text)
            self.assertEqual(reports(str(self.run_folder)), {})

    def configure(self, data):
        (self.run_folder / "config.json").write_text(json.dumps({"data": data}))


if __name__ == "__main__":
    absltest.main()
