"""Which engines are installed, seen without importing any of them."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from genai_fill_contract.settings import Settings

GROUP = "genai_fill.engines"
MODEL_ENGINES = "diffusers"


def installed_engines() -> list[EntryPoint]:
    """Return the entry points of engines, ours and a studio's own, in a steady order."""
    return sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value))


def has_model_engines(broken: Iterable[str]) -> bool:
    """Whether the engines for models are installed and not among the ``broken`` ones."""
    points = {point.name for point in installed_engines()}
    return MODEL_ENGINES in points - set(broken)


def engines_fingerprint(settings: Settings) -> str:
    """Return a text that changes when other engines may be there.

    Looks at what is installed, at the settings and at the times of the model folders: cheap
    enough to be asked every few seconds.
    """
    parts = [sys.version, repr(settings.models), repr(settings.worker)]
    for point in installed_engines():
        dist = point.dist
        whose = f"{dist.name} {dist.version}" if dist else ""
        parts.append(f"{point.name}={point.value} {whose}")
    parts.extend(_folder_times(settings.models.dirs))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _folder_times(folders: Iterable[str]) -> Iterable[str]:
    for folder in folders:
        try:
            yield f"{folder} {os.stat(folder).st_mtime_ns}"  # noqa: PTH116 - one call, no object
            with os.scandir(folder) as entries:
                found = sorted((entry.name, entry.stat().st_mtime_ns) for entry in entries)
            yield repr(found)
        except OSError as error:
            yield f"{folder} {error.errno}"
