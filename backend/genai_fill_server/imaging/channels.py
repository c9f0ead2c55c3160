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
_MAIN_LAYERS = ("", "rgba", "rgb", "main", "beauty")
"""The names of the main layer, the plainest first: "" are channels called just ``R`` or ``A``."""

_MAIN_WORDS = ("", "rgba", "rgb")
"""The words that ask for whatever is the main layer, not for a layer of that name."""

_PICTURE = frozenset("rgbxyuvwli")
"""Components of a picture; a main layer without any has only a matte, a depth or ids."""

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


_Members = dict[str, FileChannel]
"""The channels of one layer by component: "r", "g", "b", "a", "z", ..."""


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
    for members in _pictures(channels, layer, view, views):
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
    for members in _pictures(channels, layer, view, views):
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

    It is of the layer that `find_rgb` gives, never of another one. A file of one channel gives
    that one when its main layer is asked for. Raises `UnknownChannel`.
    """
    layer, _, component = name.rpartition(".")
    wanted = _component(component)
    for members in _layers(channels, layer, view, views):
        if wanted in members:
            return members[wanted]
        if not _PICTURE.isdisjoint(members):
            break  # this is the picture, and another layer's channel is not of it
    exact = [channel for channel in channels if channel.name.lower() == name.lower()]
    if exact:
        return exact[0]
    if len(channels) == 1 and layer.lower() in _MAIN_LAYERS:
        return channels[0]
    raise _unknown(f"channel {name!r}", view, channels, where)


def _pictures(
    channels: Sequence[FileChannel], layer: str, view: str, views: Sequence[str]
) -> list[_Members]:
    """Return what `_layers` does, those last that are no picture."""
    found = _layers(channels, layer, view, views)
    return sorted(found, key=lambda members: _PICTURE.isdisjoint(members))


def _layers(
    channels: Sequence[FileChannel], layer: str, view: str, views: Sequence[str]
) -> list[_Members]:
    """Return the layers that ``layer`` may mean, the likeliest first, each on its own.

    The layer of that name, then those that are the main layer by other names if it is one.
    """
    known = list(dict.fromkeys(name.lower() for name in views))
    asked = view.lower()
    spelt = [_spell(channel, set(known)) for channel in channels]
    # Without a view's name a channel belongs to the first view; a file that has only one
    # view answers for any, since a mono plate is the same for both eyes.
    if len(known) <= 1:
        rounds = [[{asked}, {s.view for s in spelt}]]
    elif asked == known[0] or asked not in known:
        rounds = [[{asked}, {""}]]
    else:
        rounds = [[{asked}], [{""}]]
    return [
        members
        for seen in rounds
        for name in _names_of(layer)
        for shown in seen
        for members in _apart([s for s in spelt if s.layer == name and s.view in shown])
    ]


def _names_of(layer: str) -> list[str]:
    """Return under which names a layer is looked for, in this order."""
    wanted = layer.lower()
    if wanted not in _MAIN_LAYERS:
        return [wanted]
    first = [] if wanted in _MAIN_WORDS else [wanted]
    return list(dict.fromkeys((*first, *_MAIN_LAYERS)))


def _apart(spelt: list[_Spelt]) -> list[_Members]:
    """Return the channels of one layer, in several if it is there more than once.

    A part that has a component again is another picture, as a thumbnail is; one that has only
    others belongs to the same. Within a part the shortest of several spellings counts.
    """
    parts: dict[int, _Members] = {s.channel.part: {} for s in spelt}
    for s in sorted(spelt, key=lambda s: len(s.channel.name)):
        parts[s.channel.part].setdefault(s.component, s.channel)
    pictures: list[_Members] = []
    for found in parts.values():
        same = next((p for p in pictures if p.keys().isdisjoint(found)), None)
        if same is None:
            pictures.append(found)
        else:
            same.update(found)
    return pictures


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
