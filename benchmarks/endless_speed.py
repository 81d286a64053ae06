"""How fast composites are made while training, against how fast a step consumes them.

    python -m benchmarks.endless_speed --rounds 5 --json endless_speed.json
    python -m benchmarks.endless_speed --bg FOLDER --fg FOLDER

One side reads the pipeline of `depthseg train --bg --fg --augment handheld`, all capture
effects included, and trains nothing; the other trains the network of `--recipe standard`
on one batch that stays in memory. A ratio above 3 leaves most of the processor to
training.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
from collections.abc import Callable, Sequence

from benchmarks import command, pairs, sources, training_speed

_WIDTH = 8


def composing_side(
    bg: str, fg: str, resolution: int, batch_size: int, samples: int
) -> Callable[[], int]:
    """Return the function that composes `samples` composites, others each time."""
    import itertools

    from keras_depthseg.datasets.composites.configure import make_config
    from keras_depthseg.datasets.composites.endless import EndlessComposites
    from keras_depthseg.datasets.composites.options import ComposeOptions
    from keras_depthseg.pipeline import make_pipeline

    options = ComposeOptions(
        bg=bg, fg=pathlib.Path(fg), variety="rich", count=1, size=resolution
    )
    composites = EndlessComposites.of(make_config(options, refuse=print))
    epochs = itertools.count()

    def run() -> int:
        batches = make_pipeline(
            composites,
            resolution=resolution,
            batch_size=batch_size,
            augment="handheld",
            shuffle=True,
            epoch=next(epochs),
            samples=samples,
        )
        return sum(int(inputs["bg"].shape[0]) for inputs, _ in batches)

    return run


def cases(
    arguments: argparse.Namespace,
) -> Sequence[tuple[str, Sequence[pairs.Side]]]:
    """Return a case for each precision: composing, training."""
    sizes = {"batch_size": 16}
    composing = pairs.Side(
        "composing",
        composing_side,
        {
            **sizes,
            "bg": str(arguments.bg),
            "fg": str(arguments.fg),
            "resolution": arguments.resolution,
            "samples": arguments.samples,
        },
    )
    return [
        (
            f"{arguments.resolution} px, batch 16, training in {dtype}",
            [
                composing,
                pairs.Side(
                    "training",
                    training_speed.keras_side,
                    {
                        **sizes,
                        "size": arguments.resolution,
                        "dtype": dtype,
                        "width": _WIDTH,
                        "steps": 10,
                    },
                ),
            ],
        )
        for dtype in ("float32", "bfloat16")
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = command.Parser("Composing while training: made against consumed.", rounds=5)
    sources.add_arguments(parser)
    parser.add_argument(
        "--resolution", type=command.positive, default=160, help="side in pixels"
    )
    parser.add_argument(
        "--samples", type=command.positive, default=512, help="composites of a turn"
    )
    arguments = sources.parse(parser, argv)
    with tempfile.TemporaryDirectory(prefix="endless-speed-") as scratch:
        sources.draw_missing(arguments, pathlib.Path(scratch) / "drawn")
        return command.run(parser, arguments, cases, unit="samples/s")


if __name__ == "__main__":
    raise SystemExit(main())
