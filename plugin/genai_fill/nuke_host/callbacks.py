"""What a node does when it comes into a script, and when somebody turns its knobs."""

from __future__ import annotations

import uuid as uuids
from typing import Any

import nuke

from genai_fill.nuke_host import graph, knobs
from genai_fill.nuke_host.editing import first_word, undo_step, without_undo
from genai_fill.nuke_host.fill_nodes import UUID_KNOB, all_fill_nodes, is_fill_node
from genai_fill.nuke_host.identity import JOB_KNOB, become_copy

NEW = "new"
COPY = "copy"
KNOWN = "known"

_PRIVATE = (UUID_KNOB, JOB_KNOB, "take_list", "hero_frames", "said_label")


def node_created(node: Any) -> str:
    """Give a node that came into the script its identity; returns `NEW`, `COPY` or `KNOWN`.

    Runs for new nodes, pasted ones, and every node of a script being loaded. A copy gets an
    identity of its own and lets go of the original's job, but keeps the takes that have frames.
    """
    if not is_fill_node(node):
        return KNOWN
    knob = node[UUID_KNOB]
    uuid = str(knob.value() or "")
    _keep_out_of_presets(node)
    if not uuid:
        with without_undo():
            knob.setValue(uuids.uuid4().hex)
        return NEW
    twins = [other for other in all_fill_nodes() if other[UUID_KNOB].value() == uuid]
    if any(twin.fullName() != node.fullName() for twin in twins):
        become_copy(node)
        return COPY
    return KNOWN


def _keep_out_of_presets(node: Any) -> None:
    """A preset holds settings: who the node is and what it has made are no part of them."""
    for name in _PRIVATE:
        knob = node.knob(name)
        if knob is not None:
            knob.setFlag(int(nuke.DONT_SAVE_TO_NODEPRESET))


def has_job(node: Any) -> bool:
    """Whether a node waits for a job that has not come to its end."""
    return bool(node[JOB_KNOB].value())


def start_with(node: Any, engine_id: str) -> None:
    """Give a new node the engine that the settings name."""
    if engine_id:
        with without_undo():
            knobs.write_form(node, {"engine_id": engine_id})


def knob_changed(node: Any, name: str) -> bool:
    """React to a knob of the node's own panel; return whether a setting or take changed."""
    if name == "showPanel":
        _refresh_panel(node)
    elif name == "range_mode":
        _enable_range(node)
    elif name == "engine_choice":
        _choose_engine(node)
    elif name == "take":
        _choose_take(node)
    return name in knobs.FORM_KNOBS or name in ("engine_choice", "take", "matte_invert")


def _refresh_panel(node: Any) -> None:
    with without_undo():
        knobs.offer_takes(node, knobs.read_takes(node))
        knobs.show_engine(node)
    _enable_range(node)


def _enable_range(node: Any) -> None:
    custom = first_word(str(node["range_mode"].value())) == "custom"
    for name in ("first", "last"):
        node[name].setEnabled(custom)


def _choose_engine(node: Any) -> None:
    chosen = str(node["engine_choice"].value() or "")
    if chosen and chosen != node["engine"].value():
        with undo_step(f"Choose engine {chosen}"):
            knobs.write_form(node, {"engine_id": chosen, "engine_options": {}})


def _choose_take(node: Any) -> None:
    takes = knobs.read_takes(node)
    number = knobs.chosen_number(node, takes)
    take = None if number is None else takes.get(number)
    # The knob also changes when a take is shown from elsewhere; then nothing is left to do.
    if not graph.shows(node, take):
        with undo_step(f"Choose take {node['take'].value()}"):
            graph.show_take(node, take)
