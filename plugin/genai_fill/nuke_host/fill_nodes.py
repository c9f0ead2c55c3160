"""Finding GenAI Fill nodes by what identifies them: the ``fill_uuid`` knob."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nuke

from genai_fill.nuke_host.editing import at_root, without_undo
from genai_fill_contract.errors import NodeGone, NukeFailed

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


class FillNodes:
    """Nodes by uuid. Remembers where each was, since looking through a big script is slow."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._names: dict[str, str] = {}

    def find(self, uuid: str) -> Any:
        """Return the node; raises `NodeGone` when the script has none of that uuid."""
        name = self._names.get(uuid)
        if name is not None:
            with at_root():
                node: Any = nuke.toNode(name)
            if node is not None and is_fill_node(node) and node[UUID_KNOB].value() == uuid:
                return node
        for node in all_fill_nodes():
            if node[UUID_KNOB].value() == uuid:
                self._names[uuid] = node.fullName()
                return node
        raise NodeGone(
            f"The GenAI Fill node {name or ''} was deleted.".replace("  ", " "),
            hint="Undo the deletion to get it back; finished frames are on disk.",
        )

    @contextmanager
    def using(self, uuid: str) -> Iterator[Any]:
        """Give the node, and turn what Nuke raises into our errors."""
        node = self.find(uuid)
        try:
            yield node
        except ValueError as error:
            # What Nuke raises for a node that was deleted under our hands.
            if "not attached" not in str(error):
                raise
            raise NodeGone(
                "The GenAI Fill node was deleted.", hint="Undo the deletion to get it back."
            ) from error
        except (RuntimeError, NameError) as error:
            raise NukeFailed(
                f"Nuke failed on {self._names.get(uuid, 'the node')}: {error}",
                hint="Look at the node and what is connected to it.",
            ) from error
