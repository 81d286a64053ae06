"""The processor: its instructions, and oneDNN, TensorFlow's fast kernels for it.

TensorFlow 2.21 switches oneDNN on by itself only where the processor has instructions
made for neural networks (AVX-512 VNNI and newer). With AVX2 alone, as in most laptops, it
stays off, although training then takes twice the time: width 8, 96 px, batch 16, float32,
2 threads of an AMD EPYC with AVX2: 21.4 images/s without oneDNN, 42.8 with it.

TensorFlow decides when it is imported. This module imports nothing heavy.
"""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Set
from pathlib import Path

SWITCH = "TF_ENABLE_ONEDNN_OPTS"

# IsMKLEnabled in tensorflow/core/util/util.cc, which reads the names on Linux.
_ON_BY_ITSELF = {
    *("avx512_vnni", "avx512_bf16", "avx_vnni"),
    *("amx_tile", "amx_int8", "amx_bf16"),
}
_NAMED = {
    "avx2": "AVX2",
    "avx512f": "AVX512",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX-BF16",
}
_SYSCTL = ("machdep.cpu.features", "machdep.cpu.leaf7_features")


def parse_cpuinfo(text: str) -> frozenset[str]:
    """Return the features in the text of `/proc/cpuinfo`, in lower case.

    Those of the first processor; there are none on processors that are not x86.
    """
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            return frozenset(value.lower().split())
    return frozenset()


@functools.cache
def processor_features() -> frozenset[str]:
    """Return the features of this processor as Linux names them, such as `avx2`.

    Empty where they are not known.
    """
    try:
        if sys.platform.startswith("linux"):
            return parse_cpuinfo(Path("/proc/cpuinfo").read_text())
        if sys.platform == "darwin":
            output = subprocess.run(
                ["sysctl", "-n", *_SYSCTL], capture_output=True, text=True, check=False
            ).stdout
            return frozenset(output.lower().split())
    except OSError:
        pass
    return frozenset()


def has_bfloat16(features: Set[str]) -> bool:
    """Whether the processor computes in bfloat16.

    Without the instructions bfloat16 is emulated, several times slower than float32.
    """
    return "avx512_bf16" in features or "amx_bf16" in features


def needs_switch(features: Set[str], machine: str) -> bool:
    """Whether oneDNN is faster on this processor and TensorFlow leaves it off.

    Args:
        features: see `processor_features`.
        machine: see `platform.machine`.
    """
    is_x86 = machine.lower() in ("x86_64", "amd64")
    return is_x86 and "avx2" in features and not _ON_BY_ITSELF & features


def onednn_is_on(features: Set[str]) -> bool:
    """Whether TensorFlow uses oneDNN: the user's own setting, or else its default."""
    setting = os.environ.get(SWITCH)
    if setting is not None:
        return setting.lower() in ("1", "true")
    return bool(_ON_BY_ITSELF & features)


def switch_on_onednn() -> None:
    """Let TensorFlow use oneDNN where it is faster, unless the user has decided.

    Sets the environment variable `TF_ENABLE_ONEDNN_OPTS`, also for child processes.
    Where TensorFlow has been imported before, it is too late: then this warns.
    """
    features = processor_features()
    if SWITCH in os.environ or not needs_switch(features, platform.machine()):
        return
    if "tensorflow" in sys.modules:
        warnings.warn(
            "TensorFlow was imported with oneDNN off, which takes twice the time on this "
            "processor; import keras_depthseg before tensorflow and keras, or set the "
            f"environment variable {SWITCH}=1.",
            RuntimeWarning,
            stacklevel=2,
        )
    else:
        os.environ[SWITCH] = "1"


def thread_count() -> int:
    """Return how many threads of the processor this process may use."""
    if sys.platform.startswith("linux"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def computes_with(precision: str) -> str:
    """Return what the processor computes with, as one line for people.

    For instance `AVX2, AVX512, AVX512-BF16; oneDNN on; mixed_bfloat16; 2 threads`.

    Args:
        precision: the dtype policy.
    """
    features = processor_features()
    names = [name for feature, name in _NAMED.items() if feature in features]
    threads = thread_count()
    return "; ".join(
        [
            ", ".join(names) or platform.machine() or "unknown processor",
            f"oneDNN {'on' if onednn_is_on(features) else 'off'}",
            precision,
            f"{threads} thread{'' if threads == 1 else 's'}",
        ]
    )
