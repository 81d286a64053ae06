"""Exports a trained network, and refuses to leave a file that does not agree with it."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import keras_depthseg
from keras_depthseg.backend import backend_name
from keras_depthseg.errors import UserError
from keras_depthseg.export import formats, networks
from keras_depthseg.export.options import SUFFIXES, ExportOptions
from keras_depthseg.export.parity import Maps, Parity, compare
from keras_depthseg.export.samples import read_samples
from keras_depthseg.files import put_in_place, temporary_folder
from keras_depthseg.inference.exported import (
    checksums,
    files_of,
    open_exported,
    report_of,
)
from keras_depthseg.model_file import RESOLUTION, model_path
from keras_depthseg.networks.loading import load_network
from keras_depthseg.pretrained import is_pretrained
from keras_depthseg.runtimes import OpenedModel

LICENCE = "Apache-2.0"
"""Of the trained weights that have a name."""

_CALIBRATION = 64


@dataclasses.dataclass(frozen=True)
class Exported:
    """What an export left.

    Attributes:
        path: the file, or the folder.
        report: the file of the parity report, JSON.
        size: of the file or of all files together, in bytes.
        parity: the comparison with Keras.
    """

    path: Path
    report: Path
    size: int
    parity: Parity


def export(options: ExportOptions) -> Exported:
    """Export a network.

    It is written beside `options.out`, opened in its own runtime, compared with Keras,
    and only then renamed.

    Raises:
        UserError: the model or the samples cannot be used, a package is missing, the file
            exists or cannot be written, the outputs differ too much, or Keras runs on
            another backend than TensorFlow.
    """
    if backend_name() != "tensorflow":
        raise UserError(
            f"the Keras backend: received {backend_name()}; exports need tensorflow. Set "
            "KERAS_BACKEND=tensorflow, under which models of other backends open, too."
        )
    path = default_path(options) if options.out is None else options.out
    report = report_of(path)
    if not options.force:
        for there in (path, report):
            if os.path.lexists(there):
                raise UserError(
                    f"{there}: this exists; give another name by `out`, or `force`."
                )
    network: Any = load_network(model_path(options.model))
    side = getattr(network, "resolution", None) or RESOLUTION
    sides = options.sides() or (side, side)
    samples = read_samples(options.data, "val", options.samples, *sides)
    calibration = []
    if options.precision == "int8":
        calibration = [
            sample.inputs
            for sample in read_samples(options.data, "train", _CALIBRATION, *sides)
        ]
    make = networks.in_parts if options.parts else networks.whole
    plain = make(network, options.sides())
    try:
        with temporary_folder(path.parent) as part:
            metadata = _metadata(options, network, side)
            files = _write(options, plain, part, path, metadata, calibration)
            written = part / path.name
            parity = compare(
                lambda bg, fg_bg: _maps(network.predict_on_batch(_inputs(bg, fg_bg))),
                _program(files),
                samples,
                options.precision,
                free=options.sides() is None,
            )
            if parity.problems:
                raise UserError(
                    f"{path}: not written, as its outputs are not those of Keras: "
                    f"{'; '.join(parity.problems)}. Choose another `precision` or "
                    "`format`, or `data` more like what it will see."
                )
            size = sum(f.stat().st_size for f in files_of(written))
            _describe(part / report.name, options, metadata, size, parity, written)
            # One of another export would say that this is damaged.
            report.unlink(missing_ok=True)
            _replace(written, path)
            put_in_place(part / report.name, report)
    except OSError as error:
        raise UserError(
            f"{path}: it cannot be written there ({error.strerror or error}); free some "
            "space or give another place by `out`."
        ) from error
    return Exported(path, report, size, parity)


def default_path(options: ExportOptions) -> Path:
    """Return the name of the exported file: the model's, here."""
    model = model_path(options.model)
    name = model.stem
    if not is_pretrained(options.model) and Path(options.model).is_dir():
        name = Path(options.model).resolve().name
    if options.precision != "float32":
        name += f"_{options.precision}"
    suffix = "" if options.parts else SUFFIXES[options.format]
    return Path(name + (suffix or f"_{options.format}"))


def _write(
    options: ExportOptions,
    plain: dict[str, keras.Model],
    part: Path,
    path: Path,
    metadata: dict[str, str],
    calibration: formats.Calibration,
) -> dict[str, Path]:
    """Write all networks; return their files by name."""
    files = {name: part / path.name for name in plain}
    if options.parts:
        (part / path.name).mkdir()
        suffix = SUFFIXES[options.format]
        files = {name: part / path.name / f"{name}{suffix}" for name in plain}
    for name, model in plain.items():
        described = {**metadata, "network": name}
        formats.write(
            model, files[name], options.format, options.precision, described, calibration
        )
    return files


def _program(files: dict[str, Path]) -> Callable[[np.ndarray, np.ndarray], Maps]:
    """Return the exported networks as one program."""
    opened = open_exported(files)

    def run(bg: np.ndarray, fg_bg: np.ndarray) -> Maps:
        features = opened.plate.run(bg.astype(np.float32))

        def maps_of(part: OpenedModel) -> Maps:
            maps = part.run(fg_bg.astype(np.float32), *features)
            return _maps(dict(zip(part.outputs, maps, strict=True)))

        maps = maps_of(opened.maps)
        if "model" in files:
            return maps
        mask = maps_of(opened.mask)
        # One check for both: where they differ, that of the mask alone counts.
        return maps if np.array_equal(maps["mask"], mask["mask"]) else maps | mask

    return run


def _inputs(bg: np.ndarray, fg_bg: np.ndarray) -> dict[str, np.ndarray]:
    return {"bg": bg.astype(np.float32), "fg_bg": fg_bg.astype(np.float32)}


def _maps(outputs: dict[str, Any]) -> Maps:
    return {name: np.asarray(values)[..., 0] for name, values in outputs.items()}


def _metadata(options: ExportOptions, network: Any, side: int) -> dict[str, str]:
    """Return what is stored in the file, texts by name."""
    licence = options.licence
    if licence is None and is_pretrained(options.model):
        licence = LICENCE
    height, width = options.sides() or ("any", "any")
    return {
        "made_by": f"keras_depthseg {keras_depthseg.__version__}",
        "model": str(options.model),
        "inputs": "bg, fg_bg: (batch, height, width, 3) float32 RGB in 0..255",
        "outputs": "mask: opacity of the foreground in 0..1; depth: 0..1, larger is "
        "farther; (batch, height, width, 1) float32",
        "height": str(height),
        "width": str(width),
        "sides": "multiples of 32",
        "resolution": str(side),
        "precision": options.precision,
        "licence": licence or "not stated",
    }


def _describe(
    path: Path,
    options: ExportOptions,
    metadata: dict[str, str],
    size: int,
    parity: Parity,
    written: Path,
) -> None:
    """Write the parity report."""
    from keras_depthseg.processor import computes_with

    content = {
        **metadata,
        "format": options.format,
        "bytes": size,
        "data": options.data,
        "samples": options.samples,
        "computes_with": computes_with("float32"),
        **dataclasses.asdict(parity),
        "sha256": checksums(written),
    }
    path.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def _replace(part: Path, path: Path) -> None:
    """Put a finished file or folder in its place."""
    if part.is_file() and not path.is_dir():
        put_in_place(part, path)
        return
    if os.path.lexists(path):
        # A folder cannot replace another in one step.
        os.replace(path, part.with_name(f"old-{path.name}"))
    os.replace(part, path)
