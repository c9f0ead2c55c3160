"""Knobs that hold numbers, with expressions and keys on each channel."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any, ClassVar

from tests.fakes.nuke_standin import tcl
from tests.fakes.nuke_standin.knobs_base import Knob


class Array_Knob(Knob):
    """``size`` floats. An expression or keys on a channel win over its plain number."""

    SIZE = 1

    def __init__(self, name, label=None, value=0.0):
        super().__init__(name, label)
        given = list(value) if isinstance(value, list | tuple) else [value] * self.SIZE
        self._values = [float(number) for number in given]
        self._default = list(self._values)
        self._expressions: dict[int, str] = {}
        self._keys: dict[int, dict[float, float]] = {}
        self._range = (0.0, 1.0)
        self._loaded_range: str | None = None

    # -- state ------------------------------------------------------------------------

    def _state(self) -> Any:
        keys = {channel: dict(curve) for channel, curve in self._keys.items()}
        return list(self._values), dict(self._expressions), keys

    def _restore(self, state):
        self._values, self._expressions = list(state[0]), dict(state[1])
        self._keys = {channel: dict(curve) for channel, curve in state[2].items()}

    def _is_default(self):
        return self._values == self._default and not self._expressions and not self._keys

    def _is_blank(self):
        return not any(self._values) and not self._expressions and not self._keys

    def _number(self, channel, frame=None) -> float:
        channel = min(channel, len(self._values) - 1)
        if channel in self._expressions:
            from tests.fakes.nuke_standin.expressions import evaluate

            return evaluate(self._expressions[channel], self._core)
        if channel in self._keys:
            if frame is None:
                frame = self._core.world.root.knobs["frame"]._number(0) if self._core else 1
            return _interpolate(self._keys[channel], float(frame))
        return self._values[channel]

    def _vector(self) -> list[float]:
        return [self._number(channel) for channel in range(len(self._values))]

    def _raw_text(self):
        return " ".join(f"{number:.9g}" for number in self._vector())

    def _channel_word(self, channel: int) -> str:
        if channel in self._expressions:
            text = self._expressions[channel]
            return "{" + (tcl.quote(text) if re.search(r'["\\{}]', text) else text) + "}"
        if channel in self._keys:
            keys = self._keys[channel].items()
            return (
                "{curve "
                + " ".join(f"x{frame:g} {_format_number(value)}" for frame, value in keys)
                + "}"
            )
        return _format_number(self._values[channel])

    def _word(self):
        words = [self._channel_word(channel) for channel in range(len(self._values))]
        plain = not self._expressions and not self._keys
        if plain and len(set(words)) == 1 and (len(words) == 1 or self._may_be_single()):
            return words[0]
        return "{" + " ".join(words) + "}"

    def _may_be_single(self) -> bool:
        return isinstance(self, Color_Knob | WH_Knob | Scale_Knob)

    def _load(self, kind, inside):
        words = []
        if kind == "brace":
            index = 0
            while index < len(inside):
                if inside[index].isspace():
                    index += 1
                    continue
                word_kind, word, index = tcl.read_word(inside, index)
                words.append((word_kind, word))
        else:
            words = [(kind, word) for word in self._text_of((kind, inside)).split()]
        self._expressions, self._keys = {}, {}
        spread = words * self.SIZE if len(words) == 1 and self.SIZE > 1 else words
        for channel, (word_kind, word) in enumerate(spread[: max(self.SIZE, len(self._values))]):
            self._load_channel(channel, word_kind, word)

    def _load_channel(self, channel: int, kind: str, word: str) -> None:
        number = _to_number(word)
        if number is not None:
            self._values[channel] = number
        elif kind == "brace" and word.split()[:1] == ["curve"]:
            self._keys[channel] = _read_curve(word)
        elif kind == "brace":
            self._expressions[channel] = _read_expression(word)
        else:
            raise tcl.TclError(f"{self._name}: expected a number, found {word!r}")

    # -- nuke.Array_Knob ----------------------------------------------------------------

    def _cast(self, number: float) -> Any:
        return float(number)

    def value(self, index=-1, view=None):
        if index >= 0:
            return self._cast(self._number(index))
        vector = [self._cast(number) for number in self._vector()]
        if len(vector) == 1 or (self._may_be_single() and len(set(vector)) == 1):
            return vector[0]
        return vector

    def getValue(self, index=-1, view=None):
        if index >= 0:
            return self._number(index)
        vector = self._vector()
        single = len(vector) == 1 or (self._may_be_single() and len(set(vector)) == 1)
        return vector[0] if single else vector

    def valueAt(self, time, channel=-1, view=None):
        return self._cast(self._number(max(channel, 0), time))

    def getValueAt(self, time, channel=-1):
        return self._number(max(channel, 0), time)

    def _check(self, val: Any) -> None:
        many = isinstance(val, list | tuple)
        if not all(type(item) in (int, float, bool) for item in (val if many else [val])):
            raise TypeError(f"{self._name}: {type(self).__name__} takes numbers, not {val!r}")
        if many and len(val) > len(self._values):
            raise ValueError(f"{self._name} has {len(self._values)} channels, not {len(val)}")

    def setValue(self, val, channel=-1, time=None, view=None):
        self._check(val)
        return self._change(lambda: self._assign(val, channel))

    def _assign(self, val: Any, channel: int) -> None:
        if isinstance(val, list | tuple):
            for index, number in enumerate(val):
                self._assign(number, index)
            return
        targets = range(len(self._values)) if channel < 0 else (channel,)
        for index in targets:
            if index in self._keys:
                frame = self._core.world.root.knobs["frame"]._number(0) if self._core else 1.0
                self._keys[index][frame] = float(val)
            else:
                self._values[index] = float(val)

    def setValueAt(self, val, time, channel=-1):
        self._check(val)

        def apply():
            targets = range(len(self._values)) if channel < 0 else (channel,)
            for index in targets:
                self._keys.setdefault(index, {})[float(time)] = float(val)

        return self._change(apply)

    def setAnimated(self, channel=-1):
        for index in range(len(self._values)) if channel < 0 else (channel,):
            self._keys.setdefault(index, {})
        return True

    def clearAnimated(self, channel=-1):
        self._change(self._clear)
        return True

    def _clear(self) -> None:
        self._values, self._keys, self._expressions = self._vector(), {}, {}

    def isAnimated(self, channel=-1, view=None):
        return bool(self._keys or self._expressions)

    def getKeyList(self, channel=-1):
        return sorted({frame for curve in self._keys.values() for frame in curve})

    def setExpression(self, expression, channel=-1, view=None):
        def apply():
            for index in range(len(self._values)) if channel < 0 else (channel,):
                self._expressions[index] = expression

        return self._change(apply)

    def hasExpression(self, channel=-1):
        return bool(self._expressions) if channel < 0 else channel in self._expressions

    def array(self):
        return self._vector()

    def vect(self):
        return self._vector()

    def arraySize(self):
        return len(self._values)

    def setRange(self, f1, f2):
        self._range, self._loaded_range = (float(f1), float(f2)), f"{f1:g} {f2:g}"

    def min(self):
        return self._range[0]

    def max(self):
        return self._range[1]

    def defaultValue(self):
        return self._default[0]

    def setDefaultValue(self, values):
        self._default = [float(number) for number in values]

    def singleValue(self, view=None):
        return len(set(self._vector())) == 1

    def _definition(self):
        return ["R", *self._loaded_range.split()] if self._loaded_range else []


class Double_Knob(Array_Knob):
    """One float."""


class IArray_Knob(Array_Knob):
    """Whole numbers."""

    def _cast(self, number):
        return int(number)


class Int_Knob(Array_Knob):
    """One whole number of 32 bits: ``value()`` is int."""

    def _cast(self, number):
        return int(number)

    def _check(self, val):
        super()._check(val)
        if not -(2**31) <= val < 2**31:
            raise OverflowError(f"{self._name}: {val} does not fit into 32 bits")

    def _assign(self, val, channel):
        super()._assign(int(val), channel)


class Unsigned_Knob(Array_Knob):
    """A whole number from 0."""

    def _cast(self, number):
        return int(number)


class Boolean_Knob(Array_Knob):
    """``value()`` is bool; ``getValue()`` is 0.0 or 1.0."""

    WORDS: ClassVar = {"true": 1.0, "false": 0.0, "on": 1.0, "off": 0.0}

    def __init__(self, name, label=None, value=False):
        super().__init__(name, label, float(bool(value)))

    def _cast(self, number):
        return bool(number)

    def _assign(self, val, channel):
        super()._assign(bool(val), channel)

    def _channel_word(self, channel):
        if channel in self._expressions or channel in self._keys:
            return super()._channel_word(channel)
        return "true" if self._values[channel] else "false"

    def _load_channel(self, channel, kind, word):
        super()._load_channel(channel, kind, str(self.WORDS.get(word.lower(), word)))


class Disable_Knob(Boolean_Knob):
    """The D of a node."""


class XY_Knob(Array_Knob):
    """A position."""

    SIZE = 2


class XYZ_Knob(Array_Knob):
    """A position in space."""

    SIZE = 3


class WH_Knob(Array_Knob):
    """A size: one number while both are equal."""

    SIZE = 2


class UV_Knob(Array_Knob):
    """A texture coordinate."""

    SIZE = 2


class Scale_Knob(Array_Knob):
    """Three factors."""

    SIZE = 3


class BBox_Knob(Array_Knob):
    """x y r t."""

    SIZE = 4


class Box3_Knob(Array_Knob):
    """A box in space."""

    SIZE = 6


class Color_Knob(Array_Knob):
    """r g b: one number while all are equal."""

    SIZE = 3


class AColor_Knob(Color_Knob):
    """r g b a."""

    SIZE = 4


class ColorChip_Knob(Unsigned_Knob):
    """0xrrggbbaa as one int."""

    def _channel_word(self, channel):
        return f"0x{int(self._values[0]):08x}" if self._values[0] else "0"


def _format_number(number: float) -> str:
    if number == int(number) and abs(number) < 1e15:
        return str(int(number))
    return repr(number)


def _to_number(word: str) -> float | None:
    if re.fullmatch(r"0x[0-9a-fA-F]+", word):
        return float(int(word, 16))
    try:
        return float(word)
    except ValueError:
        return None


def _read_expression(text: str) -> str:
    """The expression alone: quotes, an ``i`` and left-over keys (``x1001 0.2``) are dropped."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        return tcl.unescape(text[1:-1])
    return re.sub(r"\s+(i|x-?\d+(\.\d+)?\s+\S+)(\s.*)?$", "", text, flags=re.S)


def _read_curve(text: str) -> dict[float, float]:
    """``curve x1 0 x10 1 2``: a number without x belongs to the next frame."""
    keys: dict[float, float] = {}
    frame = 1.0
    for word in text.split()[1:]:
        if word.startswith("x") and _to_number(word[1:]) is not None:
            frame = float(word[1:])
        elif (number := _to_number(word)) is not None:
            keys[frame] = number
            frame += 1
    return keys


def _interpolate(keys: dict[float, float], frame: float) -> float:
    """Linear between keys, held outside them. No keys is 0."""
    if not keys:
        return 0.0
    frames = sorted(keys)
    if frame <= frames[0]:
        return keys[frames[0]]
    for left, right in pairwise(frames):
        if frame <= right:
            share = (frame - left) / (right - left)
            return keys[left] + (keys[right] - keys[left]) * share
    return keys[frames[-1]]
