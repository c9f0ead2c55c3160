"""Where the state and the settings of a user are: one rule, both sides.

The state folder holds the job database, the token, ``endpoint.json`` and the logs. Pure: callers
hand in the environment, the platform's name and the home folder.
"""

from __future__ import annotations

import ntpath
import posixpath
from collections.abc import Mapping

ENDPOINT_FILE = "endpoint.json"
TOKEN_FILE = "token"  # noqa: S105 - the name of a file, not a secret
LOG_DIR = "logs"


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
