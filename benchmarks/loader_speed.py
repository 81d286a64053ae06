"""Reading speed of our pipeline against the original's loader, in samples per second.

    python -m benchmarks.loader_speed --rounds 5 --json loader_speed.json
    python -m benchmarks.loader_speed --data FOLDER

Both read the same images, ours from the records our builder made of them, shuffle them,
resize them, change the colours of both photographs and batch them. A turn is one pass
over the data; the models are not involved.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
from collections.abc import Callable, Sequence

from benchmarks import command, pairs, synthetic


def keras_side(
    folder: str, records: str, resolution: int, batch_size: int
) -> Callable[[], int]:
    """Our side: one pass over records of the same images, all of them `train`.

    It makes the records first, below `records`, unless an earlier case has.
    """
    from keras_depthseg import errors
    from keras_depthseg.datasets import original_layout as modest
    from keras_depthseg.pipeline import make_pipeline

    try:
        data = make_pipeline(
            modest.build(folder, records, val_fraction=0.0, unseen_fraction=0.0),
            split="train",
            resolution=resolution,
            batch_size=batch_size,
            augment="original",
            shuffle=True,
            seed=0,
        )
    except errors.UserError as error:
        # The process that reports it does not import Keras.
        raise pairs.UserError(str(error)) from error
    return lambda: sum(int(inputs["bg"].shape[0]) for inputs, _ in data)


def torch_side(
    folder: str, resolution: int, batch_size: int, workers: int
) -> Callable[[], int]:
    """The peer: one pass of the original's loader over the original's files."""
    from benchmarks.torch_loader import make_loader

    loader = make_loader(folder, resolution, batch_size, workers=workers)
    return lambda: sum(batch["bg"].shape[0] for batch in loader)


def cases(
    arguments: argparse.Namespace,
) -> Sequence[tuple[str, Sequence[pairs.Side]]]:
    """A case for every resolution: ours, the original's loader."""
    result = []
    for resolution in arguments.resolutions:
        options = {
            "folder": str(arguments.data),
            "resolution": resolution,
            "batch_size": arguments.batch_size,
        }
        ours = {**options, "records": str(arguments.records)}
        theirs = {**options, "workers": arguments.workers}
        sides = [
            pairs.Side("tf.data", keras_side, ours),
            pairs.Side("torch", torch_side, theirs),
        ]
        result.append((f"{resolution} px, batch {arguments.batch_size}", sides))
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = command.Parser("Reading speed: ours against the original's.", rounds=7)
    parser.add_argument(
        "--data",
        type=pathlib.Path,
        metavar="FOLDER",
        help="a data set in the original's layout (default: one drawn for the purpose)",
    )
    parser.add_resolutions()
    parser.add_argument(
        "--batch-size", type=command.positive, default=16, help="samples of a batch"
    )
    parser.add_argument(
        "--workers", type=command.positive, default=2, help="processes of the peer"
    )
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="loader-speed-") as scratch:
        arguments.records = pathlib.Path(scratch, "records")
        if arguments.data is None:
            arguments.data = pathlib.Path(scratch, "drawn")
            synthetic.write_original_layout(arguments.data)
        return command.run(parser, arguments, cases, unit="samples/s")


if __name__ == "__main__":
    raise SystemExit(main())
