"""An artist at a desk: the stand-in's Nuke with the panel open, and a node to be filled."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from examples.panel_picture import qt_application
from examples.whole_chain import ROOT, Comp
from tests.e2e.bad_shots import Ask
from tests.fakes.nuke_standin import Session, boot

PANEL_ID = "com.genaifill.FillPanel"


class Desk:
    """One Nuke session with the panel open. `Seat` is one node of it."""

    def __init__(self, session: Session, home: Path) -> None:
        self.session = session
        self.panel = session.open_panel(PANEL_ID)
        self.panel.resize(440, 1060)
        self.panel.show()
        session.save(home / "comp.nk")

    @property
    def state(self) -> Any:
        return self.panel._actions.state

    def sit(self, ask: Ask) -> Seat:
        """Make a node with two Reads, selected, as the artist does."""
        seat = Seat(self, Comp(self.session, ask.plate, ask.matte, (ask.first, ask.last)))
        seat.type(ask)
        self.panel._actions.follow_selection()
        return seat


class Seat:
    """One node, its Reads, and the panel looking at it."""

    def __init__(self, desk: Desk, comp: Comp) -> None:
        self.desk = desk
        self.comp = comp
        self.node = comp.node

    def type(self, ask: Ask) -> None:
        """Set every knob as ``ask`` wants it."""
        for read, pattern, frames in (
            (self.comp.plate, ask.plate, ask.plate_range),
            (self.comp.matte, ask.matte, ask.matte_range),
        ):
            read["file"].setValue(pattern)
            read["first"].setValue(frames[0])
            read["last"].setValue(frames[1])
        self.desk.session.nuke.root()["workingSpaceLUT"].setValue(ask.working_space)
        for knob, value in {
            "engine": ask.engine,
            "engine_options": json.dumps(dict(ask.options)) if ask.options else "",
            "takes": ask.takes,
            "crop_mode": ask.crop,
            "range_mode": "custom",
            "first": ask.first,
            "last": ask.last,
            "output_directory": ask.out,
            "output_name": "fill",
        }.items():
            self.node[knob].setValue(value)

    def generate(self) -> None:
        """Press the panel's button; the node's own where the panel's is grey."""
        from PySide6.QtCore import Qt
        from PySide6.QtTest import QTest

        self.desk.panel._actions.refresh()
        self.desk.session.pump(0.02)
        button = self.desk.panel.activity.generate
        if button.isEnabled():
            QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        else:
            self.desk.session.press(self.node, "generate")

    def fill(self, ask: Ask, timeout_s: float = 30.0) -> Any:
        """Set the knobs, press Generate, and return the panel's state at the end."""
        self.type(ask)
        self.generate()
        return self.wait(timeout_s)

    def wait(self, timeout_s: float = 30.0) -> Any:
        """Wait until nothing goes on at the node, and return the panel's state."""
        desk = self.desk

        def over() -> bool:
            return not desk.state.activity.can_cancel and (
                desk.state.error is not None or desk.state.activity.state is not None
            )

        ended = desk.session.pump(timeout_s, until=over)
        assert ended, f"no end after {timeout_s} s: {desk.state}"
        desk.session.pump(0.05)
        return desk.state

    @property
    def status(self) -> str:
        """What the node's status line says, as it is read."""
        return " ".join(html.unescape(self.node["status"].value()).split())

    @property
    def label(self) -> str:
        """What the node's label in the graph says, white space left out: it is wrapped."""
        return squeezed(self.node["label"].value().replace("\\", ""))

    def shows_error(self) -> tuple[str, str]:
        """Return message and hint of the panel's visible error area."""
        area = self.desk.panel.error
        assert area.isVisible()
        return area.message.text(), area.hint.text()


def squeezed(text: str) -> str:
    """Return a text without white space."""
    return "".join(text.split())


@contextmanager
def desk_at(home: Path) -> Iterator[Desk]:
    """Start Nuke with the product on its path, and the panel open."""
    app = qt_application()
    home.mkdir(parents=True, exist_ok=True)
    with boot(nuke_path=[ROOT], gui=True, home=home, process_events=app.processEvents) as session:
        desk = Desk(session, home)
        try:
            yield desk
        finally:
            desk.panel.close()
            desk.panel.deleteLater()
            session.pump(0.05)
