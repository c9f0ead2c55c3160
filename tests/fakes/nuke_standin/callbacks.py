"""nuke.addOnCreate and its relatives: who is called, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.core import NodeCore

NODE_KINDS = [
    "OnCreate",
    "OnUserCreate",
    "OnDestroy",
    "KnobChanged",
    "UpdateUI",
    "OnScriptLoad",
    "OnScriptSave",
    "OnScriptClose",
    "BeforeRender",
    "AfterRender",
    "BeforeFrameRender",
    "AfterFrameRender",
    "Autolabel",
]
RENDER_CLASSES = {"BeforeRender", "AfterRender", "BeforeFrameRender", "AfterFrameRender"}
KNOB_OF_KIND = {kind: kind[0].lower() + kind[1:] for kind in NODE_KINDS}


@dataclass(frozen=True)
class Callback:
    """One registration."""

    call: Callable[..., Any]
    args: Any
    kwargs: Any
    node_class: str
    node: Any = None

    def matches(self, other: Callback) -> bool:
        return (self.call, self.args, self.kwargs, self.node_class) == (
            other.call,
            other.args,
            other.kwargs,
            other.node_class,
        )


class Callbacks:
    """Registrations by kind. Firing runs the node's own knob code, its class, then ``*``."""

    def __init__(self) -> None:
        self._kept: dict[str, list[Callback]] = {kind: [] for kind in NODE_KINDS}

    def add(self, kind: str, callback: Callback) -> None:
        if not any(callback.matches(kept) for kept in self._kept[kind]):
            self._kept[kind].append(callback)

    def remove(self, kind: str, callback: Callback) -> None:
        self._kept[kind] = [kept for kept in self._kept[kind] if not callback.matches(kept)]

    def registered(self, kind: str) -> list[Callback]:
        return list(self._kept[kind])

    @staticmethod
    @contextmanager
    def _noted(world: Any, kind: str) -> Iterator[None]:
        world.callbacks_running.append(kind)
        try:
            yield
        finally:
            world.callbacks_running.pop()

    def fire(self, kind: str, core: NodeCore, knob: Any = None) -> None:
        """Run everything registered for a node, thisNode and context set as Nuke sets them."""
        world = core.world
        group = core if core.is_group else core.parent or core
        with world.running(core, knob, group), self._noted(world, kind):
            own = core.knobs.get(KNOB_OF_KIND[kind])
            if own is not None and own._raw_text():
                exec(compile(own._raw_text(), f"<{core.name}.{own._name}>", "exec"),
                     world.main_namespace)  # fmt: skip
            for wanted in (core.class_name, "*"):
                for kept in self.registered(kind):
                    if kept.node_class == wanted and (kept.node is None or kept.node._core is core):
                        kept.call(*kept.args, **kept.kwargs)
