"""A small network that looks for what gives the plate away."""

import cv2
import keras
import numpy as np

SIDE = 32


def empty_pairs(count):
    """Return images, labels and boxes of pairs without a foreground."""
    rng = np.random.default_rng(0)
    images = np.empty((2, count, SIDE, SIDE, 3), np.uint8)
    for i in range(count):
        picture = rng.normal(size=(SIDE, SIDE, 3)).astype(np.float32)
        picture = 128 + 90 * cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.8, 2))
        left, top = rng.integers(0, SIDE - 8, 2)
        picture[top : top + 8, left:] += rng.uniform(-60, 60, 3)
        images[:, i] = np.clip(picture, 0, 255)
    labels = np.zeros((2, count, SIDE, SIDE, 1), np.float32)
    labels[1] = np.linspace(0.9, 0.2, SIDE)[:, None, None]
    return images, labels, np.zeros((count, 4), np.float32)


def guess_the_plate(images, held_out):
    """Train on pairs; return the share of the others in which it finds the plate.

    Args:
        images: `bg` and `fg_bg`, (2, N, H, W, 3) uint8.
        held_out: how many pairs, the last ones, are not trained on.
    """
    keras.utils.set_random_seed(0)
    layers = keras.layers
    score = keras.Sequential(
        [
            layers.Rescaling(1 / 32, offset=-4),
            layers.Conv2D(12, 5, activation="relu"),
            layers.Conv2D(16, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(16, activation="relu"),
            layers.Dense(1, use_bias=False),
        ]
    )
    first, second = (keras.Input(images.shape[2:]) for _ in range(2))
    model = keras.Model([first, second], score(first) - score(second))
    model.compile(keras.optimizers.Adam(3e-3), keras.losses.BinaryCrossentropy(True))
    # Each pair in one of its orders.
    bg_first = np.random.default_rng(1).random(images.shape[1]) < 0.5
    order = bg_first[:, None, None, None]
    pairs = [np.where(order, *images), np.where(order, *images[::-1])]
    train = slice(0, -held_out)
    model.fit(
        [image[train] for image in pairs],
        bg_first[train].astype(np.float32)[:, None],
        batch_size=50,
        epochs=8,
        verbose=0,
    )
    test = slice(-held_out, None)
    says = model.predict([image[test] for image in pairs], verbose=0)[:, 0] > 0
    return float(np.mean(says == bg_first[test]))
