"""Small pictures to damage, the same each time."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from keras_depthseg.datasets.composites.options import ComposeOptions

SIDE = 32


def plate(seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """Return patches of colour, (H, W, 3) uint8 RGB."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(30, 220, (5, 6, 3), np.uint8)
    return cv2.resize(patches, size[::-1], interpolation=cv2.INTER_CUBIC)


def blob(size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """Return the mask of an ellipse with a soft edge, (H, W) uint8."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    radius = np.hypot(3 * y / size[0] - 1.6, 3 * x / size[1] - 1.4)
    return np.round(np.clip((1.05 - radius) * 6, 0, 1) * 255).astype(np.uint8)


def pair(seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> tuple[np.ndarray, ...]:
    """Return a plate, the plate with an ellipse on it, and the mask."""
    bg, mask = plate(seed, size), blob(size)
    alpha = mask[..., None] / 255
    fg_bg = plate(1000 + seed, size) * alpha + bg * (1 - alpha)
    return bg, np.round(fg_bg).astype(np.uint8), mask


def millimetres(seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> np.ndarray:
    """Return a depth map of one to nine metres, (H, W) uint16; 0 in a corner."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(1000, 9000, (4, 4)).astype(np.uint16)
    levels = cv2.resize(levels, size[::-1], interpolation=cv2.INTER_NEAREST)
    levels[:3, :3] = 0
    return levels


def encoded(
    pixels: np.ndarray, kind: str = "PNG", mode: str = "", **options: Any
) -> bytes:
    """Return the bytes of a picture in one of Pillow's formats."""
    image = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    """Return the block of a camera's tag."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def write_sources(folder: Path, count: int = 6, height: int = 16) -> None:
    """Write `bg`, `depth` and `fg`: backgrounds, their depth, and cutouts."""
    for name in ("bg", "depth", "fg"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        (folder / f"bg/{number}.png").write_bytes(encoded(plate(number)))
        (folder / f"depth/{number}.png").write_bytes(encoded(millimetres(number)))
        side = height, height
        rgba = np.dstack([plate(50 + number, side), blob(side)])
        (folder / f"fg/{number}.png").write_bytes(encoded(rgba))


def compose_options(folder: Path, **options: Any) -> ComposeOptions:
    """Return the options that compose what `write_sources` wrote.

    Args:
        folder: with `bg`, `depth` and `fg`.
        options: further fields.
    """
    depth = f"{folder / 'depth'},step=0.001"
    return ComposeOptions(bg=str(folder / "bg"), fg=folder / "fg", depth=depth, **options)


def write_layout(folder: Path, backgrounds: int = 3, cutouts: int = 3) -> None:
    """Write a folder in the layout of the original assignment."""
    for name in ("bg", "fg_bg", "fg_bg_mask", "fg_bg_depth"):
        (folder / name).mkdir(parents=True)
    rows, boxes = [], []
    for b in range(backgrounds):
        (folder / f"bg/bg{b}.png").write_bytes(encoded(plate(b)))
        for f in range(cutouts):
            name = f"bg{b}_fg{f}_01"
            _, fg_bg, mask = pair(b)
            depth = (millimetres(9 * b + f) >> 8).astype(np.uint8)
            (folder / f"fg_bg/{name}.jpeg").write_bytes(encoded(fg_bg, "JPEG"))
            (folder / f"fg_bg_mask/{name}_mask.png").write_bytes(encoded(mask))
            (folder / f"fg_bg_depth/{name}_depth.png").write_bytes(encoded(depth))
            rows.append(f"bg{b}\t{name}\t{name}_mask\t{name}_depth\n")
            boxes.append(f"{name}\t3\t5\t24\t24\n")
    (folder / "file_map.txt").write_text("".join(rows))
    (folder / "labels.txt").write_text("".join(boxes))
