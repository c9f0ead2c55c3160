"""Which node is which: by the ``fill_uuid`` knob, whatever is pasted over it.

*Edit > Paste Knob Values* copies every knob of a node onto others, the private ones too, and
node presets may. So the first identity that a node is seen with is its own for as long as the
node lives, and of several nodes with one identity only the first one seen keeps it.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from genai_fill.domain.takes import TakeList
from genai_fill.nuke_host import graph, knobs
from genai_fill.nuke_host.editing import without_undo
from genai_fill.nuke_host.fill_nodes import UUID_KNOB, all_fill_nodes, uuid_of
from genai_fill_contract.errors import MalformedMessage, NodeGone, NukeFailed

JOB_KNOB = "job_id"


def become_copy(node: Any) -> str:
    """Make a node that has another one's identity a node of its own; returns its uuid.

    It lets go of the other's job, and of those takes of it that have no frame: nobody will
    tell this node of theirs. Its other takes stay.
    """
    uuid = uuids.uuid4().hex
    with without_undo():
        node[UUID_KNOB].setValue(uuid)
        job_id = str(node[JOB_KNOB].value() or "")
        takes = _takes(node)
        if job_id and takes is not None and takes != (made := takes.without_unmade(job_id)):
            knobs.write_takes(node, made)
        node[JOB_KNOB].setValue("")
        node["status"].setValue(" ")
        # A take whose job is over for this node is read as one that gets no more frames.
        show_what_is_chosen(node, again=bool(job_id))
    return uuid


def show_what_is_chosen(node: Any, *, again: bool = False) -> None:
    """Make the picture agree with the chooser, which pasted values have set behind its back.

    ``again``: also where it agrees already.
    """
    takes = _takes(node)
    if takes is None:
        return
    # Who took something out of the node hears of it when the node is used.
    with without_undo(), suppress(NukeFailed):
        number = knobs.chosen_number(node, takes)
        knobs.offer_takes(node, takes)
        take = None if number is None else takes.get(number)
        if again or not graph.shows(node, take):
            graph.show_take(node, take)


def _takes(node: Any) -> TakeList | None:
    """Return the node's takes; None when the list is damaged, which the panel tells."""
    try:
        return knobs.read_takes(node)
    except MalformedMessage:
        return None


@dataclass
class _Known:
    """A node and what it must say of itself. ``job_id`` is empty while no job is under way."""

    node: Any
    name: str
    job_id: str

    def is_there(self) -> bool:
        """Whether the node is in the script."""
        try:
            self.name = self.node.fullName()
        except ValueError:
            return False  # what Nuke raises for a node that was deleted
        return True

    def is_named(self, name: str) -> bool:
        """Whether it is the node of that full name: no two objects of one node are the same."""
        return self.is_there() and self.name == name

    def restore(self, uuid: str) -> None:
        """Put back what was pasted over, and show what is chosen now."""
        kept = {UUID_KNOB: uuid, JOB_KNOB: self.job_id}
        if all(self.node[knob].value() == value for knob, value in kept.items()):
            return
        with without_undo():
            for knob, value in kept.items():
                self.node[knob].setValue(value)
        show_what_is_chosen(self.node)


class FillNodes:
    """Nodes by uuid. Remembers each, since looking through a big script is slow."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[str, _Known] = {}

    def find(self, uuid: str) -> Any:
        """Return the node; raises `NodeGone` when the script has none of that uuid."""
        known = self._known.get(uuid)
        if known is not None and known.is_there():
            known.restore(uuid)
            return known.node
        for node in all_fill_nodes():
            if self.identify(node) == uuid:
                return node
        name = "" if known is None else f" {known.name}"
        raise NodeGone(
            f"The GenAI Fill node{name} was deleted.",
            hint="Undo the deletion to get it back; finished frames are on disk.",
        )

    def identify(self, node: Any) -> str:
        """Return the uuid of a node that is at hand.

        A node whose identity was pasted over gets it back. One that came by the identity of
        another node, a living one, becomes a copy.
        """
        uuid = uuid_of(node)
        owner = self._known.get(uuid)
        if owner is None or not owner.is_named(node.fullName()):
            uuid = self._identify(node, uuid, taken=owner is not None and owner.is_there())
        self._known[uuid].restore(uuid)
        return uuid

    def _identify(self, node: Any, uuid: str, *, taken: bool) -> str:
        name = node.fullName()
        seen_as = next((known for known, at in self._known.items() if at.is_named(name)), None)
        if seen_as is not None:
            return seen_as
        if taken:
            uuid = become_copy(node)
        self._known[uuid] = _Known(node, name, str(node[JOB_KNOB].value() or ""))
        return uuid

    def set_job(self, uuid: str, job_id: str) -> None:
        """Keep the id of the job under way on the node, or forget it."""
        node = self.find(uuid)
        self._known[uuid].job_id = job_id
        node[JOB_KNOB].setValue(job_id)

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
                f"Nuke failed on {self._known[uuid].name}: {error}",
                hint="Look at the node and what is connected to it.",
            ) from error
