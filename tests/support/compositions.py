"""Backgrounds, cutouts and depth maps drawn here, and data sets composed of them."""

import math
import multiprocessing
import os
import tempfile
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import tensorflow_datasets as tfds

from keras_depthseg.datasets.building import clean_builder
from keras_depthseg.datasets.composites.composites_dataset_builder import Builder
from keras_depthseg.datasets.composites.configure import make_config
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.datasets.composites.scene import Scene
from tests.support.tiny_data import RefusalTestCase, colour, encoded

SIZE = 48
HEIGHT = 14
STEP = 0.001


def soft_disc(height, width, seed=0):
    """(h, w, 4) RGBA: an ellipse with a soft edge that reaches every side; what is
    transparent has a loud colour."""
    y, x = np.mgrid[:height, :width] + 0.5
    radius = np.hypot(2 * y / height - 1, 2 * x / width - 1)
    alpha = np.clip((1.15 - radius) * 2.5, 0, 1)
    rgba = np.dstack([colour(seed, (height, width)), np.round(alpha * 255)])
    rgba[alpha == 0, :3] = (255, 0, 255)
    return rgba.astype(np.uint8)


def over(bg, rgba, top, left):
    """`colour alpha + bg (1 - alpha)` in floats, and alpha, pixel by pixel."""
    picture, mask = bg.astype(float), np.zeros(bg.shape[:2], np.uint8)
    for row in range(rgba.shape[0]):
        for column in range(rgba.shape[1]):
            y, x = row + top, column + left
            if 0 <= y < bg.shape[0] and 0 <= x < bg.shape[1]:
                alpha = rgba[row, column, 3] / 255
                picture[y, x] = rgba[row, column, :3] * alpha + bg[y, x] * (1 - alpha)
                mask[y, x] = rgba[row, column, 3]
    return picture, mask


def scene(depth=None, size=SIZE, seed=1):
    return Scene.of(colour(seed, (size, size)), depth, lossless=True)


def room_depth(
    pitch, size=64, roll=0.0, field_of_view=50.0, boxes=(), noise=0.0, seed=None
):
    """Depth of a room, 10 m full scale, and where its floor is seen.

    A pinhole camera 1.5 m above the floor looks `pitch` degrees down; boxes are two
    corners each, x to the right, y down, z away, in metres from the camera.
    """
    focal = size / 2 / math.tan(math.radians(field_of_view) / 2)
    v, u = np.mgrid[:size, :size] + 0.5 - size / 2
    rays = np.stack([u / focal, v / focal, np.ones_like(u)], axis=-1)
    p, r = math.radians(pitch), math.radians(roll)
    rolled = [[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]]
    tilted = [[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]]
    rays = rays @ (np.array(tilted) @ np.array(rolled)).T
    surfaces = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for axis, at in ((1, 1.5), (1, -1.1), (2, 6.0), (0, 4.0), (0, -4.0)):
            distance = at / rays[..., axis]
            surfaces.append(np.where(distance > 0, distance, np.inf))
        for corners in boxes:
            ends = np.stack([np.array(corner, float) / rays for corner in corners])
            first, last = ends.min(0).max(-1), ends.max(0).min(-1)
            surfaces.append(np.where((first < last) & (first > 0), first, np.inf))
    depth = np.min(surfaces, axis=0)
    floor = np.argmin(surfaces, axis=0) == 0
    if seed is not None:
        rng = np.random.default_rng(seed)
        depth *= 1 + noise * rng.standard_normal(depth.shape)
        for row, column in rng.integers(0, size - size // 10, (6, 2)):
            depth[row : row + size // 10, column : column + size // 10] = 0
        depth[rng.random(depth.shape) < 0.02] = 0
    return (depth / 10).astype(np.float32), floor


def some_boxes(seed):
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(3):
        x, z = rng.uniform(-1.5, 1.5), rng.uniform(2.5, 5)
        wide, deep, tall = rng.uniform(0.3, 0.9, 3)
        boxes.append(((x, 1.5 - tall, z), (x + wide, 1.5, z + deep)))
    return boxes


def write_pictures(root, backgrounds=6, cutouts=6, size=SIZE, height=HEIGHT):
    """Backgrounds, their depth in millimetres, cutouts with a transparent border."""
    root = Path(root)
    for name in ("bg", "depth", "fg"):
        (root / name).mkdir(parents=True)
    for index in range(backgrounds):
        rng = np.random.default_rng(index)
        plate = cv2.resize(colour(100 + index, (6, 6)), (size, size))
        (root / f"bg/{index:02}.png").write_bytes(encoded(plate, "png"))
        levels = rng.integers(1000, 9000, (4, 4)).astype(np.uint16)
        levels = cv2.resize(levels, (size, size), interpolation=cv2.INTER_NEAREST)
        levels[rng.random(levels.shape) < 0.05] = 0
        (root / f"depth/{index:02}.png").write_bytes(encoded(levels, "png"))
    for index in range(cutouts):
        rgba = soft_disc(height, 8 + 2 * index, seed=index)
        border = np.zeros((height + 8, rgba.shape[1] + 8, 4), np.uint8)
        border[..., :3] = (255, 0, 255)
        border[4:-4, 4:-4] = rgba
        (root / f"fg/{index:02}.png").write_bytes(encoded(border, "png"))
    return root


def compose_config(root, **options):
    """The configuration of the pictures of `write_pictures`; nothing may be left out."""
    defaults = {
        **{"bg": str(root / "bg"), "fg": root / "fg", "size": SIZE},
        **{"fg_height": HEIGHT, "lossless": True, "placements": 2},
    }
    options = ComposeOptions(**{**defaults, **options})
    refused = []
    config = make_config(options, refused.append)
    if refused:
        raise AssertionError(refused)
    return config


def build(config, data_dir, beam=None):
    builder = Builder(config=config, data_dir=data_dir)
    with clean_builder.quiet():
        builder.download_and_prepare(
            download_config=tfds.download.DownloadConfig(beam_options=beam)
        )
    return Path(builder.data_path)


def run_process(call, *args):
    """Calls in another process, with another hash seed, that has imported everything
    already; returns its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    other = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    with mock.patch.dict(os.environ, PYTHONHASHSEED=other):
        process = context.Process(target=call, args=args)
        process.start()
    process.join()
    return process.exitcode


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file()
    }


def samples(path):
    """All samples, with the name of their split."""
    builder = tfds.builder_from_directory(path)
    return [
        {**sample, "split": split}
        for split in builder.info.splits
        for sample in tfds.as_numpy(builder.as_dataset(split=split))
    ]


class CompositesTestCase(RefusalTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pictures = write_pictures(
            Path(cls.enter_context(tempfile.TemporaryDirectory())) / "pictures"
        )
        cls.depth = f"{cls.pictures}/depth,step={STEP}"

    def config(self, **options):
        return compose_config(self.pictures, **options)
