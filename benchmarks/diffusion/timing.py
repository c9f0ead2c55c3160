"""Where the time goes: exclusive seconds by step, from wrappers laid round ports and networks.

The product has no hooks for this. What is wrapped is put back afterwards.
"""

from __future__ import annotations

import contextlib
import functools
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from genai_fill_server.service import finish_frame, run_fill, shot_mattes, shot_view
from genai_fill_server.service.frame_ports import FramePorts

READ, CHECK, SHAPE = "read", "check and crop", "shape matte"
COLOUR_IN, COLOUR_OUT = "colour in", "colour out"
PROMPT, ENCODE, DENOISE, DECODE = "prompt", "encode", "denoise", "decode"
ENGINE, SEAM, GRAIN = "engine, rest", "seam", "grain"
COMPOSITE, WRITE, REST = "composite", "write", "service, rest"
STEPS = (
    READ,
    CHECK,
    SHAPE,
    COLOUR_IN,
    PROMPT,
    ENCODE,
    DENOISE,
    DECODE,
    ENGINE,
    COLOUR_OUT,
    SEAM,
    GRAIN,
    COMPOSITE,
    WRITE,
    REST,
)
MODEL_STEPS = (PROMPT, ENCODE, DENOISE, DECODE)


class Stopwatch:
    """Adds up time by label; what is spent in a nested label counts there alone.

    With a CUDA ``device`` labels of networks wait for the device at both ends.
    """

    def __init__(self, device: torch.device) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._device = device
        self._nested: list[float] = []

    @contextlib.contextmanager
    def at(self, label: str) -> Iterator[None]:
        """Count the time inside under ``label``."""
        self._wait(label)
        began = time.perf_counter()
        self._nested.append(0.0)
        try:
            yield
        finally:
            self._wait(label)
            spent = time.perf_counter() - began
            inner = self._nested.pop()
            if self._nested:
                self._nested[-1] += spent
            self.seconds[label] = self.seconds.get(label, 0.0) + spent - inner
            self.calls[label] = self.calls.get(label, 0) + 1

    def timed(self, function: Callable[..., Any], label: str) -> Callable[..., Any]:
        """Return ``function`` with its time counted."""

        @functools.wraps(function)
        def inner(*args: Any, **kwargs: Any) -> Any:
            with self.at(label):
                return function(*args, **kwargs)

        return inner

    def _wait(self, label: str) -> None:
        if label in MODEL_STEPS:
            synchronise(self._device)


class _Timed:
    """A port with some of its methods timed; everything else goes through."""

    def __init__(self, port: Any, watch: Stopwatch, labels: dict[str, str]) -> None:
        self._port = port
        self._watch = watch
        self._labels = labels

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        return self._watch.timed(value, self._labels[name]) if name in self._labels else value


class _TimedPlates:
    """A `PlateStore` whose readers are timed."""

    def __init__(self, port: Any, watch: Stopwatch) -> None:
        self._port = port
        self._watch = watch

    def __getattr__(self, name: str) -> Any:
        opens = getattr(self._port, name)
        labels = {"read": READ, "header": READ}
        return lambda reference: _Timed(opens(reference), self._watch, labels)


class TimedEngine:
    """An `Engine` whose work is timed, beside what its networks and its reading take."""

    def __init__(self, engine: Any, watch: Stopwatch) -> None:
        self._engine = engine
        self._watch = watch
        self.description = engine.description

    def prepare(self, watch: Any) -> None:
        """Load the model."""
        self._engine.prepare(watch)

    def fill(self, shot: Any, job: Any, watch: Any) -> Iterator[Any]:
        """Yield the engine's frames; the time between them is not its."""
        frames = self._engine.fill(shot, job, watch)
        while True:
            with self._watch.at(ENGINE):
                made = next(frames, None)
            if made is None:
                return
            yield made

    def release(self) -> None:
        """Give memory back."""
        self._engine.release()


def timed_ports(ports: FramePorts, watch: Stopwatch) -> FramePorts:
    """Return ``ports`` with reading, writing and colour timed."""
    colour = {"to_working": COLOUR_IN, "to_rec709": COLOUR_IN, "from_rec709": COLOUR_OUT}
    return replace(
        ports,
        plates=_TimedPlates(ports.plates, watch),
        takes=_Timed(
            ports.takes,
            watch,
            {"write_frame": WRITE, "write_recipe": WRITE, "is_complete": CHECK},
        ),
        colour=lambda settings: _Timed(ports.colour(settings), watch, colour),
    )


@contextlib.contextmanager
def timed_steps(pipe: Any, watch: Stopwatch) -> Iterator[None]:
    """Time the steps of the service and the networks of ``pipe`` inside."""
    places: list[tuple[Any, str, str]] = [
        (run_fill, "check_request", CHECK),
        (shot_mattes.ShotMattes, "_shape", SHAPE),
        (shot_view.ShotView, "_encoded", COLOUR_IN),
        (shot_view.ShotView, "to_working", COLOUR_OUT),
        (finish_frame, "correct_seam", SEAM),
        (finish_frame, "measure_grain", GRAIN),
        (finish_frame, "synthesise_grain", GRAIN),
        (finish_frame, "composite", COMPOSITE),
        (pipe.vae, "encode", ENCODE),
        (pipe.vae, "decode", DECODE),
    ]
    for name, part in pipe.components.items():
        if isinstance(part, torch.nn.Module) and name != "vae":
            places.append((part, "forward", PROMPT if name.startswith("text") else DENOISE))
    before = [(owner, name, vars(owner).get(name)) for owner, name, _ in places]
    for owner, name, label in places:
        setattr(owner, name, watch.timed(getattr(owner, name), label))
    try:
        yield
    finally:
        for owner, name, own in before:
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def seconds(
    work: Callable[[], Any],
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Return how long ``work`` takes by ``clock``, the device's part included."""
    synchronise(device)
    began = clock()
    work()
    synchronise(device)
    return clock() - began


def forget_peaks(device: torch.device) -> None:
    """Begin to look for the peaks of memory anew (main memory: on Linux only)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peaks_gb(device: torch.device) -> tuple[float, float]:
    """Return the peaks of main memory and of the device's memory in GB (2**30 bytes)."""
    main = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        line = next(line for line in lines if line.startswith("VmHWM"))
        main = int(line.split()[1]) / 2**20
    on_device = torch.cuda.max_memory_allocated(device) / 2**30 if device.type == "cuda" else 0.0
    return main, on_device
