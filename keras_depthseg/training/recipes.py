"""Named experiments: the recipes that `depthseg train --recipe` takes.

The document of the original project describes three; it states neither the learning rate
of the first two nor the batch size, so those are ours. The scores that a comment says a
recipe "reached" are hard IoU on `unseen_both` of 2,000 composites, and on 553 samples of
other rooms and objects than those of `rooms:1600`, after fifteen minutes on two cores:
docs/log/recipes.md.

The command line reads this module before it imports TensorFlow: nothing heavy here.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

from keras_depthseg.augment.names import check_augmentation
from keras_depthseg.choices import check_choices
from keras_depthseg.errors import UserError


@dataclasses.dataclass(frozen=True)
class Recipe:
    """A named way to train. The options of `depthseg train` are made from these fields.

    Attributes:
        name: Name of the recipe.
        schedule: Phases in order, for instance 96:3,160:5,224:3; resolutions are
            multiples of 32.
        loss: Loss of depth and mask: rmse_bce_dice is 2 RMSE + BCE + 2 Dice, ssim_dice
            2 SSIM + Dice, rmse_bce 2 RMSE + BCE; per_image is as the first, but for each
            image and its known depth; outline is as per_image, and counts errors near
            outlines more, and those of depth relative to it.
        augment: Random changes: original changes the colours of each picture by itself;
            shared those of bg and fg_bg alike, and mirrors; tripod, handheld and phone do
            so too and then let the two differ as photographs do, in place, light,
            shadows, sharpness and noise; aligned as they do once the plate is aligned;
            none; or the path of a pipeline saved by albumentations, a YAML or JSON file.
        optimizer: Optimizer; sgd has momentum 0.9.
        learning_rate: Learning rate at the start, or the highest of a cosine; above 0.
        width: Channels of the first block; 16 is the full network.
        network: Network. ds_resnet: the original's; siamese: with shared layers for both
            pictures, and the depth of the plate from the plate alone.
        initialisation: First weights. difference: the network begins with the difference
            between the two pictures; independent: with weights drawn one by one, as in
            the original.
        learning_rate_schedule: plateau: a tenth after two epochs without a better
            validation loss, not below 1e-6; cosine: a short rise, then half a cosine
            down.
        divide_after_first_phase: Divide the learning rate by this number when the second
            phase begins; only with plateau.
        weight_decay: Weight decay of adamw, as a share of the learning rate; 0 is none.
        clip_norm: Largest norm of the gradient, all of it together; 0 does not clip.
        accumulate: Batches whose mean gradient makes one step of the optimizer.
        average: Validate, save and score a moving average of the weights, with this
            decay per step, for instance 0.999; 0 is none.

    Raises:
        UserError: if a value is not accepted.
    """

    name: str
    schedule: str = dataclasses.field(metadata={"option": "--resolution-schedule"})
    loss: Literal["rmse_bce_dice", "ssim_dice", "rmse_bce", "per_image", "outline"]
    augment: str
    optimizer: Literal["sgd", "adam", "adamw"]
    learning_rate: float
    width: int
    network: Literal["ds_resnet", "siamese"] = "ds_resnet"
    initialisation: Literal["independent", "difference"] = "independent"
    learning_rate_schedule: Literal["plateau", "cosine"] = "plateau"
    divide_after_first_phase: float = 1.0
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    accumulate: int = 1
    average: float = 0.0

    def __post_init__(self):
        check_choices(self)
        check_augmentation(self.augment)
        infinity = float("inf")
        for field in ("learning_rate", "divide_after_first_phase"):
            if not 0 < getattr(self, field) < infinity:
                raise UserError(
                    f"`{field}` must be above 0: received {getattr(self, field)}."
                )
        for field in ("weight_decay", "clip_norm"):
            if not 0 <= getattr(self, field) < infinity:
                raise UserError(
                    f"`{field}` must be 0 (none) or above: received "
                    f"{getattr(self, field)}."
                )
        for field in ("width", "accumulate"):
            if getattr(self, field) < 1:
                raise UserError(
                    f"`{field}` must be at least 1: received {getattr(self, field)}."
                )
        if not 0 <= self.average < 1:
            raise UserError(
                "`average` must be 0 (none) or a decay below 1, for instance 0.999: "
                f"received {self.average}."
            )
        if self.weight_decay and self.optimizer != "adamw":
            raise UserError(
                f"`weight_decay` is for `optimizer` adamw: received {self.weight_decay} "
                f"with {self.optimizer}; choose adamw, or leave `weight_decay` out."
            )
        if self.divide_after_first_phase != 1 and self.learning_rate_schedule == "cosine":
            raise UserError(
                "`divide_after_first_phase` is for `learning_rate_schedule` plateau: "
                f"received {self.divide_after_first_phase} with cosine; make it 1, or "
                "choose plateau."
            )


# Minutes on two cores with the built-in rooms; a first look, not the best. Without
# capture effects a network learns to subtract, and fails on photographs. Photographs are
# larger than 96 px: after 64:4,96:10 it reached 0.785 on them, after ten more epochs at
# 96 px 0.741, after as much time with the last epochs larger 0.888 (docs/scores.md).
_QUICK = Recipe(
    name="quick",
    schedule="64:4,96:5,160:3,224:2",
    loss="per_image",
    augment="handheld",
    optimizer="adam",
    learning_rate=4e-3,
    width=8,
    initialisation="difference",
    learning_rate_schedule="cosine",
    clip_norm=1.0,
    average=0.998,
)

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        _QUICK,
        # For fifteen minutes on two cores with a thousand samples. Reached 0.957 on
        # composites, and 0.911 on photographs: docs/log/capture.md. In version 0.2,
        # on clean pairs, 96:25,160:20 reached 0.966 and 0.942.
        dataclasses.replace(_QUICK, name="standard", schedule="96:25,160:12,224:4"),
        # The same for an hour. Reached 0.949 on the other rooms, on clean pairs.
        dataclasses.replace(_QUICK, name="thorough", schedule="96:50,160:60,224:27"),
        # The shipped weights of that name: pretraining/README.md.
        dataclasses.replace(
            _QUICK,
            name="small",
            schedule="96:30,160:45,224:30",
            loss="outline",
            network="siamese",
            average=0.999,
        ),
        # For a trained model in one room (`start_from`). Gained 0.016 in an office, with
        # differences of `tripod`; a rate of 3e-4 gained 0.009:
        # docs/tutorials/own_camera.md.
        dataclasses.replace(
            _QUICK, name="fine_tune", schedule="224:4", learning_rate=1e-3
        ),
        # The document's first experiment, "RMSE + (BCE & Dice)"; it gives no figures and
        # calls neither this nor the next "very good". Reached 0.920 and 0.849.
        Recipe(
            name="rmse_bce_dice",
            schedule="96:3,160:5,224:3",
            loss="rmse_bce_dice",
            augment="original",
            optimizer="sgd",
            learning_rate=0.01,
            width=16,
        ),
        # The document's second experiment, "SSIM + Dice". Reached 0.912 and 0.814.
        Recipe(
            name="ssim_dice",
            schedule="96:3,160:5",
            loss="ssim_dice",
            augment="original",
            optimizer="sgd",
            learning_rate=0.01,
            width=16,
        ),
        # The document's third experiment and its best: "RMSE + (BCE & Dice) with New LR
        # and No Augmentation"; it claims IoU 0.92 and RMSE 0.014. As it is, its loss or
        # gradient was soon not finite on both data sets (seed 0, bfloat16); with
        # --clip-norm 1 it reached 0.958 and 0.907.
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
