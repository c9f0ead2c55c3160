"""The menu entries and the dockable panel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import nuke
import nukescripts.panels  # type: ignore[import-not-found] # there are stubs for nuke only

from genai_fill.nuke_host.names import GIZMO

MENU = "GenAI Fill"
ICON = "GenAIFill.png"
PANEL_ID = "com.genaifill.FillPanel"
# Evaluated by Nuke when the panel is opened, and only then.
PANEL_WIDGET = "__import__('genai_fill.bootstrap', fromlist=['bootstrap']).make_panel_widget"


def install(script_loaded: Callable[[], None]) -> None:
    """Add the menu, register the panel, and call ``script_loaded`` after a script opened.

    Doing it again changes nothing.
    """
    toolbar: Any = nuke.menu("Nodes")
    if toolbar.findItem(MENU) is not None:
        return
    menu = toolbar.addMenu(MENU, icon=ICON)
    menu.addCommand(MENU, f"nuke.createNode('{GIZMO}')", icon=ICON)
    menu.addCommand("Open panel", "__import__('genai_fill.bootstrap').bootstrap.open_panel()")
    nukescripts.panels.registerWidgetAsPanel(PANEL_WIDGET, MENU, PANEL_ID)
    nuke.addOnScriptLoad(script_loaded)


def has_panel() -> bool:
    """Whether the panel is in some pane, in front or behind another tab."""
    return nuke.getPaneFor(PANEL_ID) is not None


def add_panel() -> None:
    """Put the panel beside the properties."""
    panel: Any = nukescripts.panels.registerWidgetAsPanel(PANEL_WIDGET, MENU, PANEL_ID, True)
    pane = nuke.getPaneFor("Properties.1")
    if panel is not None:
        panel.addToPane(pane) if pane is not None else panel.addToPane()
