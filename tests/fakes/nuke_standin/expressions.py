"""Nuke's expression language, the safe part: arithmetic, comparison, ternary, knob references.

One parser serves knobs (``parent.first + 1``) and the Expression node (``a > 0``); it builds
closures over a scope that answers names with floats or float32 arrays.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore

Lookup = Callable[[str], Any]
Compiled = Callable[[Lookup], Any]
TOKEN = re.compile(
    r"\s*(?:(\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(\[[^\]]*\])"
    r"|([A-Za-z_][\w]*(?:(?:\.|::)\w+)*)|(\*\*|[<>=!]=|&&|\|\||[-+*/%^<>!?:(),;]))"
)
LETTERS = {
    "BBox_Knob": "xyrt",
    "WH_Knob": "wh",
    "XY_Knob": "xy",
    "XYZ_Knob": "xyz",
    "UV_Knob": "uv",
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "min": lambda *a: np.minimum.reduce(np.broadcast_arrays(*a)),
    "max": lambda *a: np.maximum.reduce(np.broadcast_arrays(*a)),
    "pow": np.power,
    "sqrt": np.sqrt,
    "exp": np.exp,
    "log": np.log,
    "floor": np.floor,
    "ceil": np.ceil,
    "int": np.trunc,
    "rint": np.rint,
    "sin": np.sin,
    "cos": np.cos,
    "clamp": lambda v, lo=0.0, hi=1.0: np.clip(v, lo, hi),
    "step": lambda edge, v: np.where(np.asarray(v) < edge, 0.0, 1.0),
    "lerp": lambda a, b, t: a + (b - a) * t,
    "isnan": np.isnan,
    "isinf": np.isinf,
}
LEVELS = (("||",), ("&&",), ("==", "!="), ("<", ">", "<=", ">="), ("+", "-"), ("*", "/", "%"))


class ExpressionError(RuntimeError):
    """Nuke would mark the knob or node as being in error."""


def _modulo(left: Any, right: Any) -> Any:
    return np.fmod(left, right)


def _divide(left: Any, right: Any) -> Any:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.true_divide(left, right)


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "||": lambda a, b: np.logical_or(a, b) * 1.0,
    "&&": lambda a, b: np.logical_and(a, b) * 1.0,
    "==": lambda a, b: np.equal(a, b) * 1.0,
    "!=": lambda a, b: np.not_equal(a, b) * 1.0,
    "<": lambda a, b: np.less(a, b) * 1.0,
    ">": lambda a, b: np.greater(a, b) * 1.0,
    "<=": lambda a, b: np.less_equal(a, b) * 1.0,
    ">=": lambda a, b: np.greater_equal(a, b) * 1.0,
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "%": _modulo,
}


class Parser:
    """Recursive descent over one expression."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        index, text = 0, text.strip()
        while index < len(text):
            found = TOKEN.match(text, index)
            if not found:
                raise ExpressionError(f"Syntax error in expression {text!r} at {text[index:]!r}")
            kinds = ("number", "tcl", "name", "sign")
            kind = kinds[next(i for i in range(4) if found[i + 1] is not None)]
            self._tokens.append((kind, found[0].strip()))
            index = found.end()
        self._at, self._text = 0, text

    def parse(self) -> Compiled:
        result = self._ternary()
        if self._at != len(self._tokens):
            raise ExpressionError(f"Nothing was expected after {self._peek()!r} in {self._text!r}")
        return result

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self, sign: str | None = None) -> tuple[str, str]:
        if self._at >= len(self._tokens) or (sign is not None and self._peek() != sign):
            raise ExpressionError(f"{sign or 'a value'} is missing in expression {self._text!r}")
        self._at += 1
        return self._tokens[self._at - 1]

    def _ternary(self) -> Compiled:
        condition = self._binary(0)
        if self._peek() != "?":
            return condition
        self._take("?")
        yes = self._ternary()
        self._take(":")
        no = self._ternary()
        return lambda scope: np.where(np.asarray(condition(scope)) != 0, yes(scope), no(scope))

    def _binary(self, level: int) -> Compiled:
        if level == len(LEVELS):
            return self._power()
        left = self._binary(level + 1)
        while self._peek() in LEVELS[level]:
            operation = BINARY[self._take()[1]]
            left = self._join(operation, left, self._binary(level + 1))
        return left

    @staticmethod
    def _join(operation: Callable[[Any, Any], Any], left: Compiled, right: Compiled) -> Compiled:
        return lambda scope: operation(left(scope), right(scope))

    def _power(self) -> Compiled:
        base = self._unary()
        if self._peek() in ("**", "^"):
            self._take()
            return self._join(np.power, base, self._power())
        return base

    def _unary(self) -> Compiled:
        sign = self._peek()
        if sign in ("-", "+", "!"):
            self._take()
            inner = self._unary()
            if sign == "!":
                return lambda scope: np.equal(inner(scope), 0) * 1.0
            return (lambda scope: -inner(scope)) if sign == "-" else inner
        return self._atom()

    def _atom(self) -> Compiled:
        kind, text = self._take()
        if text == "(":
            inner = self._ternary()
            self._take(")")
            return inner
        if kind == "number":
            return lambda scope: float(text)
        if kind in ("name", "tcl") and self._peek() != "(":
            return lambda scope: scope(text)
        if kind != "name" or text not in FUNCTIONS:
            raise ExpressionError(f"{text!r} is not a function or value (in {self._text!r})")
        return self._call(FUNCTIONS[text])

    def _call(self, function: Callable[..., Any]) -> Compiled:
        self._take("(")
        arguments = []
        while self._peek() != ")":
            arguments.append(self._ternary())
            if self._peek() == ",":
                self._take(",")
        self._take(")")
        return lambda scope: function(*(argument(scope) for argument in arguments))


def compile_expression(text: str) -> Compiled:
    return Parser(text).parse()


def find_node(core: NodeCore, path: list[str]) -> NodeCore | None:
    """Follow node names from ``core``: this, parent, root, inputN, siblings, children."""
    here: NodeCore | None = core
    for position, name in enumerate(path):
        if here is None:
            return None
        found = re.fullmatch(r"input(\d*)", name)
        if name == "this":
            continue
        if name == "root":
            here = core.world.root
        elif name == "parent":
            here = here.parent
        elif found:
            here = here.input_at(int(found[1] or 0))
        else:
            group = here.parent if position == 0 and here.parent else here
            here = group.child(name) or (here.child(name) if position == 0 else None)
    return here


def find_knob(core: NodeCore, reference: str) -> Any:
    """Return the knob a dotted reference names, or None.

    A bare name that the node does not have is looked for on the groups round it.
    """
    *path, name = reference.split(".")
    node = find_node(core, path)
    while not path and node is not None and name not in node.knobs:
        node = node.parent
    return None if node is None else node.knobs.get(name)


def channel_index(knob: Any, letter: str) -> int | None:
    """Which channel ``.x``, ``.w``, ``.r``, ``.2`` of a knob is; None when it has none such."""
    if letter.isdigit():
        return int(letter)
    found = LETTERS.get(type(knob).__name__, "rgba").find(letter)
    return found if len(letter) == 1 and found >= 0 else None


def exists(core: NodeCore, reference: str) -> bool:
    return (
        find_knob(core, reference) is not None or find_node(core, reference.split(".")) is not None
    )


def _node_number(node: NodeCore, name: str) -> float | None:
    if name in ("frame", "x") and name not in node.knobs:
        return node.world.root.knobs["frame"]._number(0)
    if name in ("width", "height") and node.parent is not None:
        return float(getattr(node.format(), name)())
    return None


def _box_edge(core: NodeCore, path: list[str], edge: str) -> float:
    """``input.bbox.r`` and the like: computes the picture."""
    from tests.fakes.nuke_standin.evaluate import current_image

    node = find_node(core, path)
    return float(current_image(node).bbox["xyrt".index(edge)]) if node else 0.0


def knob_scope(core: NodeCore) -> Lookup:
    """Names as an expression on a knob of ``core`` sees them."""
    from tests.fakes.nuke_standin.tcl import substitute

    def lookup(name: str) -> float:
        if name.startswith("["):
            return float(substitute(name, core, lambda text: evaluate(text, core)))
        knob = find_knob(core, name)
        if knob is not None:
            return knob._number(0)
        head, _, last = name.rpartition(".")
        knob = find_knob(core, head) if head else None
        index = None if knob is None else channel_index(knob, last)
        if index is not None:
            return knob._number(index)
        if head.endswith("bbox") and len(last) == 1 and last in "xyrt":
            return _box_edge(core, head.split(".")[:-1], last)
        node = find_node(core, head.split(".")) if head else core
        number = None if node is None else _node_number(node, last)
        if number is None:
            raise ExpressionError(f"Nothing is named {name!r} (on {core.full_name()})")
        return number

    return lookup


def evaluate(text: str, core: NodeCore) -> float:
    """The value of an expression on a knob of ``core``."""
    return float(compile_expression(text)(knob_scope(core)))
