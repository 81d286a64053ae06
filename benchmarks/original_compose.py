"""The original's way of composing: its notebook's procedure, written anew.

Pictures are resized first, as the original's were by hand: backgrounds to 224 px
squares, cutouts to a height of 108, with a mask each. Then, one after the other: copy,
mirror every second cutout, paste at a random place wholly inside, save composite and mask
as optimised JPEG of quality 65 into a temporary file, store that in the background's zip,
append a line of labels.
"""

from __future__ import annotations

import pathlib
import zipfile

import numpy as np
from PIL import Image


def prepare(bg: pathlib.Path, fg: pathlib.Path, folder: pathlib.Path) -> None:
    """Resizes the pictures into `folder`/bg, fg and fg_mask."""
    for name in ("bg", "fg", "fg_mask"):
        (folder / name).mkdir(parents=True)
    for number, path in enumerate(sorted(bg.iterdir()), start=1):
        image = Image.open(path).convert("RGB").resize((224, 224))
        image.save(folder / f"bg/bg{number:03d}.jpg", quality=95)
    for number, path in enumerate(sorted(fg.iterdir()), start=1):
        image = Image.open(path).convert("RGBA")
        image = image.crop(image.getchannel("A").getbbox())
        width = min(223, max(1, round(image.width * 108 / image.height)))
        image = image.resize((width, 108))
        image.save(folder / f"fg/fg{number:03d}.png")
        image.getchannel("A").save(folder / f"fg_mask/fg{number:03d}_mask.png")


def compose(folder: pathlib.Path, out: pathlib.Path, count: int, places: int) -> None:
    """Composes up to `count` samples: every background, every cutout, `places` places."""
    generator = np.random.default_rng(0)
    for name in ("fg_bg", "fg_bg_mask"):
        (out / name).mkdir(parents=True)
    made = 0
    with open(out / "labels.txt", "w") as labels:
        for bg_path in sorted((folder / "bg").iterdir()):
            bg = Image.open(bg_path)
            with (
                zipfile.ZipFile(out / f"fg_bg/{bg_path.stem}.zip", "w") as composites,
                zipfile.ZipFile(out / f"fg_bg_mask/{bg_path.stem}.zip", "w") as masks,
            ):
                for fg_path in sorted((folder / "fg").iterdir()):
                    fg = Image.open(fg_path)
                    mask = Image.open(folder / f"fg_mask/{fg_path.stem}_mask.png")
                    for place in range(places):
                        if made == count:
                            return
                        made += 1
                        picture, cutout, opacity = bg.copy(), fg.copy(), mask.copy()
                        if place % 2 == 0:
                            flip = Image.Transpose.FLIP_LEFT_RIGHT
                            cutout = cutout.transpose(flip)
                            opacity = opacity.transpose(flip)
                        x = int(generator.integers(picture.width - cutout.width))
                        y = int(generator.integers(picture.height - cutout.height))
                        picture.paste(cutout, (x, y), cutout)
                        whole = Image.new("L", picture.size)
                        whole.paste(opacity, (x, y), opacity)
                        name = f"{bg_path.stem}_{fg_path.stem}_{place + 1:02d}"
                        for image, archive, ending in (
                            (picture, composites, ""),
                            (whole, masks, "_mask"),
                        ):
                            temporary = out / "temporary.jpg"
                            image.save(temporary, optimize=True, quality=65)
                            archive.write(temporary, f"{name}{ending}.jpg")
                        labels.write(f"{name}.jpg\t{x}\t{y}\n")
