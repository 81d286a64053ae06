"""How well masks at the photograph's size follow its edges, against bilinear enlargement.

    python -m benchmarks.edges --count 24 --model model.keras
    python -m benchmarks.edges

Rendered figures in rendered rooms, 1,024 x 768 px: their alpha and their colours are
known. Plate and photograph have noise and JPEG's losses; the plate is off by 0.5 px and
5 % darker. The mask is a network's at 256 x 192 px, or without one the true alpha at that
size, with its edges bent by up to about a pixel of it and blurred.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from PIL import Image

from benchmarks import command

_SIZE, _SMALL = (1024, 768), (256, 192)
_SHIFT, _GAIN, _NOISE, _QUALITY = 0.5, 1.05, 2.5, 90
_SCORES = ("mask_hard_iou", "mask_boundary_f1", "mask_mad", "mask_grad")


def main(argv: Sequence[str] | None = None) -> int:
    """Print the means over all pictures; return the exit status."""
    parser = argparse.ArgumentParser(description="Edges: refined against enlarged masks.")
    parser.add_argument("--count", type=command.positive, default=24, help="pictures")
    parser.add_argument(
        "--model", metavar="FILE", help="of a network that gives the masks"
    )
    arguments = parser.parse_args(argv)

    from keras_depthseg.evaluation.per_image import mask_scores
    from keras_depthseg.inference.foreground import foreground_colours
    from keras_depthseg.inference.refinement import refine

    predict = _network(arguments.model) if arguments.model else None
    scores: dict[str, list[list[float]]] = {"bilinear": [], "refined": []}
    colours = []
    for index in range(arguments.count):
        bg, fg_bg, alpha, fg = _pictures(index)
        mask = predict(bg, fg_bg) if predict else _bent(alpha, index)
        masks = {"bilinear": cv2.resize(mask, _SIZE), "refined": refine(mask, fg_bg, bg)}
        for name, found in masks.items():
            one = mask_scores(alpha[None, ..., None], found[None, ..., None])
            scores[name].append([float(one[score][0]) for score in _SCORES])
        edge = (alpha > 0.05) & (alpha < 0.95)
        solved = foreground_colours(fg_bg, alpha, bg)
        colours.append([np.abs(x[edge] - fg[edge]).mean() for x in (1.0 * fg_bg, solved)])
    print(f"{'':<10}{'hard IoU':>10}{'F1 (2 px)':>11}{'MAD':>8}{'Grad':>8}")
    for name, rows in scores.items():
        iou, f1, mad, grad = np.mean(rows, axis=0)
        print(f"{name:<10}{iou:10.4f}{f1:11.3f}{mad:8.2f}{grad:8.2f}")
    taken, solved = np.mean(colours, axis=0)
    print(
        "Colours of the edges, true alpha given, mean error in levels: "
        f"the photograph's {taken:.1f}, solved {solved:.1f}"
    )
    return 0


def _pictures(index: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return `bg`, `fg_bg`, alpha and the foreground's colours as in `fg_bg`."""
    from keras_depthseg.datasets.rooms import cutouts, scene

    rng = np.random.default_rng(index)
    width, height = _SIZE
    room = cv2.resize(scene.make_room(0, index, width).bg, _SIZE).astype(np.float32)
    rgba = cutouts.make_cutout(0, index, int(rng.integers(400, 700))).rgba
    rgba = rgba[-height:, :width].astype(np.float32)
    y = int(rng.integers(0, height - rgba.shape[0] + 1))
    x = int(rng.integers(0, width - rgba.shape[1] + 1))
    place = np.s_[y : y + rgba.shape[0], x : x + rgba.shape[1]]
    alpha, fg = np.zeros((height, width), np.float32), np.zeros_like(room)
    alpha[place], fg[place] = rgba[..., 3] / 255, rgba[..., :3]
    angle = rng.uniform(0, 2 * np.pi)
    movement = np.eye(2, 3)
    movement[:, 2] = _SHIFT * np.cos(angle), _SHIFT * np.sin(angle)
    bg = cv2.warpAffine(room, movement, _SIZE, borderMode=cv2.BORDER_REFLECT_101)
    fg_bg = room + alpha[..., None] * (fg - room)
    return _taken(bg / _GAIN, rng), _taken(fg_bg, rng), alpha, fg


def _taken(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noisy = np.clip(image + rng.normal(0, _NOISE, image.shape), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noisy).save(file, "JPEG", quality=_QUALITY)
    return np.array(Image.open(file))


def _bent(alpha: np.ndarray, index: int) -> np.ndarray:
    """Return a small mask as a network might give it."""
    rng = np.random.default_rng([index, 1])
    width, height = _SMALL
    bend = rng.normal(size=(2, height, width)).astype(np.float32)
    bend = np.stack([cv2.GaussianBlur(part, (0, 0), 5) for part in bend])
    bend *= 0.6 / bend.std()
    y, x = (np.mgrid[:height, :width] + bend).astype(np.float32)
    small = cv2.resize(alpha, _SMALL, interpolation=cv2.INTER_AREA)
    return cv2.GaussianBlur(cv2.remap(small, x, y, cv2.INTER_LINEAR), (0, 0), 0.7)


def _network(path: str) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    from keras_depthseg.networks.loading import load_network

    model = load_network(path)

    def predict(bg: np.ndarray, fg_bg: np.ndarray) -> np.ndarray:
        pair = {"bg": bg, "fg_bg": fg_bg}
        batch = {
            name: cv2.resize(image, _SMALL, interpolation=cv2.INTER_AREA)[None]
            for name, image in pair.items()
        }
        return np.asarray(model.predict_on_batch(batch)["mask"][0, ..., 0], np.float32)

    return predict


if __name__ == "__main__":
    raise SystemExit(main())
