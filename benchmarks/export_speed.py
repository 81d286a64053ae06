"""Prediction speed of exported networks against Keras on TensorFlow, in pairs per second.

    python -m benchmarks.export_speed --rounds 7 --json export_speed.json

One pair at a time, both pictures, mask and depth, on all cores. Ours is Keras's compiled
prediction; each format and precision of `depthseg export` runs in its own runtime, and
PyTorch, channels-last under `inference_mode`, where the network exists in it. The name of
a side tells the size of its file in MB.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import multiprocessing
import pathlib
import tempfile
from collections.abc import Callable, Sequence

from benchmarks import command, inference_speed, pairs

# The original's at the width at which it is as fast as `small`.
_WIDTH = 8
NETWORKS = ("small", "ds_resnet")

# Ranges of integers do not change the speed: a few samples do.
_CALIBRATION = 4


def keras_side(model: str, resolution: int, repeats: int) -> Callable[[], int]:
    """Keras on TensorFlow."""
    from keras_depthseg.model_file import model_path
    from keras_depthseg.networks.loading import load_network

    network = load_network(model_path(model))
    inputs = dict(zip(("bg", "fg_bg"), inference_speed.images(resolution), strict=True))

    def run() -> int:
        for _ in range(repeats):
            network.predict_on_batch(inputs)
        return repeats

    return run


def exported_side(path: str, resolution: int, repeats: int) -> Callable[[], int]:
    """An exported file in its own runtime."""
    from keras_depthseg.runtimes import open_model

    network = open_model(path).in_order(("bg", "fg_bg"))
    images = inference_speed.images(resolution)

    def run() -> int:
        for _ in range(repeats):
            network.run(*images)
        return repeats

    return run


def write_files(
    network: str, formats: Sequence[str], resolution: int, folder: str
) -> dict[str, str]:
    """Write a network in all forms; return their paths by a name for the report.

    The first is what Keras opens.
    """
    import keras

    from keras_depthseg.export import formats as writers
    from keras_depthseg.export.networks import whole
    from keras_depthseg.export.options import PRECISIONS, SUFFIXES
    from keras_depthseg.export.samples import read_samples
    from keras_depthseg.model import DSResNet
    from keras_depthseg.model_file import model_path
    from keras_depthseg.networks.loading import load_network

    place = pathlib.Path(folder, f"{network}-{resolution}")
    place.mkdir()
    path = model_path(network) if network == "small" else place / "network.keras"
    if network != "small":
        keras.utils.set_random_seed(0)
        DSResNet(width=_WIDTH).save(path)
    plain = whole(load_network(path), None)["model"]
    samples = read_samples("rooms", "train", _CALIBRATION, resolution, resolution)
    calibration = [sample.inputs for sample in samples]
    paths = {f"keras, {_megabytes(path):.1f} MB": str(path)}
    for format in formats:
        for precision in PRECISIONS[format]:
            path = place / f"{format}_{precision}{SUFFIXES[format]}"
            writers.write(plain, path, format, precision, {}, calibration)
            name = f"{format} {precision}, {_megabytes(path):.1f} MB"
            paths[name] = str(path)
    return paths


def _megabytes(path: pathlib.Path) -> float:
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    return sum(file.stat().st_size for file in files) / 1e6


def cases(
    arguments: argparse.Namespace,
) -> Sequence[tuple[str, Sequence[pairs.Side]]]:
    """One for every network and resolution."""
    # What writes ends before anything is measured.
    spawn = multiprocessing.get_context("spawn")
    result = []
    for network in arguments.networks:
        for resolution in arguments.resolutions:
            with concurrent.futures.ProcessPoolExecutor(1, spawn) as process:
                (keras_name, keras_path), *others = (
                    process.submit(
                        write_files,
                        network,
                        arguments.formats,
                        resolution,
                        arguments.folder,
                    )
                    .result()
                    .items()
                )
            common = {"resolution": resolution, "repeats": arguments.repeats}
            sides = [pairs.Side(keras_name, keras_side, {**common, "model": keras_path})]
            sides += [
                pairs.Side(name, exported_side, {**common, "path": path})
                for name, path in others
            ]
            if network == "ds_resnet":
                options = {**common, "width": _WIDTH}
                sides.append(pairs.Side("torch", inference_speed.torch_side, options))
            result.append((f"{network}, {resolution} px", sides))
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    # Not above: PyTorch's process would import TensorFlow with it.
    from keras_depthseg.export.options import SUFFIXES

    parser = command.Parser("Prediction speed of exported networks.", rounds=7)
    parser.add_resolutions()
    parser.set_defaults(resolutions=[224])
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument(
        "--formats", nargs="+", choices=tuple(SUFFIXES), default=tuple(SUFFIXES)
    )
    parser.add_argument(
        "--repeats", type=command.positive, default=15, help="pairs of a turn"
    )
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="export-speed-") as folder:
        arguments.folder = folder
        return command.run(parser, arguments, cases, unit="pairs/s")


if __name__ == "__main__":
    raise SystemExit(main())
