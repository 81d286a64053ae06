"""The kinds of files, by name; their modules are imported where they are used."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

from fuzzing.target import Target

KINDS = {
    "records": "data_sets.Records",
    "shards": "data_sets.Shards",
    "info": "data_sets.Info",
    "photographs": "pictures.Photographs",
    "backgrounds": "pictures.Backgrounds",
    "cutouts": "pictures.Cutouts",
    "zips": "pictures.Zips",
    "pairs": "pictures.Pairs",
    "maps": "pictures.Maps",
    "tables": "pictures.LayoutTables",
    "layouts": "pictures.Layouts",
    "runs": "runs.Runs",
    "positions": "runs.Positions",
    "augmentations": "runs.Augmentations",
    "builds": "runs.Builds",
    "videos": "videos.Videos",
    "segments": "videos.Segments",
    "models": "models.ModelFiles",
    "weights": "models.ShippedWeights",
    "checkpoints": "models.Checkpoints",
    "teachers": "models.Teachers",
    "onnx": "models.Onnx",
    "litert": "models.LiteRt",
    "openvino": "models.OpenVino",
    "savedmodel": "models.SavedModel",
    "converted": "models.Converted",
}


def opened_target(kind: str, folder: Path, case: Path) -> Target:
    """Return a target that is ready for cases.

    Args:
        kind: one of `KINDS`, or the full name of another class, as tests have.
        folder: for its healthy files, which are written if they are missing.
        case: for the files of a case.
    """
    module, _, name = KINDS.get(kind, kind).rpartition(".")
    if kind in KINDS:
        module = f"{__name__}.{module}"
    target: Target = getattr(importlib.import_module(module), name)(folder, case)
    ready = folder / ".ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        target.prepare()
        ready.touch()
    target.load()
    return target
