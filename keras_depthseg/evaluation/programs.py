"""The program that is scored: a network, or the maps that another program wrote."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from keras_depthseg.evaluation.batches import Batch, restored
from keras_depthseg.evaluation.predictions import Predictions

Maps = dict[str, np.ndarray]
"""`mask` and, from programs that give it, `depth`: (B, H, W, 1) float32 in [0, 1]."""
BatchProgram = Callable[[Batch], Maps]


def network_program(model: Any) -> BatchProgram:
    """Return the program of a model whose `predict_on_batch` gives maps in [0, 1]."""

    def program(batch: Batch) -> Maps:
        maps = model.predict_on_batch(batch.inputs)
        return {
            name: restored(np.asarray(maps[name], np.float32), batch.mask.shape[1:3])
            for name in ("mask", "depth")
            if name in maps
        }

    return program


def prediction_program(predictions: Predictions) -> BatchProgram:
    """Return the program whose maps are in files."""
    readers = {}
    if predictions.has_mask:
        readers["mask"] = predictions.mask
    if predictions.has_depth:
        readers["depth"] = predictions.depth

    def program(batch: Batch) -> Maps:
        shape = batch.mask.shape[1:3]
        return {
            name: np.stack([read(each, shape) for each in batch.sample_ids])[..., None]
            for name, read in readers.items()
        }

    return program
