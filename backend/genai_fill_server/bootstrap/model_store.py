"""The model store as this machine and user have it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from genai_fill_contract.settings import Settings
from genai_fill_server.bootstrap.config import with_model_dirs
from genai_fill_server.bootstrap.model_folders import EngineModelFolders, known_offers
from genai_fill_server.models.add import AddModel
from genai_fill_server.models.hugging_face import HuggingFaceHub
from genai_fill_server.models.pull import PullModel
from genai_fill_server.models.store import ModelStore
from genai_fill_server.store.os_files import try_lock


def open_store(settings: Settings, environment: Mapping[str, str]) -> ModelStore:
    """Return the store of ``models.dirs``, or of the state folder when none is configured."""
    dirs = with_model_dirs(settings, environment).models.dirs
    unset = dataclasses.replace(settings, models=dataclasses.replace(settings.models, dirs=()))
    ours = with_model_dirs(unset, environment).models.dirs
    return ModelStore(
        tuple(Path(folder).expanduser().absolute() for folder in dirs),
        EngineModelFolders(),
        try_lock,
        make_first=dirs == ours,  # a server tells its children the folder, set or not
    )


def puller(settings: Settings, environment: Mapping[str, str]) -> PullModel:
    """Return what fetches models. Raises `ConfigError` when this user is off line."""
    return PullModel(
        open_store(settings, environment),
        HuggingFaceHub(environment),
        _now,
        allow_non_commercial=settings.models.allow_non_commercial,
    )


def adder(settings: Settings, environment: Mapping[str, str]) -> AddModel:
    """Return what takes local folders into the store."""
    return AddModel(open_store(settings, environment), known_offers(), _now)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
