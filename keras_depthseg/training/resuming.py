"""Whether a run can be resumed: with the same configuration, on the same data."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_depthseg.backend import backend_name, software_versions
from keras_depthseg.errors import UserError
from keras_depthseg.text import split_option
from keras_depthseg.training.config import RunConfig
from keras_depthseg.training.experiment import Experiment
from keras_depthseg.training.run_files import read_config
from keras_depthseg.training.run_folder import RunFolder

logger = logging.getLogger(__name__)


def about_data(experiment: Experiment) -> dict[str, Any]:
    """Return what tells the data of a run from other data, for config.json."""
    return {
        "samples": experiment.samples,
        "fingerprints": experiment.data.fingerprints,
        "left_out": experiment.data.left_out,
        "augment_sha256": experiment.augment_digest,
        "composites_sha256": experiment.data.digest(),
        "start_from_sha256": experiment.start_digest,
    }


def check_can_resume(experiment: Experiment, folder: RunFolder) -> dict[str, Any] | None:
    """Refuse to resume a run with another configuration or other data.

    The data may be in another place. Damaged records may have been left out since.

    Returns:
        What config.json must have now; `None` if it need not be changed.

    Raises:
        UserError: naming the first difference.
    """
    experiment.config.require_same(folder)
    content = read_config(folder)
    backend = content["versions"].get("backend")
    if backend != backend_name():
        raise UserError(
            f"{folder}: this run uses another Keras backend: received "
            f"{backend_name()}, it has {backend}; set KERAS_BACKEND={backend} "
            "to resume, or choose another `run_dir`."
        )
    stored = RunConfig.load(folder)
    fewer = _check_records(experiment, stored, content)
    _check_files(experiment, stored, content)
    if folder.report.exists():  # Written last.
        raise UserError(
            f"{folder}: this run is finished; start a new one in another `run_dir`."
        )
    _warn_of_versions(folder, content)
    if not fewer and experiment.config == stored:
        return None
    fields = {field.name for field in dataclasses.fields(RunConfig)}
    about = {k: v for k, v in content.items() if k not in fields | {"phases"}}
    return {**about, **about_data(experiment)}


def _check_records(
    experiment: Experiment, stored: RunConfig, content: Mapping[str, Any]
) -> bool:
    """Refuse other records; return whether damaged ones have been left out since."""
    data = experiment.data
    before = content.get("left_out") or []
    fewer = data.left_out != before and any(data.left_out)
    if fewer:
        logger.warning(
            "Damaged records are left out since this run began: from here on its batches "
            "are others than they would have been."
        )
    places = [path for path, _ in experiment.config.weighted_data]
    old_places = [path for path, _ in stored.weighted_data]
    fingerprints = content.get("fingerprints")
    if fingerprints is None:  # A run of version 0.3 or earlier.
        for place, old in zip(places, old_places, strict=True):
            if place != old:
                raise UserError(
                    f"{place}: received other records than {old}, and the version that "
                    "began this run kept nothing to compare them by; make the old path "
                    "a link to the new one, or start a new run."
                )
        fingerprints = data.fingerprints
    for number, (ours, theirs) in enumerate(
        zip(data.fingerprints, fingerprints, strict=True)
    ):
        differs = [name for name in theirs if ours.get(name) != theirs[name]]
        if fewer:
            differs = [name for name in differs if name == "description"]
        if differs:
            raise UserError(
                f"{places[number]}: other records than those of {old_places[number]} "
                f"that the run began with: {_in_words(differs)} differ; give "
                "the same ones, in the same order, or start a new run."
            )
    if content["samples"] != experiment.samples and not fewer:
        raise UserError(
            f"{experiment.config.described_data}: this data set has changed since the "
            f"run began: received {experiment.samples}, it had {content['samples']}; "
            "start a new run."
        )
    return fewer


def _in_words(names: Sequence[str]) -> str:
    if "description" in names:
        return "their JSON files, which count and describe them,"
    return f"the records of {', '.join(names)}"


def _check_files(
    experiment: Experiment, stored: RunConfig, content: Mapping[str, Any]
) -> None:
    """Refuse other pictures of composites, changes, and models to start from."""
    # The name of the folder of depth maps counts in stored data sets; here only maps do.
    depth = stored.composites and stored.composites.depth
    named = Path(split_option(depth)[0]).name if depth else None
    for name, found, subject in (
        ("augment", experiment.augment_digest, experiment.config.recipe.augment),
        ("start_from", experiment.start_digest, experiment.config.start_from),
        (
            "composites",
            experiment.data.digest(named),
            experiment.config.described_data,
        ),
    ):
        if content.get(f"{name}_sha256") != found:
            what = {
                "augment": "this file has",
                "start_from": "this model has",
                "composites": "a picture has",
            }[name]
            raise UserError(
                f"{subject}: {what} changed since the run began; restore it, or start a "
                "new run."
            )


def _warn_of_versions(folder: RunFolder, content: Mapping[str, Any]) -> None:
    changed = [
        f"{name} {content['versions'][name]}, now {version}"
        for name, version in software_versions().items()
        if content["versions"].get(name, version) != version
    ]
    if changed:
        logger.warning(
            "%s: begun with %s: resumed, perhaps not to the same bits",
            *(folder, "; ".join(changed)),
        )
