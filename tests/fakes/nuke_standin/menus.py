"""Menus and toolbars: what menu.py builds and artists click."""

from __future__ import annotations

from typing import Any

from tests.fakes.nuke_standin.values import Strict
from tests.fakes.nuke_standin.world import Guarded, active

MENU_NAMES = ("Nuke", "Nodes", "Pane", "Properties", "Animation", "Viewer", "Node Graph", "Axis")


class MenuItem(Guarded, Strict):
    """One entry. ``invoke()`` runs its command inside an undo block."""

    def __init__(self, name, command=None, shortcut="", icon="", tooltip=""):
        self._name, self._command = name, command
        self._shortcut, self._icon, self._tooltip = shortcut, icon, tooltip
        self._enabled = self._visible = True

    def name(self):
        return self._name

    def script(self):
        return self._command if isinstance(self._command, str) else ""

    def setScript(self, script):
        self._command = script

    def icon(self):
        return self._icon

    def setIcon(self, icon):
        self._icon = icon

    def shortcut(self):
        return self._shortcut

    def setShortcut(self, shortcut):
        self._shortcut = shortcut

    def setEnabled(self, on, recursive=False):
        self._enabled = bool(on)

    def setVisible(self, on, recursive=False):
        self._visible = bool(on)

    def invoke(self):
        world = active()
        if not self._enabled:
            return
        world.undo.begin(self._name)
        try:
            group = world.context[-1] if world.in_view is None else world.group_in_view()
            with world.running(None, None, group):
                self._run(world)
        finally:
            world.undo.end()

    def _run(self, world: Any) -> None:
        if callable(self._command):
            self._command()
        elif self._command is None:
            world.nuke.createNode(self._name)
        else:
            exec(compile(self._command, f"<menu {self._name}>", "exec"), world.main_namespace)


class Menu(MenuItem):
    """A menu of commands and sub-menus; slashes in names make sub-menus."""

    def __init__(self, name, icon="", tooltip=""):
        super().__init__(name, None, "", icon, tooltip)
        self._items: list[MenuItem] = []

    def _descend(self, path: str) -> tuple[Menu, str]:
        menu = self
        *folders, last = path.split("/")
        for folder in folders:
            found = menu._find(folder)
            menu = found if isinstance(found, Menu) else menu._append(Menu(folder), -1)
        return menu, last

    def _find(self, name: str) -> MenuItem | None:
        return next((item for item in self._items if item._name == name), None)

    def _append(self, item: Any, index: int) -> Any:
        self._items.insert(len(self._items) if index < 0 else index, item)
        return item

    def addMenu(self, name, icon="", tooltip="", index=-1):
        menu, last = self._descend(name)
        found = menu._find(last)
        return found if isinstance(found, Menu) else menu._append(Menu(last, icon, tooltip), index)

    def addCommand(self, name, command=None, shortcut="", icon="", tooltip="", index=-1,
                   readonly=False, shortcutContext=0, tag=0, tagTarget=0, node=False):  # fmt: skip
        if command is not None and not isinstance(command, str) and not callable(command):
            raise TypeError(f"a menu command is Python text or a callable, not {command!r}")
        menu, last = self._descend(name)
        found = menu._find(last)
        if found is not None:
            menu._items.remove(found)
        return menu._append(MenuItem(last, command, shortcut, icon, tooltip), index)

    def addSeparator(self, **kwargs):
        return self._append(MenuItem("-"), -1)

    def findItem(self, name):
        item: Any = self
        for part in name.split("/"):
            item = item._find(part) if isinstance(item, Menu) else None
        return item

    def menu(self, name):
        found = self.findItem(name)
        return found if isinstance(found, Menu) else None

    def items(self):
        return list(self._items)

    def removeItem(self, name):
        menu, last = self._descend(name)
        menu._items = [item for item in menu._items if item._name != last]

    def clearMenu(self):
        self._items.clear()


class MenuTree:
    """The menus and toolbars of a session."""

    def __init__(self) -> None:
        self.menus = {name: Menu(name) for name in MENU_NAMES}
        self.toolbars: dict[str, Menu] = {"Nodes": self.menus["Nodes"]}

    def toolbar(self, name: str, create: bool) -> Menu | None:
        if name not in self.toolbars and create:
            self.toolbars[name] = Menu(name)
        return self.toolbars.get(name)
