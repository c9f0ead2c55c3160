"""The little of TCL that Nuke files and file knobs use: words, escapes, safe substitution.

Nothing is ever executed. A command that could act on the machine is written down in
``World.tcl_violations``, so that a test can show that no text of an artist reached TCL.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore

ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
HARMLESS = {"value", "knob", "exists", "frame", "file", "getenv", "expr", "numvalue"}
_VARIABLE = re.compile(r"\$(?:\{([^}]*)\}?|((?:[A-Za-z0-9_]|::)+))")


class TclError(RuntimeError):
    """The text is not what Nuke's reader accepts."""


def line_of(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def end_of_braces(text: str, start: int) -> int:
    """Return the index after the brace that closes the one at ``start``."""
    depth, index = 0, start
    while index < len(text):
        char = text[index]
        if char == "\\":
            index += 1
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return index + 1
        index += 1
    raise TclError(f"line {line_of(text, start)}: missing close-brace")


def end_of_brackets(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        depth += {"[": 1, "]": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    raise TclError(f'line {line_of(text, start)}: missing close-bracket in "{text[start:]}"')


def end_of_quotes(text: str, start: int) -> int:
    index = start + 1
    while index < len(text):
        if text[index] == "\\":
            index += 1
        elif text[index] == '"':
            return index + 1
        index += 1
    raise TclError(f'line {line_of(text, start)}: missing "')


def read_word(text: str, start: int) -> tuple[str, str, int]:
    """Return (kind, raw inside, end) of the word at ``start``: brace, quote or bare."""
    if text[start] == "{":
        end = end_of_braces(text, start)
        return "brace", text[start + 1 : end - 1], end
    if text[start] == '"':
        end = end_of_quotes(text, start)
        return "quote", text[start + 1 : end - 1], end
    end = start
    while end < len(text) and not text[end].isspace() and text[end] != ";":
        if text[end] == "[":
            end = end_of_brackets(text, end)
            continue
        end += 2 if text[end] == "\\" else 1
    return "bare", text[start:end], min(end, len(text))


def unescape(text: str) -> str:
    """Resolve backslashes of a quoted or bare word."""

    def resolve(found: re.Match[str]) -> str:
        body = found[1]
        if len(body) > 1 and body[0] in "ux":
            return chr(int(body[1:], 16))
        if body.isdigit():
            return chr(int(body, 8))
        return ESCAPES.get(body, "" if body == "\n" else body)

    return re.sub(
        r"\\(u[0-9a-fA-F]{1,4}|x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", resolve, text, flags=re.S
    )


def split_list(text: str) -> list[str]:
    """Split a TCL list into its elements, each unescaped."""
    words, index = [], 0
    while index < len(text):
        if text[index].isspace():
            index += 1
            continue
        kind, inside, index = read_word(text, index)
        words.append(inside if kind == "brace" else unescape(inside))
    return words


def quote(text: str) -> str:
    """Write text so that Nuke's reader gives it back unchanged."""
    if re.fullmatch(r"[A-Za-z0-9_./%:+\-@*,=<>!#|~^&']+", text) and not text.startswith("#"):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    escaped = escaped.replace("\r", "\\r").replace("\t", "\\t")
    escaped = re.sub(r"([\[\]{}$])", r"\\\1", escaped)
    return f'"{escaped}"'


def substitute(text: str, core: NodeCore | None, node_expression: Callable[[str], float]) -> str:
    """Expand ``[...]``, ``$name`` and backslashes as TCL does, without running anything."""
    out, index = [], 0
    while index < len(text):
        char = text[index]
        if char == "\\":
            found = re.compile(r"\\(u[0-9a-fA-F]{1,4}|x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.S).match(
                text, index
            )
            out.append(unescape(found[0]) if found else "\\")
            index = found.end() if found else index + 1
        elif char == "[":
            end = end_of_brackets(text, index)
            out.append(command(text[index + 1 : end - 1], core, node_expression))
            index = end
        elif char == "$" and (found := _VARIABLE.match(text, index)):
            if found[0].startswith("${") and not found[0].endswith("}"):
                raise TclError("missing close-brace for variable name")
            out.append(_variable(found[1] or found[2] or "", core))
            index = found.end()
        else:
            out.append(char)
            index += 1
    return "".join(out)


def _variable(name: str, core: NodeCore | None) -> str:
    if name == "gui" and core is not None:
        return str(int(core.world.gui))
    raise TclError(f'can\'t read "{name}": no such variable')


def command(text: str, core: NodeCore | None, node_expression: Callable[[str], float]) -> str:
    """Answer a harmless TCL command; write any other down as a violation and give ""."""
    from tests.fakes.nuke_standin.expressions import exists, find_knob

    if not text.strip():
        return ""
    words = split_list(substitute(text, core, node_expression) if "[" in text else text)
    name, args = words[0], words[1:]
    if name not in HARMLESS or core is None:
        if core is not None:
            core.world.tcl_violations.append(text)
        return ""
    if name in ("value", "knob", "numvalue"):
        knob = find_knob(core, args[0])
        if knob is None:
            raise TclError(f'There is no knob "{args[0]}"')
        return knob._tcl_value()
    if name == "exists":
        return str(int(exists(core, args[0])))
    if name == "frame":
        return f"{core.world.root.knobs['frame']._number(0):g}"
    if name == "file":
        return _file(args)
    if name == "expr":
        return f"{node_expression(' '.join(args)):g}"
    return _environment(args)


def _file(args: list[str]) -> str:
    path = args[1].replace("\\", "/")
    head, _, tail = path.rpartition("/")
    answers = {
        "dirname": head or ".",
        "tail": tail,
        "rootname": path.rpartition(".")[0] or path,
        "extension": "." + tail.rpartition(".")[2] if "." in tail else "",
    }
    if args[0] not in answers:
        raise NotImplementedError(f"TCL 'file {args[0]}' is not in the stand-in.")
    return answers[args[0]]


def _environment(args: list[str]) -> str:
    import os

    return os.environ.get(args[0], "")
