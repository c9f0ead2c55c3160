"""The views of a multi-view script: which one a node fills, and whether it is the only one."""

from __future__ import annotations

from typing import Any

import nuke

from genai_fill.nuke_host.fill_nodes import is_fill_node
from genai_fill.nuke_host.graph import MATTE, PLATE

# Each of their views is another picture, whatever was picked above them.
_JOINING = frozenset({"JoinViews", "ShuffleViews"})


def script_views() -> tuple[str, ...]:
    """Return the names of the script's views; never none."""
    return tuple(str(view) for view in nuke.views()) or ("main",)


def view_of(node: Any) -> str:
    """Return the view to fill: the one that the plate was picked from, else the hero view."""
    views = script_views()
    if len(views) == 1:
        return views[0]
    picked = _picked_views(node.input(PLATE)) or ()
    if len(picked) == 1 and picked[0] in views:
        return picked[0]
    hero: Any = nuke.root().knob("hero_view")
    name = str(hero.value()) if hero is not None else ""
    return name if name in views else views[0]


def needs_one_view(node: Any) -> tuple[str, ...]:
    """Return which of plate and matte are another picture in another view of the script.

    A take is one sequence and would be laid over each of them. Only a OneView says that
    every view is the same from there on; none is needed in a script of one view.
    """
    if len(script_views()) == 1:
        return ()
    inputs = {"plate": node.input(PLATE), "matte": node.input(MATTE)}
    return tuple(name for name, source in inputs.items() if _picked_views(source) is None)


def _picked_views(source: Any) -> tuple[str, ...] | None:
    """Return the views that OneViews pick above ``source``.

    None if a way up has none, or comes to where views are put together before it.
    """
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = [source]
    while waiting:
        node = waiting.pop()
        if node is None:
            return None
        if node.fullName() in seen:
            continue
        seen.add(node.fullName())
        picked = _picked_view(node)
        if picked:
            found[picked] = None
        elif node.Class() in _JOINING:
            return None
        else:
            waiting += _above(node) or [None]
    return tuple(found)


def _picked_view(node: Any) -> str:
    """Return the view that a OneView picks; empty for other nodes, and if it picks none."""
    if node.Class() != "OneView" or node["disable"].value():
        return ""
    name = str(node["view"].value())
    return name if name in script_views() else ""


def _above(node: Any) -> list[Any]:
    """Return the nodes whose pictures a node takes."""
    if node.Class() == "Input":
        return [node.parent().input(int(node["number"].value()))]
    if is_fill_node(node):
        return [node.input(PLATE)]  # its optional inputs are not in its picture
    inputs = [node.input(number) for number in range(node.inputs())]
    return [source for source in inputs if source is not None]
