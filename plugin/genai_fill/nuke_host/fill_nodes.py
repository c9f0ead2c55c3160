"""What a GenAI Fill node is, and what is inside it."""

from __future__ import annotations

import uuid as uuids
from typing import Any

import nuke

from genai_fill.nuke_host.editing import without_undo
from genai_fill_contract.errors import NukeFailed

UUID_KNOB = "fill_uuid"


def is_fill_node(node: Any) -> bool:
    """Whether a node is a GenAI Fill node: a Group (or Gizmo) with our identity knob."""
    return node.knob(UUID_KNOB) is not None and node.knob("take_list") is not None


def all_fill_nodes() -> list[Any]:
    """Return every GenAI Fill node of the script, inside groups too."""
    return [node for node in nuke.allNodes(group=nuke.root(), recurseGroups=True)
            if is_fill_node(node)]  # fmt: skip


def uuid_of(node: Any) -> str:
    """Return a node's uuid, giving it one if it has none."""
    knob = node[UUID_KNOB]
    uuid = str(knob.value() or "")
    if not uuid:
        uuid = uuids.uuid4().hex
        with without_undo():
            knob.setValue(uuid)
    return uuid


def inner(node: Any, name: str) -> Any:
    """Return a node inside a GenAI Fill node; raises `NukeFailed` if somebody removed it."""
    found = node.node(name)
    if found is None:
        raise NukeFailed(
            f"{node.fullName()} has no {name} inside any more.",
            hint="Create a new GenAI Fill node and copy the settings over.",
        )
    return found
