"""Knobs that choose: enumerations, channels, formats, views, links; and the id table."""

from __future__ import annotations

import re
from typing import Any

from tests.fakes.nuke_standin import knobs_array, knobs_text, tcl
from tests.fakes.nuke_standin.knobs_array import Unsigned_Knob
from tests.fakes.nuke_standin.knobs_base import Knob, OpaqueKnob
from tests.fakes.nuke_standin.values import Format, parse_format


def _saved_entry(item: str) -> str:
    """An entry as a file holds it: ``<...>`` is lost on the way, as in Nuke."""
    kept = "" if re.search(r"<.*>", item) else item
    return tcl.quote(kept) if kept else '""'


class Enumeration_Knob(Unsigned_Knob):
    """One word of a list. ``value()`` is the word, ``getValue()`` its index as a float.

    An entry may be ``value<TAB>label``. A word that is not in the list leaves it blank.
    """

    def __init__(self, name, label=None, values=()):
        super().__init__(name, label, 0.0)
        self._items = [str(item) for item in values]
        self._blank = False

    def _state(self):
        return (*super()._state(), self._blank, tuple(self._items))

    def _restore(self, state):
        super()._restore(state[:3])
        self._blank, self._items = state[3], list(state[4])

    def _index_of(self, word: str) -> int | None:
        parts = [item.split("\t") for item in self._items]
        for matches in (
            lambda item: word in (item[0], "\t".join(item)),
            lambda item: word in item[1:2],
        ):
            for index, item in enumerate(parts):
                if matches(item):
                    return index
        return int(word) if word.isdigit() and int(word) < len(self._items) else None

    def _current(self) -> str:
        if self._blank or not self._items:
            return ""
        index = int(self._number(0))
        return self._items[index] if 0 <= index < len(self._items) else ""

    def _plain(self) -> str:
        return self._current().split("\t")[0]

    def _raw_text(self):
        return self._plain()

    def _word(self):
        return super()._word() if self._expressions or self._keys else _saved_entry(self._plain())

    def _load(self, kind, inside):
        if kind == "brace" and inside.strip().startswith("{"):
            super()._load(kind, inside)
            return
        self._expressions, self._keys = {}, {}
        self._choose(self._text_of((kind, inside)))

    def _choose(self, word: str) -> None:
        index = self._index_of(word)
        self._blank = index is None
        self._values = [float(index or 0)]

    def value(self, oc=None):
        from tests.fakes.nuke_standin.world import active

        return self._current() if active().tab_entries_whole else self._plain()

    def setValue(self, val, channel=0, time=None, view=None):
        if isinstance(val, str):
            return self._change(lambda: self._choose(val))
        if type(val) not in (int, float):
            raise TypeError(f"{self._name}: an enumeration takes a word or an index, not {val!r}")
        return self._change(lambda: self._set_index(int(val)))

    def _set_index(self, index: int) -> None:
        self._blank = not 0 <= index < len(self._items)
        self._values = [float(0 if self._blank else index)]

    def values(self):
        return list(self._items)

    def setValues(self, items):
        """Replace the list; the chosen word stays when the new list has it, else the first."""
        if isinstance(items, str) or not all(isinstance(item, str) for item in items):
            raise TypeError(f"{self._name}: setValues takes a list of words")
        chosen = self._plain()
        self._items = list(items)
        index = self._index_of(chosen)
        self._blank, self._values = False, [float(index or 0)]

    def numValues(self):
        return len(self._items)

    def enumName(self, n):
        return self._items[n]

    def _is_default(self):
        if self._user:
            return not self._items or (self._values == [0.0] and not self._blank and not self._keys
                                       and not self._expressions)  # fmt: skip
        return super()._is_default() and not self._blank

    def _is_blank(self):
        return self._is_default()

    def _definition(self):
        return [
            "M",
            "{" + " ".join(_saved_entry(item) for item in self._items) + "}",
        ]


class CascadingEnumeration_Knob(Enumeration_Knob):
    """Entries with ``/`` make sub-menus."""


class Radio_Knob(Enumeration_Knob):
    """An enumeration as buttons."""


class Pulldown_Knob(Enumeration_Knob):
    """A menu of commands."""


class OneView_Knob(Enumeration_Knob):
    """One view of the script."""


class EditableEnumeration_Knob(Enumeration_Knob):
    """An enumeration that also takes other words."""

    def _choose(self, word):
        if self._index_of(word) is None:
            self._items.append(word)
        super()._choose(word)


class _WordKnob(Knob):
    """A knob whose value is one text."""

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

    def value(self):
        return self._text

    def setValue(self, val, *args):
        if not isinstance(val, str):
            raise TypeError(f"{self._name}: {type(self).__name__} takes text, not {val!r}")
        return self._change(lambda: self._restore(val))


class Channel_Knob(_WordKnob):
    """A channel or layer name: ``alpha``, ``rgba.alpha``, ``rgb``, ``none``."""


class ChannelMask_Knob(Channel_Knob):
    """A set of channels: ``rgb``, ``rgba``, ``all``, ``none``, ``alpha``, ..."""


class MultiView_Knob(_WordKnob):
    """Views, separated by spaces."""


class Font_Knob(_WordKnob):
    """A font's name."""


class Format_Knob(Knob):
    """A format of the script; ``value()`` is a Format, ``name()`` the knob's."""

    def __init__(self, name, label=None):
        super().__init__(name, label)
        self._format: Format | None = None

    def _state(self):
        return self._format

    def _restore(self, state):
        self._format = state

    def _raw_text(self):
        return self._format._spec() if self._format else ""

    def _load(self, kind, inside):
        self._set(self._text_of((kind, inside)))

    def _is_default(self):
        return self._format is None

    def _known(self, text: str) -> Format | None:
        from tests.fakes.nuke_standin.world import active

        return next((known for known in active().formats if known.name() == text), None)

    def _set(self, text: str) -> None:
        found = self._known(text) or parse_format(text)
        if found is None:
            raise ValueError(f"{self._name}: there is no format {text!r}")
        self._format = found

    def _current(self) -> Format:
        if self._format is None and self._core is not None:
            return self._core.world.root.knobs["format"]._format
        return self._format

    def value(self):
        return self._current()

    def actualValue(self):
        return self._current()

    def getValue(self):
        return self._current()

    def setValue(self, val):
        if isinstance(val, Format):
            return self._change(lambda: self._restore(val))
        if not isinstance(val, str):
            raise TypeError(f"{self._name}: takes a Format or a format's name, not {val!r}")
        return self._change(lambda: self._set(val))


class Link_Knob(Knob):
    """Another knob shown again: values go through to it."""

    def __init__(self, name, label=None):
        super().__init__(name, label)
        self._link = ""

    def _target(self) -> Any:
        from tests.fakes.nuke_standin.expressions import find_knob

        core = self._core
        if core is None or not self._link:
            return None
        node, _, name = self._link.rpartition(".")
        inside = core.child(node) if core.is_group and node else None
        return inside.knobs.get(name) if inside else find_knob(core, self._link)

    def _word(self):
        return self._target()._word() if self._target() else '""'

    def _load(self, kind, inside):
        if self._target() is not None:
            self._target()._load(kind, inside)

    def _raw_text(self):
        return self._target()._raw_text() if self._target() else ""

    def _number(self, channel):
        return self._target()._number(channel) if self._target() else 0.0

    def getLinkedKnob(self):
        return self._target()

    def getLink(self):
        return self._link

    def setLink(self, s):
        self._link = s

    def makeLink(self, s, t):
        self._link = f"{s}.{t}"

    def value(self):
        return self._target().value() if self._target() else None

    def getValue(self):
        return self._target().getValue() if self._target() else None

    def setValue(self, *args):
        if self._target() is None:
            raise ValueError(f"{self._name} links to nothing ({self._link!r})")
        return self._target().setValue(*args)

    def _definition(self):
        return ["T", self._link]


CLASSES: dict[str, type[Knob]] = {
    cls.__name__: cls
    for space in (vars(knobs_array), vars(knobs_text), dict(globals()))
    for cls in space.values()
    if isinstance(cls, type) and issubclass(cls, Knob) and not cls.__name__.startswith("_")
}
CLASSES["Knob"] = Knob
CLASSES.pop("OpaqueKnob", None)
CLASS_OF_TYPE = {
    1: "String_Knob", 2: "File_Knob", 3: "Int_Knob", 4: "Enumeration_Knob", 6: "Boolean_Knob",
    7: "Double_Knob", 8: "Double_Knob", 9: "Array_Knob", 10: "ChannelMask_Knob",
    11: "Channel_Knob", 12: "XY_Knob", 13: "XYZ_Knob", 14: "WH_Knob", 15: "BBox_Knob",
    17: "Format_Knob", 18: "Color_Knob", 19: "AColor_Knob", 20: "Tab_Knob", 22: "PyScript_Knob",
    26: "Text_Knob", 30: "UV_Knob", 32: "Script_Knob", 35: "Pulldown_Knob", 40: "ColorChip_Knob",
    41: "Link_Knob", 43: "Multiline_Eval_String_Knob", 44: "OneView_Knob", 45: "MultiView_Knob",
    52: "PyCustom_Knob", 61: "Password_Knob", 68: "CascadingEnumeration_Knob", 80: "Disable_Knob",
    83: "Radio_Knob", 85: "EditableEnumeration_Knob",
}  # fmt: skip


def make_knob(class_name: str, name: str, default: Any = None, values: Any = None) -> Knob:
    """Build a node's own knob from its row in the manifest."""
    cls = CLASSES.get(class_name)
    if cls is None:
        return OpaqueKnob(name, None, class_name)
    if issubclass(cls, Enumeration_Knob):
        knob = cls(name, None, values or [])
        if isinstance(default, str):
            knob._choose(default)
            knob._default = list(knob._values)
        return knob
    if issubclass(cls, knobs_array.Array_Knob):
        return cls(name, None, default if isinstance(default, int | float) else 0.0)
    if issubclass(cls, knobs_text.String_Knob | _WordKnob):
        return cls(name, None, default if isinstance(default, str) else "")
    return cls(name)
