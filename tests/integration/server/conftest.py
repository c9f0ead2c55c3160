from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from genai_fill_contract.fill import FillRequest, OutputPlace
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef
from tests.fakes.backend_process import BackendProcess, install_studio_engines

WIDTH, HEIGHT = 48, 32
FIRST, LAST = 1001, 1020


def _write(path: Path, pixels: np.ndarray, names: tuple[str, ...]) -> None:
    spec = oiio.ImageSpec(WIDTH, HEIGHT, len(names), oiio.HALF)
    spec.channelnames = names
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(pixels), out.geterror()
    out.close()


@pytest.fixture(scope="session")
def engines_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install_studio_engines(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def shot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with twenty plates and mattes: a grey ramp, a square hole."""
    folder = tmp_path_factory.mktemp("show")
    ramp = np.linspace(0.05, 3.0, WIDTH, dtype=np.float32)
    plate = np.broadcast_to(ramp[None, :, None], (HEIGHT, WIDTH, 3)).copy()
    matte = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    matte[12:20, 18:30] = 1
    for frame in range(FIRST, LAST + 1):
        _write(folder / f"plate.{frame}.exr", plate, ("R", "G", "B"))
        _write(folder / f"matte.{frame}.exr", matte, ("R", "G", "B", "A"))
    return folder


@pytest.fixture
def request_for(shot: Path, tmp_path: Path) -> Callable[..., FillRequest]:
    """Make requests: ``options`` for the engine, the rest replaces fields."""

    def make(frames: tuple[int, int] = (FIRST, FIRST + 3), **changes) -> FillRequest:
        options = changes.pop("options", {})
        request = FillRequest(
            plate=PlateRef(f"{shot}/plate.%04d.exr", FrameRange(FIRST, LAST)),
            matte=MatteRef(f"{shot}/matte.%04d.exr", FrameRange(FIRST, LAST)),
            frame_range=FrameRange(*frames),
            engine_id="studio:paint",
            output=OutputPlace(f"{shot}/takes/{tmp_path.name}", "fill"),
            engine_options=options,
        )
        return dataclasses.replace(request, **changes)

    return make


@pytest.fixture
def backend_in(
    shot: Path, engines_folder: Path, tmp_path: Path
) -> Iterator[Callable[..., BackendProcess]]:
    """Start backends, each with the state folder of the same test; stop them after it."""
    started: list[BackendProcess] = []

    def start(**settings: object) -> BackendProcess:
        process = BackendProcess(tmp_path / "state", shot, engines_folder, **settings)
        started.append(process)
        return process.start()

    yield start
    for process in started:
        process.stop()


@pytest.fixture(scope="module")
def backend(
    shot: Path, engines_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BackendProcess]:
    """One backend for all tests of a module that leave it as it was."""
    state = tmp_path_factory.mktemp("backend") / "state"
    process = BackendProcess(state, shot, engines_folder).start()
    yield process
    process.stop()
