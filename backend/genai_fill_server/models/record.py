"""The record beside a model: where it came from, and the hash of every file."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genai_fill_contract.errors import ModelLoadFailed
from genai_fill_server.models.contents import LOCK_FILE

_VERSION = 1
_MAX_BYTES = 4 * 2**20
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class FileRecord:
    """Size and SHA-256 of one file."""

    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class ModelRecord:
    """Where a model came from and what it consisted of then.

    ``source`` is a repository or "added"; ``revision`` the commit, empty for added ones.
    ``accepted`` names the licence that who fetched it agreed to, empty where none had to.
    """

    id: str
    source: str
    revision: str
    recorded_at: str
    files: Mapping[str, FileRecord] = field(default_factory=dict)
    accepted: str = ""


def write_record(folder: Path, record: ModelRecord) -> None:
    """Write the record into a model's folder."""
    wire = {"version": _VERSION, **dataclasses.asdict(record)}
    (folder / LOCK_FILE).write_text(
        json.dumps(wire, indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )


def has_record(folder: Path) -> bool:
    """Whether there is a record."""
    return (folder / LOCK_FILE).is_file()


def read_record(folder: Path) -> ModelRecord | None:
    """Return the record of a model's folder, None when there is none.

    Raises `ModelLoadFailed` for one that cannot be read.
    """
    path = folder / LOCK_FILE
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_BYTES + 1)
        if len(text) > _MAX_BYTES:
            raise ValueError("it is too large")
        return _from_wire(json.loads(text))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelLoadFailed(
            f"The record {path} cannot be read: {error}.",
            hint="Remove the model and fetch or add it again.",
            path=str(path),
        ) from error


def _from_wire(wire: Any) -> ModelRecord:
    if wire["version"] != _VERSION:
        raise ValueError(f"it is of version {wire['version']!r}, not {_VERSION}")
    files = {
        str(name): FileRecord(_size(entry["size_bytes"]), _digest(entry["sha256"]))
        for name, entry in wire["files"].items()
    }
    texts = {key: str(wire[key]) for key in ("id", "source", "revision", "recorded_at", "accepted")}
    return ModelRecord(files=files, **texts)


def _size(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is not a size")
    return value


def _digest(text: object) -> str:
    if not isinstance(text, str) or not _SHA256.fullmatch(text):
        raise ValueError(f"{text!r} is not a SHA-256")
    return text
