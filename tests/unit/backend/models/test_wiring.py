"""The store and the server look at the same folders, and artists see what is missing."""

from __future__ import annotations

import dataclasses

import pytest

from genai_fill_contract.settings import Settings, resolve_settings
from genai_fill_server.bootstrap.config import with_model_dirs
from genai_fill_server.bootstrap.engine_listing import list_engines
from genai_fill_server.bootstrap.model_store import open_store
from genai_fill_server.cli import connection
from tests.fakes.model_hub import write_model


@pytest.fixture
def settings(tmp_path):
    settings = Settings()
    backend = dataclasses.replace(settings.backend, state_dir=str(tmp_path / "state"))
    return dataclasses.replace(settings, backend=backend)


def with_dirs(settings, *dirs):
    models = dataclasses.replace(settings.models, dirs=tuple(str(d) for d in dirs))
    return dataclasses.replace(settings, models=models)


def test_without_a_setting_models_are_in_the_state_folder(settings, tmp_path):
    default = tmp_path / "state" / "models"

    assert with_model_dirs(settings, {}).models.dirs == (str(default),)
    assert open_store(settings, {}).writable_dir() == default


def test_configured_folders_are_left_as_they_are(settings, tmp_path):
    configured = with_dirs(settings, tmp_path / "share")

    assert with_model_dirs(configured, {}) is configured


def test_the_engines_find_what_the_store_holds_and_name_what_it_lacks(settings):
    store = open_store(settings, {})
    write_model(store.writable_dir() / "sdxl-like")
    write_model(store.writable_dir() / "sd15-inpaint")

    engines = {engine.id: engine for engine in list_engines(settings, {})}

    assert engines["cleanplate"].available
    assert engines["diffusers:sd15-inpaint"].available
    missing = engines["diffusers:flux2-klein-4b"]
    assert not missing.available
    assert "genai-fill models pull flux2-klein-4b" in missing.unavailable_reason


class Started:
    """Stands for `subprocess.Popen`: remembers the environment."""

    def __init__(self, command, **options):
        self.environment = options["env"]


@pytest.mark.parametrize("configured", [False, True])
def test_a_private_backend_sees_the_users_models(tmp_path, monkeypatch, configured):
    monkeypatch.setattr(connection.subprocess, "Popen", Started)
    user = {"backend": {"state_dir": str(tmp_path / "state")}}
    if configured:
        user["models"] = {"dirs": [str(tmp_path / "share")]}
    resolved = resolve_settings(environment={}, user=user)

    started = connection._start(resolved, {}, tmp_path / "private", [])

    told = started.environment.get("GENAI_FILL_MODELS_DIRS")
    assert told == (None if configured else str(tmp_path / "state" / "models"))
