"""`depthseg export`."""

from __future__ import annotations

import argparse
import logging
from typing import Any

from keras_depthseg.commands.parsing import Parser, described, field_options, given_fields
from keras_depthseg.commands.terminal import import_tensorflow_quietly
from keras_depthseg.datasets.locate import check_data
from keras_depthseg.export.options import ExportOptions
from keras_depthseg.model_file import model_path

logger = logging.getLogger(__name__)


def add_export(commands: Any) -> Parser:
    """Add the sub-command."""
    parser: Parser = commands.add_parser(
        "export",
        help="a model as SavedModel, ONNX, LiteRT or OpenVINO file",
        argument_default=argparse.SUPPRESS,
        usage="depthseg export MODEL --format FORMAT [OPTION ...]",
        **described(
            "Write a trained model for another runtime, compare it with Keras on "
            "samples, and leave it only if both agree.",
            "depthseg export small --format onnx\n"
            "depthseg export runs/NAME --format litert --precision int8 --data my_data\n"
            "depthseg export small --format openvino --size 256x448 --parts",
        ),
    )
    model = field_options(ExportOptions, {"model": "MODEL"})["--model"]
    del model["dest"], model["required"]
    groups = {
        "file": {
            "format": None,
            "out": "PATH",
            "precision": None,
            "size": "PX",
            "parts": None,
            "licence": "NAME",
            "force": None,
        },
        "check": {"data": "DATA", "samples": "N"},
    }
    for title, metavars in groups.items():
        first = {"model": model} if title == "file" else {}
        parser.add_options(title, {**first, **field_options(ExportOptions, metavars)})
    parser.set_defaults(run=_export, parser=parser)
    return parser


def _export(args: argparse.Namespace) -> None:
    options = ExportOptions(**given_fields(ExportOptions, vars(args)))
    model_path(options.model)
    check_data(options.data)
    import_tensorflow_quietly()
    from keras_depthseg.export.export import export
    from keras_depthseg.export.table import parity_table

    exported = export(options)
    logger.info("%s\n\n%s: %s", parity_table(exported), exported.path, exported.report)
