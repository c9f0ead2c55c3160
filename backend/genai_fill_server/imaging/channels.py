"""Find a layer, view or channel in a file, however it was written.

The same picture comes in many spellings: ``R`` or ``red``, ``layer.R``, ``left.layer.R``,
``layer.left.R``, or plain ``R`` in a part called ``layer`` or ``rgba.left``. Channel names are
hostile input: they are compared, never interpreted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from genai_fill_contract.errors import UnknownChannel

_SHORT = {"red": "r", "green": "g", "blue": "b", "alpha": "a"}
_MAIN_LAYERS = {"", "rgb", "rgba", "beauty", "main"}
_SHOWN_NAMES = 12


@dataclass(frozen=True)
class FileChannel:
    """One channel of a file: which part it is in, its place there, its full name.

    ``part_name`` and ``part_view`` are what the part says of itself; ``default_view`` marks
    channels that carry no view's name in a file with several views.
    """

    part: int
    index: int
    name: str
    part_name: str = ""
    part_view: str = ""


@dataclass(frozen=True)
class _Spelt:
    """A channel's name taken apart: layer, view, component, all lower case."""

    channel: FileChannel
    layer: str
    view: str
    component: str


def find_rgb(
    channels: Sequence[FileChannel], layer: str, view: str, views: Sequence[str], where: str
) -> tuple[FileChannel, FileChannel, FileChannel]:
    """Return the R, G and B of ``layer`` in ``view``.

    A file of one channel, or a layer with only a luminance, gives it three times. Raises
    `UnknownChannel` naming ``where`` and what there is.
    """
    members = {spelt.component: spelt.channel for spelt in _of(channels, layer, view, views)}
    for names in (("r", "g", "b"), ("x", "y", "z"), ("u", "v", "w")):
        if all(name in members for name in names):
            return members[names[0]], members[names[1]], members[names[2]]
    for single in ("y", "l", "i"):
        if single in members:
            return (members[single],) * 3
    if len(channels) == 1 and layer.lower() in _MAIN_LAYERS:
        return (channels[0],) * 3
    raise _unknown(f"layer {layer!r}", view, channels, where)


def find_layer(
    channels: Sequence[FileChannel], layer: str, view: str, views: Sequence[str], where: str
) -> tuple[tuple[FileChannel, ...], FileChannel | None]:
    """Return one to three channels of ``layer`` in ``view``, in order, and its alpha if any.

    For layers that need not be colour: motion has ``u`` and ``v``, depth has ``z``. Raises
    `UnknownChannel`.
    """
    members = {spelt.component: spelt.channel for spelt in _of(channels, layer, view, views)}
    alpha = members.pop("a", None)
    for names in (("r", "g", "b"), ("x", "y", "z"), ("r", "g"), ("u", "v"), ("x", "y")):
        if all(name in members for name in names):
            return tuple(members[name] for name in names), alpha
    for single in ("y", "l", "i", "z", "r"):
        if single in members:
            return (members[single],), alpha
    if len(members) == 1:
        return (next(iter(members.values())),), alpha
    if len(channels) == 1 and layer.lower() in _MAIN_LAYERS:
        return (channels[0],), None
    raise _unknown(f"layer {layer!r}", view, channels, where)


def find_channel(
    channels: Sequence[FileChannel], name: str, view: str, views: Sequence[str], where: str
) -> FileChannel:
    """Return the channel that Nuke calls ``name`` ("rgba.alpha", "roto.a") in ``view``.

    A file of one channel gives that one when its main layer is asked for. Raises
    `UnknownChannel`.
    """
    layer, _, component = name.rpartition(".")
    wanted = _component(component)
    matches = [s.channel for s in _of(channels, layer, view, views) if s.component == wanted]
    if matches:
        return matches[0]
    exact = [channel for channel in channels if channel.name.lower() == name.lower()]
    if exact:
        return exact[0]
    if len(channels) == 1 and layer.lower() in _MAIN_LAYERS:
        return channels[0]
    raise _unknown(f"channel {name!r}", view, channels, where)


def _of(
    channels: Sequence[FileChannel], layer: str, view: str, views: Sequence[str]
) -> list[_Spelt]:
    """Return the channels of a layer, those of the view first, else those of no view."""
    known = {name.lower() for name in views}
    wanted = layer.lower()
    names = _MAIN_LAYERS if wanted in _MAIN_LAYERS else {wanted}
    spelt = [_spell(channel, known) for channel in channels]
    members = [s for s in spelt if s.layer in names]
    in_view = [s for s in members if s.view == view.lower()]
    if in_view:
        return _plain_first(in_view)
    # Without a view's name a channel belongs to the first view; a file that has only one
    # view answers for any, since a mono plate is the same for both eyes.
    return _plain_first([s for s in members if s.view == "" or len(known) <= 1])


def _plain_first(members: list[_Spelt]) -> list[_Spelt]:
    """Order so that in a mapping the shortest spelling of a component comes last and wins."""
    return sorted(members, key=lambda s: len(s.channel.name), reverse=True)


def _spell(channel: FileChannel, views: set[str]) -> _Spelt:
    tokens = channel.name.lower().split(".")
    component = _component(tokens[-1])
    view = channel.part_view.lower()
    layer_tokens = []
    for token in tokens[:-1]:
        if token in views and not view:
            view = token
        elif token != view or token not in views:
            layer_tokens.append(token)
    layer = ".".join(layer_tokens)
    if not layer and channel.part_name:
        layer = _layer_of_part(channel.part_name.lower(), views | {view})
    return _Spelt(channel, layer, view, component)


def _layer_of_part(part_name: str, views: set[str]) -> str:
    """Return the layer that a part's name gives: "rgba.left" and "rgba_left" are "rgba"."""
    for view in views - {""}:
        if part_name == view:
            return ""
        for separator in (".", "_"):
            part_name = part_name.removesuffix(separator + view)
            part_name = part_name.removeprefix(view + separator)
    return part_name


def _component(name: str) -> str:
    lowered = name.lower()
    return _SHORT.get(lowered, lowered)


def _unknown(what: str, view: str, channels: Sequence[FileChannel], where: str) -> UnknownChannel:
    names = [ascii(channel.name)[1:-1][:64] for channel in channels[:_SHOWN_NAMES]]
    more = f" and {len(channels) - _SHOWN_NAMES} more" if len(channels) > _SHOWN_NAMES else ""
    return UnknownChannel(
        f"There is no {what} (view {view!r}) in {where}.",
        hint=f"The file has: {', '.join(names) or 'no channels'}{more}. Choose one of these.",
        path=where,
    )
