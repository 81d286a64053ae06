"""Public data sets as sources: rooms of NYU Depth V2, pets of Oxford-IIIT.

NYU Depth V2 (Silberman et al. 2012) is photographs of rooms with the depth a sensor
measured, here as fastdepth (Wofk et al. 2019) and TensorFlow Datasets distribute it: one
HDF5 file a frame, `rgb` (3, 480, 640) uint8 and `depth` (480, 640) float32 in metres.
Oxford-IIIT Pet (Parkhi et al. 2012) is photographs of cats and dogs with trimaps: 1 pet,
2 background, 3 not decided.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import cast

import cv2
import h5py
import numpy as np

from keras_depthseg.datasets.composites import reading
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.errors import UserError
from keras_depthseg.pictures import checks
from keras_depthseg.pictures.folders import PictureFile

NYU_URL = "http://datasets.lids.mit.edu/fastdepth/data/nyudepthv2.tar.gz"
PETS_URL = "https://thor.robots.ox.ac.uk/~vgg/data/pets"

NYU_SCALE = 10.0
"""Metres stored as 1: the range of the sensor."""

# The photographs have a white frame, and the sensor sees nothing at the edges.
_NYU_MARGIN = 16
_PET, _BACKGROUND = 1, 2


@dataclasses.dataclass(frozen=True)
class NyuRoom:
    """One frame as a `settings.BackgroundSource`.

    Attributes:
        path: the HDF5 file.
        name: `basement_0001a/00001.h5`.
        group: the place, `basement_0001`: frames of one place stay in one split.
    """

    path: Path
    name: str
    group: str

    @property
    def digest(self) -> str:
        return self.name

    def read(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Read the middle square: (size, size, 3) uint8 RGB, (size, size) float32 depth
        in parts of `NYU_SCALE`, 0 where unknown.

        Raises:
            UserError: the file is damaged.
        """
        try:
            with h5py.File(self.path) as file:
                bg = np.moveaxis(cast(h5py.Dataset, file["rgb"])[:], 0, -1)
                metres = cast(h5py.Dataset, file["depth"])[:]
        except (OSError, KeyError) as error:
            raise UserError(
                f"{self.path}: received a damaged file ({error}); expected rgb and depth "
                "in HDF5. Download and extract it again."
            ) from error
        inside = np.s_[_NYU_MARGIN:-_NYU_MARGIN, _NYU_MARGIN:-_NYU_MARGIN]
        depth = np.clip(np.nan_to_num(metres) / NYU_SCALE, 0, 1).astype(np.float32)
        return (
            reading.resized_square(np.ascontiguousarray(bg[inside]), size),
            reading.nearest_square(depth[inside], size),
        )


@dataclasses.dataclass(frozen=True)
class Pet:
    """One photograph as a `settings.CutoutSource`.

    Attributes:
        picture, trimap: the two files.
        name: `Abyssinian_1`.
    """

    picture: PictureFile
    trimap: PictureFile
    name: str

    @property
    def group(self) -> str:
        return self.name

    @property
    def digest(self) -> str:
        return self.name

    def read(self, height: int, largest: int) -> Layer:
        """Read the pet, see `reading.read_cutout`; undecided pixels are partly opaque.

        Raises:
            UserError: a file is damaged, or there is no pet in the trimap.
        """
        data = self.picture.read()
        photograph = checks.open_picture(data, self.picture.where)
        trimap, _ = checks.decode_single(self.trimap.read(), self.trimap.where)
        if trimap.shape != (photograph.height, photograph.width):
            raise UserError(
                f"{self.trimap.where}: received {trimap.shape[1]}x{trimap.shape[0]} "
                f"pixels for a photograph of {photograph.width}x{photograph.height}; "
                "both must have one size. Download them again."
            )
        alpha = trimap_to_alpha(trimap)
        rgb = np.asarray(photograph.convert("RGB"))
        layer = reading.trimmed(rgb, alpha, self.trimap.where)
        return layer.fitted(height, largest)


def trimap_to_alpha(trimap: np.ndarray) -> np.ndarray:
    """Return opacity that falls evenly from the pet across undecided pixels.

    Args:
        trimap: (H, W) uint8: 1 pet, 2 background, 3 not decided.

    Returns:
        (H, W) uint8, 255 in the pet and 0 in the background.
    """

    def distance_to(kind: int) -> np.ndarray:
        if not (trimap == kind).any():
            return np.full(trimap.shape, np.inf, np.float32)
        away = (trimap != kind).astype(np.uint8)
        return cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)

    pet, background = distance_to(_PET), distance_to(_BACKGROUND)
    if np.isinf(pet).any():
        return np.zeros(trimap.shape, np.uint8)
    # Where nothing is background, `background` is infinite and all of it is pet.
    share = 1 - pet / np.maximum(pet + background, 1e-6)
    return np.round(255 * share).astype(np.uint8)


def nyu_rooms(root: Path, frame_step: int) -> list[NyuRoom]:
    """Return every `frame_step`-th frame of each recording; neighbours are alike.

    Args:
        root: the extracted archive, with `nyudepthv2/train` and `nyudepthv2/val`.
        frame_step: 1 takes all 48,238.
    """
    rooms = []
    for recording in sorted(root.glob("nyudepthv2/*/*")):
        for path in sorted(recording.glob("*.h5"))[::frame_step]:
            # basement_0001a, basement_0001b: recordings of one place.
            place = recording.name.rstrip("abcdefghijklmnopqrstuvwxyz")
            group = place if place and place[-1].isdigit() else recording.name
            rooms.append(NyuRoom(path, f"{recording.name}/{path.name}", group))
    return rooms


def pets(photographs: Path, annotations: Path) -> list[Pet]:
    """Return all photographs that have a trimap.

    Args:
        photographs: the extracted archive, with `images/NAME.jpg`.
        annotations: the extracted archive, with `annotations/trimaps/NAME.png`.
    """
    found = []
    for trimap in sorted((annotations / "annotations/trimaps").glob("[!.]*.png")):
        picture = photographs / "images" / f"{trimap.stem}.jpg"
        if picture.exists():
            found.append(
                Pet(
                    PictureFile(picture.name, picture.parent),
                    PictureFile(trimap.name, trimap.parent),
                    trimap.stem,
                )
            )
    return found
