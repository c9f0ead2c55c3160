"""Knob: name, label, flags, panel state, script text and what happens on a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakes.nuke_standin import manifest, tcl
from tests.fakes.nuke_standin.values import Strict
from tests.fakes.nuke_standin.world import Guarded, active

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore

FLAG_NAMES = ("STARTLINE", "ENDLINE", "INVISIBLE", "DISABLED", "NO_ANIMATION", "DO_NOT_WRITE",
              "KNOB_CHANGED_ALWAYS", "NO_UNDO", "ALWAYS_SAVE", "READ_ONLY",
              "DONT_SAVE_TO_NODEPRESET")  # fmt: skip
ID_OF_CLASS = {
    "String_Knob": 1, "File_Knob": 2, "Int_Knob": 3, "Enumeration_Knob": 4, "Bitmask_Knob": 5,
    "Boolean_Knob": 6, "Double_Knob": 7, "Array_Knob": 9, "ChannelMask_Knob": 10,
    "Channel_Knob": 11, "XY_Knob": 12, "XYZ_Knob": 13, "WH_Knob": 14, "BBox_Knob": 15,
    "Format_Knob": 17, "Color_Knob": 18, "AColor_Knob": 19, "Tab_Knob": 20,
    "BeginTabGroup_Knob": 20, "EndTabGroup_Knob": 20, "PyScript_Knob": 22, "Text_Knob": 26,
    "Help_Knob": 27, "UV_Knob": 30, "Box3_Knob": 31, "Script_Knob": 32, "Pulldown_Knob": 35,
    "ColorChip_Knob": 40, "Link_Knob": 41, "Scale_Knob": 42, "Multiline_Eval_String_Knob": 43,
    "OneView_Knob": 44, "MultiView_Knob": 45, "PyCustom_Knob": 52, "Password_Knob": 61,
    "CascadingEnumeration_Knob": 68, "Disable_Knob": 80, "Radio_Knob": 83,
    "EditableEnumeration_Knob": 85, "EvalString_Knob": 1, "PythonKnob": 1,
}  # fmt: skip


def flag_value(name: str) -> int:
    return int(manifest.manifest()["constants"][name])


class Knob(Guarded, Strict):
    """Base of all knobs. Values live in the subclasses; this class answers for the rest.

    ``_core`` is the node it sits on, None before ``addKnob``.
    """

    def __init__(self, name, label=None):
        if not isinstance(name, str):
            raise TypeError(f"a knob's name is text, not {name!r}")
        active().check_thread(type(self).__name__)
        self._name, self._label = name, label
        self._tooltip = ""
        self._core: NodeCore | None = None
        self._flags: dict[str, bool] = {}
        self._user = False
        self._from_type = 0

    # -- what the rest of the stand-in uses ---------------------------------------------

    def _check_alive(self):
        if self._core is not None:
            self._core.check_alive()

    def _state(self) -> Any:
        """A value that `_restore` brings back."""
        return None

    def _restore(self, state: Any) -> None:
        """Undo's way in."""

    def _word(self) -> str:
        """The value as a .nk file holds it, quoted."""
        return tcl.quote(self._raw_text())

    def _load(self, kind: str, inside: str) -> None:
        """Take a value as a .nk file gives it: kind is brace, quote or bare."""

    def _raw_text(self) -> str:
        return ""

    def _tcl_value(self) -> str:
        return self._raw_text()

    def _number(self, channel: int) -> float:
        text = self._raw_text()
        try:
            return float(text)
        except ValueError:
            return 0.0

    def _is_default(self) -> bool:
        return True

    def _is_blank(self) -> bool:
        """Whether a user knob need not be written: its definition carries no value."""
        return self._is_default()

    def _text_of(self, word: tuple[str, str]) -> str:
        """The plain text of a parsed word; unescaped brackets go through TCL."""
        kind, inside = word
        if kind == "brace":
            return inside
        return tcl.substitute(inside, self._core, lambda text: 0.0)

    def _change(self, apply: Any) -> bool:
        """Apply a change: undo, the dirty flag and knobChanged follow from it."""
        before = self._state()
        apply()
        after = self._state()
        if before == after or self._core is None:
            return True
        world = self._core.world
        if not self._flags.get("NO_UNDO"):
            world.undo.record(
                f"Change {self._name}", lambda: self._restore(before), lambda: self._restore(after)
            )
        self._core.knob_changed(self)
        return True

    # -- nuke.Knob ------------------------------------------------------------------------

    def Class(self):
        return type(self).__name__

    def ClassID(self):
        return self._type_id()

    def _type_id(self) -> int:
        return self._from_type or ID_OF_CLASS.get(type(self).__name__, 0)

    def node(self):
        from tests.fakes.nuke_standin.nodes import wrap

        return None if self._core is None else wrap(self._core)

    def name(self):
        return self._name

    def setName(self, name):
        self._name = name

    def fullyQualifiedName(self, channel=-1):
        return f"{self._core.full_name()}.{self._name}" if self._core else self._name

    def label(self):
        return self._name if self._label is None else self._label

    def setLabel(self, label):
        self._label = str(label)

    def tooltip(self):
        return self._tooltip

    def setTooltip(self, text):
        self._tooltip = str(text)

    def setFlag(self, flag):
        self._set_flags(flag, True)

    def clearFlag(self, flag):
        self._set_flags(flag, False)

    def _set_flags(self, flag: int, on: bool) -> None:
        if not isinstance(flag, int):
            raise TypeError(f"a knob flag is a number, not {flag!r}")
        for name in FLAG_NAMES:
            if flag & flag_value(name):
                self._flags[name] = on

    def getFlag(self, flag):
        return any(flag & flag_value(name) for name in FLAG_NAMES if self._flags.get(name))

    def setEnabled(self, enabled):
        self._flags["DISABLED"] = not enabled

    def enabled(self):
        return not self._flags.get("DISABLED", False)

    def setVisible(self, visible):
        self._flags["INVISIBLE"] = not visible

    def visible(self):
        return not (self._flags.get("INVISIBLE") or self._flags.get("HIDDEN"))

    def value(self):
        return None

    def getValue(self):
        return self.value()

    def setValue(self, *args):
        raise TypeError(f"{type(self).__name__} takes no value")

    def isAnimated(self, channel=-1, view=None):
        return False

    def hasExpression(self, channel=-1):
        return False

    def notDefault(self):
        return not self._is_default()

    def toScript(self, quote=False, context=None):
        return self._word()

    def fromScript(self, text):
        stripped = text.strip()
        word = tcl.read_word(stripped, 0)[:2] if stripped[:1] in ('"', "{") else ("bare", stripped)
        return self._change(lambda: self._load(*word))

    def error(self, message):
        active().messages.append(("knob error", message))

    def warning(self, message):
        active().messages.append(("knob warning", message))

    def debug(self, message):
        active().messages.append(("knob debug", message))

    def _definition(self) -> list[str]:
        """What follows name, label and tooltip in an addUserKnob line."""
        return []

    def __repr__(self):
        return f"<{type(self).__name__} object {self._name!r}>"


class OpaqueKnob(Knob):
    """A knob of a class the stand-in has no behaviour for: its file text is kept as it is."""

    def __init__(self, name, label=None, class_name="Knob", default=None):
        super().__init__(name, label)
        self._class_name = class_name
        self._raw: tuple[str, str] | None = None
        self._given_definition = ""

    def Class(self):
        return self._class_name

    def _state(self):
        return self._raw

    def _restore(self, state):
        self._raw = state

    def _load(self, kind, inside):
        self._raw = (kind, inside)

    def _word(self):
        kind, inside = self._raw or ("bare", "{}")
        return {"brace": f"{{{inside}}}", "quote": f'"{inside}"'}.get(kind, inside)

    def _is_default(self):
        return self._raw is None

    def value(self):
        raise NotImplementedError(f"Knobs of class {self._class_name} have no value here.")
