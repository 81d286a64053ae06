"""The learning-rate range test: loss while the learning rate is raised step by step.

Smith 2017, Cyclical Learning Rates for Training Neural Networks, section 3.3,
https://arxiv.org/abs/1506.01186
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.training.model_state import restore, snapshot

FEWEST_ITERATIONS = 10
# The weight of the newest loss in the smoothed one, and the multiple of its lowest value
# at which the test stops: the settings of the original project's test.
SMOOTHING_WEIGHT = 0.05
DIVERGENCE_FACTOR = 5.0

# See `LRRangeCurve.suggestion`.
_RISE_FACTOR = 1.5
_RISE_STEPS = 5
_LARGEST_DIVISOR = 10.0


_NUMBER = r"(\d+(?:\.\d*)?(?:[eE][+-]?\d+)?)"
_LR_RANGE = re.compile(rf"{_NUMBER}:{_NUMBER}:(\d{{1,9}})", re.ASCII)


@dataclasses.dataclass(frozen=True)
class LRRange:
    """Learning rates from `start` to `end`, spaced evenly in their logarithm.

    Attributes:
        start: the first learning rate, above 0.
        end: the last, above `start`.
        iterations: training steps, at least 10.

    Raises:
        UserError: if a number is out of range.
    """

    start: float
    end: float
    iterations: int

    def __post_init__(self):
        # Written so that nan, for which no comparison holds, is refused.
        if not 0 < self.start < self.end < math.inf:
            raise UserError(
                "learning rates must rise from above 0 to a finite end: received start "
                f"{self.start:g} and end {self.end:g}; for instance 1e-7 and 5."
            )
        if self.iterations < FEWEST_ITERATIONS:
            raise UserError(
                f"iterations of a learning-rate range must be at least "
                f"{FEWEST_ITERATIONS}: received {self.iterations}; 100 to 400 are usual."
            )

    def __str__(self):
        start, end = (
            repr(float(rate)).replace("e-0", "e-").removesuffix(".0")
            for rate in (self.start, self.end)
        )
        return f"{start}:{end}:{self.iterations}"


def parse_lr_range(text: str) -> LRRange:
    """Parse `start:end:iterations`, e.g. `1e-7:5:400`; the inverse of `str(range)`.

    Raises:
        UserError: if the text does not have that form or a number is out of range.
    """
    match = _LR_RANGE.fullmatch(text.strip())
    if not match:
        raise UserError(
            f"learning-rate range {text!r}: received {text.strip()!r}; a range is "
            "start:end:iterations, two learning rates and a whole number of steps, for "
            "instance 1e-7:5:400."
        )
    start, end, iterations = match.groups()
    try:
        return LRRange(float(start), float(end), int(iterations))
    except UserError as error:
        raise UserError(f"learning-rate range {text!r}: {error}") from None


@dataclasses.dataclass(frozen=True, eq=False)
class LRRangeCurve:
    """The result of a range test of N steps.

    Attributes:
        lr_range: the range that was asked for.
        learning_rates: (N,) of the steps; N is less than `lr_range.iterations` where the
            test stopped early.
        losses: (N,) of each step's batch, before the step: its effect shows in the next
            loss. Above 0; the last may be infinite or NaN.
        smoothed: (N,) exponential moving average of `losses` with decay 0.95 and bias
            correction.
        diverged: whether the test stopped because the loss was not finite or the
            smoothed one above 5 times its lowest.
    """

    lr_range: LRRange
    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    diverged: bool

    @property
    def lowest_loss(self) -> float:
        """The lowest smoothed loss."""
        return float(np.nanmin(self.smoothed))

    @property
    def lowest_at(self) -> float:
        """The learning rate of the lowest smoothed loss: too high to train with."""
        return float(self.learning_rates[np.nanargmin(self.smoothed)])

    @property
    def suggestion(self) -> float:
        """The learning rate to train with, from how fast the loss rises in the end.

        On a quadratic of curvature L a step of learning rate r multiplies the excess of
        the loss over its minimum by (r L - 1)²: the loss rises beyond r = 2 / L and falls
        fastest at 1 / L. If a step multiplies the loss by g > 1, then
        1 / L = r / (1 + √g); where the loss barely rises, g = 1, that is half the limit.
        Here g is the mean growth over up to 5 steps from the last loss that is at most
        1.5 times the lowest smoothed one, r the mean learning rate of these steps (both
        geometric means). A network may explode faster than any quadratic: the result is
        never below r / 10.

        Half of the last learning rate whose smoothed loss is at most 1.05 times the
        lowest would be simpler, but at the limit growth is still too small to be seen,
        smoothing delays it further, and above a floor of noise the loss rises before the
        limit. On least squares in float32 with equal curvatures, over the five
        ranges of the original project, the suggestion divided by the best step was

            whole data set, no noise (164 tests)      1.00 to 1.18   simpler: 1.8 to 5.9
            whole data set, label noise (216)         1.00 to 1.37            1.9 to 5.2
            batches of 16 to 64, label noise (1,548)  0.60 to 1.64      under 0.1 to 2.2

        If the loss has not risen by the end, this is half of the last learning rate, and
        the range should end higher.
        """
        finite = np.flatnonzero(np.isfinite(self.losses))
        low = finite[self.losses[finite] <= _RISE_FACTOR * self.lowest_loss]
        first = low[-1]
        last = finite[finite <= first + _RISE_STEPS][-1]
        if last == first:
            return float(self.learning_rates[first] / 2)
        growth = (self.losses[last] / self.losses[first]) ** (1 / (last - first))
        rate = np.sqrt(self.learning_rates[first] * self.learning_rates[last - 1])
        return float(rate / min(1 + np.sqrt(growth), _LARGEST_DIVISOR))


def lr_range_test(
    model: keras.Model,
    batches: Iterable[tuple[Any, Any]],
    lr_range: LRRange,
    verbose: int = 0,
) -> LRRangeCurve:
    """Train for `lr_range.iterations` batches while the learning rate rises.

    Afterwards weights, optimizer (with learning rate and step number) and metrics are
    restored bit for bit, also if a step fails or is interrupted.

    Args:
        model: built and compiled, with a fixed learning rate and a loss above 0.
        batches: `(inputs, labels)`, as `make_pipeline` gives them, or a list; repeated
            when they end.
        lr_range: the learning rates. An optimizer that accumulates gradients steps less
            often than that.
        verbose: 1 shows a progress bar, 0 does not.

    Raises:
        UserError: if the loss is not finite before the first step.
        ValueError: if the model is not built or compiled, its learning rate follows a
            schedule, or `batches` is empty.
    """
    if not (model.built and model.compiled):
        raise ValueError(
            "lr_range_test needs a model that is built and compiled. Received: "
            f"built={model.built}, compiled={model.compiled}."
        )
    if not isinstance(model.optimizer.learning_rate, keras.Variable):
        raise ValueError(
            "lr_range_test sets the learning rate, so the optimizer must have a fixed "
            "one, not a schedule or a function. Compile the model with a number, for "
            f"instance {type(model.optimizer).__name__}(learning_rate=0.01)."
        )
    if not model.optimizer.built:
        # Else its variables would be missing from the snapshot.
        model.optimizer.build(model.trainable_variables)
    state = snapshot(model)
    try:
        return _raise_learning_rate(model, batches, lr_range, verbose)
    finally:
        # Metrics that the first step built are not in the snapshot: they start from zero.
        model.reset_metrics()
        restore(model, state)


def _raise_learning_rate(model, batches, lr_range, verbose) -> LRRangeCurve:
    learning_rates = np.geomspace(lr_range.start, lr_range.end, lr_range.iterations)
    losses, smoothed = [], []
    average = 0.0
    diverged = False
    names = ("loss", "smoothed", "learning_rate")
    bar = keras.utils.Progbar(
        lr_range.iterations, verbose=verbose, stateful_metrics=names
    )
    for i, (inputs, labels) in enumerate(
        itertools.islice(_endless(batches), lr_range.iterations)
    ):
        model.optimizer.learning_rate = learning_rates[i]
        # Resets the metrics first, so that the loss is this batch's.
        loss = float(model.train_on_batch(inputs, labels, return_dict=True)["loss"])
        if i == 0 and not math.isfinite(loss):
            raise UserError(
                f"the loss is {loss} before the first step of the learning-rate range "
                "test; the weights or the data are not finite."
            )
        average += SMOOTHING_WEIGHT * (loss - average)
        losses.append(loss)
        smoothed.append(average / (1 - (1 - SMOOTHING_WEIGHT) ** (i + 1)))
        diverged = not math.isfinite(loss) or (
            smoothed[-1] > DIVERGENCE_FACTOR * min(smoothed)
        )
        values = zip(names, (loss, smoothed[-1], learning_rates[i]), strict=True)
        is_last = diverged or i + 1 == lr_range.iterations
        bar.update(i + 1, list(values), finalize=is_last)
        if diverged:
            break
    return LRRangeCurve(
        lr_range,
        learning_rates[: len(losses)],
        np.array(losses),
        np.array(smoothed),
        diverged,
    )


def _endless(batches: Iterable) -> Iterator:
    while True:
        is_empty = True
        for batch in batches:
            is_empty = False
            yield batch
        if is_empty:
            raise ValueError(
                "batches must hold at least one batch each time they are iterated. "
                f"Received: an empty {type(batches).__name__}, or an iterator that is "
                "used up; a list or a dataset can be repeated."
            )
