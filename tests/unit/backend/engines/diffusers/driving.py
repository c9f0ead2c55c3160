"""Driving an engine in a test: from a folder to filled frames."""

from __future__ import annotations

from pathlib import Path

from genai_fill_server.engines.diffusers import create
from genai_fill_server.service.ports import Engine, EngineJob
from tests.compliance.engines.suite import RecordingWatch

FAST = {"steps": 2}


def engine_of(folder: Path, **settings) -> Engine:
    (engine,) = create(
        {
            "models.dirs": (str(folder),),
            "models.device": "cpu",
            "worker.threads": 1,
            **{key.replace("__", "."): value for key, value in settings.items()},
        }
    )
    return engine


def job_of(engine: Engine, prompt="a brick wall", seeds=(7,), negative="", done=(), **options):
    resolved = engine.description.resolve({**FAST, **options})
    return EngineJob(seeds, prompt, negative, resolved, done)


def fill(engine: Engine, shot, job: EngineJob, watch=None):
    return list(engine.fill(shot, job, watch or RecordingWatch()))
