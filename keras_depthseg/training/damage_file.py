"""Damaged records in a run folder: written once they were looked for, and read again."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import shlex
from collections.abc import Iterator, Sequence

from keras_depthseg.datasets.frames import Stretch
from keras_depthseg.datasets.inspection.damage import Damage, naming_damage
from keras_depthseg.training.experiment import Experiment
from keras_depthseg.training.run_files import read_json, write_json
from keras_depthseg.training.run_folder import RunFolder

logger = logging.getLogger(__name__)


def write_damage(folder: RunFolder, damage: Sequence[Damage]) -> None:
    """Write what is damaged in each data set of a run.

    Raises:
        OSError: if the file cannot be written.
    """
    write_json(folder.damage, {"data": [dataclasses.asdict(each) for each in damage]})


def read_damage(folder: RunFolder) -> list[Damage] | None:
    """Read what `write_damage` wrote; `None` if nothing was.

    Raises:
        UserError: if the file is damaged.
    """
    content = read_json(folder.damage, {"data": list})
    if content is None:
        return None
    return [
        Damage(
            each["lines"],
            {
                name: [Stretch(*stretch) for stretch in stretches]
                for name, stretches in each["whole"].items()
            },
        )
        for each in content["data"]
    ]


@contextlib.contextmanager
def keeping_damage(experiment: Experiment, folder: RunFolder) -> Iterator[None]:
    """Name damaged records that end a run, and keep them for a run that leaves them out.

    Raises:
        UserError: in place of TensorFlow's error, if there are damaged records.
    """

    def keep(damage: list[Damage]) -> None:
        with folder.writing():
            write_damage(folder, damage)
        logger.info(
            "To go on without what is damaged: depthseg train --resume --run-dir %s "
            "--skip-damaged",
            shlex.quote(str(folder)),
        )

    data = experiment.data
    with naming_damage(data.records, data.damage, keep):
        yield
