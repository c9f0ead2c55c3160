"""Making nodes: createNode, nuke.nodes, gizmos, copies, panels, deletion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.fakes.nuke_standin import script_writer
from tests.fakes.nuke_standin.core import UNSCANNED, NodeCore
from tests.fakes.nuke_standin.knobs_text import String_Knob
from tests.fakes.nuke_standin.manifest import manifest
from tests.fakes.nuke_standin.script_reader import Loader, apply_knobs, read_text
from tests.fakes.nuke_standin.world import World


def find_gizmo(world: World, class_name: str) -> Path | None:
    """First ``<class_name>.gizmo`` on the plug-in path; folders are not searched deeper."""
    for folder in world.plugin_path:
        path = Path(folder) / f"{class_name}.gizmo"
        if path.is_file():
            return path
    return None


def load_file(world: World, path: Path, parent: NodeCore, stack: list[Any]) -> list[NodeCore]:
    """Load a .gizmo or .nk file into a group."""
    loader = Loader(world, parent, stack, gizmo=(path.stem, path.as_posix()))
    made = loader.run(read_text(path))
    if loader.unknown:
        raise RuntimeError(f"{path}: " + "; ".join(loader.unknown))
    return made


def instance_of_gizmo(world: World, name: str, path: Path, parent: NodeCore) -> NodeCore:
    """A node of a gizmo class, as a script that names the class gets it."""
    made = load_file(world, path, parent, [])
    core = made[-1]
    core.inputs.clear()
    core.baseline = script_writer.baseline(core)
    return core


def make(world: World, class_name: str, stack: list[NodeCore | None]) -> NodeCore:
    """Make a node of a native class or a gizmo in the current group, knobs at their defaults."""
    parent = world.context[-1]
    if class_name in manifest()["nodes"] or class_name in UNSCANNED:
        kind = "Group" if class_name == "Group" else "Node"
        core = NodeCore(world, class_name, parent, kind)
        core.set_name(f"{class_name}1")
        return core
    path = find_gizmo(world, class_name)
    if path is None:
        raise RuntimeError(f"{class_name}: Unknown command")
    made = load_file(world, path, parent, stack)
    if not made:
        raise RuntimeError(f"{path} holds no node")
    made[-1].baseline = script_writer.baseline(made[-1]) if made[-1].kind == "Gizmo" else {}
    return made[-1]


def record_creation(world: World, core: NodeCore) -> None:
    world.modified = True
    world.undo.record(f"Create {core.name}", core.detach, core.attach)


def create_node(world: World, class_name: str, knobs: str, inpanel: bool) -> NodeCore:
    """nuke.createNode: in the pipe of the selection, selected, placed, panel open."""
    parent = world.context[-1]
    selected = [node for node in parent.children if node.selected()]
    pipes = _pipes(parent)
    native = class_name in manifest()["nodes"] or class_name in UNSCANNED
    core = make(world, class_name, [selected[-1]] if selected else [])
    for name, value in world.knob_defaults.items():
        owner, _, knob = name.rpartition(".")
        if owner == core.class_name and knob in core.knobs:
            core.knobs[knob]._load("brace", value)
            if knob == "file_type":
                core.refresh_codec()
    if selected and core.max_inputs() > 0:
        _insert(core, selected, native)
    if knobs:
        apply_knobs(core, knobs)
    for node in parent.children:
        node.select(node is core)
    _place(core, selected)
    if world.gui:
        world.callbacks.fire("OnUserCreate", core)
    if native:
        world.callbacks.fire("OnCreate", core)
    _record_insertion(world, core, pipes)
    if inpanel and world.gui:
        open_panel(core)
    return core


def _pipes(parent: NodeCore) -> list[tuple[NodeCore, list[NodeCore | None]]]:
    return [(node, list(node.inputs)) for node in parent.children]


def _record_insertion(world: World, core: NodeCore, before: list[Any]) -> None:
    """Undo takes the node out and mends the pipe it was put into."""
    after = _pipes(core.parent)  # type: ignore[arg-type]

    def restore(pipes: list[Any]) -> None:
        for node, inputs in pipes:
            node.inputs[:] = inputs

    def take_out() -> None:
        core.detach()
        restore(before)

    def put_in() -> None:
        core.attach()
        restore(after)

    world.modified = True
    world.undo.record(f"Create {core.name}", take_out, put_in)


def _insert(core: NodeCore, selected: list[NodeCore], native: bool) -> None:
    """Connect to the selection; what hung on a single selected node now hangs on the new one.

    What came from a file has taken its inputs from the stack already.
    """
    last = selected[-1]
    if len(selected) == 1:
        for node, index in last.dependents():
            if node is not core:
                node._put_input(index, core)
    if not native:
        return
    for index, source in enumerate(reversed(selected[-core.max_inputs() :])):
        core._put_input(index, source)


def _place(core: NodeCore, selected: list[NodeCore]) -> None:
    above = selected[-1] if selected else None
    x = above.knobs["xpos"]._number(0) if above else 0.0
    y = above.knobs["ypos"]._number(0) + 60 if above else 0.0
    core.knobs["xpos"]._restore(([max(x, 0.0) if x < -1e9 else x], {}, {}))
    core.knobs["ypos"]._restore(([y], {}, {}))


def construct_node(world: World, class_name: str, inputs: Any, knobs: dict[str, Any]) -> NodeCore:
    """nuke.nodes.X(...): unconnected, unselected, unplaced, no panel, no defaults."""
    from tests.fakes.nuke_standin.nodes import core_of

    core = make(world, class_name, [])
    for index, node in enumerate(inputs or []):
        if node is not None:
            core._put_input(index, core_of(node))
    name = knobs.pop("name", None)
    if name:
        core.set_name(name)
    for knob, value in knobs.items():
        if knob not in core.knobs:
            raise NameError(f"knob {knob} does not exist")
        core.knobs[knob].setValue(value)
    if not core.is_group or class_name == "Group":
        world.callbacks.fire("OnCreate", core)
    record_creation(world, core)
    return core


def open_panel(core: NodeCore) -> None:
    """Open the control panel (GUI only): knobChanged hears ``showPanel``."""
    if not core.world.gui or core.panel_open:
        return
    core.panel_open = True
    dummy = String_Knob("showPanel")
    dummy._core = core
    core.fire_knob_changed(dummy)


def delete(core: NodeCore) -> None:
    """Delete a node; what hung on it hangs on its first input afterwards."""
    if core.parent is None:
        raise ValueError("The root can not be deleted")
    world = core.world
    world.callbacks.fire("OnDestroy", core)
    for child in core.descendants():
        world.callbacks.fire("OnDestroy", child)
    moved = core.dependents()
    for node, index in moved:
        node._put_input(index, core.input_at(0))
    core.detach()
    world.modified = True

    def put_back() -> None:
        core.attach()
        for node, index in moved:
            node._put_input(index, core)
        for node in _inner_first(core):
            world.callbacks.fire("OnCreate", node)

    world.undo.record(f"Delete {core.name}", put_back, core.detach)


def _inner_first(core: NodeCore) -> list[NodeCore]:
    return [found for child in core.children for found in _inner_first(child)] + [core]


def paste(world: World, text: str) -> NodeCore | None:
    """Paste .nk text into the current group: new nodes are selected, names kept apart."""
    parent = world.context[-1]
    for node in parent.children:
        node.select(False)
    loader = Loader(world, parent, [])
    world.undo.begin("Paste")
    try:
        made = loader.run(text)
        for core in made:
            core.select(True)
            record_creation(world, core)
    finally:
        world.undo.end()
    if loader.unknown:
        raise RuntimeError("; ".join(loader.unknown))
    return made[-1] if made else None


def group_from_gizmo(core: NodeCore) -> NodeCore:
    """Gizmo.makeGroup: the same node as a Group, unconnected."""
    copy = NodeCore(core.world, "Group", core.parent, "Group")
    copy.set_name(core.name)
    Loader(core.world, copy, []).run(script_writer.nodes_text(core.children))
    kind, core.kind = core.kind, "Group"
    apply_knobs(copy, script_writer.knob_lines(core))
    core.kind = kind
    return copy
