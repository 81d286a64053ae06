"""Photographs taken inside a panorama: perspective views with a camera's exposure."""

from __future__ import annotations

import base64
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from keras_depthseg.errors import UserError

VIEWS = 12
"""Of a panorama, at equal angles."""

SIDE = 192
"""Of a view, in pixels. A panorama of 512 px has 85 to 128 in its field of view: more
would be empty magnification."""

_FIELD_OF_VIEW = (60.0, 90.0)
_PITCH = (-20.0, 10.0)
"""In degrees, upwards positive: cameras look down at what stands on the floor."""

_BRIGHT = 75
"""The percentile of a view's brightness that is exposed to `_EXPOSED` of white."""
_EXPOSED = 0.45

_BURNT = 8
"""Times as bright as white: white in all channels, as on a sensor."""
_BROKEN = -0.03
"""Share of white below which a channel is an artefact."""
_SEAM = 8
"""Columns repeated at either side."""

_DATA = re.compile(rb"base64,([A-Za-z0-9+/=]+)")


def read_panorama(script: bytes, name: str) -> np.ndarray:
    """Return the panorama that a script holds in base 64.

    Args:
        script: JavaScript with a `data:` URL of an OpenEXR file.
        name: of the file, for messages.

    Returns:
        (H, 2 H, 3) float32, linear RGB; negative beside lamps, see `_developed`.

    Raises:
        UserError: the package `OpenEXR` is missing, or `script` holds no panorama.
    """
    try:
        # The wheels of OpenCV 5 are built without it.
        import OpenEXR
    except ModuleNotFoundError as error:
        raise UserError(
            "OpenEXR: it is not installed; expected version 3 to read panoramas. Run pip "
            "install OpenEXR."
        ) from error
    data = _DATA.search(script)
    if data is None:
        raise UserError(
            f"{name}: there is no file in base 64 in it; expected an OpenEXR panorama. "
            "Take the version of the package that is named in gather.py."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "panorama.exr"
        path.write_bytes(base64.b64decode(data[1]))
        with OpenEXR.File(str(path)) as file:
            pixels = file.channels()["RGB"].pixels
    return pixels.astype(np.float32)


def views(panorama: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield `VIEWS` perspective views, each (SIDE, SIDE, 3) uint8 RGB.

    Args:
        panorama: (H, 2 H, 3) float32, equirectangular, linear RGB.
        rng: draws direction, inclination and field of view.
    """
    turn = rng.uniform(0, 360)
    for number in range(VIEWS):
        yaw = np.radians(turn + number * 360 / VIEWS)
        pitch = np.radians(rng.uniform(*_PITCH))
        focal = SIDE / 2 / np.tan(np.radians(rng.uniform(*_FIELD_OF_VIEW) / 2))
        yield _view(panorama, yaw, pitch, focal)


def _view(panorama: np.ndarray, yaw: float, pitch: float, focal: float) -> np.ndarray:
    height, width = panorama.shape[:2]
    offset = np.arange(SIDE) - (SIDE - 1) / 2
    x, down = np.meshgrid(offset, offset)
    forward = focal * np.cos(pitch) + down * np.sin(pitch)
    up = focal * np.sin(pitch) - down * np.cos(pitch)
    longitude = yaw + np.arctan2(x, forward)
    latitude = np.arctan2(up, np.hypot(x, forward))
    columns = (longitude / (2 * np.pi) % 1) * width - 0.5
    rows = (0.5 - latitude / np.pi) * height - 0.5
    # OpenCV does not wrap columns at the seam.
    panorama = np.pad(panorama, [(0, 0), (_SEAM, _SEAM), (0, 0)], "wrap")
    places = (columns + _SEAM).astype(np.float32), rows.astype(np.float32)
    nearest = cv2.remap(panorama, *places, cv2.INTER_NEAREST)
    luminance = nearest @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    white = max(np.percentile(luminance, _BRIGHT), 1e-6) / _EXPOSED
    # Developed before it is magnified: cubic interpolation rings around a lamp that is a
    # thousand times as bright as white.
    developed = _developed(panorama / white)
    return cv2.remap(developed, *places, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def _developed(linear: np.ndarray) -> np.ndarray:
    """Return linear RGB, white 1, as (H, W, 3) uint8 sRGB.

    Lossy compression left negative rims around lamps and the sun; they are filled from
    their surroundings.
    """
    burnt = linear.max(axis=2, keepdims=True) > _BURNT
    levels = _srgb(np.where(burnt, 1, np.clip(linear, 0, 1))) * 255 + 0.5
    # With their neighbours: a rim swings between its pixels.
    broken = (linear.min(axis=2) < _BROKEN).astype(np.uint8)
    broken = cv2.dilate(broken, np.ones((3, 3), np.uint8))
    broken[burnt[..., 0]] = 0
    return cv2.inpaint(levels.astype(np.uint8), broken, 3, cv2.INPAINT_TELEA)


def _srgb(linear: np.ndarray) -> np.ndarray:
    """Return the encoded values of linear ones in [0, 1] (IEC 61966-2-1)."""
    power = 1.055 * linear ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, power).astype(np.float32)
