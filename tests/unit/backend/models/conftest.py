from __future__ import annotations

import pytest

from genai_fill_server.bootstrap.model_folders import EngineModelFolders, known_offers
from genai_fill_server.models.add import AddModel
from genai_fill_server.models.pull import PullModel
from genai_fill_server.models.store import ModelStore
from genai_fill_server.store.os_files import try_lock
from tests.fakes.model_hub import FakeHub

NOW = "2026-01-02T03:04:05+00:00"


@pytest.fixture
def store_dir(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def make_store(store_dir):
    """A store on `store_dir`, judged by the engines' real checks."""

    def make(*dirs, **options):
        return ModelStore(dirs or (store_dir,), EngineModelFolders(), try_lock, **options)

    return make


@pytest.fixture
def hub():
    return FakeHub()


@pytest.fixture
def make_pull(make_store, hub):
    def make(store=None, **options):
        return PullModel(store or make_store(), hub, lambda: NOW, **options)

    return make


@pytest.fixture
def make_add(make_store):
    def make(store=None):
        return AddModel(store or make_store(), known_offers(), lambda: NOW)

    return make


@pytest.fixture
def offer():
    """The catalogue's SD 1.5, whose family `FakeHub`'s model is of."""
    return next(offer for offer in known_offers() if offer.id == "sd15-inpaint")
