"""Node, Group, Gizmo, Root: the wrappers plug-in code holds. Equal for one node, never the same."""

from __future__ import annotations

from typing import Any

from tests.fakes.nuke_standin import graph, script_writer
from tests.fakes.nuke_standin.core import NodeCore
from tests.fakes.nuke_standin.knobs_base import Knob
from tests.fakes.nuke_standin.values import FrameRange, Info, Strict
from tests.fakes.nuke_standin.world import Guarded, active


def core_of(node: Any) -> NodeCore:
    if not isinstance(node, Node):
        raise TypeError(f"a node is needed, not {node!r}")
    node._check_alive()
    return node._core


def wrap(core: NodeCore) -> Node:
    kinds = {"Group": Group, "Gizmo": Gizmo, "Root": Root}
    return kinds.get(core.kind, Node)(core)


def wrap_or_none(core: NodeCore | None) -> Node | None:
    return None if core is None else wrap(core)


class Node(Guarded, Strict):
    """nuke.Node. Any access after deletion raises ValueError."""

    def __init__(self, core):
        self._core = core

    def _check_alive(self):
        self._core.check_alive()

    def __eq__(self, other):
        return isinstance(other, Node) and self._core is other._core

    def __hash__(self):
        return hash(id(self._core))

    def __repr__(self):
        return f"<{type(self).__name__} object {self._core.class_name}>"

    # -- knobs
    def __getitem__(self, name):
        knob = self._core.knobs.get(name)
        if knob is None:
            if self._core.opaque:
                raise NotImplementedError(f"The knobs of {self._core.class_name} are not known.")
            raise NameError(f"knob {name} does not exist")
        return knob

    def __len__(self):
        return len(self._core.knobs)

    def knob(self, name, follow_link=None):
        return self._core.knobs.get(name)

    def knobs(self):
        return {name: knob for name, knob in self._core.knobs.items() if not name.startswith("\0")}

    def allKnobs(self):
        return list(self._core.knobs.values())

    def numKnobs(self):
        return len(self._core.knobs)

    def addKnob(self, knob):
        if not isinstance(knob, Knob):
            raise TypeError(f"addKnob takes a knob, not {knob!r}")
        knob._user = True
        self._core.put_knob(knob)

    def removeKnob(self, knob):
        if not knob._user:
            raise ValueError(f"{knob._name} is not a user knob")
        for key, kept in list(self._core.knobs.items()):
            if kept is knob:
                del self._core.knobs[key]

    def readKnobs(self, text):
        from tests.fakes.nuke_standin.script_reader import apply_knobs

        apply_knobs(self._core, text)

    def writeKnobs(self, flags=0):
        return script_writer.knob_lines(self._core)

    # -- names
    def Class(self):
        return self._core.class_name

    def name(self):
        return self._core.name

    def fullName(self):
        return self._core.full_name()

    def setName(self, name, uncollide=True, updateExpressions=False):
        if self._core.kind == "Root":
            raise ValueError("The root is named after its file")
        knob = self._core.knobs["name"]
        if not uncollide and self._core.unique_name(name) != name:
            raise ValueError(f"the name {name!r} is taken")
        knob.setValue(self._core.unique_name(name))

    # -- graph
    def input(self, index):
        core = self._core
        return wrap_or_none(core.input_at(index))

    def setInput(self, index, node):
        if type(index) is not int:
            raise TypeError(f"an input's index is a whole number, not {index!r}")
        source = None if node is None else core_of(node)
        if not self._allowed(index, source):
            return False
        return self._core.connect(index, source)

    def _allowed(self, index: int, source: NodeCore | None) -> bool:
        core = self._core
        if not 0 <= index < core.max_inputs():
            return False
        same_group = source is None or source.parent is core.parent
        return same_group and (source is None or not source.depends_on(core))

    def canSetInput(self, index, node):
        return self._allowed(index, None if node is None else core_of(node))

    def connectInput(self, index, node):
        return self.setInput(index, node)

    def inputs(self):
        return len(self._core.inputs)

    def maxInputs(self):
        return self._core.max_inputs()

    def maximumInputs(self):
        return self._core.max_inputs()

    def minInputs(self):
        return self._core.min_inputs()

    def minimumInputs(self):
        return self._core.min_inputs()

    def optionalInput(self):
        return self._core.optional_input()

    def dependencies(self, what=7):
        return [wrap(node) for node in self._core.inputs if node is not None]

    def dependent(self, what=7, forceEvaluate=True):
        return [wrap(node) for node, _ in self._core.dependents()]

    def parent(self):
        return wrap_or_none(self._core.parent)

    def rootNode(self):
        return wrap(self._core.world.root)

    # -- place and panel
    def xpos(self):
        return int(self._core.knobs["xpos"]._number(0))

    def ypos(self):
        return int(self._core.knobs["ypos"]._number(0))

    def setXpos(self, x):
        self._core.knobs["xpos"].setValue(x)

    def setYpos(self, y):
        self._core.knobs["ypos"].setValue(y)

    def setXYpos(self, x, y):
        self.setXpos(x)
        self.setYpos(y)

    def screenWidth(self):
        return 80

    def screenHeight(self):
        return 18

    def autoplace(self):
        self._core.knobs["xpos"]._values = [0.0]

    def setSelected(self, on):
        self._core.select(bool(on))

    def isSelected(self):
        return self._core.selected()

    def selectOnly(self):
        for sibling in self._core.parent.children:
            sibling.select(sibling is self._core)

    def shown(self):
        return self._core.panel_open

    def showControlPanel(self, forceFloat=False):
        from tests.fakes.nuke_standin.creation import open_panel

        open_panel(self._core)

    def hideControlPanel(self):
        self._core.panel_open = False

    def redraw(self):
        self._core.world.modified = True

    def help(self):
        return self._core.knobs["help"]._raw_text()

    # -- picture
    def format(self):
        return self._core.format()

    def width(self):
        return int(self._core.format().width() * self._proxy_scale())

    def height(self):
        return int(self._core.format().height() * self._proxy_scale())

    def _proxy_scale(self) -> float:
        root = self._core.world.root.knobs
        return root["proxy_scale"]._number(0) if root["proxy"]._number(0) else 1.0

    def pixelAspect(self):
        return self._core.format().pixelAspect()

    def proxy(self):
        return bool(self._core.world.root.knobs["proxy"]._number(0))

    def bbox(self):
        from tests.fakes.nuke_standin.evaluate import current_image

        x, y, r, t = current_image(self._core).bbox
        return Info(x, y, r - x, t - y)

    def channels(self):
        from tests.fakes.nuke_standin.evaluate import current_image

        return list(current_image(self._core).channels)

    def sample(self, channel, x, y, dx=None, dy=None, frame=None):
        from tests.fakes.nuke_standin.evaluate import sample

        return sample(self._core, channel, x, y, dx, dy, frame)

    def metadata(self, key=None, time=None, view=None):
        from tests.fakes.nuke_standin.evaluate import metadata

        found = metadata(self._core, time)
        return found if key is None else found.get(key)

    def firstFrame(self):
        return graph.range_of(self._core)[0]

    def lastFrame(self):
        return graph.range_of(self._core)[1]

    def frameRange(self):
        return FrameRange(*graph.range_of(self._core))

    def upstreamFrameRange(self, index):
        source = self._core.input_at(index)
        return FrameRange(*graph.range_of(source or self._core.world.root))

    def hasError(self):
        from tests.fakes.nuke_standin.evaluate import error_of

        return error_of(self._core, own=True) is not None

    def error(self):
        return self.treeHasError()

    def treeHasError(self):
        from tests.fakes.nuke_standin.evaluate import error_of

        return error_of(self._core, own=False) is not None

    def forceValidate(self):
        return None


class Group(Node):
    """nuke.Group: a node with a graph in it, and a context to work in."""

    def begin(self):
        self._core.world.context.append(self._core)
        return self

    def end(self):
        context = self._core.world.context
        if len(context) < 2 or context[-1] is not self._core:
            raise RuntimeError(f"{self._core.full_name()} is not the current group")
        context.pop()

    def __enter__(self):
        self._core.world.context.append(self._core)
        return self

    def __exit__(self, *exc_info):
        self._core.world.context.pop()

    def run(self, callable):
        with self:
            return callable()

    def nodes(self):
        return [wrap(node) for node in self._core.children]

    def numNodes(self):
        return len(self._core.children)

    def node(self, name):
        return wrap_or_none(self._core.child(name))

    def output(self):
        found = [node for node in self._core.children if node.class_name == "Output"]
        return wrap(found[0]) if found else None

    def selectedNodes(self):
        return [wrap(node) for node in self._core.children if node.selected()]

    def selectedNode(self):
        return active().nuke.selectedNode()


class Gizmo(Group):
    """A node whose graph lives in a .gizmo file on the plug-in path."""

    def filename(self):
        return self._core.gizmo_file

    def command(self):
        return self._core.class_name

    def makeGroup(self):
        from tests.fakes.nuke_standin.creation import group_from_gizmo

        return wrap(group_from_gizmo(self._core))


class Root(Group):
    """The script."""

    def modified(self):
        return self._core.world.modified

    def setModified(self, on):
        self._core.world.modified = bool(on)

    def firstFrame(self):
        return int(self._core.knobs["first_frame"]._number(0))

    def lastFrame(self):
        return int(self._core.knobs["last_frame"]._number(0))

    def fps(self):
        return int(self._core.knobs["fps"]._number(0))

    def realFps(self):
        return self._core.knobs["fps"]._number(0)

    def setFrame(self, frame):
        active().nuke.frame(frame)

    def proxy(self):
        return bool(self._core.knobs["proxy"]._number(0))

    def setProxy(self, on):
        self._core.knobs["proxy"].setValue(bool(on))

    def format(self):
        return self._core.knobs["format"]._current()

    def maximumInputs(self):
        return 0

    def minimumInputs(self):
        return 0
