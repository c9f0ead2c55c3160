"""Views: which there are, in which one a picture is asked for, and the nodes that choose."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.fakes.nuke_standin.image import Image
from tests.fakes.nuke_standin.ops_base import Operation, Pull, word

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore
    from tests.fakes.nuke_standin.world import World

NO_VIEW = "\a"
"""The entry that stands before the views in a OneView's list."""


def current(world: World) -> str:
    """The view that is asked for: in a Viewer the first, unless somebody says another."""
    return world.view or world.views[0]


@contextmanager
def at_view(world: World, view: str | None) -> Iterator[None]:
    """Ask for pictures in ``view`` for a while; None leaves it as it is."""
    if view is not None and view not in world.views:
        raise RuntimeError(f"The script has no view {view!r}")
    before = world.view
    world.view = view or before
    try:
        yield
    finally:
        world.view = before


def in_view(pattern: str, world: World) -> str:
    """Put the view into a path: its name for ``%V``, its first letter for ``%v``."""
    return pattern.replace("%V", current(world)).replace("%v", current(world)[0])


def set_views(world: World, views: Sequence[str]) -> None:
    """What the project settings do: the root's knobs and the nodes that list views follow."""
    if not views:
        raise ValueError("a script has a view at least")
    world.views[:] = views
    world.root.knobs["views"]._restore("\n".join(views))
    hero = world.root.knobs["hero_view"]
    hero._items = list(views)  # type: ignore[attr-defined]
    hero._choose(hero._raw_text() if hero._raw_text() in views else views[0])  # type: ignore[attr-defined]
    for core in world.root.descendants():
        list_views(core)


def list_views(core: NodeCore) -> None:
    """Let a OneView or JoinViews know the script's views."""
    views = core.world.views
    if core.class_name == "OneView":
        knob = core.knobs["view"]
        chosen = knob._raw_text()
        knob._items = [NO_VIEW, *views]  # type: ignore[attr-defined]
        knob._choose(chosen if chosen in views else views[0])  # type: ignore[attr-defined]
    elif core.class_name == "JoinViews":
        core.knobs["viewassoc"]._restore("\n".join(views))


def one_view(core: NodeCore, pull: Pull) -> Image:
    """The view that its knob names, whichever is asked for."""
    chosen = word(core, "view")
    with at_view(core.world, chosen if chosen in core.world.views else None):
        return pull.image(0)


def join_views(core: NodeCore, pull: Pull) -> Image:
    """Each view from the input of its number."""
    return pull.image(core.world.views.index(current(core.world)))


OPERATIONS: dict[str, Operation] = {"OneView": one_view, "JoinViews": join_views}
