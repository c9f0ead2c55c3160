"""Read .nk and .gizmo text: the stack machine, knobs, user knobs, groups."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.fakes.nuke_standin import tcl
from tests.fakes.nuke_standin.core import UNSCANNED, NodeCore
from tests.fakes.nuke_standin.knobs_array import Array_Knob
from tests.fakes.nuke_standin.knobs_base import Knob, OpaqueKnob
from tests.fakes.nuke_standin.knobs_choice import (
    CLASS_OF_TYPE,
    CLASSES,
    Enumeration_Knob,
    Link_Knob,
)
from tests.fakes.nuke_standin.knobs_text import (
    BeginTabGroup_Knob,
    EndTabGroup_Knob,
    Script_Knob,
    Tab_Knob,
    Text_Knob,
)
from tests.fakes.nuke_standin.manifest import manifest
from tests.fakes.nuke_standin.ops_views import set_views
from tests.fakes.nuke_standin.world import World

Word = tuple[str, str]
IGNORED = {"version", "define_window_layout_xml", "add_format", "add_view"}


@dataclass
class Command:
    """One statement: its line number and its words."""

    line: int
    words: list[Word]


def parse(text: str) -> list[Command]:
    """Split text into statements. Raises TclError with a line number when it is cut or broken."""
    commands: list[Command] = []
    words: list[Word] = []
    line, index = 1, 0
    while index < len(text):
        char = text[index]
        if char in "\n;":
            if words:
                commands.append(Command(line, words))
            words, index = [], index + 1
        elif char.isspace():
            index += 1
        elif char == "#" and not words:
            index = text.find("\n", index) if "\n" in text[index:] else len(text)
        elif char == "}":
            raise tcl.TclError(f"line {tcl.line_of(text, index)}: unexpected close-brace")
        else:
            if not words:
                line = tcl.line_of(text, index)
            kind, inside, index = tcl.read_word(text, index)
            words.append((kind, inside))
    if words:
        commands.append(Command(line, words))
    return commands


def parse_body(text: str) -> list[tuple[str, Word]]:
    """Split the inside of ``Class { … }`` into (knob, value) pairs."""
    words: list[Word] = []
    index = 0
    while index < len(text):
        if text[index].isspace():
            index += 1
            continue
        kind, inside, index = tcl.read_word(text, index)
        words.append((kind, inside))
    if len(words) % 2:
        raise tcl.TclError(f"the knob {words[-1][1]!r} has no value")
    return [(words[at][1], words[at + 1]) for at in range(0, len(words), 2)]


def user_knob(definition: str) -> Knob:
    """Build a knob from the inside of an ``addUserKnob {…}``."""
    words = tcl.split_list(definition)
    if not words or not words[0].isdigit():
        raise tcl.TclError(f"addUserKnob needs a type number: {definition[:60]!r}")
    type_id, name = int(words[0]), words[1] if len(words) > 1 else ""
    known = manifest()["knob_types"].values()
    if type_id not in known:
        raise tcl.TclError(f"addUserKnob: there is no knob type {type_id}")
    options, flags = _options(words[2:])
    knob = _construct(type_id, name, options)
    knob._user, knob._from_type = True, type_id
    if isinstance(knob, OpaqueKnob):
        knob._given_definition = definition.strip()
    knob._tooltip = options.get("t", "")
    knob._flags.update(flags)
    if "R" in options and isinstance(knob, Array_Knob):
        knob._loaded_range = options["R"]
        low, high = (float(number) for number in options["R"].split()[:2])
        knob._range = (low, high)
    return knob


def _options(words: list[str]) -> tuple[dict[str, str], dict[str, bool]]:
    options: dict[str, str] = {}
    flags: dict[str, bool] = {}
    index = 0
    while index < len(words):
        word = words[index]
        if word == "R":
            options["R"] = " ".join(words[index + 1 : index + 3])
            index += 3
        elif word in ("l", "t", "M", "T", "n") and index + 1 < len(words):
            options[word] = words[index + 1]
            index += 2
        elif re.fullmatch(r"[+-][A-Z_]+", word):
            flags[word[1:]] = word[0] == "+"
            index += 1
        else:
            raise tcl.TclError(f"addUserKnob: {word!r} was not expected")
    return options, flags


def _construct(type_id: int, name: str, options: dict[str, str]) -> Knob:
    label = options.get("l")
    if type_id == 20:
        flag = int(options.get("n", "0"))
        special = {-2: BeginTabGroup_Knob, -3: EndTabGroup_Knob}.get(flag)
        return special(name, label) if special else Tab_Knob(name, label, flag)
    cls = CLASSES.get(CLASS_OF_TYPE.get(type_id, ""))
    if cls is None:
        return OpaqueKnob(name, label, f"type {type_id}")
    if issubclass(cls, Enumeration_Knob):
        return cls(name, label, tcl.split_list(options.get("M", "")))
    if issubclass(cls, Script_Knob | Text_Knob):
        return cls(name, label, options.get("T", ""))
    knob = cls(name, label)
    if isinstance(knob, Link_Knob):
        knob._link = options.get("T", "")
    return knob


def load_knob(core: NodeCore, name: str, word: Word) -> None:
    """Give one knob its file value."""
    knob = core.knobs.get(name)
    if knob is None and core.opaque:
        knob = OpaqueKnob(name)
        core.put_knob(knob)
    if knob is None:
        raise tcl.TclError(f'{core.name or core.class_name}: no such knob "{name}"')
    knob._load(*word)
    if name == "file_type":
        core.refresh_codec()


def apply_knobs(core: NodeCore, text: str) -> None:
    """Give knobs their values from ``knob value knob value`` text (readKnobs, createNode)."""
    for name, word in parse_body(text):
        if name == "addUserKnob":
            core.put_knob(user_knob(word[1]))
        elif name == "name":
            core.set_name(core.knobs["name"]._text_of(word))
        elif name == "file" and core.class_name == "Read":
            core.knobs["file"].fromUserText(core.knobs["file"]._text_of(word))
        elif name not in ("inputs", "selected"):
            load_knob(core, name, word)


@dataclass
class Level:
    """One open group of the text and its stack of outputs (top last)."""

    group: NodeCore
    stack: list[NodeCore | None] = field(default_factory=list)


class Loader:
    """Runs parsed statements. ``made`` are the outermost new nodes; unknown classes are kept
    in ``unknown`` and skipped, as Nuke does before it reports them."""

    def __init__(
        self,
        world: World,
        group: NodeCore,
        stack: list[NodeCore | None],
        load_root: bool = False,
        gizmo: tuple[str, str] | None = None,
    ) -> None:
        self._world, self._load_root, self._gizmo = world, load_root, gizmo
        self._levels = [Level(group, list(stack))]
        self._variables: dict[str, NodeCore | None] = {}
        self.made: list[NodeCore] = []
        self.unknown: list[str] = []
        self._skipping = 0

    def run(self, text: str) -> list[NodeCore]:
        commands = parse(text)
        for command in commands:
            try:
                self._execute(command)
            except tcl.TclError as error:
                inner = re.match(r"line (\d+): (.*)", str(error), re.S)
                line = command.line + int(inner[1]) - 1 if inner else command.line
                raise tcl.TclError(f"line {line}: {inner[2] if inner else error}") from None
        if len(self._levels) > 1:
            raise tcl.TclError(f"{self._levels[-1].group.name}: end_group is missing")
        return self.made

    def _execute(self, command: Command) -> None:
        name = command.words[0][1]
        if name == "end_group":
            self._end_group()
        elif name in IGNORED or self._skipping:
            return
        elif name == "add_layer":
            self._add_layer(command)
        elif name == "set":
            self._set(command)
        elif name == "push":
            self._push(command.words[1][1] if len(command.words) == 2 else "")
        elif name == "clone" and len(command.words) == 3:
            self._clone(command)
        elif len(command.words) == 2 and command.words[1][0] == "brace":
            self._node(name, command)
        else:
            raise tcl.TclError(f'Unknown command: "{name}"')

    def _set(self, command: Command) -> None:
        if len(command.words) != 3:
            raise tcl.TclError("set needs a name and a value")
        found = re.fullmatch(r"\[stack (\d+)\]", command.words[2][1])
        if not found:
            raise tcl.TclError("only [stack N] can be kept")
        stack, depth = self._levels[-1].stack, int(found[1])
        self._variables[command.words[1][1]] = stack[-1 - depth] if depth < len(stack) else None

    def _add_layer(self, command: Command) -> None:
        """``add_layer {name name.a name.b}``: the script's layers, wherever it stands."""
        words = tcl.split_list(command.words[1][1]) if len(command.words) == 2 else []
        if len(words) < 2 or any(not w.startswith(f"{words[0]}.") for w in words[1:]):
            raise tcl.TclError("add_layer needs {layer layer.channel …}")
        kept = self._world.layers.get(words[0], ())
        self._world.layers[words[0]] = tuple(dict.fromkeys((*kept, *words[1:])))

    def _push(self, what: str) -> None:
        if what == "0":
            self._levels[-1].stack.append(None)
        elif what.startswith("$"):
            if what[1:] not in self._variables:
                raise tcl.TclError(f'can\'t read "{what[1:]}": no such variable')
            self._levels[-1].stack.append(self._variables[what[1:]])
        else:
            raise tcl.TclError(f"push takes 0 or a variable, not {what!r}")

    def _end_group(self) -> None:
        if self._skipping:
            self._skipping -= 1
            return
        if len(self._levels) == 1:
            raise tcl.TclError("end_group without a Group")
        group = self._levels.pop().group
        self._finish(group)

    def _finish(self, core: NodeCore) -> None:
        self._world.callbacks.fire("OnCreate", core)

    def _node(self, name: str, command: Command) -> None:
        body = parse_body(command.words[1][1])
        if name == "Root":
            if self._load_root:
                self._root(body)
            return
        core = self._make(name, command)
        if core is None:
            return
        level = self._levels[-1]
        given = next((word[1] for knob, word in body if knob == "inputs"), "1")
        self._connect(core, given, level)
        try:
            core.set_name(_name_of(core, body))
            for knob, word in body:
                if knob == "addUserKnob":
                    core.put_knob(user_knob(word[1]))
                elif knob not in ("inputs", "name"):
                    load_knob(core, knob, word)
        except ValueError as error:
            raise tcl.TclError(str(error)) from error
        level.stack.append(core)
        if len(self._levels) == 1:
            self.made.append(core)
        if core.kind == "Group" or (core.kind == "Gizmo" and name == "Gizmo"):
            self._levels.append(Level(core))
        else:
            self._finish(core)

    def _clone(self, command: Command) -> None:
        """``clone $C1 {…}``: read as a copy that shares nothing with its original."""
        original = self._variables.get(command.words[1][1].removeprefix("$"))
        if original is None:
            raise tcl.TclError(f"clone: there is no {command.words[1][1]}")
        body = parse_body(command.words[2][1])
        core = NodeCore(self._world, original.class_name, self._levels[-1].group, original.kind)
        core.set_name(original.name)
        for name, knob in original.knobs.items():
            if name in core.knobs and name not in ("name", "selected"):
                core.knobs[name]._restore(knob._state())
        level = self._levels[-1]
        self._connect(core, next((word[1] for knob, word in body if knob == "inputs"), "1"), level)
        for knob_name, word in body:
            if knob_name not in ("inputs", "name"):
                load_knob(core, knob_name, word)
        level.stack.append(core)
        self._finish(core)

    def _make(self, name: str, command: Command) -> NodeCore | None:
        parent = self._levels[-1].group
        if name == "Gizmo":
            class_name, path = self._gizmo or ("Gizmo", "")
            core = NodeCore(self._world, class_name, parent, "Gizmo")
            core.gizmo_file = path
            return core
        if name == "Group":
            return NodeCore(self._world, "Group", parent, "Group")
        if name in manifest()["nodes"] or name in UNSCANNED:
            return NodeCore(self._world, name, parent)
        from tests.fakes.nuke_standin import creation

        path = creation.find_gizmo(self._world, name)
        if path is not None:
            return creation.instance_of_gizmo(self._world, name, path, parent)
        self.unknown.append(f'line {command.line}: Unknown command: "{name}"')
        self._levels[-1].stack.append(None)
        return None

    def _connect(self, core: NodeCore, given: str, level: Level) -> None:
        if not re.fullmatch(r"\d+(\+\d+)?", given):
            raise tcl.TclError(f"inputs must be a number, not {given!r}")
        plain, _, masks = given.partition("+")
        taken = [level.stack.pop() if level.stack else None for _ in range(int(plain))]
        for index, node in enumerate(taken):
            if node is not None:
                core._put_input(index, node)
        for offset in range(int(masks or 0)):
            node = level.stack.pop() if level.stack else None
            if node is not None:
                core._put_input(core.optional_input() + offset, node)

    def _root(self, body: list[tuple[str, Word]]) -> None:
        root = self._world.root
        for knob, word in body:
            if knob == "addUserKnob":
                root.put_knob(user_knob(word[1]))
            elif knob not in ("inputs", "name"):
                if knob not in root.knobs:
                    root.put_knob(OpaqueKnob(knob))
                root.knobs[knob]._load(*word)
                if knob == "views":
                    self._views(root.knobs[knob]._raw_text())

    def _views(self, text: str) -> None:
        """One view a line, its colour behind it."""
        names = [line.split()[0] for line in text.splitlines() if line.strip()]
        set_views(self._world, names or ["main"])


def _name_of(core: NodeCore, body: list[tuple[str, Word]]) -> str:
    given = next((word for knob, word in body if knob == "name"), None)
    return core.knobs["name"]._text_of(given) if given else f"{core.class_name}1"


def read_text(path: str | Path) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise tcl.TclError(f"{path}: not a text file ({error.reason})") from None
