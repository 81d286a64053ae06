"""The parity report as a table for the terminal."""

from __future__ import annotations

from keras_depthseg.export.export import Exported


def parity_table(exported: Exported) -> str:
    """Return a few lines: differences, scores, size and time."""
    parity = exported.parity
    lines = [f"{'':<16}{'Keras':>10}{'exported':>10}"]
    for name, pair in parity.scores.items():
        lines.append(f"{name:<16}{pair[0]:10.4f}{pair[1]:10.4f}")
    lines.append(
        f"{'ms a pair':<16}{parity.milliseconds[0]:10.1f}{parity.milliseconds[1]:10.1f}"
    )
    lines.append("")
    for name, largest in parity.largest.items():
        mean = parity.mean[name]
        lines.append(f"{name}: differs by at most {largest:.1e}, {mean:.1e} on average")
    return "\n".join([*lines, f"{exported.size / 1e6:.1f} MB"])
