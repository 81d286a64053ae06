"""Weights of the original PyTorch network for this one.

Original names: `b1`, `b2` encode bg, `bf1`, `bf2` encode fg_bg, `merge` joins them,
`enc1` to `enc4` are the shared encoder, `M*` decode the mask and `D*` the depth, the
deepest first. Convolution kernels are (out, in, height, width) there.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_depthseg.errors import UserError
from keras_depthseg.model import DSResNet
from keras_depthseg.runtimes import import_optional
from keras_depthseg.text import listed

# Prefix of our layers' names: prefix of the original's parameters.
_STAGES = {
    "bg_encoder1": "b1",
    "bg_encoder2": "b2",
    "fg_bg_encoder1": "bf1",
    "fg_bg_encoder2": "bf2",
    "merge": "merge",
    **{f"encoder{level}": f"enc{level - 2}" for level in (3, 4, 5, 6)},
    **{
        f"{output}_decoder{level}": letter + block
        for output, letter in (("mask", "M"), ("depth", "D"))
        for level, block in ((5, "dec3"), (4, "dec2"), (3, "dec1"), (2, "2"), (1, "1"))
    },
    "mask": "M0",
    "depth": "D0",
}

# Suffix of our layers' names: what follows the prefix in the original's.
_PARTS = {
    "": "",
    "_shortcut": ".skip_conv",
    "_transition": ".transition_conv.0",
    "_squeeze_skips": ".enc_skip_conv",
    "_conv1": ".double_conv.conv1.0",
    "_norm1": ".double_conv.conv1.2",
    "_conv2": ".double_conv.conv2.0",
    "_norm2": ".double_conv.conv2.2",
}

# A counter of PyTorch's batch normalisation, without a counterpart or an effect here.
_IGNORED_SUFFIX = ".num_batches_tracked"


def load_original_weights(
    model: DSResNet, source: str | os.PathLike | Mapping[str, np.ndarray]
) -> None:
    """Set all weights of `model` to those of the original PyTorch network.

    Works at any width. Every name and shape is checked before any weight is changed.

    Args:
        model: the network to fill.
        source: path of a checkpoint that holds a state dict (`torch.save(
            model.state_dict(), path)`; read as data, pickled code is refused; needs the
            extra `torch`), or a mapping from the original's parameter names to arrays
            in PyTorch's layout.

    Raises:
        UserError: if the file is missing, unsafe or no state dict, or if a name is
            missing, unknown or of another shape.

    Example:

    >>> model = DSResNet()
    >>> load_original_weights(model, "original.pt")
    """
    if isinstance(source, Mapping):
        origin, state = "the mapping", source
    else:
        origin, state = str(source), _read_checkpoint(Path(source))
    state = {
        name: value for name, value in state.items() if not name.endswith(_IGNORED_SUFFIX)
    }
    variables = _variables_by_original_name(model)

    shapes = {name: _original_shape(variable) for name, variable in variables.items()}
    problems = [
        _listed("missing", [name for name in shapes if name not in state]),
        _listed("left over", [name for name in state if name not in shapes]),
        _listed(
            "of another shape",
            [
                f"{name} {np.shape(state[name])} for {shape}"
                for name, shape in shapes.items()
                if name in state and np.shape(state[name]) != shape
            ],
        ),
    ]
    if any(problems):
        raise UserError(
            f"{origin} does not fit DSResNet(width={model.width}): "
            f"{'; '.join(filter(None, problems))}. Accepted: the state dict of the "
            "original network at the same width."
        )
    for name, variable in variables.items():
        value = np.asarray(state[name])
        variable.assign(value.transpose(2, 3, 1, 0) if value.ndim == 4 else value)


def _variables_by_original_name(model: DSResNet) -> dict[str, keras.Variable]:
    layers = {layer.name: layer for layer in model.layers}
    variables = {}
    for stage, original_stage in _STAGES.items():
        for part, original_part in _PARTS.items():
            layer = layers.get(stage + part)
            if layer is None:
                continue
            prefix = original_stage + original_part
            if part.startswith("_norm"):
                variables[f"{prefix}.weight"] = layer.gamma
                variables[f"{prefix}.bias"] = layer.beta
                variables[f"{prefix}.running_mean"] = layer.moving_mean
                variables[f"{prefix}.running_var"] = layer.moving_variance
            else:
                variables[f"{prefix}.weight"] = layer.kernel
                variables[f"{prefix}.bias"] = layer.bias
    return variables


def _original_shape(variable: keras.Variable) -> tuple[int, ...]:
    shape = tuple(variable.shape)
    return (shape[3], shape[2], *shape[:2]) if len(shape) == 4 else shape


def _listed(problem: str, names: Sequence[str], shown: int = 3) -> str:
    if not names:
        return ""
    return f"{len(names)} {problem} ({listed(names, shown)})"


def _read_checkpoint(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise UserError(
            f"{path}: no such file. Accepted: a state dict written by torch.save."
        )
    torch: Any = import_optional("torch", str(path), '"keras_depthseg[torch]"')
    try:
        with warnings.catch_warnings():
            # About pickles that it then refuses; one line about those is enough.
            warnings.simplefilter("ignore")
            state = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} was refused: it is not a checkpoint of PyTorch, or it holds "
            "objects other than tensors, whose loading could run code. Accepted: a "
            "plain state dict; write one with torch.save(model.state_dict(), path)."
        ) from error
    except Exception as error:
        # Damage leads PyTorch's reader anywhere: EOFError, RuntimeError, IndexError, …
        raise UserError(
            f"{path} is damaged or not a checkpoint of PyTorch "
            f"({type(error).__name__}). Accepted: a state dict written by torch.save."
        ) from error
    if not isinstance(state, Mapping):
        received = type(state).__name__
    elif not all(isinstance(value, torch.Tensor) for value in state.values()):
        received = f"a dict with {', '.join(map(str, list(state)[:3]))}"
    else:
        return {name: tensor.float().numpy() for name, tensor in state.items()}
    raise UserError(
        f"{path} does not hold a state dict. Received: {received}. Write one with "
        "torch.save(model.state_dict(), path)."
    )
