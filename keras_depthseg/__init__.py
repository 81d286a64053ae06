"""Foreground mask and scene depth from a background plate and a picture.

Importing the package registers its layers, losses, metrics, optimizers and the model with
Keras, so that `keras.saving.load_model` reads a saved model in safe mode.
"""

from keras_depthseg import losses, metrics, optimizers
from keras_depthseg.model import DSResNet
from keras_depthseg.networks.original_weights import load_original_weights

__version__ = "0.2.0"

__all__ = ["DSResNet", "load_original_weights", "losses", "metrics", "optimizers"]
