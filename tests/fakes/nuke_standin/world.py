"""The state of one pretended Nuke process, and the guards every call goes through."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fakes.nuke_standin.callbacks import Callbacks
    from tests.fakes.nuke_standin.core import NodeCore
    from tests.fakes.nuke_standin.mainthread import MainThreadQueue
    from tests.fakes.nuke_standin.menus import MenuTree
    from tests.fakes.nuke_standin.undo import UndoStack


class NukeLaunchError(Exception):
    """An init.py or menu.py raised: Nuke would not have started."""


class ContextLeak(AssertionError):
    """Code returned with a group or undo block still open, or with undo disabled."""


class OffMainThread(RuntimeError):
    """A nuke call was made outside the main thread: in Nuke this crashes or corrupts."""


@dataclass
class World:
    """Everything one session knows. Only `session.boot` makes one."""

    gui: bool
    version: tuple[int, int]
    home: Path
    callbacks: Callbacks
    undo: UndoStack
    queue: MainThreadQueue
    menus: MenuTree
    main_thread: int = field(default_factory=threading.get_ident)
    plugin_path: list[str] = field(default_factory=list)
    root: NodeCore = None  # type: ignore[assignment]
    context: list[NodeCore] = field(default_factory=list)
    in_view: NodeCore | None = None
    """The group whose node graph has the focus; None is the root. No part of the context."""
    this: list[tuple[NodeCore | None, Any]] = field(default_factory=list)
    modified: bool = False
    executing: bool = False
    callbacks_running: list[str] = field(default_factory=list)
    cancel_after_frames: int | None = None
    cancel_error: type[Exception] = RuntimeError
    running_init: str | None = None
    formats: list[Any] = field(default_factory=list)
    knob_defaults: dict[str, str] = field(default_factory=dict)
    views: list[str] = field(default_factory=lambda: ["main"])
    view: str | None = None
    clipboard: str = ""
    answers: list[Any] = field(default_factory=list)
    messages: list[tuple[str, str]] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    tcl_violations: list[str] = field(default_factory=list)
    progress_tasks: list[Any] = field(default_factory=list)
    panels: dict[str, Any] = field(default_factory=dict)
    panel_commands: dict[str, Any] = field(default_factory=dict)
    main_namespace: dict[str, Any] = field(default_factory=dict)
    nuke: Any = None
    tab_entries_whole: bool = False
    layers: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Layers that scripts and gizmos have added with ``add_layer``, with their channels."""

    @property
    def script_path(self) -> str:
        """The script's file, "" while it has none: the root's name knob."""
        return str(self.root.knobs["name"]._raw_text())

    @script_path.setter
    def script_path(self, path: str) -> None:
        self.root.knobs["name"]._restore(path)

    def group_in_view(self) -> NodeCore:
        """The group whose node graph has the focus; the root when that was deleted."""
        return self.in_view if self.in_view is not None and self.in_view.attached else self.root

    def check_thread(self, what: str) -> None:
        if threading.get_ident() != self.main_thread:
            raise OffMainThread(
                f"{what} was called on thread {threading.current_thread().name!r}; "
                "nuke may be called on the main thread only."
            )

    @contextmanager
    def running(self, node: NodeCore | None, knob: Any, group: NodeCore) -> Iterator[None]:
        """Run code of a node: thisNode, thisKnob and the current group are set."""
        self.this.append((node, knob))
        self.context.append(group)
        depth, undo_state = len(self.context), (self.undo.disabled, self.undo.open_depth)
        try:
            yield
            if (self.undo.disabled, self.undo.open_depth) != undo_state:
                raise ContextLeak("an undo block was left open, or undo was left disabled")
            if len(self.context) != depth:
                raise ContextLeak(f"the context is {self.context[-1]!r}, not {group!r}, any more")
        finally:
            del self.context[depth - 1 :]
            self.this.pop()


_active: list[World] = []


def active() -> World:
    """The running session's world."""
    if not _active:
        raise RuntimeError("No Nuke stand-in session is running; use boot().")
    return _active[-1]


def activate(world: World) -> None:
    _active.append(world)


def deactivate(world: World) -> None:
    _active.remove(world)


class Guarded:
    """Base of what plug-in code holds: public methods check the thread, then `_check_alive`."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, member in list(vars(cls).items()):
            public = not name.startswith("_") or name in ("__getitem__", "__len__", "__enter__")
            if public and callable(member) and not isinstance(member, type | staticmethod):
                setattr(cls, name, _guarded(member, f"{cls.__name__}.{name}"))

    def _check_alive(self) -> None:
        """Raise when what this stands for is gone."""


def _guarded(function: Callable[..., Any], what: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def guarded(self: Guarded, *args: Any, **kwargs: Any) -> Any:
        active().check_thread(what)
        self._check_alive()
        return function(self, *args, **kwargs)

    return guarded
