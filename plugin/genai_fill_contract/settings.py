"""Settings: one typed place for both sides, and where each value came from.

Precedence, highest first: environment ``GENAI_FILL_<SECTION>_<KEY>``, the studio's TOML
file, the user's TOML file, the default. The studio stands over the user on purpose: a show's
rules must hold on every workstation. Pure: callers hand in the parsed files and the
environment.
"""

from __future__ import annotations

import dataclasses
import difflib
import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_type_hints

from genai_fill_contract.errors import ConfigError
from genai_fill_contract.state_dir import require_known_fields

ENV_PREFIX = "GENAI_FILL_"
STUDIO_CONFIG_VARIABLE = "GENAI_FILL_STUDIO_CONFIG"
USER_CONFIG_VARIABLE = "GENAI_FILL_USER_CONFIG"
# Variables of the product that are not settings and so must not be read as unknown ones.
_NOT_SETTINGS = frozenset({STUDIO_CONFIG_VARIABLE, USER_CONFIG_VARIABLE})


def _setting(default: Any, help_text: str) -> Any:
    if isinstance(default, tuple):
        return field(default_factory=lambda: default, metadata={"help": help_text})
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True)
class BackendSettings:
    """How the plug-in finds and starts the backend."""

    url: str = _setting("", "Address of the backend. Empty: the one of this user on this machine.")
    state_dir: str = _setting(
        "",
        "Folder of the job database, the token and the logs, on a local disk; {user} and {host} "
        "are filled in. Empty: the user's state folder of the operating system.",
    )
    autostart: bool = _setting(True, "Whether the plug-in starts the backend when none answers.")
    command: str = _setting(
        "",
        "Program that starts the backend, with its arguments. "
        "Empty: the environment beside the plug-in's folder.",
    )
    keep_jobs_days: float = _setting(
        90.0,
        "After how many days a finished job is taken off the backend's list; 0 keeps all. Takes "
        "and the audit log are never touched.",
    )
    start_timeout_s: float = _setting(20.0, "How long the plug-in waits for a started backend.")
    request_timeout_s: float = _setting(10.0, "How long one request may take.")


@dataclass(frozen=True)
class ServerSettings:
    """Where the backend listens and which files it touches."""

    host: str = _setting("127.0.0.1", "Address to listen on. Loopback unless told otherwise.")
    port: int = _setting(
        8791,
        "Port to listen on; 0 takes a free one; when nobody chose one and it is taken, a free "
        "one is used.",
    )
    allowed_roots: tuple[str, ...] = _setting(
        (),
        "Folders that plates are read from and takes written to, symbolic links resolved. "
        "Empty: the user's home and the spool.",
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (), "Host names that requests may be addressed to, besides loopback."
    )


@dataclass(frozen=True)
class SpoolSettings:
    """Where plates wait for the backend."""

    dir: str = _setting("", "Folder for plates rendered out of Nuke. Empty: beside the takes.")
    keep: bool = _setting(False, "Whether spooled plates stay after the job is done.")


@dataclass(frozen=True)
class OutputSettings:
    """Where takes go."""

    directory: str = _setting(
        "{script_dir}/genai_fill/{node}",
        "Folder of the takes; {script_dir}, {script}, {node}, {show} and {shot} are filled in, the "
        "last two from SHOW and SHOT in the environment of Nuke's session.",
    )
    name: str = _setting("{node}", "File name of the takes, before _v001; same fields.")


@dataclass(frozen=True)
class WorkerSettings:
    """How work runs."""

    threads: int = _setting(0, "CPU threads of a worker; 0 uses every core.")
    idle_timeout_s: float = _setting(
        300.0, "After how long an idle worker ends and gives its memory back."
    )


@dataclass(frozen=True)
class ModelSettings:
    """Where model weights are and which may be used."""

    dirs: tuple[str, ...] = _setting(
        (), "Folders of models in diffusers layout; read-only network folders are fine."
    )
    device: str = _setting("auto", "auto, cpu, cuda, cuda:1 or mps.")
    allow_non_commercial: bool = _setting(
        False, "Whether models whose licence forbids commercial use may run."
    )


@dataclass(frozen=True)
class EngineSettings:
    """Which engine a new node starts with."""

    default: str = _setting("cleanplate", "Engine id for new nodes.")


@dataclass(frozen=True)
class Settings:
    """Every setting, by section."""

    backend: BackendSettings = BackendSettings()
    server: ServerSettings = ServerSettings()
    spool: SpoolSettings = SpoolSettings()
    output: OutputSettings = OutputSettings()
    worker: WorkerSettings = WorkerSettings()
    models: ModelSettings = ModelSettings()
    engine: EngineSettings = EngineSettings()


class Origin(enum.StrEnum):
    """Which layer a value came from."""

    ENVIRONMENT = "environment"
    STUDIO = "studio file"
    USER = "user file"
    DEFAULT = "default"


@dataclass(frozen=True)
class ResolvedSettings:
    """Settings, and for each ``section.key`` where its value came from."""

    settings: Settings
    origins: Mapping[str, Origin]


def resolve_settings(
    *,
    environment: Mapping[str, str],
    studio: Mapping[str, Any] | None = None,
    user: Mapping[str, Any] | None = None,
) -> ResolvedSettings:
    """Merge the layers into `Settings`.

    ``studio`` and ``user`` are parsed TOML tables of tables. Raises `ConfigError` for an
    unknown section or key (naming the nearest one), for a value of the wrong kind, and for a
    field that ``backend.state_dir`` has not.
    """
    origins: dict[str, Origin] = {}
    sections: dict[str, Any] = {}
    layers = (
        (Origin.USER, _flat(user or {}, Origin.USER)),
        (Origin.STUDIO, _flat(studio or {}, Origin.STUDIO)),
        (Origin.ENVIRONMENT, _from_environment(environment)),
    )
    keys = setting_keys()
    values: dict[str, Any] = {}
    for origin, layer in layers:
        for key, raw in layer.items():
            if key not in keys:
                raise _unknown(key, keys, origin)
            values[key] = _convert(key, keys[key], raw, origin)
            if key == "backend.state_dir":
                require_known_fields(values[key])
            origins[key] = origin
    for section in dataclasses.fields(Settings):
        cls = get_type_hints(Settings)[section.name]
        given = {
            f.name: values[f"{section.name}.{f.name}"]
            for f in dataclasses.fields(cls)
            if f"{section.name}.{f.name}" in values
        }
        sections[section.name] = cls(**given)
    return ResolvedSettings(
        Settings(**sections), {key: origins.get(key, Origin.DEFAULT) for key in keys}
    )


def setting_keys() -> dict[str, Any]:
    """Return every ``section.key`` with its annotation, in the order of declaration."""
    return {
        f"{section.name}.{f.name}": get_type_hints(section_class)[f.name]
        for section in dataclasses.fields(Settings)
        for section_class in (get_type_hints(Settings)[section.name],)
        for f in dataclasses.fields(section_class)
    }


def environment_name(key: str) -> str:
    """Return the environment variable of ``section.key``."""
    return ENV_PREFIX + key.replace(".", "_", 1).upper()


def _flat(table: Mapping[str, Any], origin: Origin) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for section, entries in table.items():
        if not isinstance(entries, Mapping):
            raise ConfigError(
                f"{section!r} in the {origin.value} stands outside a section.",
                hint=f"Sections are: {', '.join(f.name for f in dataclasses.fields(Settings))}.",
            )
        flat.update({f"{section}.{key}": value for key, value in entries.items()})
    return flat


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    by_name = {environment_name(key): key for key in setting_keys()}
    found: dict[str, str] = {}
    for name, value in environment.items():
        if name.startswith(ENV_PREFIX) and name not in _NOT_SETTINGS:
            found[by_name.get(name, name)] = value
    return found


def _unknown(key: str, keys: Mapping[str, Any], origin: Origin) -> ConfigError:
    names = [environment_name(k) for k in keys] if origin is Origin.ENVIRONMENT else list(keys)
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.0)
    return ConfigError(
        f"There is no setting {key!r} ({origin.value}).", hint=f"Did you mean {near[0]!r}?"
    )


_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def _convert(key: str, hint: Any, raw: Any, origin: Origin) -> Any:
    try:
        return _from_text(hint, raw) if isinstance(raw, str) else _from_toml(hint, raw)
    except ValueError:
        kind = "a list of texts" if hint == tuple[str, ...] else getattr(hint, "__name__", hint)
        raise ConfigError(
            f"The setting {key} ({origin.value}) is {raw!r}.", hint=f"It must be {kind}."
        ) from None


def _from_text(hint: Any, raw: str) -> Any:
    if hint is bool:
        word = raw.strip().lower()
        if word in _TRUE | _FALSE:
            return word in _TRUE
        raise ValueError(raw)
    if hint is int:
        return int(raw)
    if hint is float:
        return float(raw)
    if hint == tuple[str, ...]:
        # The separator of path lists on every operating system that Nuke runs on.
        return tuple(part for part in raw.replace("\n", ";").split(";") if part.strip())
    return raw


def _from_toml(hint: Any, raw: Any) -> Any:
    if hint == tuple[str, ...] and isinstance(raw, list) and all(isinstance(r, str) for r in raw):
        return tuple(raw)
    if hint is float and isinstance(raw, int | float) and not isinstance(raw, bool):
        return float(raw)
    if isinstance(hint, type) and type(raw) is hint:
        return raw
    raise ValueError(raw)
