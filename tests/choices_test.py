"""Accepted values of fields; they are the names of what the package has to offer."""

import dataclasses
from typing import Literal

from absl.testing import parameterized

from keras_depthseg import losses, optimizers, precision
from keras_depthseg.choices import check_choices, choices
from keras_depthseg.datasets import splits
from keras_depthseg.datasets.composites import placing
from keras_depthseg.datasets.composites.options import ComposeOptions
from keras_depthseg.errors import UserError
from keras_depthseg.networks import initialisation
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.recipes import Recipe


@dataclasses.dataclass(frozen=True)
class Options:
    taste: Literal["sweet", "sour"] = "sweet"
    name: str = "lemon"


class ChoicesTest(parameterized.TestCase):
    def test_of_literal_fields(self):
        self.assertEqual(choices(Options), {"taste": ("sweet", "sour")})

    def test_checked(self):
        check_choices(Options("sour"))
        with self.assertRaisesRegex(
            UserError, "^`taste`: received 'salty'; accepted are sweet, sour.$"
        ):
            check_choices(Options("salty"))

    @parameterized.parameters(
        (Recipe, "loss", losses.COMBINATIONS),
        (Recipe, "optimizer", optimizers.OPTIMIZERS),
        (Recipe, "initialisation", initialisation.INITIALISATIONS),
        (RunConfig, "precision", precision.PRECISIONS),
        (ComposeOptions, "placement", placing.PLACEMENTS),
        (ComposeOptions, "split", splits.SPLITTINGS),
    )
    def test_are_the_names_of_the_package(self, cls, field, registry):
        # Written down twice: the command line must know them without Keras.
        self.assertCountEqual(choices(cls)[field], registry)
