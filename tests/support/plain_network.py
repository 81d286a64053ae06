"""A network that compares the plate with the photograph, and scenes to give it."""

import cv2
import keras
import numpy as np


def plain_network():
    """Its mask is the difference of the pictures, from 20 of 255 on; depth is the plate.

    Of the plate it has one feature, a layer that only doubles it.
    """
    bg, fg_bg = (keras.Input((None, None, 3), name=name) for name in ("bg", "fg_bg"))
    feature = keras.layers.Rescaling(2.0, name="feature")(bg)
    change = keras.layers.Subtract()([fg_bg, keras.layers.Rescaling(0.5)(feature)])
    both = keras.ops.maximum(change, -change)
    mask = keras.ops.max(both, axis=-1, keepdims=True) - 20.0
    depth = keras.ops.mean(feature, axis=-1, keepdims=True) / 127.5 - 2.0
    return keras.Model({"bg": bg, "fg_bg": fg_bg}, {"mask": mask, "depth": depth})


def textured(height, width, seed=0):
    """(height, width, 3) uint8, smooth noise of several sizes."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), 120, np.float32)
    for sigma, strength in ((2, 80), (8, 300)):
        noise = rng.normal(size=image.shape).astype(np.float32)
        image += strength * cv2.GaussianBlur(noise, (0, 0), sigma).reshape(image.shape)
    return np.clip(image, 30, 200).astype(np.uint8)


def pair(height=300, width=400, seed=0):
    """A plate, a photograph with a disk in front of it, and the disk's mask."""
    bg = textured(height, width, seed)
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, (width // 2, height // 2), min(height, width) // 4, 1, -1)
    fg_bg = np.where(mask[..., None] > 0, np.uint8((250, 20, 240)), bg)
    return bg, fg_bg, mask.astype(np.float32)


def hard_iou(mask, truth):
    hard, true = mask >= 0.5, truth >= 0.5
    return (hard & true).sum() / (hard | true).sum()
