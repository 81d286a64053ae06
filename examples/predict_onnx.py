"""Mask and depth of a photograph by an exported network, without keras_depthseg.

    depthseg export small --format onnx
    python predict_onnx.py small.onnx plate.jpg photo.jpg

Needs NumPy, onnxruntime, and Pillow for the files. Unlike `depthseg predict` it does not
align the plate, and its maps stay as small as the network makes them.
"""

import os
import sys

import numpy as np
from PIL import Image

# Since 1.29 it reports each network to Microsoft, by name and hash, unless this is set.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime  # noqa: E402

PIXELS = 224 * 224  # About as many as the network was trained with.


def main(network: str, *pictures: str) -> None:
    session = onnxruntime.InferenceSession(network)
    plate, photograph = (Image.open(name).convert("RGB") for name in pictures)
    scale = (PIXELS / photograph.width / photograph.height) ** 0.5
    size = [max(32, round(side * scale / 32) * 32) for side in photograph.size]
    bg, fg_bg = (
        np.asarray(picture.resize(size, Image.Resampling.BOX), np.float32)[None]
        for picture in (plate, photograph)  # 0..255
    )
    depth, mask = session.run(["depth", "mask"], {"bg": bg, "fg_bg": fg_bg})
    for name, values in (("mask", mask), ("depth", depth)):
        Image.fromarray(np.uint8(255 * values[0, ..., 0] + 0.5)).save(f"{name}.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
