"""How well `plate_confidence` tells the plate of a photograph from others.

    python -m benchmarks.plate_confidence MODEL
    python -m benchmarks.plate_confidence MODEL --data FOLDER --json plates.json

Right plates are those of the samples; wrong ones, in turn, another background, the one of
the nearest mean colour, the plate mirrored, the plate turned by 180 degrees. Both differ
from the photograph as `--capture` says, and are aligned as in use. No peer: the figures
are the area under the ROC curve (the share of pairs of a right and a wrong plate in which
the right one has more confidence) and the mistakes at `LOW`.
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks import command

_SIDE = 224
_WRONG = ("another", "similar", "mirrored", "turned")
_BATCH = 16


def chosen_samples(data: str, count: int, seed: int) -> list[dict[str, np.ndarray]]:
    """Return about `count` samples of a data set, of each split in proportion."""
    from keras_depthseg.datasets.locate import locate_records
    from keras_depthseg.datasets.opening import open_records
    from keras_depthseg.files import default_cache_dir
    from keras_depthseg.pipeline import make_pipeline

    records = open_records(locate_records(data, default_cache_dir()))
    share = min(1.0, count / sum(records.splits.values()))
    chosen = []
    for split, size in records.splits.items():
        if (samples := round(share * size)) == 0:
            continue
        for inputs, labels in make_pipeline(
            records,
            split,
            resolution=_SIDE,
            batch_size=_BATCH,
            shuffle=True,
            seed=seed,
            epoch=0,
            samples=samples,
            unknown_depth=True,
        ):
            fields = [values.numpy() for values in (*inputs.values(), labels["mask"])]
            for values in zip(*fields, strict=True):
                chosen.append(dict(zip(("bg", "fg_bg", "mask"), values, strict=True)))
    return chosen


def wrong_plate(
    samples: Sequence[dict[str, np.ndarray]], number: int, kind: str
) -> np.ndarray:
    """Return a plate that is not the one of sample `number`."""
    bg = samples[number]["bg"]
    if kind == "mirrored":
        return bg[:, ::-1]
    if kind == "turned":
        return bg[::-1, ::-1]
    means = np.array([sample["bg"].mean((0, 1)) for sample in samples])
    distances = np.abs(means - means[number]).sum(1)
    # The plate itself comes again in other samples.
    others = np.flatnonzero(distances > 0.5)
    nearest = others[np.argsort(distances[others])]
    return samples[nearest[0 if kind == "similar" else len(nearest) // 2]]["bg"]


def aligned_pairs(
    samples: Sequence[dict[str, np.ndarray]], capture: str, seed: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the kind of the plate, the aligned plate, and the photograph."""
    from keras_depthseg.augment.capture import parse_capture
    from keras_depthseg.inference.alignment import align

    change, rng = parse_capture(capture), np.random.default_rng(seed)
    for number, sample in enumerate(samples):
        wrong = _WRONG[number % len(_WRONG)]
        plates = {"right": sample["bg"], wrong: wrong_plate(samples, number, wrong)}
        for kind, plate in plates.items():
            images = np.stack([plate, sample["fg_bg"]])[:, None].copy()
            labels = np.stack([sample["mask"]] * 2)[:, None].copy()
            change(images, labels, np.zeros((1, 4), np.float32), rng)
            bg, fg_bg = images[:, 0]
            yield kind, align(bg, fg_bg).apply(bg, fg_bg), fg_bg


def area_under_curve(right: np.ndarray, wrong: np.ndarray) -> float:
    """Return the share of pairs with more confidence in the right plate; ties half."""
    difference = np.subtract.outer(right, wrong)
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


def measure(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return the figures against each kind of wrong plate, and against all."""
    from keras_depthseg.inference.confidence import LOW, plate_confidence
    from keras_depthseg.networks.loading import load_network

    model = load_network(arguments.model)
    samples = chosen_samples(arguments.data, arguments.count, arguments.seed)
    kinds, bg, fg_bg = zip(
        *aligned_pairs(samples, arguments.capture, arguments.seed), strict=True
    )
    bg, fg_bg = np.stack(bg), np.stack(fg_bg)
    inputs = {"bg": bg, "fg_bg": fg_bg}
    masks = model.predict(inputs, batch_size=_BATCH, verbose=0)["mask"][..., 0]
    scores = collections.defaultdict(list)
    for kind, *pair in zip(kinds, bg, fg_bg, masks, strict=True):
        scores[kind].append(plate_confidence(*pair))
    arrays = {kind: np.array(found) for kind, found in scores.items()}
    right = arrays.pop("right")
    arrays["all"] = np.concatenate(list(arrays.values()))
    return {
        kind: {
            "wrong": len(wrong),
            "auroc": area_under_curve(right, wrong),
            "missed": float((wrong >= LOW).mean()),
            "right": len(right),
            "false_alarms": float((right < LOW).mean()),
        }
        for kind, wrong in arrays.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(
        description="How well right plates are told from wrong ones.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("model", help="a .keras file, which finds the masks")
    parser.add_argument("--data", default="rooms", help="as for `depthseg train`")
    parser.add_argument("--count", type=command.positive, default=500, help="samples")
    parser.add_argument("--capture", default="handheld", help="preset or strengths")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here")
    arguments = parser.parse_args(argv)
    figures = measure(arguments)
    for kind, row in figures.items():
        print(
            f"{kind:<10} AUROC {row['auroc']:.4f}   {row['missed']:.1%} of "
            f"{row['wrong']} wrong plates missed   {row['false_alarms']:.1%} of "
            f"{row['right']} right ones accused"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
