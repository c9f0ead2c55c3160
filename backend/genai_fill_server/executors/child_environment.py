"""The environment of child processes: off line, without telemetry, with passive threads."""

from __future__ import annotations

from collections.abc import Mapping

OFFLINE: Mapping[str, str] = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DIFFUSERS_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""No library in a worker may reach for a network, whatever the user's environment says."""

_WANTS_NO_NETWORK = frozenset(name for name in OFFLINE if name.endswith("_OFFLINE"))

PASSIVE_THREADS: Mapping[str, str] = {
    # Spinning OpenMP threads on a busy machine are several times slower than waiting ones.
    "OMP_WAIT_POLICY": "PASSIVE",
    "KMP_BLOCKTIME": "0",
}

_THREAD_COUNTS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


def child_environment(base: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return ``base`` with what every child process needs set before its first import.

    ``threads`` limits the CPU threads of the numeric libraries; 0 leaves them their own
    choice.
    """
    environment = {**base, **OFFLINE, **PASSIVE_THREADS}
    if threads > 0:
        environment.update(dict.fromkeys(_THREAD_COUNTS, str(threads)))
    environment["PYTHONIOENCODING"] = "utf-8"
    return environment


def fetching_environment(base: Mapping[str, str]) -> dict[str, str]:
    """Return ``base`` for the one child that may use the network: off line if ``base`` is."""
    quiet = {name: value for name, value in OFFLINE.items() if name not in _WANTS_NO_NETWORK}
    return {**base, **quiet, **PASSIVE_THREADS, "PYTHONIOENCODING": "utf-8"}
