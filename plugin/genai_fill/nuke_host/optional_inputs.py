"""The node's optional inputs: what is connected, and for what an engine can use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from genai_fill.app.ports import OptionalInput
from genai_fill.domain.frame_ranges import parse_frames
from genai_fill.nuke_host.editing import first_word
from genai_fill.nuke_host.footage import footage_of
from genai_fill.nuke_host.knobs import read_value
from genai_fill_contract.errors import UnknownChannel
from genai_fill_contract.plate import FrameRange, InputRole

REFERENCE, MOTION, PATCH, CONTROL = 2, 3, 4, 5
"""The numbers of the node's optional inputs."""

_VECTORS = {InputRole.MOTION_FORWARD: "forward", InputRole.MOTION_BACKWARD: "backward"}
_PLAIN = (
    (REFERENCE, InputRole.REFERENCE),
    (PATCH, InputRole.PATCH),
    (CONTROL, InputRole.CONTROL),
)


def connected_names(node: Any) -> tuple[str, ...]:
    """Return the names of the optional inputs that are connected."""
    numbers = {"reference": REFERENCE, "motion": MOTION, "patch": PATCH, "control": CONTROL}
    return tuple(name for name, number in numbers.items() if node.input(number) is not None)


def connected_inputs(node: Any, roles: tuple[InputRole, ...]) -> tuple[OptionalInput, ...]:
    """Return the inputs that are connected and can have one of ``roles``.

    A node of a release without these inputs has none. Raises `UnknownChannel` when an input
    has not the channels of its role, and `InvalidRequest` for a damaged list of frames.
    """
    found = []
    for number, role in _PLAIN:
        source = node.input(number)
        if role in roles and source is not None:
            found.append(_as_role(node, source, role))
    source = node.input(MOTION)
    if source is not None and set(roles) & {*_VECTORS, InputRole.STMAP}:
        found += [_as_role(node, source, r) for r in _motion_roles(node, source) if r in roles]
    return tuple(found)


def _as_role(node: Any, source: Any, role: InputRole) -> OptionalInput:
    needed = tuple(_channels_of(source, role))
    return OptionalInput(
        role,
        FrameRange(int(source.firstFrame()), int(source.lastFrame())),
        named=_patch_frames(node) if role is InputRole.PATCH else (),
        footage=footage_of(source, channel=needed[-1]),
    )


def _channels_of(source: Any, role: InputRole) -> Iterator[str]:
    """Yield the channels that a role cannot do without; raises if the pipe has them not."""
    have = [str(channel) for channel in source.channels()]
    if role in _VECTORS:
        yield from (name for name in have if name.startswith(f"{_VECTORS[role]}."))
        return
    needed = {InputRole.PATCH: "rgba.alpha", InputRole.STMAP: "rgba.green"}.get(role, "rgba.red")
    if needed not in have:
        raise UnknownChannel(
            f"The {'motion' if role is InputRole.STMAP else role.value} input has no channel "
            f"{needed}.",
            hint=_HINTS[role],
        )
    yield needed


_HINTS = {
    InputRole.REFERENCE: "Shuffle the picture into rgba.",
    InputRole.CONTROL: "Shuffle depth or edges into rgba, or disconnect the input.",
    InputRole.PATCH: "Give it an alpha that is 1 where the paint counts.",
    InputRole.STMAP: "Connect motion vectors in the layers forward and backward, or an STMap "
    "in red and green.",
}


def _motion_roles(node: Any, source: Any) -> tuple[InputRole, ...]:
    """Return what the motion input is: vectors if it has such layers, else an STMap."""
    kind = first_word(str(read_value(node, "motion_kind", "auto")))
    layers = {str(channel).partition(".")[0] for channel in source.channels()}
    vectors = tuple(role for role, layer in _VECTORS.items() if layer in layers)
    if kind == "stmap" or (kind != "vectors" and not vectors):
        return (InputRole.STMAP,)
    if not vectors:
        raise UnknownChannel(
            "The motion input has neither a layer forward nor a layer backward.",
            hint="Connect a VectorGenerator or rendered motion, or set the motion to stmap.",
        )
    return vectors


def _patch_frames(node: Any) -> tuple[int, ...]:
    return parse_frames(str(read_value(node, "patch_frames", "")))
