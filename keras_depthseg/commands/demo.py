"""The sub-command `depthseg demo`."""

from __future__ import annotations

import argparse
from typing import Any

from keras_depthseg.commands.parsing import Parser, described, field_options, given_fields
from keras_depthseg.commands.terminal import import_tensorflow_quietly
from keras_depthseg.demo.options import DemoOptions


def add_demo(commands: Any) -> Parser:
    """Add the sub-command."""
    parser: Parser = commands.add_parser(
        "demo",
        help="a page to try it on, in the browser",
        argument_default=argparse.SUPPRESS,
        usage="depthseg demo [OPTION ...]",
        **described(
            "Open a page in the browser on which a plate and a photograph, or a video, "
            "give mask, depth, cutout and new background.",
            "depthseg demo\ndepthseg demo --model runs/NAME --port 8000",
        ),
    )
    metavars = {"model": "MODEL", "host": "ADDRESS", "port": "N", "no_browser": None}
    parser.add_options("page", field_options(DemoOptions, metavars))
    parser.set_defaults(run=_demo, parser=parser)
    return parser


def _demo(args: argparse.Namespace) -> None:
    options = DemoOptions(**given_fields(DemoOptions, vars(args)))
    from keras_depthseg.inference.network import check_model

    check_model(options.model)
    import_tensorflow_quietly()
    from keras_depthseg.demo.server import serve

    serve(options)
