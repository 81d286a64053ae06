"""How far the outputs of an exported network are from those of Keras."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.export.samples import ExportSample
from keras_depthseg.metrics import DepthRMSE, HardIoU

Maps = dict[str, np.ndarray]
Program = Callable[[np.ndarray, np.ndarray], Maps]
"""Takes `bg` and `fg_bg`, (B, H, W, 3) uint8; gives maps, (B, H, W) in [0, 1]."""

LARGEST = {"float32": 1e-4, "float16": 2e-2}
"""Largest accepted difference of a pixel, by precision."""
IOU_CHANGE = 0.01
"""Largest accepted change of the mean hard IoU; for int8 there is no other limit."""

# Pixels of a pair that is as large as the samples, and a larger and a smaller one.
_FURTHER = ((1, 1.0), (4, 1.0), (1, 0.5), (2, 1.5))
_TURNS = 9


@dataclasses.dataclass(frozen=True)
class Parity:
    """The comparison of an exported network with the Keras model.

    Attributes:
        largest, mean: differences of the pixels of all samples, by output.
        scores: `mask_hard_iou` and `depth_rmse` of the samples, of Keras and of the
            exported network.
        milliseconds: of one pair, of Keras and of the exported network, on this machine.
        problems: texts that say what is beyond its limit; empty if all is well.
    """

    largest: dict[str, float]
    mean: dict[str, float]
    scores: dict[str, tuple[float, float]]
    milliseconds: tuple[float, float]
    problems: tuple[str, ...]


def compare(
    reference: Program,
    exported: Program,
    samples: Sequence[ExportSample],
    precision: str,
    free: bool,
) -> Parity:
    """Compare two programs.

    Args:
        reference: the Keras model.
        exported: the network in its own runtime.
        samples: all of one size.
        precision: of the exported network, which decides what is accepted.
        free: whether it takes images of any size; others are tried, too.

    Raises:
        UserError: the exported network gives maps of another shape.
    """
    largest: dict[str, float] = {}
    sums: dict[str, float] = {}
    count = 0
    pairs = [_batch([sample]) for sample in samples]
    maps = [[program(*pair) for pair in pairs] for program in (reference, exported)]
    for ours, theirs in zip(*maps, strict=True):
        count += next(iter(ours.values())).size
        for name, difference in _differences(ours, theirs).items():
            largest[name] = max(largest.get(name, 0.0), float(difference.max()))
            sums[name] = sums.get(name, 0.0) + float(difference.sum())
    height, width = samples[0].mask.shape
    for number, scale in _FURTHER if free else _FURTHER[:2]:
        sides = (max(32, round(side * scale / 32) * 32) for side in (height, width))
        height_, width_ = sides
        batch = _batch(
            [samples[i % len(samples)].resized(height_, width_) for i in range(number)]
        )
        for name, difference in _differences(reference(*batch), exported(*batch)).items():
            largest[name] = max(largest[name], float(difference.max()))
    scores = {
        name: (
            _score(metric, key, samples, maps[0]),
            _score(metric, key, samples, maps[1]),
        )
        for name, metric, key in (
            ("mask_hard_iou", HardIoU, "mask"),
            ("depth_rmse", DepthRMSE, "depth"),
        )
        if key in largest
    }
    return Parity(
        largest,
        {name: total / count for name, total in sums.items()},
        scores,
        _milliseconds(reference, exported, pairs[0]),
        tuple(_problems(largest, scores, precision)),
    )


def _problems(
    largest: Mapping[str, float],
    scores: Mapping[str, tuple[float, float]],
    precision: str,
):
    limit = LARGEST.get(precision)
    for name, difference in largest.items():
        if not np.isfinite(difference):
            yield f"{name} is not finite"
        elif limit is not None and difference > limit:
            yield f"{name} differs by {difference:.2g}, more than {limit:g}"
    before, after = scores["mask_hard_iou"]
    if not abs(after - before) <= IOU_CHANGE:
        yield f"hard IoU changes from {before:.3f} to {after:.3f}, more than {IOU_CHANGE}"


def _batch(samples: Sequence[ExportSample]) -> tuple[np.ndarray, np.ndarray]:
    return (
        np.stack([sample.bg for sample in samples]),
        np.stack([sample.fg_bg for sample in samples]),
    )


def _differences(ours: Maps, theirs: Maps) -> Maps:
    for name in ours:
        # NumPy would broadcast.
        if theirs[name].shape != ours[name].shape:
            raise UserError(
                f"the exported network gives {name} in the shape {theirs[name].shape}, "
                f"expected {ours[name].shape}; choose another `format`."
            )
    return {name: np.abs(theirs[name] - ours[name]) for name in ours}


def _score(metric, key: str, samples: Sequence[ExportSample], maps: list[Maps]) -> float:
    counted = metric(from_logits=False)
    for sample, found in zip(samples, maps, strict=True):
        counted.update_state(getattr(sample, key)[None, ..., None], found[key][..., None])
    return float(counted.result())


def _milliseconds(
    reference: Program, exported: Program, pair: tuple[np.ndarray, np.ndarray]
) -> tuple[float, float]:
    """Return the median time of both, which take turns."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(_TURNS):
        for program, times in zip((reference, exported), seconds, strict=True):
            start = time.perf_counter()
            program(*pair)
            times.append(time.perf_counter() - start)
    return tuple(1000 * statistics.median(times[1:]) for times in seconds)  # pyright: ignore[reportReturnType]
