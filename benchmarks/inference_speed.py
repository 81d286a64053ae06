"""Prediction speed with a kept plate against other runtimes, in pairs per second.

    python -m benchmarks.inference_speed --rounds 7 --json inference_speed.json

One pair at a time, the network alone, in float32 on all cores: ours computes the plate's
features once, the others take both pictures each time, with the same network. PyTorch
runs it channels-last under `inference_mode`; onnxruntime and OpenVINO run the ONNX file
that PyTorch exports.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import tempfile
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from benchmarks import command, pairs


def our_side(
    folder: str, resolution: int, width: int, depth: bool, repeats: int, engine: str
) -> Callable[[], int]:
    """Our side: pictures before one plate."""
    import keras

    from keras_depthseg.inference.network import open_network
    from keras_depthseg.model import DSResNet

    keras.config.set_dtype_policy("float32")
    os.environ["KERAS_DEPTHSEG_CACHE"] = folder
    path = pathlib.Path(folder, f"{resolution}-{engine}-{depth}.keras")
    DSResNet(width=width).save(path)
    network = open_network(path, engine)
    bg, fg_bg = images(resolution)
    features = network.features(bg)

    def run() -> int:
        for _ in range(repeats):
            network.predict(fg_bg, features, depth)
        return repeats

    run()
    return run


def torch_side(resolution: int, width: int, repeats: int) -> Callable[[], int]:
    """PyTorch, both pictures."""
    import torch

    network = _peer(width).to(memory_format=torch.channels_last)
    inputs = [
        torch.from_numpy(image.transpose(0, 3, 1, 2)).contiguous(
            memory_format=torch.channels_last
        )
        for image in images(resolution)
    ]

    def run() -> int:
        with torch.inference_mode():
            for _ in range(repeats):
                network(*inputs)
        return repeats

    run()
    return run


def onnx_side(
    folder: str, resolution: int, width: int, repeats: int, runtime: str
) -> Callable[[], int]:
    """onnxruntime or OpenVINO, both pictures."""
    path = str(pathlib.Path(folder, f"{runtime}-{resolution}.onnx"))
    _export(_peer(width), resolution, path)
    pictures = [image.transpose(0, 3, 1, 2).copy() for image in images(resolution)]
    compute: Callable[[], Any]
    if runtime == "onnxruntime":
        from keras_depthseg.runtimes import import_onnxruntime

        onnxruntime = import_onnxruntime(path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [tensor.name for tensor in session.get_inputs()]
        feed = dict(zip(names, pictures, strict=True))
        compute = lambda: session.run(None, feed)  # noqa: E731
    else:
        import openvino

        options = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(path, "CPU", options)
        compute = lambda: compiled(pictures)  # noqa: E731

    def run() -> int:
        for _ in range(repeats):
            compute()
        return repeats

    run()
    return run


def images(resolution: int) -> list[np.ndarray]:
    """Return two random pictures, (1, H, W, 3) float32 in 0..255."""
    rng = np.random.default_rng(0)
    shape = (1, resolution, resolution, 3)
    return [rng.uniform(0, 255, shape).astype(np.float32) for _ in range(2)]


def _peer(width: int) -> Any:
    import torch

    from benchmarks import torch_peer

    class Maps(torch.nn.Module):
        """The network as it is exported: maps in [0, 1], as a tuple."""

        def __init__(self):
            super().__init__()
            self.network = torch_peer.DSResNet(width)

        def forward(self, bg, fg_bg):
            return tuple(logits.sigmoid() for logits in self.network(bg, fg_bg).values())

    return Maps().eval()


def _export(network: Any, resolution: int, path: str) -> None:
    import torch

    image = torch.zeros(1, 3, resolution, resolution)
    with warnings.catch_warnings():
        # The newer exporter needs one more package.
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (image, image), path, dynamo=False)


def cases(
    arguments: argparse.Namespace,
) -> Sequence[tuple[str, Sequence[pairs.Side]]]:
    """For every resolution, ours with the mask alone, and with the depth."""
    result = []
    for resolution in arguments.resolutions:
        common = {
            "resolution": resolution,
            "width": arguments.width,
            "repeats": arguments.repeats,
        }
        kept = {**common, "folder": arguments.folder}
        peers = [
            pairs.Side("torch", torch_side, common),
            pairs.Side("onnxruntime", onnx_side, {**kept, "runtime": "onnxruntime"}),
            pairs.Side("openvino", onnx_side, {**kept, "runtime": "openvino"}),
        ]
        for depth in (False, True):
            options = {**kept, "depth": depth}
            sides = [
                pairs.Side("ours", our_side, {**options, "engine": "openvino"}),
                pairs.Side("ours on keras", our_side, {**options, "engine": "keras"}),
                *peers,
            ]
            what = "mask and depth" if depth else "mask"
            result.append((f"{resolution} px, width {arguments.width}, {what}", sides))
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = command.Parser("Prediction speed with a kept plate.", rounds=7)
    parser.add_resolutions()
    parser.add_argument(
        "--width", type=command.positive, default=8, help="of the network"
    )
    parser.add_argument(
        "--repeats", type=command.positive, default=30, help="pairs of a turn"
    )
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="inference-speed-") as folder:
        arguments.folder = folder
        return command.run(parser, arguments, cases, unit="pairs/s")


if __name__ == "__main__":
    raise SystemExit(main())
