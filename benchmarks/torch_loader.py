"""The original's reader in PyTorch: what our pipeline is measured against.

A `Dataset` over a folder in the original's layout, every sample opened with PIL,
resized, its photographs changed in colour by albumentations, each by a draw of its own,
and normalised; a `DataLoader` with worker processes makes batches of them.

    bg/ fg_bg/ fg_bg_mask/ fg_bg_depth/     JPEG
    file_map.txt    bg, fg_bg, mask, depth: tab-separated names without extension
"""

from __future__ import annotations

import pathlib

import albumentations
import cv2
import numpy as np
import torch
from albumentations.pytorch import ToTensorV2
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks import pairs

FILE_MAP = "file_map.txt"
_FOLDERS = {
    "bg": "bg",
    "fg_bg": "fg_bg",
    "mask": "fg_bg_mask",
    "depth": "fg_bg_depth",
}
_EXTENSIONS = (".jpeg", ".jpg")


class OriginalDataset(Dataset):
    """Samples of a folder in the original's layout.

    A sample is a dict: `bg`, `fg_bg`: (3, S, S) float32, normalised; `mask`, `depth`:
    (1, S, S) float32 in [0, 1].

    Args:
        folder: holds `file_map.txt` and the four folders of images.
        resolution: S, in pixels.
        augment: whether to change hue, saturation, value and contrast.
    """

    def __init__(self, folder: str, resolution: int, augment: bool = True):
        self.folder = pathlib.Path(folder)
        self.resolution = resolution
        file_map = self.folder / FILE_MAP
        if not file_map.is_file():
            raise pairs.UserError(
                f"no data set in the original's layout there. Received: {folder}; a "
                f"folder with {FILE_MAP} and {', '.join(_FOLDERS.values())} is accepted"
            )
        self.rows = [line.split("\t") for line in file_map.read_text().splitlines()]
        bad = [n for n, row in enumerate(self.rows, 1) if len(row) != len(_FOLDERS)]
        if bad or not self.rows:
            raise pairs.UserError(
                f"{file_map} must have one sample a line, {len(_FOLDERS)} names "
                f"separated by tabs. Received: {len(self.rows)} lines, the first "
                f"unreadable one is number {bad[0] if bad else 1}"
            )
        changes = [
            albumentations.HueSaturationValue(),
            # RandomContrast of the versions that had it.
            albumentations.RandomBrightnessContrast(brightness_limit=0),
        ]
        self.transform = albumentations.Compose(
            [
                *(changes if augment else []),
                # Which values they are makes no difference to the speed.
                albumentations.Normalize(mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)),
                ToTensorV2(),
            ]
        )

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        sample = {}
        for (field, folder), name in zip(_FOLDERS.items(), self.rows[index], strict=True):
            photograph = field in ("bg", "fg_bg")
            array = self._read(folder, name, "RGB" if photograph else "L")
            if photograph:
                # One call each, hence a draw each, as in the original.
                sample[field] = self.transform(image=array)["image"]
            else:
                sample[field] = torch.from_numpy(array)[None].float() / 255.0
        return sample

    def _read(self, folder: str, name: str, mode: str) -> np.ndarray:
        """One image as (S, S, 3) or (S, S) uint8."""
        for extension in _EXTENSIONS:
            path = self.folder / folder / (name + extension)
            if path.is_file():
                break
        else:
            raise pairs.UserError(
                f"no image for {name} of {FILE_MAP} in {self.folder / folder}; a file "
                f"that ends in {' or '.join(_EXTENSIONS)} is accepted"
            )
        with Image.open(path) as image:
            size = (self.resolution, self.resolution)
            image = image.convert(mode).resize(size, Image.Resampling.BILINEAR)
            return np.array(image)


def make_loader(
    folder: str,
    resolution: int,
    batch_size: int,
    augment: bool = True,
    workers: int = 2,
) -> DataLoader:
    """Shuffled batches of `OriginalDataset`, made by `workers` processes."""
    return DataLoader(
        OriginalDataset(folder, resolution, augment),
        batch_size=batch_size,
        shuffle=True,
        num_workers=workers,
        # Starting processes at every pass would weigh on a short data set as it does
        # not on the original's 400,000 samples.
        persistent_workers=workers > 0,
        worker_init_fn=_one_opencv_thread,
    )


def _one_opencv_thread(_: int) -> None:
    # OpenCV's own threads in every worker get in each other's way: 5 % slower.
    cv2.setNumThreads(0)
