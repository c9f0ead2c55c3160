"""Markdown tables of what was measured."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.diffusion.measures import TAKES, Result, Setup
from benchmarks.diffusion.models import library
from benchmarks.diffusion.timing import STEPS

OVERHEAD_GOAL = 1.05
WHOLE_GOAL = 10.0


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table: the first column to the left, figures to the right."""
    lines = [_row(head), _row(["---", *["---:"] * (len(head) - 1)]), *map(_row, rows)]
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def machine(device: torch.device) -> str:
    """Return the machine in words: processor, cores, load, device, libraries."""
    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8").splitlines()
        cpu = next((ln.split(":")[1].strip() for ln in lines if ln.startswith("model name")), cpu)
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg()) if _has_load() else "unknown"
    gpu = "no GPU"
    if device.type == "cuda":
        memory = torch.cuda.get_device_properties(device).total_memory / 2**30
        gpu = f"{torch.cuda.get_device_name(device)}, {memory:.0f} GB"
    return (
        f"{cpu}, {os.cpu_count()} cores, load {load}; {gpu}; "
        f"Python {platform.python_version()}, torch {library('torch')} "
        f"({torch.get_num_threads()} threads), diffusers {library('diffusers')}"
    )


def _has_load() -> bool:
    return hasattr(os, "getloadavg")


def report(results: Sequence[Result], setup: Setup, before: str, after: str, command: str) -> str:
    """Return the whole report."""
    width, height = setup.plate
    parts = [
        f"Command: `{command}`",
        f"Machine: {before}. At the end: {after}.",
        f"Networks: {setup.size.value} size, random weights. Plate {width} × {height}, half-float "
        f"zip EXR, a tenth of it matte. Medians of {setup.rounds} rounds, the first call "
        f"discarded; seconds are a frame's{_clock(setup)}.",
        "**Beside the bare call**",
        overhead(results),
        "**Where the time goes** (one more run, timed step by step; seconds a frame)",
        breakdown(results),
        "**The crop and the whole frame**",
        crop_and_whole(results),
        "**The first take of a prompt and one more**",
        takes(results),
        "**Peak memory**, GB: main memory, device",
        memory(results),
        "**Networks**",
        networks(results),
    ]
    return "\n\n".join(parts) + "\n"


def _clock(setup: Setup) -> str:
    return ", of the process and not of the wall" if setup.cpu_seconds else ""


def overhead(results: Sequence[Result]) -> str:
    """Return the table of bare call, engine and whole way."""
    rows = [
        [
            r.model.name,
            _size(r.crop),
            _size(r.worked_at),
            f"{r.steps}",
            f"{r.frames}",
            f"{_median(r.bare_s):.3f}",
            f"{_median(r.engine_s):.3f}",
            f"{_median(r.fill_s):.3f}",
            f"{r.engine_ratio:.3f}",
            f"{r.fill_ratio:.3f}",
            f"{r.beside_s:+.3f}",
            _met(r.fill_ratio <= OVERHEAD_GOAL),
        ]
        for r in results
    ]
    head = ["model", "crop", "worked at", "steps", "frames", "a bare call", "b engine"]
    head += ["c files to files", "b / a", "c / a", "c - a", f"c / a ≤ {OVERHEAD_GOAL}"]
    return table(head, rows)


def breakdown(results: Sequence[Result]) -> str:
    """Return the table of steps, a column a model."""
    seen = [step for step in STEPS if any(step in r.breakdown_s for r in results)]
    rows = [[step, *(f"{r.breakdown_s.get(step, 0.0):.3f}" for r in results)] for step in seen]
    rows.append(["sum", *(f"{sum(r.breakdown_s.values()):.3f}" for r in results)])
    return table(["step", *(r.model.name for r in results)], rows)


def crop_and_whole(results: Sequence[Result]) -> str:
    """Return the table of our way over the crop and the bare call over the whole frame."""
    rows = [
        [
            r.model.name,
            _size(r.whole_px),
            f"{r.whole_s:.3f}",
            r.whole_is,
            _size(r.part_crop),
            f"{r.part_s:.3f}",
            f"{r.whole_s / r.part_s:.1f}",
            f"{r.part_plain_s:.3f}",
            f"{r.whole_s / r.part_plain_s:.1f}",
            _met(r.whole_s >= WHOLE_GOAL * r.part_s),
        ]
        for r in results
    ]
    head = ["model", "whole frame", "bare call", "how", "crop", "files to files", "times"]
    head += ["without *detail*", "times", f"≥ {WHOLE_GOAL:g} times"]
    return table(head, rows)


def takes(results: Sequence[Result]) -> str:
    """Return the table of first and second takes."""
    rows = [
        [
            r.model.name,
            f"{r.first_take_s:.3f}",
            f"{r.second_take_s:.3f}",
            f"{r.second_take_s / r.first_take_s:.3f}",
            *_together(r),
        ]
        for r in results
    ]
    head = ["model", "new prompt", "same prompt, new seed", "ratio"]
    return table([*head, f"{TAKES} takes, each", "in one call, each", "ratio"], rows)


def _together(result: Result) -> list[str]:
    if not result.together_s:
        return ["", "", ""]
    ratio = result.together_s / result.singly_s
    return [f"{result.singly_s:.3f}", f"{result.together_s:.3f}", f"{ratio:.3f}"]


def memory(results: Sequence[Result]) -> str:
    """Return the table of peaks."""
    rows = [
        [r.model.name, *(f"{main:.2f}, {device:.2f}" for main, device in _peaks(r))]
        for r in results
    ]
    return table(["model", "bare call", "files to files"], rows)


def _peaks(result: Result) -> tuple[tuple[float, float], ...]:
    return result.bare_peaks_gb, result.fill_peaks_gb


def networks(results: Sequence[Result]) -> str:
    """Return the table of what the networks are."""
    rows = [
        [
            r.model.name,
            ", ".join(f"{k} {v / 1e6:,.1f}" for k, v in r.parameters.items()),
            r.precision,
            r.model.origin,
        ]
        for r in results
    ]
    head = ["model", "millions of parameters", "precision", "where the full-size numbers are from"]
    return table(head, rows)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]}"


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _met(met: bool) -> str:
    return "met" if met else "missed"
