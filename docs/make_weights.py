"""Makes the weights that the package ships of a trained model, and notes their SHA-256.

python docs/make_weights.py runs/NAME
"""

import re
import sys
from pathlib import Path

from keras_depthseg import pretrained
from keras_depthseg.files import sha256
from keras_depthseg.model_file import model_path
from keras_depthseg.networks.loading import load_network
from keras_depthseg.networks.saving import save_float16


def main(model: str, name: str = pretrained.DEFAULT) -> None:
    """Write the file of a name, and its digest into the source of `pretrained`."""
    path = pretrained.FOLDER / f"{name}.keras"
    save_float16(load_network(model_path(model)), path)
    source = Path(pretrained.__file__)
    line = f'"{name}": "{sha256(path)}"'
    text, found = re.subn(f'"{name}": "[0-9a-f]+"', line, source.read_text("utf-8"))
    if found != 1:
        raise SystemExit(f"{source}: has no digest of {name}; add one of any digits.")
    source.write_text(text, "utf-8")
    print(f"{path}: {path.stat().st_size:,} bytes\n{source}: {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])
