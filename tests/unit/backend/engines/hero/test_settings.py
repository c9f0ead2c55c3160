"""Hero-frame engines as a worker makes them: from the settings, for each image model."""

from __future__ import annotations

import os

import pytest

from genai_fill_contract.settings import resolve_settings
from genai_fill_server.bootstrap.engine_plugins import engine_settings
from genai_fill_server.engines import hero
from tests.fakes.model_hub import write_model


@pytest.mark.parametrize(("asked", "threads"), [("1", 1), ("3", 3), ("0", os.cpu_count() or 1)])
def test_the_threads_are_the_workers(tmp_path, asked, threads):
    write_model(tmp_path / "models" / "sd15-inpaint")
    environment = {
        "GENAI_FILL_MODELS_DIRS": str(tmp_path / "models"),
        "GENAI_FILL_WORKER_THREADS": asked,
    }
    settings = resolve_settings(environment=environment, studio=None, user=None).settings

    (engine,) = hero.create(engine_settings(settings, "cpu"))

    assert engine.threads == threads
