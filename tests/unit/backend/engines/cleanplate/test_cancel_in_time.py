"""While a large hole is invented, cancel is looked for and progress told, whatever a clock says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest

from genai_fill_server.engines.cleanplate import create, melding
from genai_fill_server.engines.cleanplate import waves as waves_module
from genai_fill_server.engines.cleanplate.encoding import encode
from genai_fill_server.engines.cleanplate.exemplar import synthesise
from genai_fill_server.service.ports import EngineJob, FillCancelled
from tests.fakes.array_shot import ArrayShot, QuietWatch

HEIGHT, WIDTH = 240, 360
PASSES = (
    "GaussianBlur",
    "Sobel",
    "bilateralFilter",
    "blur",
    "copyMakeBorder",
    "dilate",
    "distanceTransform",
    "erode",
    "remap",
    "resize",
    "transform",
)


class WorkWatch(QuietWatch):
    """Knows how much work OpenCV did between two checks, in values of its pictures."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.most = 0
        self.told: list[float] = []
        self._since = 0
        for name in PASSES:
            monkeypatch.setattr(cv2, name, self._metered(getattr(cv2, name)))
        monkeypatch.setattr(melding, "relax", self._relaxed(melding.relax))

    def _metered(self, function: Callable) -> Callable:
        def metered(picture, *arguments, **named):
            self._since += np.size(picture)
            return function(picture, *arguments, **named)

        return metered

    def _relaxed(self, function: Callable) -> Callable:
        def relaxed(image, inside, pull, bonds, sweeps, haste):
            self._since += sweeps * pull.size
            return function(image, inside, pull, bonds, sweeps, haste)

        return relaxed

    def check(self) -> None:
        self.most, self._since = max(self.most, self._since), 0
        super().check()

    def run(self, jobs: Sequence[Callable]) -> list:
        """Run jobs as the engine does: with a check after each."""
        results = []
        for job in jobs:
            results.append(job())
            self.check()
        return results


def torn(border: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a grainy sky, encoded, of which only a border is known."""
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] / WIDTH
    light = (0.2 + 0.3 * rows + 0.1 * columns)[..., None] * np.array([0.6, 0.8, 1.1])
    picture = light * (1 + 0.01 * random.standard_normal((HEIGHT, WIDTH, 3)))
    hole = np.ones((HEIGHT, WIDTH), np.bool_)
    hole[:, :border] = hole[:, -border:] = hole[:border] = hole[-border:] = False
    return encode(picture.astype(np.float32)), hole


@pytest.mark.parametrize("border", [20, 70])
def test_cancel_is_looked_for_between_any_few_passes_over_the_picture(monkeypatch, border):
    monkeypatch.setattr(waves_module, "BAND_ROWS", 32)
    picture, hole = torn(border)
    watch = WorkWatch(monkeypatch)

    synthesise(picture, hole, hole, 1, 1, watch, watch.run, told=watch.told.append)

    # Passes over three channels. Evening the light alone takes more than fifteen.
    assert watch.most <= 5 * picture.size
    assert watch.checks > 100


def test_the_share_that_is_told_grows_to_the_whole(monkeypatch):
    picture, hole = torn(40)
    watch = WorkWatch(monkeypatch)

    synthesise(picture, hole, hole, 1, 2, watch, watch.run, told=watch.told.append)

    assert len(watch.told) > 20
    assert (np.diff(watch.told) > 0).all()
    assert watch.told[0] < 0.1
    assert 0.8 < watch.told[-1] <= 1.0


class ToldWatch(QuietWatch):
    """Remembers progress."""

    def __init__(self) -> None:
        super().__init__()
        self.shares: list[float] = []

    def progress(self, phase: str, done: float, total: float) -> None:
        super().progress(phase, done, total)
        self.shares.append(done / total)


def two_stills() -> ArrayShot:
    """Return two frames that show nothing of each other's hole."""
    encoded, hole = torn(60)
    plates, mattes = np.stack([encoded, encoded[::-1]]), np.stack([hole, hole])
    return ArrayShot(plates, mattes.astype(np.float32))


def test_the_bar_moves_while_a_frame_is_invented_and_never_back():
    engine = create({"worker.threads": 2})[0]
    watch = ToldWatch()

    list(engine.fill(two_stills(), EngineJob(seeds=(1,)), watch))

    inside = [share for share in watch.shares if 0 < share < 0.5]
    assert len(inside) > 20
    assert (np.diff(watch.shares) >= 0).all()
    assert watch.shares[-1] == 1.0


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_fill_can_be_cancelled_anywhere_while_it_invents(share):
    counted = QuietWatch()
    list(create({"worker.threads": 2})[0].fill(two_stills(), EngineJob(seeds=(1,)), counted))
    watch = QuietWatch(int(share * counted.checks))

    with pytest.raises(FillCancelled):
        list(create({"worker.threads": 2})[0].fill(two_stills(), EngineJob(seeds=(1,)), watch))

    assert watch.checks == int(share * counted.checks) + 1
