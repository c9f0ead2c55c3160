"""How fast and how large the engine is on a long shot, in a process of its own.

Run: ``python -m benchmarks.cleanplate.speed 1080p --frames 300``, and for a long shot
``python -m benchmarks.cleanplate.speed 540p --frames 1000 --bars``. A camera pans there and
back, an object that covers 5 % of the frame crosses; in ``1080p-depths`` slabs at many depths
slide past each other behind it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.cleanplate.bars import Bar
from benchmarks.cleanplate.speed_shots import DeepShot, PannedShot
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import QuietWatch

SIZES = {"1080p": (1920, 1080), "4K": (4096, 2160)}
LONG = {"540p": (960, 540)}
"""For shots too long to be measured at the full sizes: only memory has a bar there."""

DEEP = {"1080p-depths": (1920, 1080)}
"""Things stand at many depths there, so no plane leads from frame to frame."""


@dataclass(frozen=True)
class Cost:
    """What a shot cost.

    Seconds on the clock, and ``busy`` those of all processors, which other work on the
    machine disturbs less; the process's peak memory in MiB after a third and at the end;
    ``slope_mib``: what it held more after each 100 frames, over the last two thirds.
    ``load`` is the machine's load average when the measurement ended.
    """

    size: str
    frames: int
    first_frame_s: float
    first_busy_s: float
    frame_s: float
    frame_busy_s: float
    third_mib: float
    peak_mib: float
    slope_mib: float
    load: float


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


def _held_mib() -> float:
    """Return what the process holds now; where the system does not tell, its peak."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return _peak_mib()
    return pages * resource.getpagesize() / 2.0**20


def measure(size: str, frames: int, threads: int = 2) -> Cost:
    """Fill a shot in this process, with warm kernels, and return what it cost."""
    kind = DeepShot if size in DEEP else PannedShot
    shot, watch = kind(*(SIZES | LONG | DEEP)[size], frames), QuietWatch()
    engine = create({"threads": threads, "worker.threads": threads})[0]
    engine.prepare(watch)
    clock, busy, held, peaks = [time.perf_counter()], [time.process_time()], [], []
    for _ in engine.fill(shot, EngineJob(seeds=(1,)), watch):
        clock.append(time.perf_counter())
        busy.append(time.process_time())
        held.append(_held_mib())
        peaks.append(_peak_mib())
    later, third = max(1, frames - 1), max(1, frames // 3)
    settled = held[third:] if frames >= 6 else [0.0, 0.0]
    slope = float(np.polyfit(np.arange(len(settled)), settled, 1)[0])
    return Cost(
        size=size,
        frames=frames,
        first_frame_s=clock[1] - clock[0],
        first_busy_s=busy[1] - busy[0],
        frame_s=(clock[-1] - clock[1]) / later,
        frame_busy_s=(busy[-1] - busy[1]) / later,
        third_mib=peaks[third - 1],
        peak_mib=peaks[-1],
        slope_mib=100.0 * slope,
        load=os.getloadavg()[0],
    )


def measured_apart(size: str, frames: int) -> Cost:
    """Return `measure` of a fresh process, so that nothing else counts to its memory."""
    command = [sys.executable, "-m", "benchmarks.cleanplate.speed", size, "--frames", str(frames)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def flat_bar(cost: Cost) -> Bar:
    """Return the bar on memory over the length of a shot.

    Met when the trend of what is held over the last two thirds stays under a tenth of the
    first third's peak. A peak that comes later, where a part is invented, is told, but has
    its own bar: it does not come from the shot's length.
    """
    trend_mib = cost.slope_mib * cost.frames * 2 / 300
    later = cost.peak_mib / max(cost.third_mib, 1.0) - 1.0
    return Bar(
        f"{cost.size}: memory flat over {cost.frames} frames",
        f"{trend_mib:+.0f} MiB over the last two thirds; peak {100 * later:+.0f} %",
        trend_mib < 0.1 * cost.third_mib,
    )


def bars(cost: Cost) -> list[Bar]:
    """Return the bars on speed and memory of one size."""
    if cost.size in LONG:
        return [flat_bar(cost)]
    frame_s, peak_mib = {
        "1080p": (0.35, 2048.0),
        "1080p-depths": (0.35, 2048.0),
        "4K": (1.2, 4096.0),
    }[cost.size]
    load = f"load {cost.load:.1f}"
    return [
        Bar(
            f"{cost.size}: at most {frame_s:g} s a frame, 5 % matte, 2 cores",
            f"{cost.frame_s:.2f} s ({load}; processors {cost.frame_busy_s:.2f} s)",
            cost.frame_s <= frame_s,
        ),
        Bar(
            f"{cost.size}: first frame within 3 s",
            f"{cost.first_frame_s:.1f} s ({load}; processors {cost.first_busy_s:.1f} s)",
            cost.first_frame_s <= 3.0,
        ),
        Bar(
            f"{cost.size}: peak memory under {peak_mib / 1024:g} GiB",
            f"{cost.peak_mib / 1024:.2f} GiB",
            cost.peak_mib < peak_mib,
        ),
        flat_bar(cost),
    ]


def main() -> None:
    """Print what one size costs, as JSON, and its bars if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", choices=sorted(SIZES | LONG | DEEP))
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--bars", action="store_true", help="what is asked of it as well")
    arguments = parser.parse_args()
    cost = measure(arguments.size, arguments.frames)
    if arguments.bars:
        for bar in bars(cost):
            print(f"{'met' if bar.met else 'MISSED':8} {bar.asked:56} {bar.found}")
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    main()
