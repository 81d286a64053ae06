"""A data set in the original's layout, drawn here, for who has none at hand.

Its images are no photographs, but as files they are alike: 224 px JPEG of some 12 kB
(maps of 3 to 6 kB), few backgrounds, many composites. That is what reading depends on.
"""

from __future__ import annotations

import pathlib

import cv2
import numpy as np
from PIL import Image

_SIZE = 224
_BACKGROUNDS = 22
_CUTOUTS = 24
_PLACEMENTS = 2


def write_original_layout(folder: pathlib.Path) -> None:
    """Writes 1,056 samples to `folder`, in some ten seconds; always the same ones."""
    generator = np.random.default_rng(0)
    for name in ("bg", "fg_bg", "fg_bg_mask", "fg_bg_depth"):
        (folder / name).mkdir(parents=True)
    textures = [_texture(generator) for _ in range(_CUTOUTS)]
    rows, labels = [], []
    for b in range(_BACKGROUNDS):
        bg_name = f"bg{b + 1:03d}"
        bg = _texture(generator)
        _save(folder / "bg" / f"{bg_name}.jpeg", bg)
        # Nearer towards the lower edge, as a floor is, and never quite flat.
        wall = np.linspace(230.0, 90.0, _SIZE)[:, None] + bg.mean(axis=2) / 8.0
        for c, texture in enumerate(textures):
            for placement in range(_PLACEMENTS):
                sample = f"{bg_name}_fg{c + 1:03d}_{placement + 1:02d}"
                mask, box = _blob(generator)
                fg_bg = bg + mask[..., None] * (texture - bg)
                depth = wall + mask * (40.0 - wall)
                _save(folder / "fg_bg" / f"{sample}.jpeg", fg_bg)
                _save(folder / "fg_bg_mask" / f"{sample}_mask.jpeg", 255.0 * mask)
                _save(folder / "fg_bg_depth" / f"{sample}_depth_map.jpeg", depth)
                rows.append((bg_name, sample, f"{sample}_mask", f"{sample}_depth_map"))
                labels.append((sample, *box))
    for name, table in (("file_map.txt", rows), ("labels.txt", labels)):
        lines = ("\t".join(map(str, row)) + "\n" for row in table)
        (folder / name).write_text("".join(lines))


def _texture(generator: np.random.Generator) -> np.ndarray:
    """Coloured noise with most of its power at large scales: (S, S, 3) in 0..255."""
    image = np.zeros((_SIZE, _SIZE, 3))
    for cells, strength in ((3, 60.0), (12, 30.0), (56, 14.0), (_SIZE, 4.0)):
        noise = generator.normal(0.0, strength, (cells, cells, 3))
        image += cv2.resize(noise, (_SIZE, _SIZE), interpolation=cv2.INTER_CUBIC)
    return np.clip(image + 128.0, 0.0, 255.0)


def _blob(
    generator: np.random.Generator,
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """An ellipse with a soft edge: (S, S) in [0, 1], and its x, y, width, height."""
    width, height = (int(v) for v in generator.integers(60, 120, 2))
    x, y = (int(generator.integers(0, _SIZE - side)) for side in (width, height))
    rows, columns = np.mgrid[:_SIZE, :_SIZE]
    radius = np.hypot(
        (columns - x - width / 2) / (width / 2), (rows - y - height / 2) / (height / 2)
    )
    return np.clip((1.0 - radius) * 12.0, 0.0, 1.0), (x, y, width, height)


def _save(path: pathlib.Path, image: np.ndarray) -> None:
    pixels = np.clip(image, 0.0, 255.0).astype(np.uint8)
    Image.fromarray(pixels).save(path, quality=90)
