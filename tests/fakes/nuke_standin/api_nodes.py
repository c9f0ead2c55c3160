"""nuke's functions about nodes, context, selection and copies."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.fakes.nuke_standin import creation, ops_views, script_writer
from tests.fakes.nuke_standin.core import NodeCore
from tests.fakes.nuke_standin.expressions import evaluate, find_knob
from tests.fakes.nuke_standin.knobs_text import at_frame
from tests.fakes.nuke_standin.nodes import Group, core_of, wrap, wrap_or_none
from tests.fakes.nuke_standin.tcl import substitute
from tests.fakes.nuke_standin.world import active


def _group() -> NodeCore:
    return active().context[-1]


def root():
    return wrap(active().root)


def createNode(node, knobs="", inpanel=True):
    if not isinstance(node, str) or not isinstance(knobs, str):
        raise TypeError("createNode takes a class name and TCL knob text")
    return wrap(creation.create_node(active(), node, knobs, bool(inpanel)))


def delete(n):
    creation.delete(core_of(n))


def toNode(s):
    if not isinstance(s, str):
        raise TypeError(f"toNode takes a name, not {s!r}")
    here = _group()
    if s == "root":
        return root()
    if s == "this":
        return thisNode()
    found: NodeCore | None = here
    path = s.split(".")
    if path[0] in ("root", "parent"):
        found = active().root if path[0] == "root" else here.parent
        path = path[1:]
    for name in path:
        found = found.child(name) if found else None
    return wrap_or_none(found)


def nodeAtPath(path):
    found: NodeCore | None = active().root
    for name in path.split("."):
        found = found.child(name) if found else None
    return wrap_or_none(found)


def exists(s):
    here = _group()
    if toNode(s) is not None:
        return True
    node, _, knob = s.rpartition(".")
    holder = toNode(node) if node else wrap(here)
    return holder is not None and knob in holder._core.knobs


def allNodes(filter=None, group=None, recurseGroups=False):
    if isinstance(filter, Group):
        filter, group = None, filter
    start = core_of(group) if group is not None else _group()
    found = start.descendants() if recurseGroups else start.children
    return [wrap(node) for node in found if filter is None or node.class_name == filter]


def selectedNodes(filter=None, recursive=False):
    inside = _group().descendants() if recursive else _group().children
    chosen = [node for node in inside if node.selected()]
    return [wrap(node) for node in reversed(chosen) if filter is None or node.class_name == filter]


def selectedNode():
    chosen = selectedNodes()
    if not chosen:
        raise ValueError("no node selected")
    return chosen[0]


def selectAll():
    for node in _group().children:
        node.select(True)


def thisNode():
    world = active()
    for node, _ in reversed(world.this):
        if node is not None:
            return wrap(node)
    return wrap(_group())


def thisKnob():
    this = active().this
    return this[-1][1] if this else None


def thisGroup():
    return wrap(_group())


def activeGroup():
    return wrap(active().group_in_view())


def thisRoot():
    return root()


def thisParent():
    node = thisNode()._core
    return wrap_or_none(node.parent)


def thisClass():
    return thisNode().Class()


def thisView():
    return ops_views.current(active())


def inputs(node, count=None):
    return len(core_of(node).inputs)


def connectNodes(inputNum, node, inputNode):
    return node.setInput(inputNum, inputNode)


def autoplace(node):
    node.autoplace()


def nodeCopy(s):
    """Copy the selection to the clipboard (``%clipboard%``) or a file."""
    chosen = [node for node in _group().children if node.selected()]
    major, minor = active().version
    text = f"set cut_paste_input [stack 0]\nversion {major}.{minor} v1\n"
    text += script_writer.nodes_text(chosen)
    if s == "%clipboard%":
        active().clipboard = text
    else:
        Path(s).write_text(text, encoding="utf-8")
    return bool(chosen)


def nodePaste(s):
    text = active().clipboard if s == "%clipboard%" else Path(s).read_text(encoding="utf-8")
    return wrap_or_none(creation.paste(active(), text))


def duplicateSelectedNodes():
    kept = active().clipboard
    nodeCopy("%clipboard%")
    made = nodePaste("%clipboard%")
    active().clipboard = kept
    return made


def nodeDelete(s=""):
    for node in selectedNodes():
        delete(node)


def filename(node, i=None):
    """The node's file: raw with views and TCL expanded, or with the frame too (REPLACE)."""
    core = core_of(node)
    knob = core.knobs.get("file")
    if knob is None or not knob._raw_text():
        return None
    text = knob._evaluated()
    if i == 1:
        return at_frame(text, int(active().root.knobs["frame"]._number(0)))
    return text


def show(n=None, forceFloat=False):
    creation.open_panel(core_of(n or selectedNode()))


def showInfo(n=None):
    return ""


def expression(s):
    return evaluate(s, _this_core())


def _this_core() -> NodeCore:
    return thisNode()._core


def value(knob, default=None):
    found = find_knob(_this_core(), knob)
    if found is None:
        if default is None:
            raise NameError(f"knob {knob} does not exist")
        return default
    return found._tcl_value()


def numvalue(knob, default=float("inf")):
    found = find_knob(_this_core(), knob)
    return default if found is None else found._number(0)


def tcl(s, *args):
    core = _this_core()
    text = " ".join([s, *map(str, args)])
    return substitute(f"[{text}]", core, lambda inside: evaluate(inside, core))


def knob(name, value=None, getType=False, getClass=False, type=False):
    found = find_knob(active().root, name)
    if found is None:
        raise NameError(f"knob {name} does not exist")
    if getType or type:
        return found.ClassID()
    if getClass:
        return found.Class()
    if value is not None:
        return found.fromScript(value)
    return found._tcl_value()


def knobDefault(classknob, value=None):
    if value is None:
        return active().knob_defaults.get(classknob)
    if not isinstance(value, str):
        raise TypeError(f"a knob default is text, not {value!r}")
    active().knob_defaults[classknob] = value
    return value


def channels(n=None):
    return n.channels() if n is not None else ["rgba.red", "rgba.green", "rgba.blue", "rgba.alpha"]


def layers(node=None):
    found: list[str] = []
    for name in channels(node):
        layer = name.split(".")[0]
        if layer not in found:
            found.append(layer)
    return found


def dependencies(nodes, what=7):
    many = nodes if isinstance(nodes, list | tuple) else [nodes]
    return [source for node in many for source in node.dependencies()]


def dependentNodes(what=7, nodes=(), evaluateAll=True):
    many = nodes if isinstance(nodes, list | tuple) else [nodes]
    return [user for node in many for user in node.dependent()]


def openPanels():
    return [node.name for node in active().root.descendants() if node.panel_open]


def sample(n, c, x, y, dx=None, dy=None):
    return n.sample(c, x, y, dx, dy)


def canCreateNode(name):
    from tests.fakes.nuke_standin.manifest import manifest

    return name in manifest()["nodes"] or creation.find_gizmo(active(), name) is not None


def pluginExists(name):
    stem = re.sub(r"\.gizmo$", "", name)
    return creation.find_gizmo(active(), stem) is not None


class NodeConstructor:
    """``nuke.nodes.X``: called, it makes an X."""

    def __init__(self, class_name):
        self._class_name = class_name

    def __call__(self, inputs=None, **knobs):
        active().check_thread(f"nuke.nodes.{self._class_name}")
        return wrap(creation.construct_node(active(), self._class_name, inputs, knobs))


class Nodes:
    """``nuke.nodes``: attribute access gives the constructor of a class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not canCreateNode(name):
            raise AttributeError(f"nuke.nodes has no {name!r}")
        return NodeConstructor(name)


EXPORTS = {
    function.__name__: function
    for function in list(globals().values())
    if callable(function)
    and getattr(function, "__module__", "") == __name__
    and not function.__name__.startswith("_")
}
