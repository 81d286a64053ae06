"""SiameseNet: one encoder for both pictures, local matching, depth from the plate."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from keras_depthseg.blocks import conv, decoder_block, encoder_block, residual_double_conv
from keras_depthseg.layers import BilinearUpsampling2x
from keras_depthseg.model import TwoPictureNetwork, check_arguments, picture_inputs
from keras_depthseg.networks.matching import BlendByMask, LocalMatching

# In places of a quarter of the sides: 8 pixels of the input.
_REACH = 2


@keras.saving.register_keras_serializable(package="keras_depthseg")
class SiameseNet(TwoPictureNetwork):
    """A U-Net that compares two pictures by shared features, and knows the plate's depth.

    - Both pictures pass the same two encoder blocks: equal content gives equal features.
    - Before they are joined, each place of the picture looks for its like near the same
      place of the plate, so that a plate moved by a few pixels still explains it.
    - Depth of the plate comes from the plate alone, so that it is computed once for many
      pictures. Depth of the foreground is smooth; the mask blends the two.

    Inputs and outputs are those of `TwoPictureNetwork`.

    Args:
        width: channels of the first encoder block.
        matching: whether places are matched; without it features are only joined.
        plate_depth: whether depth is blended as above; without it a second decoder of
            the joined features gives it, as in `DSResNet`.
        resolution: as for `TwoPictureNetwork`.
        dtype: dtype policy of the layers; the global one by default. Normalisation and
            heads are float32 under every policy.
        name: name of the model.

    Raises:
        ValueError: as for `DSResNet`.
    """

    def __init__(
        self,
        width: int = 8,
        *,
        matching: bool = False,
        plate_depth: bool = True,
        resolution: int | None = None,
        dtype: str | keras.DTypePolicy | None = None,
        name: str = "siamese_net",
        **kwargs,
    ):
        check_arguments(SiameseNet, width, kwargs)
        policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())

        # === Each picture by itself ===
        inputs = picture_inputs()
        features = _features(width, policy)
        plate, *plate_skips = (
            # Keras cuts a model only where a layer has one call (`parts.split`).
            keras.layers.Identity(dtype=policy, name=f"plate_features{number}")(x)
            for number, x in enumerate(features(inputs["bg"]), start=1)
        )
        picture, *picture_skips = features(inputs["fg_bg"])
        # skips[i]: for the decoder block of level i, whose sides are 1 / 2**(i - 1) of
        # the input's.
        skips: dict[int, list] = {
            level: list(pair)
            for level, pair in enumerate(
                zip(plate_skips, picture_skips, strict=True), start=1
            )
        }
        joined = [plate, picture]

        # === Compared ===
        if matching:
            joined += LocalMatching(2 * width, _REACH, dtype=policy, name="matching3")(
                joined
            )
        x = keras.layers.Concatenate(dtype=policy, name="join_branches")(joined)
        x = conv(4 * width, 1, dtype=policy, name="merge")(x)
        x, down = _down(x, "", (3, 4, 5), width, policy)
        bottom = residual_double_conv(x, width * 32, name="encoder6", dtype=policy)
        skips |= down
        decoded = _up(bottom, "mask", (5, 4, 3, 2, 1), skips, width, policy)
        mask = conv(1, 1, dtype="float32", name="mask")(decoded[1])

        # === Depth ===
        if plate_depth:
            x, down = _down(plate, "plate_", (3, 4, 5), width, policy)
            x = residual_double_conv(x, width * 24, name="plate_encoder6", dtype=policy)
            down[2] = [plate_skips[1]]
            behind = _up(x, "depth", (5, 4, 3, 2), down, width, policy)
            far = conv(1, 1, dtype="float32", name="far")(behind[2])
            x = keras.layers.Concatenate(dtype=policy, name="join_depths")(
                [decoded[4], behind[4]]
            )
            x = residual_double_conv(x, width * 4, name="near_decoder4", dtype=policy)
            near = conv(1, 1, dtype="float32", name="near")(x)
            depth = BlendByMask(dtype="float32", name="depth")(
                [_enlarged(far, "far", 1), _enlarged(near, "near", 3), mask]
            )
        else:
            decoded = _up(bottom, "depth", (5, 4, 3, 2, 1), skips, width, policy)
            depth = conv(1, 1, dtype="float32", name="depth")(decoded[1])
        super().__init__(
            inputs,
            {"depth": depth, "mask": mask},
            width=width,
            resolution=resolution,
            dtype=policy,
            name=name,
        )
        self.matching = matching
        self.plate_depth = plate_depth

    def get_config(self):
        return {
            **super().get_config(),
            "matching": self.matching,
            "plate_depth": self.plate_depth,
        }


def _features(width: int, policy: keras.DTypePolicy) -> keras.Model:
    """Return the shared layers: (B, H, W, 3) to features of levels 3, 1 and 2."""
    image = keras.Input((None, None, 3), name="image", dtype="float32")
    # 0..255 to -2..2.
    x = keras.layers.Rescaling(1 / 64, -2.0, dtype="float32", name="normalization")(image)
    skips = []
    for level in (1, 2):
        x, skip = encoder_block(
            x, width * 2 ** (level - 1), name=f"encoder{level}", dtype=policy
        )
        skips.append(skip)
    return keras.Model(image, [x, *skips], name="features")


def _down(
    x, prefix: str, levels: Sequence[int], width: int, policy: keras.DTypePolicy
) -> tuple:
    """Apply encoder blocks; return what comes below them, and their skips by level."""
    skips = {}
    for level in levels:
        name = f"{prefix}encoder{level}"
        x, skip = encoder_block(x, width * 2 ** (level - 1), name=name, dtype=policy)
        skips[level] = [skip]
    return x, skips


def _up(
    x,
    output: str,
    levels: Sequence[int],
    skips: dict[int, list],
    width: int,
    policy: keras.DTypePolicy,
) -> dict:
    """Apply decoder blocks; return what each gives, by level."""
    decoded = {}
    for level in levels:
        name = f"{output}_decoder{level}"
        x = decoder_block(
            x, skips[level], width * 2 ** (level - 1), name=name, dtype=policy
        )
        decoded[level] = x
    return decoded


def _enlarged(x, name: str, times: int):
    """Double the sides of (B, H, W, 1) `times` times."""
    for time in range(1, times + 1):
        layer = BilinearUpsampling2x(dtype="float32", name=f"{name}_upsample{time}")
        x = layer(x)
    return x
