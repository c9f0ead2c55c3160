"""What is selected, and where new nodes go: in the node graph that the artist looks at.

The panel asks from a timer, and then Nuke's own context is the root, whatever group is open.
"""

from __future__ import annotations

from typing import Any

import nuke

from genai_fill.nuke_host.editing import within
from genai_fill.nuke_host.fill_nodes import is_fill_node
from genai_fill.nuke_host.names import GIZMO

_nuke: Any = nuke  # the stubs are those of 13.2, which had no active group


def selected_fill_node() -> Any:
    """Return the GenAI Fill node selected in the active node graph, or None.

    While nothing at all is selected in the script's own graph, a selection inside a group
    counts: the group may be open in a tab that has not the focus.
    """
    group = _active_group()
    with within(group):
        selected = nuke.selectedNodes()
    if not selected and group.Class() == "Root":
        with within(group):
            selected = _nuke.selectedNodes(recursive=True)
    return next((node for node in selected if is_fill_node(node)), None)


def create_fill_node() -> Any:
    """Create a node in the active node graph, as the menu does."""
    with within(_active_group()):
        return nuke.createNode(GIZMO)


def _active_group() -> Any:
    """Return the group in view; from inside a GenAI Fill node, the one that it is in."""
    group = _nuke.activeGroup() or nuke.root()
    while is_fill_node(group):
        group = group.parent() or nuke.root()
    return group
