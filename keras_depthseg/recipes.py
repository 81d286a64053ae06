"""Named experiments: what `train.py --recipe` takes.

The document of the original project describes three; it states neither the learning rate
of the first two nor the batch size, so those are ours.
"""

from __future__ import annotations

import dataclasses

import keras

from keras_depthseg.augment import AUGMENTATIONS
from keras_depthseg.errors import UserError
from keras_depthseg.losses import COMBINATIONS

OPTIMIZERS = ("sgd", "adam")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        name: what the command line calls it.
        schedule: phases, as `parse_schedule` reads them.
        loss: one of `losses.COMBINATIONS`.
        augment: one of `augment.AUGMENTATIONS`.
        optimizer: `"sgd"` (momentum 0.9) or `"adam"`.
        learning_rate: at the start, above 0.
        width: channels of the first block.
        divide_after_first_phase: the learning rate is divided by this once, when the
            second phase begins; 1 leaves it.
    """

    name: str
    schedule: str
    loss: str
    augment: str
    optimizer: str
    learning_rate: float
    width: int
    divide_after_first_phase: float = 1.0

    def __post_init__(self):
        for field, accepted in (
            ("loss", tuple(COMBINATIONS)),
            ("augment", AUGMENTATIONS),
            ("optimizer", OPTIMIZERS),
        ):
            if getattr(self, field) not in accepted:
                raise UserError(
                    f"{field}: received {getattr(self, field)!r}; accepted are "
                    f"{', '.join(accepted)}."
                )
        if not 0 < self.learning_rate < float("inf"):
            raise UserError(
                f"learning_rate must be above 0: received {self.learning_rate}."
            )
        if self.width < 1:
            raise UserError(f"width must be at least 1: received {self.width}.")

    def make_optimizer(self) -> keras.optimizers.Optimizer:
        """A new optimizer at the starting learning rate."""
        if self.optimizer == "sgd":
            return keras.optimizers.SGD(self.learning_rate, momentum=0.9)
        return keras.optimizers.Adam(self.learning_rate)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        # python train.py
        # Minutes on two cores with the embedded rooms; a first look, not the best.
        Recipe(
            name="quick",
            schedule="64:5,96:5",
            loss="rmse_bce_dice",
            augment="none",
            optimizer="adam",
            learning_rate=2e-3,
            width=8,
        ),
        # python train.py --recipe rmse_bce_dice
        # The document's first experiment, "RMSE + (BCE & Dice)".
        Recipe(
            name="rmse_bce_dice",
            schedule="96:3,160:5,224:3",
            loss="rmse_bce_dice",
            augment="original",
            optimizer="sgd",
            learning_rate=0.01,
            width=16,
        ),
        # python train.py --recipe ssim_dice
        # The document's second experiment, "SSIM + Dice".
        Recipe(
            name="ssim_dice",
            schedule="96:3,160:5",
            loss="ssim_dice",
            augment="original",
            optimizer="sgd",
            learning_rate=0.01,
            width=16,
        ),
        # python train.py --recipe rmse_bce_dice_new_lr
        # The document's third experiment and its best: "RMSE + (BCE & Dice) with New LR
        # and No Augmentation"; it claims IoU 0.92 and RMSE 0.014.
        Recipe(
            name="rmse_bce_dice_new_lr",
            schedule="96:3,160:3",
            loss="rmse_bce_dice",
            augment="none",
            optimizer="sgd",
            learning_rate=0.1,
            width=16,
            divide_after_first_phase=10.0,
        ),
    )
}
