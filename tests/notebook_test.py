"""The notebook, from a fresh kernel, with a model of this package in `runs/`."""

import shutil
from pathlib import Path

import nbclient
import nbformat
import tensorflow as tf

from keras_depthseg.model import DSResNet

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "predict.ipynb"


class NotebookTest(tf.test.TestCase):
    def test_predicts_and_shows_mask_and_depth(self):
        folder = Path(self.get_temp_dir())
        run = folder / "runs" / "a_run"
        run.mkdir(parents=True)
        DSResNet(width=2).save(run / "model.keras")
        # A copy, so that outputs never get into the repository.
        (folder / "notebooks").mkdir()
        shutil.copy(NOTEBOOK, folder / "notebooks")
        notebook = nbformat.read(folder / "notebooks" / NOTEBOOK.name, as_version=4)
        client = nbclient.NotebookClient(
            notebook,
            timeout=300,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder / "notebooks")}},
        )
        cells = client.execute().cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        text = "".join(output.get("text", "") for output in outputs)
        self.assertIn("a_run: width 2", text)
        self.assertIn("mask (224, 224)", text)
        self.assertIn("depth (224, 224)", text)
        results = [output["data"] for output in outputs if "data" in output]
        self.assertTrue(any("image/png" in data for data in results))
        self.assertEqual(results[-1]["text/plain"], "(1, 160, 224, 1)")
