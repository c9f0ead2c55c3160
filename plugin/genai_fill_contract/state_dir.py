"""Where the state and the settings of a user are: one rule, both sides.

The state folder holds the job database, the token, ``endpoint.json`` and the logs. Pure: callers
hand in the environment, the platform's name, the home folder and the machine's name.
"""

from __future__ import annotations

import ntpath
import posixpath
import re
import string
from collections.abc import Mapping

from genai_fill_contract.errors import ConfigError

ENDPOINT_FILE = "endpoint.json"
TOKEN_FILE = "token"  # noqa: S105 - the name of a file, not a secret
LOG_DIR = "logs"

STATE_DIR_FIELDS = ("user", "host")
"""What ``backend.state_dir`` may hold in braces: two users, or two machines that share a home
folder, must not share a state folder."""

_USER_VARIABLES = ("USER", "LOGNAME", "USERNAME")
_UNSAFE = re.compile(r"[^\w.-]+")


def state_folder(
    told: str, environment: Mapping[str, str], platform: str, home: str, host: str
) -> str:
    """Return the state folder: the setting's with its fields filled in, else the default one.

    ``told`` is ``backend.state_dir``, ``host`` the machine's name (`platform.node`), of which
    ``{host}`` is what stands before the first dot, in lower case. ``{{`` and ``}}`` stand for
    braces. Raises `ConfigError` for an unknown field, and for one whose value nobody knows.
    """
    if not told:
        return default_state_dir(environment, platform, home)
    values = {
        "user": next(filter(None, map(environment.get, _USER_VARIABLES)), ""),
        "host": host.partition(".")[0].lower(),
    }
    parts: list[str] = []
    for literal, name in _parsed(told):
        parts.append(literal)
        if name is None:
            continue
        value = _UNSAFE.sub("_", values[name]).strip(".")
        if not value:
            raise ConfigError(
                f"The setting backend.state_dir {told!r} needs {{{name}}}, and this process is "
                f"not told the {name}'s name.",
                hint="Set the environment variable USER, or choose a folder without {user}."
                if name == "user"
                else "Choose a folder without {host}.",
            )
        parts.append(value)
    return "".join(parts)


def require_known_fields(told: str) -> None:
    """Raise `ConfigError` for a ``backend.state_dir`` with another field than those there are."""
    for _ in _parsed(told):
        pass


def as_told(folder: str) -> str:
    """Return a folder as ``backend.state_dir`` names it: its own braces are no fields."""
    return folder.replace("{", "{{").replace("}", "}}")


def _parsed(told: str) -> list[tuple[str, str | None]]:
    """Return ``told`` as literal texts, each with the known field that follows it, or None."""
    parts: list[tuple[str, str | None]] = []
    try:
        for literal, name, form, conversion in string.Formatter().parse(told):
            if name is not None and (name not in STATE_DIR_FIELDS or form or conversion):
                raise ValueError(name)
            parts.append((literal, name))
    except ValueError:  # Formatter's own: a brace without its other half
        fields = ", ".join(f"{{{name}}}" for name in STATE_DIR_FIELDS)
        raise ConfigError(
            f"The setting backend.state_dir is {told!r}, with a field that there is not.",
            hint=f"Fields are: {fields}. A brace that is part of a name is written twice.",
        ) from None
    return parts


def default_state_dir(environment: Mapping[str, str], platform: str, home: str) -> str:
    """Return the user's state folder of the operating system.

    ``platform`` is `sys.platform`; ``home`` the user's home folder. Linux follows the XDG
    base directory rule (a relative ``XDG_STATE_HOME`` is to be ignored), macOS has
    Application Support, Windows the local (not roaming) application data.
    """
    if platform == "win32":
        base = environment.get("LOCALAPPDATA") or ntpath.join(home, "AppData", "Local")
        return ntpath.join(base, "GenAI Fill")
    if platform == "darwin":
        return posixpath.join(home, "Library", "Application Support", "GenAI Fill")
    base = environment.get("XDG_STATE_HOME", "")
    if not posixpath.isabs(base):
        base = posixpath.join(home, ".local", "state")
    return posixpath.join(base, "genai-fill")


def default_user_config(environment: Mapping[str, str], platform: str, home: str) -> str:
    """Return the path of the user's settings file when no variable names another."""
    if platform == "win32":
        base = environment.get("APPDATA") or ntpath.join(home, "AppData", "Roaming")
        return ntpath.join(base, "GenAI Fill", "config.toml")
    if platform == "darwin":
        return posixpath.join(home, "Library", "Application Support", "GenAI Fill", "config.toml")
    base = environment.get("XDG_CONFIG_HOME", "")
    if not posixpath.isabs(base):
        base = posixpath.join(home, ".config")
    return posixpath.join(base, "genai-fill", "config.toml")
