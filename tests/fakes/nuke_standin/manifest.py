"""What Nuke 16 offers, by name: the list every answer of the stand-in is checked against."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

MANIFEST_PATH = Path(__file__).parents[2] / "data" / "nuke_manifest.json"


@cache
def manifest() -> dict[str, Any]:
    return json.loads(MANIFEST_PATH.read_text())


@cache
def methods_of(class_name: str) -> frozenset[str]:
    """Names of a class's methods, its bases' included."""
    entry = manifest()["classes"].get(class_name)
    if entry is None:
        return frozenset()
    found = set(entry["methods"])
    for base in entry["bases"]:
        found |= methods_of(base)
    return frozenset(found)


@cache
def module_names() -> frozenset[str]:
    """Every name that `import nuke` may be asked for."""
    listed = manifest()
    return frozenset(
        {*listed["functions"], *listed["classes"], *listed["constants"], *listed["attributes"]}
    )


def missing_attribute(owner: str, class_names: tuple[str, ...], name: str) -> Exception:
    """The right error for an attribute that was not found on a stand-in object."""
    if any(name in methods_of(class_name) for class_name in class_names):
        return NotImplementedError(f"{owner}.{name} exists in Nuke; the stand-in does not have it.")
    return AttributeError(f"'{owner}' object has no attribute '{name}'")
