"""The notebook, from a fresh kernel, with a model of this package in `runs/`."""

import shutil
from pathlib import Path

import nbclient
import nbformat
import tensorflow as tf
from PIL import Image

from keras_depthseg.model import DSResNet

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "predict.ipynb"


class NotebookTest(tf.test.TestCase):
    def test_from_two_photographs_to_a_point_cloud(self):
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
        self.assertIn("mask (368, 448)", text)
        self.assertIn("depth (368, 448)", text)
        self.assertIn("confidence", text)
        results = [output["data"] for output in outputs if "data" in output]
        self.assertLen([data for data in results if "image/png" in data], 3)
        self.assertEqual(results[-1]["text/plain"], "(1, 224, 256, 1)")
        with Image.open(folder / "notebooks" / "cutout.png") as cutout:
            self.assertEqual((cutout.mode, cutout.size), ("RGBA", (448, 368)))
