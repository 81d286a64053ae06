"""A training run: recipe, configuration, run folder, fit, report."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_depthseg.training.config import RunConfig
    from keras_depthseg.training.experiment import Experiment
    from keras_depthseg.training.lr_range import LRRange, parse_lr_range
    from keras_depthseg.training.lr_range_run import find_learning_rate
    from keras_depthseg.training.recipes import RECIPES, Recipe
    from keras_depthseg.training.run import RunResult, train
    from keras_depthseg.training.run_folder import RunFolder

__all__ = [
    "RECIPES",
    "Experiment",
    "LRRange",
    "Recipe",
    "RunConfig",
    "RunFolder",
    "RunResult",
    "find_learning_rate",
    "parse_lr_range",
    "train",
]

# Imported when they are asked for: the command line needs the recipes before it spends
# seconds on importing TensorFlow.
_MODULES = {
    "RECIPES": "recipes",
    "Experiment": "experiment",
    "LRRange": "lr_range",
    "Recipe": "recipes",
    "RunConfig": "config",
    "RunFolder": "run_folder",
    "RunResult": "run",
    "find_learning_rate": "lr_range_run",
    "parse_lr_range": "lr_range",
    "train": "run",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
