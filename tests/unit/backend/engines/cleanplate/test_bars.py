"""The benchmark's verdicts: what it calls met must be met."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.cleanplate.bars import bars, means
from benchmarks.cleanplate.metrics import Likeness, Score


def scored(
    psnr=32.0, ssim=0.9, gradient=0.01, detail=1.0, flicker=0.005, highlights=1.0, outside=0
):
    like = Likeness(psnr, ssim, ssim, gradient, detail)
    return Score(like, like, flicker, highlights, outside)


PEER = {"psnr": 28.0, "ssim": 0.6, "gradient": 0.02, "detail": 0.8, "flicker": 0.01}


def verdicts(kind, ours, code=None):
    """Return each bar's question and answer; with ``code``, only that code has ``ours``."""
    mine = scored(**ours)
    if code is not None:
        mine = replace(scored(), **{code: getattr(mine, code)})
    scores = {
        "cleanplate": mine,
        "flow": scored(**PEER, highlights=0.9),
        "telea": scored(**{**PEER, "psnr": 20.0}),
    }
    return {bar.asked: bar.met for bar in bars({"a case": (kind, scores)})}


@pytest.mark.parametrize("kind", ["moving", "tripod", "hdr", "static", "still"])
def test_a_fill_better_in_everything_meets_every_bar(kind):
    found = verdicts(kind, {})

    assert found
    assert all(found.values())


@pytest.mark.parametrize(
    ("kind", "worse", "word"),
    [
        ("moving", {"psnr": 30.9}, "PSNR"),
        ("moving", {"flicker": 0.0071}, "flicker"),
        ("tripod", {"psnr": 29.9}, "PSNR"),
        ("hdr", {"highlights": 0.94}, "highlights"),
        ("hdr", {"highlights": 1.06}, "highlights"),
        ("static", {"ssim": 0.6}, "SSIM"),
        ("static", {"gradient": 0.02}, "gradient"),
        ("still", {"detail": 0.84}, "high-frequency"),
        ("still", {"detail": 1.16}, "high-frequency"),
        ("moving", {"outside": 1}, "outside"),
    ],
)
def test_a_bar_that_is_not_reached_is_missed_and_no_other(kind, worse, word):
    found = verdicts(kind, worse)

    assert [asked for asked, met in found.items() if not met] == [
        asked for asked in found if word in asked
    ]


@pytest.mark.parametrize("code", ["display", "log"])
@pytest.mark.parametrize(
    ("kind", "worse"),
    [("moving", {"psnr": 30.9}), ("static", {"ssim": 0.5}), ("still", {"detail": 0.5})],
)
def test_a_bar_missed_in_one_code_alone_is_missed_in_that_one(kind, worse, code):
    missed = [asked for asked, met in verdicts(kind, worse, code).items() if not met]

    assert missed
    assert all(f", {code}:" in asked for asked in missed)


def test_one_bad_case_is_missed_behind_a_good_mean():
    peers = {"flow": scored(**PEER), "telea": scored(**PEER)}
    results = {
        "good": ("moving", {"cleanplate": scored(psnr=50.0), **peers}),
        "bad": ("moving", {"cleanplate": scored(psnr=27.0), **peers}),
    }

    missed = [bar for bar in bars(results) if not bar.met]

    assert means(results)["moving"]["cleanplate"].display.psnr == pytest.approx(38.5)
    assert [bar.asked for bar in missed] == [
        f"moving, {code}: no case below the better of flow-borrowing and Telea"
        for code in ("display", "log")
    ]
    assert "bad" in missed[0].found
