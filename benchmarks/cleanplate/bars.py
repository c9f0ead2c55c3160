"""The bars that the clean plate is held to, each with its figure: met or missed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields

import numpy as np

from benchmarks.cleanplate.metrics import Score

ENGINE, BASELINE = "cleanplate", "flow"

Results = Mapping[str, tuple[str, Mapping[str, Score]]]
"""Case name to (kind, method to score)."""


@dataclass(frozen=True)
class Bar:
    """One bar: what is asked, what was measured and whether that is enough."""

    asked: str
    found: str
    met: bool


def means(results: Results) -> dict[str, dict[str, Score]]:
    """Return the mean score by kind and method."""
    gathered: dict[str, dict[str, list[Score]]] = {}
    for kind, scores in results.values():
        for method, found in scores.items():
            gathered.setdefault(kind, {}).setdefault(method, []).append(found)
    return {
        kind: {method: _mean(found) for method, found in methods.items()}
        for kind, methods in gathered.items()
    }


def _mean(scores: list[Score]) -> Score:
    return Score(*[float(np.mean([getattr(s, f.name) for s in scores])) for f in fields(Score)])


def bars(results: Results) -> Iterator[Bar]:
    """Yield every bar on quality that ``results`` have the cases and peers for."""
    by_kind = means(results)
    for kind, margin in (("moving", 3.0), ("tripod", 2.0), ("hdr", 2.0)):
        methods = by_kind.get(kind, {})
        if ENGINE in methods and BASELINE in methods:
            yield from _borrowing(kind, margin, methods)
    if BASELINE in by_kind.get("moving", {}):
        yield _worst_moving(results)
    if ENGINE in by_kind.get("hdr", {}):
        ratio = by_kind["hdr"][ENGINE].highlights
        yield Bar("hdr: highlights within 5 % of truth", f"{ratio:.3f}", abs(ratio - 1.0) <= 0.05)
    for kind in ("static", "still"):
        if len(by_kind.get(kind, {})) > 1:
            yield from _inventing(kind, by_kind[kind])


def _borrowing(kind: str, margin: float, methods: Mapping[str, Score]) -> Iterator[Bar]:
    ours, base = methods[ENGINE], methods[BASELINE]
    more = ours.psnr - base.psnr
    yield Bar(
        f"{kind}: PSNR at least {margin:g} dB over flow-borrowing",
        f"{ours.psnr:.2f} against {base.psnr:.2f}: {more:+.2f} dB",
        more >= margin,
    )
    share = ours.flicker / max(base.flicker, 1e-9)
    yield Bar(
        f"{kind}: flicker at most 70 % of flow-borrowing's", f"{100 * share:.0f} %", share <= 0.7
    )


def _worst_moving(results: Results) -> Bar:
    """How far the engine is over the better of two peers in the case where that is least."""
    margins = {
        name: scores[ENGINE].psnr - max(scores[BASELINE].psnr, scores["telea"].psnr)
        for name, (kind, scores) in results.items()
        if kind == "moving"
    }
    name = min(margins, key=lambda case: margins[case])
    return Bar(
        "moving: no case below the better of flow-borrowing and Telea",
        f"least: {name}, {margins[name]:+.2f} dB",
        margins[name] >= 0.0,
    )


def _inventing(kind: str, methods: Mapping[str, Score]) -> Iterator[Bar]:
    ours = methods[ENGINE]
    others = {name: score for name, score in methods.items() if name != ENGINE}
    name = max(others, key=lambda method: others[method].ssim)
    yield Bar(
        f"{kind}: SSIM above every peer's",
        f"{ours.ssim:.3f} against {others[name].ssim:.3f} ({name})",
        ours.ssim > others[name].ssim,
    )
    name = min(others, key=lambda method: others[method].gradient)
    yield Bar(
        f"{kind}: gradient deviation below every peer's",
        f"{ours.gradient:.4f} against {others[name].gradient:.4f} ({name})",
        ours.gradient < others[name].gradient,
    )
    yield Bar(
        f"{kind}: high-frequency ratio within 0.85 to 1.15",
        f"{ours.detail:.3f}",
        0.85 <= ours.detail <= 1.15,
    )
