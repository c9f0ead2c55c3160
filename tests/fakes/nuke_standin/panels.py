"""nukescripts.panels: docked panels made of Qt widgets."""

from __future__ import annotations

from typing import Any

from tests.fakes.nuke_standin.knobs_base import Knob
from tests.fakes.nuke_standin.knobs_text import PyCustom_Knob
from tests.fakes.nuke_standin.world import active


class WidgetKnob:
    """Holds the widget's class; ``makeUI`` makes one and keeps it alive."""

    def __init__(self, widget):
        self.widgetClass = widget

    def makeUI(self):
        self.widget = self.widgetClass()
        return self.widget


class PythonPanel:
    """A panel made of knobs, in a dialog or a pane."""

    def __init__(self, title="", id="", scrollable=True):
        self._title, self.id = title, id
        self._knobs: dict[str, Knob] = {}
        self.pane: Any = None

    def addKnob(self, knob):
        if not isinstance(knob, Knob):
            raise TypeError(f"addKnob takes a knob, not {knob!r}")
        self._knobs[knob._name] = knob

    def removeKnob(self, knob):
        self._knobs.pop(knob._name, None)

    def knobs(self):
        return dict(self._knobs)

    def knobChanged(self, knob):
        """For subclasses."""

    def addToPane(self, pane=None):
        self.pane = pane
        active().panels[self.id] = self
        return self

    def show(self):
        self._dialog()

    def showModalDialog(self, defaultKnobText=""):
        return bool(self._dialog())

    def _dialog(self) -> Any:
        world = active()
        world.messages.append(("panel", self._title))
        return world.answers.pop(0) if world.answers else False


def registerPanel(id, command):
    active().panel_commands[id] = command


def unregisterPanel(id, command=None):
    active().panel_commands.pop(id, None)


def restorePanel(id):
    command = active().panel_commands.get(id)
    if command is None:
        active().errors.append(f"Can't restore panel: {id}")
        return None
    return command()


def registerWidgetAsPanel(widget, name, id, create=False):
    """Put a widget, given as text evaluated in main, into the Pane menu."""
    world = active()
    world.check_thread("registerWidgetAsPanel")
    if not isinstance(widget, str):
        raise TypeError("registerWidgetAsPanel takes the widget's class as text")
    if not world.gui:
        raise RuntimeError("Panels exist in the GUI only")

    def make() -> PythonPanel:
        panel = PythonPanel(name, id)
        code = f"__import__('nukescripts').panels.WidgetKnob({widget})"
        panel.addKnob(PyCustom_Knob(name, "", code))
        return panel

    def add_to_pane() -> PythonPanel:
        return make().addToPane()

    world.menus.menus["Pane"].addCommand(name, add_to_pane)
    registerPanel(id, add_to_pane)
    return make() if create else None


EXPORTS = {
    thing.__name__: thing
    for thing in (PythonPanel, WidgetKnob, registerPanel, unregisterPanel, restorePanel,
                  registerWidgetAsPanel)
}  # fmt: skip
