"""Imports all that commands import, for a server of processes."""

import keras_depthseg.commands.main
import keras_depthseg.datasets.compose
import keras_depthseg.datasets.inspection.card
import keras_depthseg.datasets.original_layout
import keras_depthseg.evaluation.evaluate
import keras_depthseg.evaluation.report
import keras_depthseg.inference.photograph_run
import keras_depthseg.inference.video_run
import keras_depthseg.training.run  # noqa: F401
