"""The whole chain in one place: node, panel, backend, frames, graph, script.

Nuke itself is played by the strict stand-in of ``tests/fakes/nuke_standin``; the gizmo, the
plug-in, the panel, the backend process, its worker and the files are the real ones. The demo
shows it, the end-to-end test asserts it.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from examples.panel_picture import grab, qt_application
from tests.fakes.nuke_standin import Session, boot

ROOT = Path(__file__).resolve().parents[1]
PANEL_ID = "com.genaifill.FillPanel"


@dataclass(frozen=True)
class ChainResult:
    """What came through the chain. Images are (h, w, 4) float32, row 0 at the top."""

    take_pattern: str
    frames: tuple[int, ...]
    plate: dict[int, np.ndarray]
    output: dict[int, np.ndarray]
    reopened: dict[int, np.ndarray]
    blend: dict[int, np.ndarray]
    script: Path
    panel_picture: Path | None
    fill_s: float
    longest_stall_s: float
    tcl_violations: tuple[str, ...]
    errors: tuple[str, ...]


@contextmanager
def chain_environment(folder: Path, **settings: str) -> Iterator[Path]:
    """Point plug-in and backend at a state folder of their own; end the backend afterwards."""
    state = folder / "state"
    values = {
        "GENAI_FILL_BACKEND_STATE_DIR": str(state),
        "GENAI_FILL_BACKEND_COMMAND": f'"{sys.executable}" -m genai_fill_server.cli serve',
        "GENAI_FILL_SERVER_PORT": "0",
        "GENAI_FILL_SERVER_ALLOWED_ROOTS": str(folder),
        **settings,
    }
    kept = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield state
    finally:
        stop_backend(state)
        for name, value in kept.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def stop_backend(state: Path, timeout_s: float = 15.0) -> None:
    """End the backend that the plug-in started in ``state``, and wait until it is gone."""
    import json

    endpoint = state / "endpoint.json"
    try:
        pid = int(json.loads(endpoint.read_text(encoding="utf-8"))["pid"])
    except (OSError, ValueError, KeyError):
        return
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    deadline = time.monotonic() + timeout_s
    while endpoint.exists() and time.monotonic() < deadline:
        time.sleep(0.05)


class Comp:
    """The artist's comp: two Reads, the node, the panel."""

    def __init__(self, session: Session, plate: Any, matte: Any, frames: tuple[int, int]) -> None:
        nuke = session.nuke
        self.session = session
        nuke.root()["first_frame"].setValue(frames[0])
        nuke.root()["last_frame"].setValue(frames[1])
        nuke.frame(frames[0])
        span = f"{frames[0]}-{frames[1]}"
        self.plate = nuke.nodes.Read(name="Plate", raw=True)
        self.plate["file"].fromUserText(f"{plate} {span}")
        self.matte = nuke.nodes.Read(name="Roto", raw=True)
        self.matte["file"].fromUserText(f"{matte} {span}")
        session.select()
        session.invoke_menu("Nodes", "GenAI Fill/GenAI Fill")
        self.node = nuke.selectedNode()
        self.node.setInput(0, self.plate)
        self.node.setInput(1, self.matte)
        session.select(self.node)

    def open_panel(self) -> Any:
        """Open the panel as the Pane menu does and let it find the selected node."""
        panel = self.session.open_panel(PANEL_ID)
        panel.resize(440, 1060)
        panel.show()
        seen = self.session.pump(20.0, until=lambda: panel.settings.isVisible())
        if not seen:
            raise RuntimeError("the panel did not find the selected node")
        return panel


def type_prompt(panel: Any, text: str) -> None:
    """Type into the panel's prompt, key by key."""
    from PySide6.QtTest import QTest

    panel.settings.prompt.setFocus()
    QTest.keyClicks(panel.settings.prompt, text)


def press_generate(session: Session, panel: Any) -> None:
    """Click Generate once the panel offers it."""
    from PySide6.QtCore import Qt
    from PySide6.QtTest import QTest

    if not session.pump(40.0, until=lambda: panel.activity.generate.isEnabled()):
        raise RuntimeError(f"Generate stayed grey: {panel._actions.state.backend}")
    QTest.mouseClick(panel.activity.generate, Qt.MouseButton.LeftButton)


def follow(
    session: Session, panel: Any, until: Callable[[Any], bool], timeout_s: float
) -> tuple[bool, float]:
    """Pump Nuke's event loop until the state suits; return that and the longest stall."""
    deadline, longest = time.monotonic() + timeout_s, 0.0
    while time.monotonic() < deadline:
        start = time.monotonic()
        session.pump(0.01)
        longest = max(longest, time.monotonic() - start)
        state = panel._actions.state
        if state.error is not None:
            raise state.error.to_error()
        if until(state):
            return True, longest
    return False, longest


def generate_take(session: Session, panel: Any, node: Any, timeout_s: float) -> dict[str, Any]:
    """Press Generate, wait for the whole new take, and return its recipe."""
    import json

    from genai_fill.domain.takes import decode_takes

    before = len(panel._actions.state.takes)
    press_generate(session, panel)
    done, _ = follow(
        session,
        panel,
        lambda state: (
            len(state.takes) > before
            and state.takes[0].frames_done == state.takes[0].frames_total
            and not state.activity.can_cancel
        ),
        timeout_s,
    )
    if not done:
        raise RuntimeError(f"no fill after {timeout_s:.0f} s: {panel._actions.state}")
    session.pump(0.3)
    newest = decode_takes(node["take_list"].value()).takes[-1].take
    recipe: dict[str, Any] = json.loads(Path(newest.recipe_path).read_text(encoding="utf-8"))
    return recipe


def approve_newest_take(panel: Any) -> None:
    """Choose "Use this frame as a hero frame" in the menu of the newest take."""
    menu = panel.takes.menu_for(panel._actions.state.takes[0])
    next(action for action in menu.actions() if "hero frame" in action.text()).trigger()
    menu.deleteLater()


def run_chain(
    folder: Path,
    plate: str,
    matte: str,
    frames: tuple[int, int],
    prompt: str,
    *,
    picture: Path | None = None,
    environment: Mapping[str, str] | None = None,
    prepare: Callable[[Any], None] | None = None,
    told: Callable[[Any], None] | None = None,
    timeout_s: float = 240.0,
) -> ChainResult:
    """Do what an artist does, from an empty script to a saved one that renders elsewhere.

    ``plate`` and ``matte`` are path patterns with ``%04d``. ``prepare`` may set knobs of the
    node before Generate; ``told`` sees every panel state while the fill runs; ``picture`` gets
    a screenshot of the panel in the middle of it.
    """
    app = qt_application()
    home, script = folder / "home", folder / "comp.nk"
    home.mkdir(parents=True, exist_ok=True)
    shown = tuple(range(frames[0], frames[1] + 1))
    with chain_environment(folder, **(environment or {})):
        with boot(
            nuke_path=[ROOT], gui=True, home=home, process_events=app.processEvents
        ) as session:
            comp = Comp(session, plate, matte, frames)
            session.save(script)
            if prepare is not None:
                prepare(comp.node)
            panel = comp.open_panel()
            type_prompt(panel, prompt)
            press_generate(session, panel)
            start = time.monotonic()
            taken: list[Path] = []

            def step(state: Any) -> bool:
                if told is not None:
                    told(state)
                started = [t for t in state.takes if t.frames_done >= t.frames_total // 2]
                if picture is not None and not taken and started:
                    taken.append(grab(panel, picture))
                takes = state.takes
                return (
                    bool(takes)
                    and all(t.frames_done == t.frames_total for t in takes)
                    and not state.activity.can_cancel
                )

            done, stall = follow(session, panel, step, timeout_s)
            if not done:
                raise RuntimeError(f"no fill after {timeout_s:.0f} s: {panel._actions.state}")
            fill_s = time.monotonic() - start
            session.pump(0.2)
            panel.close()
            node = comp.node
            result = ChainResult(
                take_pattern=_take_pattern(node),
                frames=shown,
                plate={f: session.evaluate(comp.plate, f).rgba_top_down() for f in shown},
                output={f: session.evaluate(node, f).rgba_top_down() for f in shown},
                reopened={},
                blend={f: _take_alpha(session, node, f) for f in shown},
                script=script,
                panel_picture=taken[0] if taken else None,
                fill_s=fill_s,
                longest_stall_s=stall,
                tcl_violations=tuple(session.tcl_violations),
                errors=tuple(session.errors),
            )
            session.save(script)
            panel.deleteLater()
            session.pump(0.05)
        result.reopened.update(_reopen(script, node_name="GenAIFill1", frames=shown, home=home))
    return result


def _take_pattern(node: Any) -> str:
    with node:
        import nuke

        return str(nuke.toNode("TakeRead")["file"].value())


def _take_alpha(session: Session, node: Any, frame: int) -> np.ndarray:
    with node:
        import nuke

        read = nuke.toNode("TakeOutside")
    return session.evaluate(read, frame).rgba_top_down()[..., 3]


def _reopen(
    script: Path, *, node_name: str, frames: tuple[int, ...], home: Path
) -> dict[int, np.ndarray]:
    """Open the script where this product was never installed and render the node."""
    absent = ("genai_fill", "genai_fill_contract")
    with boot(nuke_path=[], gui=False, home=home, unavailable=absent) as session:
        session.open(script)
        node = session.nuke.toNode(node_name)
        return {f: session.evaluate(node, f).rgba_top_down() for f in frames}
