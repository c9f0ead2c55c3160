"""Run: ``python -m benchmarks.cleanplate [--kind moving] [--case NAME] [--sheet FOLDER]``."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import cv2
import numpy as np

from benchmarks.cleanplate.cases import Case, cases
from benchmarks.cleanplate.metrics import Score, display, score
from benchmarks.cleanplate.peers import PEERS, by_biharmonic
from genai_fill_server.engines.cleanplate import create
from genai_fill_server.service.ports import EngineJob
from tests.fakes.array_shot import ArrayShot, QuietWatch


def by_engine(plates: np.ndarray, mattes: np.ndarray, threads: int = 2) -> np.ndarray:
    """Fill with the clean-plate engine."""
    watch = QuietWatch()
    engine = create({"threads": threads})[0]
    engine.prepare(watch)
    job = EngineJob(seeds=(1,))
    return np.array([f.pixels for f in engine.fill(ArrayShot(plates, mattes), job, watch)])


def run_case(case: Case, peers: dict, sheet: Path | None) -> dict[str, tuple[Score, float]]:
    """Fill one case with the engine and its peers; return scores and seconds a frame."""
    results, pictures = {}, {}
    methods = {"cleanplate": by_engine, **peers}
    if case.kind == "still":
        methods = {**methods, "biharmonic": by_biharmonic}
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
    rows = []
    for index in sorted({0, len(case.plates) // 2}):
        ys, xs = np.nonzero(case.mattes[index] > 0)
        at = np.s_[max(0, ys.min() - 30) : ys.max() + 30, max(0, xs.min() - 30) : xs.max() + 30]
        shown = [case.plates[index], case.truths[index]]
        shown += [pictures[n][index] for n in pictures if n in ("cleanplate", "flow", "telea")]
        rows.append(np.hstack([display(p[at]) for p in shown]))
    width = max(r.shape[1] for r in rows)
    rows = [np.pad(r, ((0, 4), (0, width - r.shape[1]), (0, 0))) for r in rows]
    picture = (np.vstack(rows)[..., ::-1] * 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(picture, None, fx=2, fy=2))


def main() -> None:
    """Print a table of every case and method, and means by kind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kind", default="")
    parser.add_argument("--case", default="")
    parser.add_argument("--only", action="store_true", help="the engine alone, no peers")
    parser.add_argument("--sheet", type=Path, default=None)
    arguments = parser.parse_args()
    cv2.setNumThreads(2)
    gathered: dict[tuple[str, str], list[Score]] = {}
    print(f"{'case':16} {'method':14} psnr   ssim   grad   detail flick  hdr    s/frame")
    for case in cases():
        if arguments.kind not in ("", case.kind) or arguments.case not in case.name:
            continue
        results = run_case(case, {} if arguments.only else PEERS, arguments.sheet)
        for method, (found, seconds) in results.items():
            gathered.setdefault((case.kind, method), []).append(found)
            print(_line(case.name, method, found) + f" {seconds:.2f}")
    print("\nmeans")
    for (kind, method), scores in gathered.items():
        names = list(Score.__dataclass_fields__)
        mean = Score(*[float(np.mean([getattr(s, n) for s in scores])) for n in names])
        print(_line(kind, method, mean))


def _line(case: str, method: str, found: Score) -> str:
    return (
        f"{case:16} {method:14} {found.psnr:5.2f} {found.ssim:6.3f} {found.gradient:7.4f} "
        f"{found.detail:6.2f} {1000 * found.flicker:6.2f} {found.highlights:6.3f}"
    )


if __name__ == "__main__":
    main()
