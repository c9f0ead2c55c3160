"""JSON for the contract's dataclasses: strict, typed, errors that name the field.

Fields equal to their default are left out on the wire. Decoding checks every value
against the field's annotation: the same check on both sides, from one definition.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import math
import types
from collections.abc import Mapping
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from genai_fill_contract.errors import MalformedMessage

T = TypeVar("T")
Unknown = Literal["reject", "ignore"]

MAX_MESSAGE_BYTES = 4 * 1024 * 1024
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""What a client takes in from a backend that has proved itself: a list of many jobs, each with
its request and its frames, is larger than any message a client may send."""

MAX_WHOLE_NUMBER = 2**63 - 1
"""No larger (or, negative, smaller) whole number is taken in: databases and frame numbers end
there, and one of thousands of digits stops whoever makes a float or a file name of it."""


def encode(message: object) -> dict[str, Any]:
    """Return the JSON object of a contract dataclass, defaults left out."""
    if not dataclasses.is_dataclass(message) or isinstance(message, type):
        raise TypeError(f"not a contract message: {message!r}")
    wire: dict[str, Any] = {}
    for field in dataclasses.fields(message):
        value = getattr(message, field.name)
        if value != _default_of(field):
            wire[field.name] = _to_wire(value)
    return wire


def dumps(message: object) -> str:
    """Return the JSON text of a contract dataclass. Non-finite numbers are refused."""
    return json.dumps(encode(message), ensure_ascii=False, allow_nan=False)


def decode(cls: type[T], wire: object, *, unknown: Unknown = "reject") -> T:
    """Return the dataclass ``cls`` that ``wire`` (parsed JSON) describes.

    ``unknown`` says what to do with a field that this side does not know: a server rejects
    it (it would be an option silently dropped), a client ignores it (the server may be a
    later minor version). Raises `MalformedMessage` naming the field.
    """
    return _from_wire(cls, wire, cls.__name__, unknown)  # type: ignore[no-any-return]


def loads(
    cls: type[T],
    text: str | bytes,
    *,
    unknown: Unknown = "reject",
    max_bytes: int = MAX_MESSAGE_BYTES,
) -> T:
    """Return the dataclass ``cls`` that a JSON text of up to ``max_bytes`` describes."""
    if len(text) > max_bytes:
        raise _malformed(cls.__name__, f"is larger than {max_bytes} bytes")
    try:
        wire = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _malformed(cls.__name__, f"is not JSON ({error})") from error
    return decode(cls, wire, unknown=unknown)


def _malformed(where: str, what: str) -> MalformedMessage:
    return MalformedMessage(
        f"{where} {what}.",
        hint="Use the same GenAI Fill release on both sides, or mend the message.",
        field=where,
    )


def _default_of(field: dataclasses.Field[Any]) -> object:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _to_wire(value: object) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return encode(value)
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): _to_wire(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [_to_wire(item) for item in value]
    return value


@functools.cache
def _hints(cls: type) -> dict[str, Any]:
    return get_type_hints(cls)


def _from_wire(hint: Any, wire: object, where: str, unknown: Unknown) -> Any:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _union(hint, wire, where, unknown)
    if origin is tuple:
        return _tuple(hint, wire, where, unknown)
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(hint, wire, where, unknown)
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint, wire, where, unknown)  # type: ignore[arg-type]
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _enum(hint, wire, where)
    return _scalar(hint, wire, where)


def _scalar(hint: type, wire: object, where: str) -> Any:
    if isinstance(wire, int) and not -MAX_WHOLE_NUMBER <= wire <= MAX_WHOLE_NUMBER:
        raise _malformed(where, "is a whole number of more than 64 bits")
    if hint is float and isinstance(wire, int) and not isinstance(wire, bool):
        return float(wire)
    if hint is float and isinstance(wire, float) and not math.isfinite(wire):
        raise _malformed(where, "is not a finite number")
    if type(wire) is not hint:
        raise _malformed(where, f"is {_name(wire)}, not {hint.__name__}")
    return wire


def _name(wire: object) -> str:
    return "null" if wire is None else type(wire).__name__


def _enum(hint: type[enum.Enum], wire: object, where: str) -> Any:
    try:
        return hint(wire)
    except ValueError:
        choices = ", ".join(str(member.value) for member in hint)
        raise _malformed(where, f"is {wire!r}, not one of {choices}") from None


def _union(hint: Any, wire: object, where: str, unknown: Unknown) -> Any:
    members = get_args(hint)
    if wire is None:
        if type(None) in members:
            return None
        raise _malformed(where, "is null")
    # bool before int before float: JSON's own types decide, so no value changes its kind.
    exact = [member for member in members if member is type(wire)]
    candidates = exact or [member for member in members if member is not type(None)]
    error: MalformedMessage | None = None
    for member in candidates:
        try:
            return _from_wire(member, wire, where, unknown)
        except MalformedMessage as failure:
            error = failure
    raise error or _malformed(where, f"is {_name(wire)}")


def _tuple(hint: Any, wire: object, where: str, unknown: Unknown) -> Any:
    if not isinstance(wire, list):
        raise _malformed(where, f"is {_name(wire)}, not a list")
    members = get_args(hint)
    if len(members) == 2 and members[1] is Ellipsis:
        members = (members[0],) * len(wire)
    if len(members) != len(wire):
        raise _malformed(where, f"has {len(wire)} entries, not {len(members)}")
    return tuple(
        _from_wire(member, item, f"{where}[{index}]", unknown)
        for index, (member, item) in enumerate(zip(members, wire, strict=True))
    )


def _mapping(hint: Any, wire: object, where: str, unknown: Unknown) -> Any:
    if not isinstance(wire, dict):
        raise _malformed(where, f"is {_name(wire)}, not an object")
    _, value_hint = get_args(hint)
    return {
        key: _from_wire(value_hint, item, f"{where}.{key}", unknown) for key, item in wire.items()
    }


def _dataclass(cls: type, wire: object, where: str, unknown: Unknown) -> Any:
    if not isinstance(wire, dict):
        raise _malformed(where, f"is {_name(wire)}, not an object")
    hints = _hints(cls)
    names = {field.name for field in dataclasses.fields(cls)}
    if unknown == "reject" and (strangers := sorted(set(wire) - names)):
        raise _malformed(f"{where}.{strangers[0]}", "is not a field of this version")
    values = {
        name: _from_wire(hints[name], wire[name], f"{where}.{name}", unknown)
        for name in names
        if name in wire
    }
    try:
        return cls(**values)
    except TypeError as error:
        missing = sorted(
            field.name
            for field in dataclasses.fields(cls)
            if field.name not in values and _default_of(field) is dataclasses.MISSING
        )
        raise _malformed(f"{where}.{missing[0] if missing else '?'}", "is missing") from error
