"""Settings from the files and the environment of this process: the one place that reads them."""

from __future__ import annotations

import dataclasses
import os
import platform
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genai_fill_contract.errors import ConfigError
from genai_fill_contract.settings import (
    STUDIO_CONFIG_VARIABLE,
    USER_CONFIG_VARIABLE,
    ResolvedSettings,
    Settings,
    resolve_settings,
)
from genai_fill_contract.state_dir import default_user_config, state_folder

_MAX_CONFIG_BYTES = 1024 * 1024
_MODELS_DIR = "models"


def load_settings(environment: Mapping[str, str]) -> ResolvedSettings:
    """Return every setting and where it came from. Raises `ConfigError`."""
    studio = environment.get(STUDIO_CONFIG_VARIABLE, "")
    return resolve_settings(
        environment=environment,
        studio=_read(Path(studio)) if studio else None,
        user=_user_table(environment),
    )


def config_paths(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return the paths of the studio's (empty for none) and the user's settings file."""
    told = environment.get(USER_CONFIG_VARIABLE, "")
    user = told or default_user_config(environment, sys.platform, _home())
    return environment.get(STUDIO_CONFIG_VARIABLE, ""), user


def state_path(settings: Settings, environment: Mapping[str, str]) -> Path:
    """Return the state folder: the setting's, else the operating system's for this user.

    Raises `ConfigError` for a field of the setting that is unknown or has no value here.
    """
    told, host = settings.backend.state_dir, platform.node()
    return Path(state_folder(told, environment, sys.platform, _home(), host)).absolute()


def with_model_dirs(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """Return the settings with ``models.dirs`` filled in: the state folder's when empty."""
    if settings.models.dirs:
        return settings
    default = str(state_path(settings, environment) / _MODELS_DIR)
    return dataclasses.replace(
        settings, models=dataclasses.replace(settings.models, dirs=(default,))
    )


def allowed_roots(settings: Settings) -> tuple[str, ...]:
    """Return the folders that requests may name: the setting's, else home and the spool."""
    if settings.server.allowed_roots:
        return tuple(os.path.expanduser(root) for root in settings.server.allowed_roots)  # noqa: PTH111 - Path.expanduser() raises for an unknown user
    spool = settings.spool.dir
    return (_home(), spool) if Path(spool).is_absolute() else (_home(),)


def trusted_files(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return files outside the roots that who started the backend chose: the OCIO config."""
    config = environment.get("OCIO", "")
    return (config,) if Path(config).is_absolute() else ()


def _home() -> str:
    return os.path.expanduser("~")  # noqa: PTH111 - Path.home() raises where there is no home


def _user_table(environment: Mapping[str, str]) -> Mapping[str, Any] | None:
    told = bool(environment.get(USER_CONFIG_VARIABLE))
    path = Path(config_paths(environment)[1])
    return _read(path) if told or path.exists() else None


def _read(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_CONFIG_BYTES)
    except OSError as error:
        raise ConfigError(
            f"The settings file {path} cannot be read: {error.strerror}.",
            hint="Look at its permissions, or correct the variable that names it.",
        ) from error
    try:
        return tomllib.loads(text.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"The settings file {path} is not TOML: {error}.", hint="Mend the line it names."
        ) from error
