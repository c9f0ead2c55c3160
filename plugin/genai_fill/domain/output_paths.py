"""Where takes go: templates, file names, and what must never be part of a path."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from genai_fill_contract.errors import ConfigError, PathNotAllowed, UnsavedScript
from genai_fill_contract.fill import OutputPlace

FIELDS = ("script_dir", "script", "node", "show", "shot")

_FIELD = re.compile(r"\{([^{}]*)\}")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_ABSOLUTE = re.compile(r"(/|[A-Za-z]:/)")


@dataclass(frozen=True)
class PathFields:
    """What the fields of a template stand for; an empty value is one that is not known.

    ``script`` is the script's path with forward slashes, ``node`` the node's full name.
    """

    script: str = ""
    node: str = ""
    show: str = ""
    shot: str = ""


def output_place(directory: str, name: str, fields: PathFields) -> OutputPlace:
    """Return where takes go, the templates filled in.

    Raises `UnsavedScript` when a field needs the script's place and the script was never
    saved, `ConfigError` for a field that is unknown or has no value, and `PathNotAllowed`
    for a folder that is not absolute or holds a frame token.
    """
    folder = fill_in(directory, fields, in_name=False).replace("\\", "/")
    if not _ABSOLUTE.match(folder):
        raise PathNotAllowed(
            f"The output folder {folder!r} is not absolute.",
            hint="Start it with {script_dir} or with the root of the disk.",
        )
    require_no_frame_token(folder)
    return OutputPlace(posixpath.normpath(folder), safe_name(fill_in(name, fields, in_name=True)))


def require_no_frame_token(folder: str) -> None:
    """Raise `PathNotAllowed` for a folder that Nuke would read a frame number into."""
    if bad := sorted(set(folder) & set("%#\0\n\r")):
        raise PathNotAllowed(
            f"The folder {folder!r} holds {', '.join(map(repr, bad))}.",
            hint="Nuke reads % and # as frame numbers; choose a folder without them.",
        )


def fill_in(template: str, fields: PathFields, *, in_name: bool) -> str:
    """Return a template with its fields filled in.

    Values other than ``script_dir`` become safe parts of a path; ``in_name`` makes
    ``script_dir`` an error, since a name is not a path.
    """
    values = _values(fields)

    def value(match: re.Match[str]) -> str:
        field = match[1]
        if field not in values or (in_name and field == "script_dir"):
            raise ConfigError(
                f"The output template {template!r} has no field {{{field}}}.",
                hint=f"Fields are: {', '.join(f'{{{name}}}' for name in values)}.",
            )
        if values[field]:
            return values[field]
        if field in ("script_dir", "script"):
            raise UnsavedScript(
                f"The output place {template!r} is relative to the script, "
                "and the script was never saved.",
                hint="Save the script, or give the node an output directory of its own.",
            )
        raise ConfigError(
            f"The output template {template!r} needs {{{field}}}, which is not set.",
            hint=f"Set the environment variable {field.upper()}, or change the template.",
        )

    return _FIELD.sub(value, template)


def _values(fields: PathFields) -> Mapping[str, str]:
    stem = posixpath.splitext(posixpath.basename(fields.script))[0]
    return {
        "script_dir": posixpath.dirname(fields.script),
        "script": safe_name(stem) if stem else "",
        "node": safe_name(fields.node) if fields.node else "",
        "show": safe_name(fields.show) if fields.show else "",
        "shot": safe_name(fields.shot) if fields.shot else "",
    }


def safe_name(text: str) -> str:
    """Return ``text`` as a name that every file system takes and Nuke reads literally."""
    name = _UNSAFE.sub("_", text).strip("._")
    return name[:120] or "fill"
