"""Knobs that hold text: strings, files, scripts, Python code, dividers."""

from __future__ import annotations

import re

from tests.fakes.nuke_standin import tcl
from tests.fakes.nuke_standin.knobs_base import Knob

FRAME_TOKEN = re.compile(r"%0?(\d*)d|(?<!\\)(#+)")


class String_Knob(Knob):
    """Plain text. ``value()`` is what was set, never evaluated."""

    def __init__(self, name, label=None, value=""):
        super().__init__(name, label)
        self._text = self._default = str(value or "")

    def _state(self):
        return self._text

    def _restore(self, state):
        self._text = state

    def _raw_text(self):
        return self._text

    def _load(self, kind, inside):
        self._text = self._text_of((kind, inside))

    def _is_default(self):
        return self._text == self._default

    def _is_blank(self):
        return not self._text

    def value(self, oc=None):
        return self._text

    def getText(self, oc=None):
        return self._text

    def getValue(self, oc=None):
        return self._text

    def setValue(self, val, view="default"):
        if not isinstance(val, str):
            raise TypeError(f"{self._name}: {type(self).__name__} takes text, not {val!r}")
        if self._name == "name" and self._core is not None and self._core.kind != "Root":
            val = self._core.unique_name(val)
        return self._change(lambda: self._set(val))

    def _set(self, text: str) -> None:
        self._text = text


class EvalString_Knob(String_Knob):
    """Text with TCL in it: ``evaluate()`` expands it, ``value()`` does not."""

    def evaluate(self, frame=None):
        return self._evaluated(frame)

    def _evaluated(self, frame=None) -> str:
        from tests.fakes.nuke_standin.expressions import evaluate

        core = self._core
        return tcl.substitute(
            self._text, core, lambda text: evaluate(text, core) if core else float(text)
        )


class Multiline_Eval_String_Knob(EvalString_Knob):
    """`EvalString_Knob` over several lines."""


class Path_Knob(EvalString_Knob):
    """A path in the USD sense."""


def at_frame(pattern: str, frame: int) -> str:
    """Put a frame number into ``%04d`` or ``####``."""

    def number(found: re.Match[str]) -> str:
        padding = len(found[2]) if found[2] else int(found[1] or 0)
        return f"{frame:0{padding}d}" if padding else str(frame)

    return FRAME_TOKEN.sub(number, pattern)


class File_Knob(EvalString_Knob):
    """A file pattern. ``setValue`` takes it as it is; ``fromUserText`` also reads `` a-b``."""

    def evaluate(self, frame=None):
        text = self._evaluated()
        if not text:
            return None
        if frame is None:
            frame = int(self._core.world.root.knobs["frame"]._number(0)) if self._core else 1
        return at_frame(text, int(frame))

    def getEvaluatedValue(self, oc=None):
        return self._evaluated()

    def fromUserText(self, s):
        found = re.fullmatch(r"(.*?)(?:\s+(-?\d+)-(-?\d+)(?:x\d+)?)?", s.strip(), re.S)
        self._change(lambda: self._set(found[1]))
        if self._core is not None and self._core.class_name == "Read":
            self._core.take_sequence(found[1], found[2], found[3])


class Script_Knob(String_Knob):
    """A button with TCL code."""

    def __init__(self, name, label=None, command=""):
        super().__init__(name, label, command)

    def command(self):
        return self._text

    def setCommand(self, command):
        return self.setValue(command)

    def _definition(self):
        return ["T", tcl.quote(self._text)]

    def execute(self):
        core = self._core
        if core is not None and core.class_name == "Read" and self.name() == "reload":
            # Its TCL counts the hidden version up, so that no cached frame is used again.
            version = core.knobs.get("version")
            if version is not None:
                version.setValue(version.value() + 1)
            return
        raise NotImplementedError("TCL buttons are not executed here.")


class PyScript_Knob(Script_Knob):
    """A button with Python code. ``execute()`` runs it as a press does."""

    def execute(self):
        self._core.press(self)


class PyCustom_Knob(Script_Knob):
    """A knob that shows a Qt widget: the code gives an object with ``makeUI()``."""

    def __init__(self, name, label=None, command=""):
        super().__init__(name, label, command)
        self._object = None

    def getObject(self):
        if self._object is None:
            world = self._core.world if self._core else _world()
            self._object = eval(self._text, world.main_namespace)
        return self._object


def _world():
    from tests.fakes.nuke_standin.world import active

    return active()


class PythonCustomKnob(Script_Knob):
    """The same, from before `PyCustom_Knob`."""


class PythonKnob(String_Knob):
    """Python code of a callback: onCreate, knobChanged, ..."""


class Password_Knob(Knob):
    """Text shown as dots, never saved."""

    def __init__(self, name, label=None):
        super().__init__(name, label)
        self._text = ""

    def value(self):
        return self._text

    def setValue(self, val, view="default"):
        self._text = val
        return True


class Text_Knob(Knob):
    """A line of rich text, or a divider when it has neither name nor text."""

    def __init__(self, name, label=None, value=""):
        super().__init__(name, label)
        self._text = str(value or "")

    def _state(self):
        return self._text

    def _restore(self, state):
        self._text = state

    def _raw_text(self):
        return self._text

    def _load(self, kind, inside):
        self._text = self._text_of((kind, inside))

    def value(self):
        return self._text

    def setValue(self, val):
        if not isinstance(val, str):
            raise TypeError(f"{self._name}: Text_Knob takes text, not {val!r}")
        return self._change(lambda: self._restore(val))

    def _definition(self):
        return ["T", tcl.quote(self._text)] if self._text else []


class Help_Knob(Knob):
    """The question mark in a panel."""


class Tab_Knob(Knob):
    """A tab, or the begin (1, 2) or end (-1) of a knob group."""

    def __init__(self, name, label=None, flag=0):
        super().__init__(name, label)
        self._tab = int(flag)

    def value(self):
        return False

    def setValue(self, val):
        return True

    def _definition(self):
        return ["n", str(self._tab)] if self._tab else []


class BeginTabGroup_Knob(Knob):
    """Begin of nested tabs."""

    def _definition(self):
        return ["n", "-2"]


class EndTabGroup_Knob(Knob):
    """End of nested tabs."""

    def _definition(self):
        return ["n", "-3"]
