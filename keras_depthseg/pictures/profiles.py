"""Colour profiles (ICC.1:2022): what the values of a picture's channels mean."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

# By Pillow's mode: the space that a profile must be of, in bytes 16 to 19 of its header.
_SPACES = {"RGB": b"RGB ", "L": b"GRAY", "CMYK": b"CMYK"}


def fits(profile: bytes | None, mode: str) -> bool:
    """Return whether there is a profile, and for pictures of a mode: RGB, L or CMYK."""
    if profile is None or profile[36:40] != b"acsp":
        return False
    return profile[16:20] == _SPACES.get(mode)


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return an image of the mode L, CMYK or LAB in sRGB.

    Args:
        image: the image.
        profile: its own; without a fitting one Pillow's plain formulas are used.
    """
    # Only few pictures need it, and it takes 10 ms to import.
    from PIL import ImageCms

    if image.mode == "LAB":
        source = ImageCms.createProfile("LAB")
    elif fits(profile, image.mode):
        source = io.BytesIO(profile or b"")
    else:
        return image.convert("RGB")
    try:
        converted = ImageCms.profileToProfile(
            image, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
        )
    # The profile is damaged: viewers show the picture without it.
    except ImageCms.PyCMSError:
        return image.convert("RGB")
    return converted or image.convert("RGB")


def convert(pixels: np.ndarray, source: bytes | None, target: bytes | None) -> np.ndarray:
    """Return pixels whose colours look the same under another profile.

    Args:
        pixels: (H, W, 3) uint8 RGB.
        source, target: RGB profiles; sRGB for `None`.

    Returns:
        (H, W, 3) uint8; `pixels` itself if the profiles are equal or one is damaged.
    """
    if source == target:
        return pixels
    from PIL import ImageCms

    first, second = (
        io.BytesIO(profile) if profile else ImageCms.createProfile("sRGB")
        for profile in (source, target)
    )
    try:
        converted = ImageCms.profileToProfile(Image.fromarray(pixels), first, second)
    except ImageCms.PyCMSError:
        return pixels
    return np.asarray(converted)
