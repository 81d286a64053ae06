"""Callbacks for training: growing resolutions, plateau, averages, speed."""

from keras_depthseg.callbacks.non_finite import NonFiniteError, StopAtNonFinite
from keras_depthseg.callbacks.plateau import ReduceLROnPlateau
from keras_depthseg.callbacks.resolution import ResolutionScheduler
from keras_depthseg.callbacks.resumable import Resumable
from keras_depthseg.callbacks.watching import PredictionPictures, StepTimes
from keras_depthseg.callbacks.weight_average import WeightAverage

__all__ = [
    "NonFiniteError",
    "PredictionPictures",
    "ReduceLROnPlateau",
    "ResolutionScheduler",
    "Resumable",
    "StepTimes",
    "StopAtNonFinite",
    "WeightAverage",
]
