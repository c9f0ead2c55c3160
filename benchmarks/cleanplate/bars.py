"""The bars that the clean plate is held to, each with its figure: met or missed.

What is asked of a picture is asked twice, of display-coded and of log-coded values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.cleanplate.metrics import Likeness, Score, mean_of

ENGINE, BASELINE = "cleanplate", "flow"
CODES = ("display", "log")

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
        kind: {method: mean_of(found) for method, found in methods.items()}
        for kind, methods in gathered.items()
    }


def bars(results: Results) -> Iterator[Bar]:
    """Yield every bar on quality that ``results`` have the cases and peers for."""
    by_kind = means(results)
    for kind, margin in (("moving", 3.0), ("tripod", 2.0), ("hdr", 2.0)):
        methods = by_kind.get(kind, {})
        if ENGINE in methods and BASELINE in methods:
            yield from _borrowing(kind, margin, methods)
    if BASELINE in by_kind.get("moving", {}):
        for code in CODES:
            yield _worst_moving(results, code)
    if ENGINE in by_kind.get("hdr", {}):
        ratio = by_kind["hdr"][ENGINE].highlights
        yield Bar("hdr: highlights within 5 % of truth", f"{ratio:.3f}", abs(ratio - 1.0) <= 0.05)
    for kind in ("static", "still"):
        if len(by_kind.get(kind, {})) > 1:
            for code in CODES:
                yield from _inventing(kind, code, by_kind[kind])
    yield from _outside(results)


def _of(score: Score, code: str) -> Likeness:
    return score.display if code == "display" else score.log


def _borrowing(kind: str, margin: float, methods: Mapping[str, Score]) -> Iterator[Bar]:
    for code in CODES:
        ours, base = _of(methods[ENGINE], code).psnr, _of(methods[BASELINE], code).psnr
        more = ours - base
        yield Bar(
            f"{kind}, {code}: PSNR at least {margin:g} dB over flow-borrowing",
            f"{ours:.2f} against {base:.2f}: {more:+.2f} dB",
            more >= margin,
        )
    share = methods[ENGINE].flicker / max(methods[BASELINE].flicker, 1e-9)
    yield Bar(
        f"{kind}: flicker at most 70 % of flow-borrowing's", f"{100 * share:.0f} %", share <= 0.7
    )


def _worst_moving(results: Results, code: str) -> Bar:
    """How far the engine is over the better of two peers in the case where that is least."""
    margins = {
        name: _of(scores[ENGINE], code).psnr
        - max(_of(scores[peer], code).psnr for peer in (BASELINE, "telea"))
        for name, (kind, scores) in results.items()
        if kind == "moving"
    }
    name = min(margins, key=lambda case: margins[case])
    return Bar(
        f"moving, {code}: no case below the better of flow-borrowing and Telea",
        f"least: {name}, {margins[name]:+.2f} dB",
        margins[name] >= 0.0,
    )


def _inventing(kind: str, code: str, methods: Mapping[str, Score]) -> Iterator[Bar]:
    ours = _of(methods[ENGINE], code)
    others = {name: _of(score, code) for name, score in methods.items() if name != ENGINE}
    name = max(others, key=lambda method: others[method].ssim)
    yield Bar(
        f"{kind}, {code}: SSIM above every peer's",
        f"{ours.ssim:.3f} against {others[name].ssim:.3f} ({name})",
        ours.ssim > others[name].ssim,
    )
    name = min(others, key=lambda method: others[method].gradient)
    yield Bar(
        f"{kind}, {code}: gradient deviation below every peer's",
        f"{ours.gradient:.4f} against {others[name].gradient:.4f} ({name})",
        ours.gradient < others[name].gradient,
    )
    yield Bar(
        f"{kind}, {code}: high-frequency ratio within 0.85 to 1.15",
        f"{ours.detail:.3f}",
        0.85 <= ours.detail <= 1.15,
    )


def _outside(results: Results) -> Iterator[Bar]:
    changed = sum(scores[ENGINE].outside for _, scores in results.values() if ENGINE in scores)
    yield Bar("all: not a bit outside the matte differs", f"{changed} pixels", changed == 0)
