"""The sources of composites: pictures in folders, and rendered rooms."""

from __future__ import annotations

import dataclasses

import numpy as np

from keras_depthseg.datasets.composites import reading
from keras_depthseg.datasets.composites.depth_folder import DepthFolder
from keras_depthseg.datasets.composites.layer import Layer
from keras_depthseg.datasets.rooms import rooms_dataset_builder, scene
from keras_depthseg.pictures.folders import PictureFile


@dataclasses.dataclass(frozen=True)
class FolderBackground:
    """A picture in a folder as a `settings.BackgroundSource`.

    Attributes:
        name: of the file.
        digest: SHA-256 of the file, and of its depth map.
        group: the pictures of a sub-folder, and near-duplicates; stays in one split.
        file, depth: picture and depth map.
        maps: the meaning of the depth map's numbers; `None` without depth.
    """

    name: str
    digest: str
    group: str
    file: PictureFile
    depth: PictureFile | None = None
    maps: DepthFolder | None = None

    def read(self, size: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Read the middle square and its depth.

        Returns:
            (size, size, 3) uint8 RGB, and (size, size) float32 in [0, 1], larger =
            farther, 0 where unknown; `None` without depth.

        Raises:
            UserError: the picture or its depth map cannot be used.
        """
        bg = reading.read_background(self.file, size)
        if self.depth is None or self.maps is None:
            return bg, None
        return bg, self.maps.normalise(reading.read_depth(self.depth, self.file, size))


@dataclasses.dataclass(frozen=True)
class FolderCutout:
    """A picture in a folder as a `settings.CutoutSource`.

    Attributes:
        name, digest, group: as of `FolderBackground`, the mask in place of depth.
        file: the picture.
        mask: a picture of its opacity; `None` takes the file's alpha channel.
    """

    name: str
    digest: str
    group: str
    file: PictureFile
    mask: PictureFile | None = None

    def read(self, height: int, largest: int) -> Layer:
        """Read it at a height, see `reading.read_cutout`."""
        return reading.read_cutout(self.file, self.mask, height, largest)


@dataclasses.dataclass(frozen=True)
class RenderedRoom:
    """A room rendered by this package as a `settings.BackgroundSource`, with true depth.

    Attributes:
        seed, index: of the room.
    """

    seed: int
    index: int

    @property
    def name(self) -> str:
        return f"room {self.index}"

    @property
    def digest(self) -> str:
        return f"rooms {rooms_dataset_builder.Builder.VERSION} {self.seed} {self.index}"

    @property
    def group(self) -> str:
        return self.name

    def read(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """Render it: (size, size, 3) uint8 RGB, (size, size) float32 depth, 1 = 12 m."""
        room = scene.make_room(self.seed, self.index, size)
        return room.bg, (room.depth / rooms_dataset_builder.SCALE).astype(np.float32)
