"""Write nodes as .nk text, the way Nuke's reader takes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.nuke_standin import tcl
from tests.fakes.nuke_standin.knobs_base import Knob, OpaqueKnob
from tests.fakes.nuke_standin.knobs_choice import Channel_Knob, Link_Knob
from tests.fakes.nuke_standin.knobs_text import (
    BeginTabGroup_Knob,
    EndTabGroup_Knob,
    Help_Knob,
    Password_Knob,
    Script_Knob,
    Tab_Knob,
    Text_Knob,
)

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore

NO_VALUE_LINE = (Link_Knob, Script_Knob, Text_Knob, Tab_Knob, BeginTabGroup_Knob, EndTabGroup_Knob,
                 Help_Knob, Password_Knob)  # fmt: skip
NOT_SAVED = {"name", "selected", "rootNodeUpdated", "indicators"}


def definition(knob: Knob) -> str:
    """The inside of the knob's addUserKnob braces."""
    if isinstance(knob, OpaqueKnob) and knob._given_definition:
        return knob._given_definition
    words = [str(knob._type_id()), knob._name or '""']
    if knob._label is not None:
        words += ["l", tcl.quote(knob._label) if knob._label else '""']
    if knob._tooltip:
        words += ["t", tcl.quote(knob._tooltip)]
    words += [("+" if on else "-") + name for name, on in knob._flags.items() if _saved(name, on)]
    return " ".join(words + knob._definition())


def _saved(name: str, on: bool) -> bool:
    """Whether an addUserKnob line says it: those flags that lines of real gizmos hold."""
    return name != "DONT_SAVE_TO_NODEPRESET" and (on or name == "STARTLINE")


def value_line(knob: Knob) -> str | None:
    """``name value`` when the file must hold it, else None."""
    if knob._flags.get("DO_NOT_WRITE"):
        return None
    unset = knob._is_blank() if knob._user else knob._is_default()
    if unset and not knob._flags.get("ALWAYS_SAVE"):
        return None
    if knob._user and isinstance(knob, NO_VALUE_LINE):
        return None
    if isinstance(knob, Script_Knob | Text_Knob):
        return None
    word = knob._word()
    return f"{_knob_name(knob._name)} {word}"


def _knob_name(name: str) -> str:
    return f'"{name}"' if " " in name else name


def knob_lines(core: NodeCore) -> str:
    """Every knob that differs from its default, user knobs with their definitions."""
    lines = []
    for knob in core.knobs.values():
        if knob._name in NOT_SAVED and not knob._user:
            continue
        if core.kind == "Gizmo" and core.baseline.get(knob._name) == _saved_form(knob):
            continue
        if knob._user and not (core.kind == "Gizmo" and knob._name in core.baseline):
            lines.append(f"addUserKnob {{{definition(knob)}}}")
        line = value_line(knob)
        if line is not None:
            lines.append(line)
    return "\n".join(lines)


def _saved_form(knob: Knob) -> str:
    return f"{definition(knob)} {knob._word()}"


def baseline(core: NodeCore) -> dict[str, str]:
    """What a gizmo's file says of its knobs: only what differs is written into a script."""
    return {knob._name: _saved_form(knob) for knob in core.knobs.values()}


def input_count(core: NodeCore) -> str:
    optional = core.optional_input()
    count = len(core.inputs)
    if optional and count > optional:
        plain = max((index + 1 for index in range(optional) if core.inputs[index]), default=0)
        return f"{plain}+{count - optional}"
    return str(count)


def inputs_in_order(core: NodeCore) -> list[NodeCore | None]:
    """The nodes popped for this one: main inputs from 0, then masks."""
    plain, _, masks = input_count(core).partition("+")
    main = [core.input_at(index) for index in range(int(plain))]
    first_mask = core.optional_input()
    return main + [core.input_at(first_mask + offset) for offset in range(int(masks or 0))]


class Writer:
    """Writes the nodes of one group, inputs first, with a simulated stack."""

    def __init__(
        self, nodes: list[NodeCore], indent: int = 0, numbers: dict[int, int] | None = None
    ) -> None:
        self._numbers = {} if numbers is None else numbers
        self._nodes, self._pad = nodes, " " * indent
        self._indent = indent
        self._lines: list[str] = []
        self._stack: list[NodeCore | None] = []
        self._written: list[NodeCore] = []
        self._added: set[str] = set()

    def lines(self) -> list[str]:
        for core in self._nodes:
            self._write(core)
        return self._lines

    def _write(self, core: NodeCore) -> None:
        if core in self._written:
            return
        for source in core.inputs:
            if source is not None and source in self._nodes:
                self._write(source)
        self._written.append(core)
        needed = [node if node in self._nodes else None for node in inputs_in_order(core)]
        self._bring_up(needed)
        self._node(core)
        if needed:
            del self._stack[-len(needed) :]
        self._stack.append(core)
        if any(core in other.inputs for other in self._nodes):
            self._lines.append(f"{self._pad}set {self._variable(core)} [stack 0]")

    def _bring_up(self, needed: list[NodeCore | None]) -> None:
        """Make the stack's top hold what is needed, input 0 on top."""
        if self._stack[-len(needed) :] == needed[::-1] and needed:
            return
        for node in reversed(needed):
            name = "0" if node is None else f"${self._variable(node)}"
            self._lines.append(f"{self._pad}push {name}")
            self._stack.append(node)

    def _variable(self, core: NodeCore) -> str:
        """A name for the node's output: the same text for the same script, every time."""
        return f"N{0xA000 + self._numbers.setdefault(id(core), len(self._numbers)):x}"

    def _layers(self, core: NodeCore) -> None:
        """Layers of the script stand before the node that names them, at no indent."""
        for layer, channels in core.world.layers.items():
            texts = [k._raw_text() for k in core.knobs.values() if isinstance(k, Channel_Knob)]
            named = any(word.partition(".")[0] == layer for text in texts for word in text.split())
            if named and layer not in self._added:
                self._added.add(layer)
                self._lines.append(f"add_layer {{{' '.join((layer, *channels))}}}")

    def _node(self, core: NodeCore) -> None:
        self._layers(core)
        class_name = "Group" if core.kind == "Group" else core.class_name
        body = [] if input_count(core) == "1" else [f"inputs {input_count(core)}"]
        body.append(f"name {core.name}")
        body += [line for line in knob_lines(core).split("\n") if line]
        if core.selected():
            body.append("selected true")
        inside = "".join(f"{self._pad} {line}\n" for line in body)
        self._lines.append(f"{self._pad}{class_name} {{\n{inside}{self._pad}}}")
        if core.kind == "Group":
            self._lines += Writer(core.children, self._indent + 1, self._numbers).lines()
            self._lines.append(f"{self._pad}end_group")


def nodes_text(nodes: list[NodeCore]) -> str:
    return "\n".join(Writer(nodes).lines()) + "\n"


def script_text(root: NodeCore) -> str:
    """A whole script."""
    major, minor = root.world.version
    body = ["inputs 0"]
    if root.world.script_path:
        body.append(f"name {tcl.quote(root.world.script_path)}")
    for knob in root.knobs.values():
        if isinstance(knob, OpaqueKnob) or knob._name == "name":
            continue
        if knob._user:
            body.append(f"addUserKnob {{{definition(knob)}}}")
        line = value_line(knob)
        if line is not None:
            body.append(line)
    inside = "".join(f" {line}\n" for line in body)
    return f"version {major}.{minor} v1\nRoot {{\n{inside}}}\n{nodes_text(root.children)}"
