"""Scores a program and baselines on a data set or on pairs of photographs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from keras_depthseg.augment.capture import EFFECTS, Capture, Effect, parse_capture
from keras_depthseg.augment.effects import parse_strengths
from keras_depthseg.augment.names import PRESETS
from keras_depthseg.datasets.opening import Records
from keras_depthseg.datasets.splits import SPLITS
from keras_depthseg.errors import UserError
from keras_depthseg.evaluation.baselines import Baselines
from keras_depthseg.evaluation.batches import (
    Batch,
    examples,
    pair_batches,
    record_batches,
)
from keras_depthseg.evaluation.options import SWEEP, SWEEP_SAMPLES, EvaluateOptions
from keras_depthseg.evaluation.pairs import PairFiles, list_pairs
from keras_depthseg.evaluation.predictions import Predictions
from keras_depthseg.evaluation.programs import (
    BatchProgram,
    network_program,
    prediction_program,
)
from keras_depthseg.evaluation.results import Condition
from keras_depthseg.evaluation.scoring import score_batches
from keras_depthseg.evaluation.worst import Worst
from keras_depthseg.networks.loading import load_network

CLEAN = "clean"
MODEL = "model"
# Of the split that baselines are tuned on.
_TUNING_SAMPLES = 200
# Beginnings of the names of the baselines that a sweep scores.
_QUICK = ("difference (", "difference, local search (")

Progress = Callable[[int, int], None]
"""Called with the samples scored so far, over all conditions, and their total."""


@dataclasses.dataclass
class Evaluation:
    """The scores of a program.

    Attributes:
        conditions: the data as it is, then captured.
        sweep: conditions of single effects, each from weak to strong.
        scenes: whether groups are scenes of photographs.
        worst: the worst samples of `conditions`.
    """

    conditions: list[Condition]
    sweep: list[Condition]
    scenes: bool
    worst: Worst


@dataclasses.dataclass
class _Plan:
    """How to score one condition after the other."""

    program: dict[str, BatchProgram]
    baselines: Baselines | None
    total: int
    progress: Progress | None
    worst: Worst
    done: int = 0

    def score(
        self, condition: Condition, batches: Iterable[Batch], pictured: bool = True
    ) -> Condition:
        def watch(batch: Batch, maps, rows) -> None:
            if pictured:
                self.worst.add(condition.title, batch, maps, rows)
            self.done += len(rows)
            if self.progress is not None:
                self.progress(self.done, self.total)

        score_batches(batches, self.program, self.baselines, condition, watch)
        return condition


def evaluate_records(
    options: EvaluateOptions,
    model: Path | None,
    records: Records,
    resolution: int,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a program on splits of a data set.

    Args:
        options: which splits, and how.
        model: the model's file; `None` for `options.predictions`.
        records: the data set.
        resolution: side of the images in pixels.
        progress: told how far it is.

    Raises:
        UserError: if the model, the maps or the data cannot be used.
    """
    splits = _splits(options, records)
    samples = options.samples
    if samples is None and options.capture == SWEEP:
        samples = SWEEP_SAMPLES

    def batches(capture: Capture | None = None) -> Iterator[Batch]:
        for split in splits:
            yield from record_batches(
                records,
                split,
                resolution=resolution,
                batch_size=options.batch_size,
                samples=samples,
                capture=capture,
                seed=options.seed,
            )

    if model is None:
        names = [name for batch in batches() for name in batch.sample_ids]
    else:
        names = []
    has_depth = records.has_depth
    program = _program(options, model, names, has_depth)
    baselines = None
    if not options.no_baselines:
        baselines = _tuned_baselines(options, records, resolution)
    captures = _captures(options.capture, records)
    size = sum(min(records.size(split), samples or 2**62) for split in splits)
    plan = _Plan(
        _apart(program, baselines),
        baselines,
        size * (1 + len(captures)),
        progress,
        Worst(),
    )
    conditions = [plan.score(Condition(CLEAN), batches())]
    sweep = []
    for condition, capture in captures:
        if condition.effect is None:
            if baselines is not None:
                plan.baselines = _tuned_baselines(options, records, resolution, capture)
            conditions.append(plan.score(condition, batches(capture)))
            continue
        plan.baselines = baselines and _quick(baselines)
        sweep.append(plan.score(condition, batches(capture), pictured=False))
    return Evaluation(conditions, sweep, scenes=False, worst=plan.worst)


def evaluate_pairs(
    options: EvaluateOptions,
    model: Path | None,
    resolution: int,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a program on the photographs of `options.pairs`; see `evaluate_records`."""
    pairs = list_pairs(Path(options.pairs or ""))[: options.samples]
    program = _program(options, model, [pair.name for pair in pairs], has_depth=False)
    baselines = None if options.no_baselines else Baselines.fixed()
    plan = _Plan(_apart(program, baselines), baselines, len(pairs), progress, Worst())
    condition = plan.score(Condition(CLEAN), pair_batches(_by_scene(pairs), resolution))
    return Evaluation([condition], [], scenes=True, worst=plan.worst)


def _by_scene(pairs: Sequence[PairFiles]) -> list[PairFiles]:
    return sorted(pairs, key=lambda pair: (pair.scene, pair.name))


def _splits(options: EvaluateOptions, records: Records) -> list[str]:
    """Return the splits to score: those asked for, or all that others are not train."""
    available = [name for name in records.splits if records.size(name)]
    ordered = sorted(available, key=lambda name: (*SPLITS, name).index(name))
    if options.split is None:
        return [name for name in ordered if name != "train"] or ordered
    chosen = [name.strip() for name in options.split.split(",")]
    for name in chosen:
        if name not in available:
            raise UserError(
                f"`split`: received {name!r}, of which {records.path} has no samples; "
                f"accepted are {', '.join(ordered)}."
            )
    return list(dict.fromkeys(chosen))


def _program(
    options: EvaluateOptions,
    model: Path | None,
    names: Sequence[str],
    has_depth: bool,
) -> dict[str, BatchProgram]:
    if model is not None:
        return {MODEL: network_program(load_network(model))}
    folder = Path(options.predictions or "")
    predictions = Predictions(folder, names)
    if not (predictions.has_mask or has_depth):
        raise UserError(
            f"{folder}: received depth maps alone, for data without true depth; expected "
            "masks NAME.png. Add them."
        )
    return {folder.resolve().name: prediction_program(predictions)}


def _apart(
    program: dict[str, BatchProgram], baselines: Baselines | None
) -> dict[str, BatchProgram]:
    """Rename a program that has the name of a baseline: maps of a folder `GrabCut`."""
    if baselines is None:
        return program
    taken = {*baselines.masks, *baselines.depths}
    return {f"{n} (maps)" if n in taken else n: run for n, run in program.items()}


def _tuned_baselines(
    options: EvaluateOptions,
    records: Records,
    resolution: int,
    capture: Capture | None = None,
) -> Baselines:
    """Return baselines with the settings that are best on `val`, else on `train`."""
    split = next((name for name in ("val", "train") if records.size(name)), None)
    if split is None:
        return Baselines.fixed()
    batches = record_batches(
        records,
        split,
        resolution=resolution,
        batch_size=options.batch_size,
        samples=_TUNING_SAMPLES,
        capture=capture,
        seed=options.seed,
    )
    return Baselines.fit(examples(batches), split)


def _quick(baselines: Baselines) -> Baselines:
    masks = {
        name: program
        for name, program in baselines.masks.items()
        if name.startswith(_QUICK)
    }
    return Baselines(masks, {})


def _captures(text: str | None, records: Records) -> list[tuple[Condition, Capture]]:
    """Return the conditions beside the clean one."""
    if text is None:
        return []
    if text != SWEEP:
        needing = [name for name in _named_effects(text) if EFFECTS[name].needs_depth]
        if needing and not records.has_depth:
            raise UserError(
                f"`capture`: received {', '.join(needing)}, which moves things by their "
                f"depth, for {records.path}, whose samples have none; leave it out."
            )
        return [(Condition(text), parse_capture(text))]
    return [
        (
            Condition(condition_title(effect, strength), {}, effect.name, strength),
            Capture.fixed({effect.name: strength}),
        )
        for effect in EFFECTS.values()
        if records.has_depth or not effect.needs_depth
        for strength in effect.strengths
    ]


def _named_effects(text: str) -> list[str]:
    return [] if text in PRESETS else list(parse_strengths(text))


def condition_title(effect: Effect, strength: float) -> str:
    """Return a text such as `shift 2 px of 224`, `exposure 10 %`."""
    return f"{effect.name.replace('_', ' ')} {strength:g} {effect.unit}"
