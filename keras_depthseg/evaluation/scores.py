"""Scores of a model on a split, and their table."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_depthseg.metrics import SoftIoU, evaluation_metrics
from keras_depthseg.text import text_table


def evaluate(model: keras.Model, batches: tf.data.Dataset) -> dict[str, float]:
    """Compute all scores of `metrics.evaluation_metrics`, per image, then averaged.

    Args:
        model: gives maps in [0, 1] from `predict_on_batch`, as `DSResNet` does.
        batches: `(inputs, labels)`, as `make_pipeline` gives them.

    Returns:
        Scores by name, with the names of a training's history: `mask_hard_iou`,
        `depth_rmse`, …. `mask_soft_iou_ceiling` is the score of a perfect copy of the
        masks, below 1 since masks are soft; `samples` is their number. Depth scores are
        left out where no depth is known.
    """
    metrics = evaluation_metrics(from_logits=False)
    ceiling = SoftIoU(name="soft_iou_ceiling", from_logits=False)
    samples = 0
    # JAX takes no TensorFlow tensors.
    for inputs, labels in batches.as_numpy_iterator():
        maps = model.predict_on_batch(inputs)
        for output, output_metrics in metrics.items():
            for metric in output_metrics:
                metric.update_state(labels[output], maps[output])
        ceiling.update_state(labels["mask"], labels["mask"])
        samples += len(maps["mask"])
    soft, *others = metrics["mask"]
    ordered = [("mask", metric) for metric in (soft, ceiling, *others)]
    ordered += [("depth", metric) for metric in metrics["depth"]]
    scores: dict[str, float] = {"samples": samples}
    for output, metric in ordered:
        count = metric.count  # pyright: ignore[reportAttributeAccessIssue]: our own
        if not np.any(keras.ops.convert_to_numpy(count)):
            continue  # No image has known depth: 0 would look perfect.
        value = keras.ops.convert_to_numpy(metric.result())
        scores[f"{output}_{metric.name}"] = np.asarray(value).item()
    return scores


def score_table(scores: dict[str, dict[str, float]]) -> str:
    """Return a text table with a row for each split.

    Args:
        scores: the result of `evaluate` by split.
    """
    # A split without known depth has no scores of it.
    columns = list(dict.fromkeys(name for values in scores.values() for name in values))
    rows = [["split", *columns]]
    for split, values in scores.items():
        rows.append([split, *(_format(values.get(column)) for column in columns)])
    return text_table(rows, left={0})


def _format(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{np.round(value, 4):.4f}"
