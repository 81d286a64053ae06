"""Foreground mask and scene depth from a background plate and a picture.

Importing the package registers its layers, losses, metrics, optimizers and the model with
Keras, so that `keras.saving.load_model` reads a saved model in safe mode.
"""

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from keras_depthseg import processor

# Before TensorFlow is imported, which reads the setting once.
processor.switch_on_onednn()
# Before OpenCV is imported, which reads it once: a record of 5 MB may unpack to a billion
# pixels. Phones take photographs of 200 million.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))

__version__ = "0.2.0"

__all__ = [
    "DSResNet",
    "Predictor",
    "SiameseNet",
    "load_original_weights",
    "load_pretrained",
    "losses",
    "metrics",
    "optimizers",
]

# Of single names, the modules that have them.
_MODULES = {
    "DSResNet": "keras_depthseg.model",
    "Predictor": "keras_depthseg.inference.predictor",
    "SiameseNet": "keras_depthseg.networks.siamese",
    "load_original_weights": "keras_depthseg.networks.original_weights",
    "load_pretrained": "keras_depthseg.networks.loading",
}

# The command `depthseg` answers --help and mistakes without Keras, whose import takes
# five seconds: for it, and for it alone, the names below are imported when they are
# asked for. Everybody else gets them now, as Keras can only load what is registered.
_is_command = getattr(sys.modules.get("depthseg"), "is_running", False)

if TYPE_CHECKING:
    from keras_depthseg.inference.predictor import Predictor

if TYPE_CHECKING or not _is_command:
    from keras_depthseg import losses, metrics, optimizers
    from keras_depthseg.model import DSResNet
    from keras_depthseg.networks.loading import load_pretrained
    from keras_depthseg.networks.original_weights import load_original_weights
    from keras_depthseg.networks.siamese import SiameseNet


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    if name in __all__:
        return importlib.import_module(f"keras_depthseg.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
