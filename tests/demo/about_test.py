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

    def test_names_are_shown_as_they_are(self):
        names = {
            "<img src=x onerror=alert(1)>.html": "[&lt;img src=x onerror=alert\\(1",
            "a](javascript:alert(1))[.html": "[a\\]\\(javascript:alert",
            "\x1b[31m\u202e.html": "[\\\\x1b\\[31m\\\\u202e.html]",
        }
        for name in names:
            (self.run_folder / name).touch()
        text = about(str(self.run_folder))
        for shown in names.values():
            self.assertIn(shown, text)
        self.assertNotIn("<img", text)
        self.assertNotIn("\x1b", text)

    def test_links_that_lead_out_of_the_run(self):
        secret = self.data / "secret.html"
        secret.touch()
        (self.run_folder / "report.html").symlink_to(secret)
        (self.run_folder / "evaluation").symlink_to(self.data)
        (self.data / "report.html").touch()
        (self.run_folder / "round").symlink_to(self.run_folder)
        (self.run_folder / "page.html").touch()
        found = reports(str(self.run_folder))
        self.assertEqual(list(found), [self.run_folder / "page.html"])

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
