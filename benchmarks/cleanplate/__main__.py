"""Every case by every method, then every bar: ``python -m benchmarks.cleanplate --speed``.

``--kind moving`` and ``--case NAME`` narrow it, ``--sheet FOLDER`` writes pictures. Rendered
and filmed cases join with ``--blender PYTHON`` and ``--clips FOLDER``; where they cannot, a
line says why. ``--variant N`` takes cases that the engine was not made with.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from benchmarks.cleanplate import bars, blender, cases, clips, speed
from benchmarks.cleanplate.cost import measured
from benchmarks.cleanplate.metrics import Reference, Score
from benchmarks.cleanplate.outside_peers import SLOWEST, outside_peers
from benchmarks.cleanplate.peers import PEERS, each, inpainters
from benchmarks.cleanplate.pictures import write_sheet
from benchmarks.cleanplate.shots import Case
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch

_EVERY = 4
_FEW_FRAMES = 8


def by_engine(plates: np.ndarray, mattes: np.ndarray, threads: int = 2) -> np.ndarray:
    """Fill with the clean-plate engine."""
    watch = QuietWatch()
    engine = create({"worker.threads": threads})[0]
    engine.prepare(watch)
    job = EngineJob(seeds=(1,))
    return np.array([f.pixels for f in engine.fill(ArrayShot(plates, mattes), job, watch)])


def methods_for(case: Case, only: bool) -> Iterator[tuple[str, object, list[int] | None]]:
    """Yield name, function (plates, mattes) and the frames to give it; None is all of them.

    What works on each frame by itself and takes long sees every fourth frame of a long shot,
    and what takes seconds a frame no long shot at all.
    """
    yield bars.ENGINE, by_engine, None
    if only:
        return
    for name, peer in PEERS.items():
        if case.kind != "still" or name in ("telea", "navier-stokes"):
            yield name, peer, None
    count = len(case.plates)
    some = list(range(0, count, _EVERY)) if count > _FEW_FRAMES else None
    for name, fill in {**inpainters(), **outside_peers()[0]}.items():
        if name in SLOWEST and some:
            continue
        yield name, lambda p, m, fill=fill: each(p, m, fill), some


def run_case(case: Case, only: bool, sheet: Path | None) -> dict[str, Score]:
    """Fill one case with every method; print and return the scores."""
    reference, scores, pictures = Reference(case), {}, {}
    for name, method, frames in methods_for(case, only):
        numbers = list(range(len(case.plates))) if frames is None else frames
        plates, mattes = case.plates[numbers], case.mattes[numbers]
        filled, seconds, mib = measured(lambda m=method, p=plates, a=mattes: m(p, a))
        scores[name] = reference.score(filled, frames)
        cost = f"{seconds / len(numbers):7.2f} {mib:6.0f}"
        print(_line(case.name, name, scores[name]) + cost, flush=True)
        pictures[name] = dict(zip(numbers, filled, strict=True))
    if sheet is not None:
        write_sheet(sheet / f"{case.name.replace(' ', '_')}.png", case, pictures)
    return scores


def chosen_cases(arguments: argparse.Namespace) -> Iterator[Case]:
    """Yield the cases asked for; say of what is missing why it is."""

    def wanted(name: str, kind: str) -> bool:
        return arguments.kind in ("", kind) and arguments.case in name

    found: Iterable[Case] = [] if arguments.no_photographs else cases.cases(arguments.variant)
    film = clips.clip_file(arguments.clips)
    if isinstance(film, str):
        print(f"clips not run: {film}")
    else:
        found = chain(found, clips.cases(film, arguments.variant))
    python = blender.interpreter(arguments.blender)
    if isinstance(python, str):
        print(f"Blender cases not run: {python}")
    else:
        rendered = blender.cases(python, arguments.cache, arguments.variant, wanted)
        found = chain(found, rendered)
    for name, why in outside_peers()[1].items():
        print(f"{name} not run: {why}")
    print(_HEAD)
    for case in found:
        if wanted(case.name, case.kind):
            yield case


def main() -> None:
    """Print a table of every case and method, means by kind, and the bars."""
    arguments = _arguments()
    cv2.setNumThreads(2)
    results: dict[str, tuple[str, dict[str, Score]]] = {}
    for case in chosen_cases(arguments):
        results[case.name] = (case.kind, run_case(case, arguments.only, arguments.sheet))
    print("\nmeans")
    for kind, methods in bars.means(results).items():
        for method, mean in methods.items():
            print(_line(kind, method, mean))
    print("\nbars")
    _print_bars(bars.bars(results))
    if arguments.speed:
        for size in (*speed.SIZES, *speed.DEEP):
            _print_bars(speed.bars(speed.measured_apart(size, arguments.frames)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", default="", help="moving, tripod, static, hdr or still")
    parser.add_argument("--case", default="", help="part of a case's name")
    parser.add_argument("--variant", type=int, default=0, help="other cases of the same kinds")
    parser.add_argument("--only", action="store_true", help="the engine alone, no peers")
    parser.add_argument("--sheet", type=Path, default=None, help="folder for pictures")
    parser.add_argument("--no-photographs", action="store_true", help="clips and Blender alone")
    parser.add_argument("--clips", type=Path, help=f"folder that holds {clips.CLIP}")
    parser.add_argument("--blender", help="Python interpreter that has bpy 5")
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()) / "genai_fill_bench",
        help="folder for rendered frames",
    )
    parser.add_argument("--speed", action="store_true", help="speed and memory as well")
    parser.add_argument("--frames", type=int, default=300, help="length of the shots for --speed")
    return parser.parse_args()


def _print_bars(found: Iterable[bars.Bar]) -> None:
    for bar in found:
        print(f"{'met' if bar.met else 'MISSED':8} {bar.asked:70} {bar.found}", flush=True)


_HEAD = (
    f"{'':36}display                            log\n"
    f"{'case':18} {'method':17} "
    + 2 * "psnr   ssim  msssim grad   detail "
    + " flick   hdr outside s/frame  MiB"
)


def _line(case: str, method: str, found: Score) -> str:
    codes = "".join(
        f"{c.psnr:5.2f} {c.ssim:6.3f} {c.msssim:6.3f} {c.gradient:6.4f} {c.detail:6.2f} "
        for c in (found.display, found.log)
    )
    rest = f"{1000 * found.flicker:6.2f} {found.highlights:6.3f} {found.outside:6d} "
    return f"{case:18} {method:17} {codes}{rest}"


if __name__ == "__main__":
    main()
