"""Tiny pipelines, built once a session, and what libraries warn of."""

from __future__ import annotations

from pathlib import Path

import pytest

_LIBRARY_WARNINGS = (
    # diffusers hands a torch tensor to numpy in a way that numpy 2 deprecates.
    r"ignore:__array__ implementation doesn't accept a copy:DeprecationWarning",
    # diffusers' own Chroma model uses a class that diffusers deprecates.
    r"ignore:`FluxPosEmbed` is deprecated:FutureWarning",
)


def pytest_collection_modifyitems(items):
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in _LIBRARY_WARNINGS:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture(scope="session", autouse=True)
def _one_thread_offline():
    """A second thread on a busy machine is slower than none, and nothing is fetched."""
    import torch

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return a function: the folder of the tiny pipeline of a name, built on first use."""
    from tests.fakes.tiny_pipelines import build

    root = tmp_path_factory.mktemp("models")
    built: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in built:
            built[name] = build(name, root / name)
        return built[name]

    return folder


@pytest.fixture
def copied(tiny, tmp_path):
    """Return a function: a copy of a tiny pipeline in a folder of its own, to be damaged."""
    import shutil

    def folder(name: str) -> Path:
        return Path(shutil.copytree(tiny(name), tmp_path / "models" / name))

    return folder
