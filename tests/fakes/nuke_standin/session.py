"""boot(): start the pretended Nuke, and the Session a test drives it with."""

from __future__ import annotations

import builtins
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.fakes.nuke_standin import creation, ops_views, scripts
from tests.fakes.nuke_standin.callbacks import Callbacks
from tests.fakes.nuke_standin.imports import as_in_nuke
from tests.fakes.nuke_standin.mainthread import MainThreadQueue
from tests.fakes.nuke_standin.menus import MenuTree
from tests.fakes.nuke_standin.module import build_nuke, build_nukescripts
from tests.fakes.nuke_standin.nodes import core_of
from tests.fakes.nuke_standin.undo import Block, UndoStack
from tests.fakes.nuke_standin.values import default_formats
from tests.fakes.nuke_standin.world import World, activate, deactivate

MODULES = ("nuke", "nukescripts", "nukescripts.panels")


class Session:
    """The hands of the artist, and the eyes of the test."""

    def __init__(self, world: World, process_events: Callable[[], None] | None) -> None:
        self.world, self.nuke = world, world.nuke
        self._nuke_path: list[Path] = []
        self._process_events = process_events

    # -- what was recorded ----------------------------------------------------------------

    @property
    def messages(self) -> list[tuple[str, str]]:
        """(kind, text) of nuke.message, ask, warning, error, … in order."""
        return self.world.messages

    @property
    def printed(self) -> list[str]:
        """Lines of nuke.tprint."""
        return self.world.printed

    @property
    def errors(self) -> list[str]:
        """Tracebacks that Nuke would have printed (queued calls that raised)."""
        return self.world.errors

    @property
    def tcl_violations(self) -> list[str]:
        """TCL commands that some text would have executed. Must stay empty."""
        return self.world.tcl_violations

    @property
    def undo_blocks(self) -> list[Block]:
        """The undo history, oldest first."""
        return self.world.undo.done

    # -- the artist -------------------------------------------------------------------------

    def answer(self, *answers: Any) -> None:
        """Prepare the answers of the next dialogs."""
        self.world.answers.extend(answers)

    def invoke_menu(self, menu: str, path: str) -> None:
        """Choose a menu entry: its command runs in the group whose graph has the focus."""
        item = self.nuke.menu(menu).findItem(path)
        if item is None:
            raise LookupError(f"The menu {menu!r} has no {path!r}")
        item.invoke()

    def press(self, node: Any, knob: str) -> None:
        """Press a PyScript button: thisNode and thisKnob are set, the context is inside."""
        pressed = node[knob]
        if not pressed.enabled():
            raise AssertionError(f"{knob} is disabled: an artist cannot press it")
        self.world.undo.begin(knob)
        try:
            core_of(node).press(pressed)
        finally:
            self.world.undo.end()

    def set_knob_as_user(self, node: Any, knob: str, value: Any) -> None:
        """Change a knob in the control panel, which is opened when it was closed."""
        if not node[knob].enabled():
            raise AssertionError(f"{knob} is disabled: an artist cannot change it")
        creation.open_panel(core_of(node))
        node[knob].setValue(value)

    def open_control_panel(self, node: Any) -> None:
        creation.open_panel(core_of(node))

    def close_control_panel(self, node: Any) -> None:
        core_of(node).panel_open = False

    def select(self, *nodes: Any) -> None:
        """Select these nodes only."""
        cores = [core_of(node) for node in nodes]
        for core in self.world.context[-1].children:
            core.select(core in cores)

    def look_into(self, group: Any = None) -> None:
        """Bring the node graph of a group to the front (Ctrl+Enter); None is the root's.

        Code that runs from a timer is not in that group: its context stays the root.
        """
        self.world.in_view = None if group is None else core_of(group)

    def select_in(self, group: Any, *nodes: Any) -> None:
        """Select these nodes only, in the node graph of a group."""
        with group:
            self.select(*nodes)

    def paste_knob_values(self, *nodes: Any) -> None:
        """Edit > Paste Knob Values onto these nodes: Nuke's own nukescripts.copy_knobs."""
        group = self.nuke.nodes.Group(name="____tempcopyknobgroup__")
        with group:
            self.nuke.nodePaste("%clipboard%")
        self.world.undo.begin("Paste Knob Values")
        for source in group.nodes():
            for node in nodes:
                for name in source.knobs():
                    if name in node.knobs() and name not in ("name", "xpos", "ypos"):
                        node[name].fromScript(source[name].toScript())
        self.world.undo.end()
        self.nuke.delete(group)

    def copy_paste(self, *nodes: Any) -> Any:
        """Ctrl+C, Ctrl+V."""
        self.select(*nodes)
        self.nuke.nodeCopy("%clipboard%")
        return self.nuke.nodePaste("%clipboard%")

    def open_panel(self, panel_id: str) -> Any:
        """Open a registered pane; returns its widget (made now, as Nuke makes it now)."""
        panel = self.world.panel_commands[panel_id]()
        self.world.panels[panel_id] = panel
        (knob,) = panel.knobs().values()
        return knob.getObject().makeUI()

    def undo(self) -> bool:
        return self.world.undo.undo()

    def redo(self) -> bool:
        return self.world.undo.redo()

    def cancel_next_execute(
        self, after_frames: int = 0, error: type[Exception] = RuntimeError
    ) -> None:
        """The artist cancels the next render after so many frames.

        Which class Nuke raises then differs by version: try nuke.CancelledError too.
        """
        self.world.cancel_after_frames, self.world.cancel_error = after_frames, error

    # -- the event loop -----------------------------------------------------------------------

    def pump(
        self, timeout_s: float = 0.0, until: Callable[[], bool] | None = None, step_s: float = 0.002
    ) -> bool:
        """Serve the main thread's queue (and Qt) for ``timeout_s``; stop when ``until()`` holds.

        Returns what ``until`` said last; True without it.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            self.world.queue.serve()
            if self._process_events is not None:
                self._process_events()
            if until is not None and until():
                return True
            if time.monotonic() >= deadline:
                return until is None
            time.sleep(step_s)

    def idle(self) -> None:
        """Nuke's idle moment: updateUI of every node."""
        for core in [self.world.root, *self.world.root.descendants()]:
            self.world.callbacks.fire("UpdateUI", core)

    # -- script and pictures ------------------------------------------------------------------

    def save(self, path: str | Path) -> str:
        """Save the script; returns its text."""
        self.nuke.scriptSaveAs(str(path))
        return Path(path).read_text(encoding="utf-8")

    def open(self, path: str | Path) -> None:
        self.nuke.scriptOpen(str(path))

    def set_views(self, *views: str) -> None:
        """Set the views up in the project settings; the first one is the hero view."""
        ops_views.set_views(self.world, views)

    def evaluate(self, node: Any, frame: int | None = None, view: str | None = None) -> Any:
        """The picture a Viewer would show: see `image.Image`."""
        from tests.fakes.nuke_standin.evaluate import image_of

        with ops_views.at_view(self.world, view):
            return image_of(core_of(node), self.nuke.frame() if frame is None else frame)

    # -- start-up -------------------------------------------------------------------------------

    def run_init_again(self) -> None:
        """init.py once more: Nuke's helper processes and frame server do so."""
        for folder in reversed(self._nuke_path):
            scripts.run_start_file(self.world, folder / "init.py")

    def _start(self, nuke_path: Sequence[str | Path]) -> None:
        world = self.world
        home = world.home / ".nuke"
        entries: list[str] = []
        for entry in nuke_path:
            entries += str(entry).split(os.pathsep)
        self._nuke_path = [folder for folder in [home, *map(Path, entries)] if folder.is_dir()]
        world.plugin_path[:] = [folder.as_posix() for folder in self._nuke_path]
        sys.path.extend(path for path in world.plugin_path if path not in sys.path)
        for name in ["init.py"] + ["menu.py"] * world.gui:
            for folder in reversed(self._nuke_path):
                scripts.run_start_file(world, folder / name)
        world.main_namespace["nuke"] = world.nuke
        world.main_namespace["nukescripts"] = sys.modules["nukescripts"]


def _new_world(gui: bool, home: Path, version: tuple[int, int]) -> World:
    errors: list[str] = []
    world = World(
        gui=gui,
        version=version,
        home=home,
        callbacks=Callbacks(),
        undo=UndoStack(),
        queue=MainThreadQueue(errors),
        menus=MenuTree(),
        errors=errors,
    )
    world.formats = default_formats()
    world.main_namespace = {"__name__": "__main__", "__builtins__": builtins}
    return world


@contextmanager
def boot(
    nuke_path: Sequence[str | Path] = (),
    *,
    gui: bool = True,
    home: str | Path,
    version: tuple[int, int] = (16, 0),
    process_events: Callable[[], None] | None = None,
    purge: Sequence[str] = ("genai_fill", "genai_fill_contract"),
    unavailable: Sequence[str] = (),
) -> Iterator[Session]:
    """Start Nuke (``gui=False``: ``nuke -t``) and end it again.

    ``home`` is the user's home: ``home/.nuke`` may hold an init.py. ``process_events`` is
    called by ``pump`` (``QApplication.processEvents``). ``purge`` names top-level packages
    whose modules, imported meanwhile, are forgotten at the end; modules that were imported
    before are put back. Those packages and the start files can import what Nuke's Python
    has, and nothing of ``unavailable`` (``["PyOpenColorIO"]``). Raises NukeLaunchError when
    an init.py or menu.py raises.
    """
    kept_path, kept_modules = list(sys.path), dict(sys.modules)
    for name in [*MODULES, *_named(purge)]:
        sys.modules.pop(name, None)
    world = _new_world(gui, Path(home), version)
    activate(world)
    try:
        world.nuke = build_nuke(world)
        scripts.new_root(world)
        nukescripts, panels = build_nukescripts()
        sys.modules.update(zip(MODULES, (world.nuke, nukescripts, panels), strict=True))
        session = Session(world, process_events)
        with as_in_nuke(purge, world.main_namespace, unavailable):
            session._start(nuke_path)
            yield session
    finally:
        world.queue.close()
        for name in [*MODULES, *_named(purge)]:
            sys.modules.pop(name, None)
            if name in kept_modules:
                sys.modules[name] = kept_modules[name]
        for name in _missing(kept_modules, purge):
            sys.modules[name] = kept_modules[name]
        sys.path[:] = kept_path
        deactivate(world)


def _named(packages: Sequence[str]) -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] in packages]


def _missing(kept: dict[str, Any], packages: Sequence[str]) -> list[str]:
    return [name for name in kept if name not in sys.modules and name.partition(".")[0] in packages]
