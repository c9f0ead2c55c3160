"""Every case by every method, then every bar: ``python -m benchmarks.cleanplate --speed``.

``--kind moving`` and ``--case NAME`` narrow it, ``--sheet FOLDER`` writes pictures.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

from benchmarks.cleanplate import bars, speed
from benchmarks.cleanplate.cases import Case, cases
from benchmarks.cleanplate.metrics import Score, display, score
from benchmarks.cleanplate.peers import PEERS, by_biharmonic
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch


def by_engine(plates: np.ndarray, mattes: np.ndarray, threads: int = 2) -> np.ndarray:
    """Fill with the clean-plate engine."""
    watch = QuietWatch()
    engine = create({"worker.threads": threads})[0]
    engine.prepare(watch)
    job = EngineJob(seeds=(1,))
    return np.array([f.pixels for f in engine.fill(ArrayShot(plates, mattes), job, watch)])


def run_case(case: Case, peers: dict, sheet: Path | None) -> dict[str, tuple[Score, float]]:
    """Fill one case with the engine and its peers; return scores and seconds a frame."""
    results, pictures = {}, {}
    methods = {"cleanplate": by_engine, **peers}
    if peers and case.kind in ("static", "still"):
        methods = {**methods, "biharmonic": by_biharmonic}
    if case.kind == "still":
        methods.pop("flow", None)
        methods.pop("median", None)
        methods.pop("plane", None)
    for name, method in methods.items():
        start = time.perf_counter()
        filled = method(case.plates, case.mattes)
        seconds = (time.perf_counter() - start) / len(case.plates)
        results[name] = (score(filled, case.truths, case.mattes), seconds)
        pictures[name] = filled
    if sheet is not None:
        _write_sheet(sheet / f"{case.name.replace(' ', '_')}.png", case, pictures)
    return results


def _write_sheet(path: Path, case: Case, pictures: dict[str, np.ndarray]) -> None:
    """Write the first and the middle frame round the matte, methods side by side."""
    shown = {"plate": case.plates, "truth": case.truths}
    shown |= {n: pictures[n] for n in ("cleanplate", "flow", "telea") if n in pictures}
    rows = []
    for index in sorted({0, len(case.plates) // 2}):
        ys, xs = np.nonzero(case.mattes[index] > 0)
        at = np.s_[max(0, ys.min() - 30) : ys.max() + 30, max(0, xs.min() - 30) : xs.max() + 30]
        tiles = []
        for name, frames in shown.items():
            tile = np.ascontiguousarray((display(frames[index][at]) * 255).astype(np.uint8))
            cv2.putText(tile, name, (5, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 3, 16)
            cv2.putText(tile, name, (5, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1, 16)
            tiles.append(tile)
        rows.append(np.hstack(tiles))
    width = max(r.shape[1] for r in rows)
    rows = [np.pad(r, ((0, 4), (0, width - r.shape[1]), (0, 0))) for r in rows]
    picture = np.ascontiguousarray(np.vstack(rows)[..., ::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(picture, None, fx=2, fy=2))


def main() -> None:
    """Print a table of every case and method, means by kind, and the bars."""
    arguments = _arguments()
    cv2.setNumThreads(2)
    results: dict[str, tuple[str, dict[str, Score]]] = {}
    print(f"{'case':16} {'method':14} psnr   ssim   grad   detail flick  hdr    s/frame")
    for case in cases():
        if arguments.kind not in ("", case.kind) or arguments.case not in case.name:
            continue
        found = run_case(case, {} if arguments.only else PEERS, arguments.sheet)
        results[case.name] = (case.kind, {name: one for name, (one, _) in found.items()})
        for method, (one, seconds) in found.items():
            print(_line(case.name, method, one) + f" {seconds:.2f}", flush=True)
    print("\nmeans")
    for kind, methods in bars.means(results).items():
        for method, mean in methods.items():
            print(_line(kind, method, mean))
    print("\nbars")
    _print_bars(bars.bars(results))
    if arguments.speed:
        for size in speed.SIZES:
            _print_bars(speed.bars(speed.measured_apart(size, arguments.frames)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", default="", help="moving, tripod, static, hdr or still")
    parser.add_argument("--case", default="", help="part of a case's name")
    parser.add_argument("--only", action="store_true", help="the engine alone, no peers")
    parser.add_argument("--sheet", type=Path, default=None, help="folder for pictures")
    parser.add_argument("--speed", action="store_true", help="speed and memory as well")
    parser.add_argument("--frames", type=int, default=300, help="length of the shots for --speed")
    return parser.parse_args()


def _print_bars(found: Iterable[bars.Bar]) -> None:
    for bar in found:
        print(f"{'met' if bar.met else 'MISSED':8} {bar.asked:64} {bar.found}", flush=True)


def _line(case: str, method: str, found: Score) -> str:
    return (
        f"{case:16} {method:14} {found.psnr:5.2f} {found.ssim:6.3f} {found.gradient:7.4f} "
        f"{found.detail:6.2f} {1000 * found.flicker:6.2f} {found.highlights:6.3f}"
    )


if __name__ == "__main__":
    main()
