"""NodeCore: what a node is, behind the wrappers that plug-in code holds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.fakes.nuke_standin import graph
from tests.fakes.nuke_standin.knobs_base import Knob
from tests.fakes.nuke_standin.knobs_choice import make_knob
from tests.fakes.nuke_standin.manifest import manifest
from tests.fakes.nuke_standin.ops_views import list_views
from tests.fakes.nuke_standin.values import Format, parse_format

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.world import World

RESERVED = {"root", "parent", "this", "input"}
UNSCANNED = {"BackdropNode": [0, 0], "Shuffle": [1, 1], "Root": [0, 0]}
ROOT_KNOBS: tuple[tuple[str, str, Any, Any], ...] = (
    ("name", "File_Knob", "", None),
    ("frame", "Array_Knob", 1.0, None),
    ("first_frame", "Array_Knob", 1.0, None),
    ("last_frame", "Array_Knob", 100.0, None),
    ("lock_range", "Boolean_Knob", 0.0, None),
    ("fps", "Array_Knob", 24.0, None),
    ("format", "Format_Knob", None, None),
    ("proxy", "Boolean_Knob", 0.0, None),
    ("proxy_type", "Enumeration_Knob", "scale", ["format", "scale"]),
    ("proxy_format", "Format_Knob", None, None),
    ("proxy_scale", "Array_Knob", 0.5, None),
    ("project_directory", "File_Knob", "", None),
    ("views", "String_Knob", "", None),
    ("hero_view", "Enumeration_Knob", "main", ["main"]),
    ("colorManagement", "Enumeration_Knob", "Nuke", ["Nuke", "OCIO"]),
    ("OCIO_config", "Enumeration_Knob", "nuke-default",
     ["nuke-default", "fn-nuke_cg-config-v1.0.0_aces-v1.3_ocio-v2.1",
      "fn-nuke_studio-config-v1.0.0_aces-v1.3_ocio-v2.1", "aces_1.2", "custom"]),
    ("customOCIOConfigPath", "File_Knob", "", None),
    ("OCIOConfigPath", "File_Knob", "", None),
    ("workingSpaceLUT", "EditableEnumeration_Knob", "linear",
     ["linear", "scene_linear", "ACES - ACEScg", "ACEScg"]),
    ("monitorLut", "EditableEnumeration_Knob", "sRGB", ["None", "sRGB", "rec709"]),
    ("int8Lut", "EditableEnumeration_Knob", "sRGB", ["linear", "sRGB"]),
    ("int16Lut", "EditableEnumeration_Knob", "sRGB", ["linear", "sRGB"]),
    ("logLut", "EditableEnumeration_Knob", "Cineon", ["linear", "Cineon"]),
    ("floatLut", "EditableEnumeration_Knob", "linear", ["linear", "sRGB"]),
    ("onScriptLoad", "PythonKnob", "", None),
    ("onScriptSave", "PythonKnob", "", None),
    ("onScriptClose", "PythonKnob", "", None),
    ("onCreate", "PythonKnob", "", None),
    ("onDestroy", "PythonKnob", "", None),
    ("knobChanged", "PythonKnob", "", None),
    ("updateUI", "PythonKnob", "", None),
    ("label", "Multiline_Eval_String_Knob", "", None),
)  # fmt: skip
EXR_KIND = {"Bool": "Boolean_Knob", "Float": "Array_Knob", "OneView": "OneView_Knob",
            "Enum": "Enumeration_Knob"}  # fmt: skip


class NodeCore:
    """Class, knobs, inputs, children and place of one node."""

    def __init__(self, world: World, class_name: str, parent: NodeCore | None, kind: str = "Node"):
        self.world, self.class_name, self.parent, self.kind = world, class_name, parent, kind
        self.knobs: dict[str, Knob] = {}
        self.inputs: list[NodeCore | None] = []
        self.children: list[NodeCore] = []
        self.attached, self.panel_open, self._in_knob_changed = True, False, False
        self.gizmo_file = ""
        self.baseline: dict[str, str] = {}
        table_name = {"Gizmo": "Group"}.get(kind, class_name)
        self.opaque = table_name not in manifest()["knobs"] and kind != "Root"
        self._add_table(table_name)
        list_views(self)
        if parent is not None:
            parent.children.append(self)

    # -- knobs ----------------------------------------------------------------------------

    def _add_table(self, table_name: str) -> None:
        if self.kind == "Root":
            for name, class_name, default, values in ROOT_KNOBS:
                self.put_knob(make_knob(class_name, name, default, values))
            self.knobs["format"]._format = next(  # type: ignore[attr-defined]
                known for known in self.world.formats if known.name() == "2K_Super_35(full-ap)"
            )
            return
        rows = {**manifest()["common_knobs"], **manifest()["knobs"].get(table_name, {})}
        for name, (class_name, *rest) in rows.items():
            default, values = [*rest, None, None][:2]
            self.put_knob(make_knob(class_name, name, default, values))
        self.knobs["name"]._restore("")
        if self.kind == "Node" and self.opaque and "disable" not in self.knobs:
            self.put_knob(make_knob("Disable_Knob", "disable", 0.0))

    def put_knob(self, knob: Knob) -> None:
        """Add a knob; a second of the same name is silently skipped, as Nuke does."""
        key = knob._name or f"\0{len(self.knobs)}"
        if key in self.knobs:
            return
        knob._core = self
        self.knobs[key] = knob

    def refresh_codec(self) -> None:
        """Codec knobs exist only while ``file_type`` names the codec."""
        rows = manifest()["exr_writer_knobs"]
        wanted = self.class_name == "Write" and self.knobs["file_type"]._raw_text() == "exr"
        for name, row in rows.items():
            if not wanted:
                if name not in manifest()["knobs"]["Write"]:
                    self.knobs.pop(name, None)
                continue
            values = row if isinstance(row, list) else None
            class_name = "Enumeration_Knob" if values else EXR_KIND[row]
            default = values[0] if values else 0.0
            self.put_knob(make_knob(class_name, name, default, values))
            named = self.world.knob_defaults.get(f"Write.exr.{name}")
            if named is not None:
                self.knobs[name]._load("brace", named)

    def knob_changed(self, knob: Knob) -> None:
        """Mark the script modified; fire knobChanged when its rules say so."""
        self.world.modified = True
        if knob._name == "file_type" and self.class_name == "Write":
            self.refresh_codec()
        if self.panel_open or knob._flags.get("KNOB_CHANGED_ALWAYS"):
            self.fire_knob_changed(knob)

    def fire_knob_changed(self, knob: Any) -> None:
        if self._in_knob_changed or not self.attached:
            return
        self._in_knob_changed = True
        try:
            self.world.callbacks.fire("KnobChanged", self, knob)
        finally:
            self._in_knob_changed = False

    def press(self, knob: Knob) -> None:
        """Run a PyScript knob's code as a press of the button does."""
        group = self if self.is_group else self.parent or self
        with self.world.running(self, knob, group):
            code = compile(knob._raw_text(), f"<{self.full_name()}.{knob._name}>", "exec")
            exec(code, self.world.main_namespace)

    # -- names ----------------------------------------------------------------------------

    @property
    def name(self) -> str:
        if self.kind == "Root":
            return self.world.script_path or "Root"
        return self.knobs["name"]._raw_text()

    def full_name(self) -> str:
        if self.parent is None or self.parent.kind == "Root":
            return self.name
        return f"{self.parent.full_name()}.{self.name}"

    def unique_name(self, wanted: str) -> str:
        """Return ``wanted``, numbered until no sibling has it."""
        if not re.fullmatch(r"[A-Za-z_]\w*", wanted) or wanted in RESERVED:
            raise ValueError(f"{wanted!r} is not a valid node name")
        siblings = self.parent.children if self.parent else []
        taken = {node.name for node in siblings if node is not self}
        if wanted not in taken:
            return wanted
        stem, number = re.fullmatch(r"(.*?)(\d*)", wanted).groups()  # type: ignore[union-attr]
        count = int(number or 0) + 1
        while f"{stem}{count}" in taken:
            count += 1
        return f"{stem}{count}"

    def set_name(self, wanted: str) -> None:
        self.knobs["name"]._restore(self.unique_name(wanted))

    def child(self, name: str) -> NodeCore | None:
        return next((node for node in self.children if node.name == name), None)

    # -- graph ----------------------------------------------------------------------------

    @property
    def is_group(self) -> bool:
        return self.kind in ("Group", "Gizmo", "Root")

    def input_nodes(self) -> list[NodeCore]:
        """A group's Input nodes in the order of their numbers."""
        found = [node for node in self.children if node.class_name == "Input"]
        return sorted(found, key=lambda node: node.knobs["number"]._number(0))

    def max_inputs(self) -> int:
        if self.is_group:
            return len(self.input_nodes())
        if self.class_name == "JoinViews":
            return len(self.world.views)
        limits = manifest()["nodes"].get(self.class_name) or UNSCANNED.get(self.class_name)
        return int(limits[1])

    def min_inputs(self) -> int:
        if self.is_group:
            return len(self.input_nodes())
        limits = manifest()["nodes"].get(self.class_name) or UNSCANNED.get(self.class_name)
        return int(limits[0])

    def input_at(self, index: int) -> NodeCore | None:
        return self.inputs[index] if 0 <= index < len(self.inputs) else None

    def optional_input(self) -> int:
        """Index of the mask input of a native node, 0 for none."""
        masked = not self.is_group and "maskChannelMask" in self.knobs
        return self.min_inputs() - 1 if masked else 0

    def connect(self, index: int, node: NodeCore | None) -> bool:
        before = list(self.inputs)
        self._put_input(index, node)
        after = list(self.inputs)
        self.world.modified = True
        self.world.undo.record(
            "Connect", lambda: self.inputs.__setitem__(slice(None), before),
            lambda: self.inputs.__setitem__(slice(None), after),
        )  # fmt: skip
        if self.panel_open:
            from tests.fakes.nuke_standin.knobs_text import String_Knob

            dummy = String_Knob("inputChange")
            dummy._core = self
            self.fire_knob_changed(dummy)
        return True

    def _put_input(self, index: int, node: NodeCore | None) -> None:
        while len(self.inputs) <= index:
            self.inputs.append(None)
        self.inputs[index] = node
        while self.inputs and self.inputs[-1] is None:
            self.inputs.pop()

    def dependents(self) -> list[tuple[NodeCore, int]]:
        siblings = self.parent.children if self.parent else []
        return [
            (node, index)
            for node in siblings
            for index, source in enumerate(node.inputs)
            if source is self
        ]

    def depends_on(self, other: NodeCore) -> bool:
        return self is other or any(
            source is not None and source.depends_on(other) for source in self.inputs
        )

    def descendants(self) -> list[NodeCore]:
        return [found for node in self.children for found in (node, *node.descendants())]

    # -- life -----------------------------------------------------------------------------

    def check_alive(self) -> None:
        if not self.attached:
            raise ValueError("A PythonObject is not attached to a node")

    def detach(self) -> None:
        """Take the node and what is in it out of the script."""
        for node in (self, *self.descendants()):
            node.attached = node.panel_open = False
        if self.parent is not None and self in self.parent.children:
            self.parent.children.remove(self)

    def attach(self) -> None:
        for node in (self, *self.descendants()):
            node.attached = True
        if self.parent is not None and self not in self.parent.children:
            self.parent.children.append(self)

    def selected(self) -> bool:
        return bool(self.knobs["selected"]._number(0)) if "selected" in self.knobs else False

    def select(self, on: bool) -> None:
        if "selected" in self.knobs:
            self.knobs["selected"]._values = [float(on)]  # type: ignore[attr-defined]

    def disabled(self) -> bool:
        return bool(self.knobs["disable"]._number(0)) if "disable" in self.knobs else False

    def take_sequence(self, pattern: str, first: str | None, last: str | None) -> None:
        """What choosing a file in a Read does: range and format follow the file."""
        if first is not None and last is not None:
            for name, number in (("first", first), ("last", last), ("origfirst", first),
                                 ("origlast", last), ("origset", 1)):  # fmt: skip
                self.knobs[name]._restore(([float(number)], {}, {}))
        size = graph.size_on_disk(self)
        if size is not None:
            self.knobs["format"]._restore(self._known_format(size))

    def _known_format(self, size: Format) -> Format:
        for known in self.world.formats:
            if (known.width(), known.height(), known.pixelAspect()) == (
                size.width(), size.height(), size.pixelAspect()):  # fmt: skip
                return known
        return parse_format(size._spec()) or size

    def format(self) -> Format:
        return graph.format_of(self)

    def __repr__(self) -> str:
        return f"<{self.class_name} {self.full_name()}>"
