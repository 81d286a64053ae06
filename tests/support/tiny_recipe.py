"""A recipe that trains in seconds."""

from keras_depthseg.training.recipes import Recipe

TINY = Recipe(
    name="tiny",
    schedule="32:2:8",
    loss="per_image",
    augment="none",
    optimizer="sgd",
    learning_rate=0.02,
    width=1,
)
