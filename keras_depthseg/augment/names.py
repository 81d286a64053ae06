"""The names of random changes.

The command line reads this module before it imports OpenCV: nothing heavy here.
"""

from __future__ import annotations

from keras_depthseg.errors import UserError

# Differences between two photographs of one scene, by how the camera was held; `aligned`:
# those that are left once `depthseg predict` has aligned the plate.
PRESETS = ("tripod", "handheld", "phone", "aligned")
AUGMENTATIONS = ("none", "original", "shared", *PRESETS)
SUFFIXES = (".yaml", ".yml", ".json")


def check_augmentation(name: str) -> None:
    """Refuse a name that `make_augmentation` does not know, without opening a file.

    Raises:
        UserError: if it is neither one of `AUGMENTATIONS` nor the path of a YAML or JSON
            file.
    """
    if name not in AUGMENTATIONS and not name.lower().endswith(SUFFIXES):
        raise UserError(
            f"`augment`: received {name!r}; accepted are {', '.join(AUGMENTATIONS)}, and "
            f"the path of a pipeline saved by albumentations ({', '.join(SUFFIXES)})."
        )
