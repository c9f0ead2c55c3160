"""Make the documentation's pictures again: `python examples/make_pictures.py demo_out`.

The contact sheet and the panel at work come from a run of the demo (`make demo`). The panel
with an error and the states of the node are made here, by a fill that is interrupted by an
empty matte. Nuke's node graph is drawn, with the very words that the node has in its knobs.
"""

from __future__ import annotations

import argparse
import html
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.panel_picture import grab, qt_application

MAX_SHEET_WIDTH_PX = 1600
MAX_TOTAL_BYTES = 2_500_000
NODE_COLOUR, PLATE_COLOUR, GRAPH_COLOUR = "#6d9cbc", "#8f8f8f", "#2f2f2f"


@dataclass(frozen=True)
class NodeWords:
    """What a node says in one state: the caption, its name, its label, its status line."""

    caption: str
    name: str
    label: str
    status: str


def words_of(caption: str, node: Any) -> NodeWords:
    """Return what ``node`` says now."""
    label = str(node["label"].value()).replace("\\", "")
    status = html.unescape(str(node["status"].value())).strip()
    return NodeWords(caption, node.name(), label, status)


def fill_and_fail(folder: Path, error_picture: Path) -> list[NodeWords]:
    """Fill a small shot, empty its matte, fill again; return what the node said meanwhile."""
    from examples.whole_chain import ROOT, Comp, chain_environment, press_generate, type_prompt
    from genai_fill_server.demo.scene import SceneSize
    from genai_fill_server.demo.shot import write_demo_shot
    from tests.fakes.nuke_standin import boot

    app = qt_application()
    shot = write_demo_shot(folder, SceneSize(640, 360, 24))
    frames = (shot.frames.first, shot.frames.last)
    words: list[NodeWords] = []
    with (
        chain_environment(folder),
        boot(nuke_path=[ROOT], home=folder, process_events=app.processEvents) as session,
    ):
        comp = Comp(session, shot.plate.path_pattern, shot.matte.path_pattern, frames)
        session.save(folder / "comp.nk")
        panel = comp.open_panel()
        type_prompt(panel, "an empty launch pad at dusk")
        words.append(words_of("Ready", comp.node))
        press_generate(session, panel)
        filling = session.pump(90.0, until=lambda: half_way(comp.node))
        words.append(words_of("Filling", comp.node))
        done = session.pump(90.0, until=lambda: comp.node["status"].value().startswith("Done"))
        words.append(words_of("Done", comp.node))
        session.pump(0.3)
        empty_matte(shot)
        press_generate(session, panel)
        failed = session.pump(60.0, until=lambda: panel._actions.state.error is not None)
        session.pump(0.3)
        if not (filling and done and failed):
            raise RuntimeError(f"the fill did not go as planned: {words}")
        words.append(words_of("Failed", comp.node))
        grab(panel, error_picture)
        panel.close()
        panel.deleteLater()
        session.pump(0.05)
    return words


def half_way(node: Any) -> bool:
    """Whether the node says that it is some way into its fill."""
    percent = re.search(r"(\d+) %", node["status"].value())
    return percent is not None and int(percent[1]) >= 30


def empty_matte(shot: Any) -> None:
    """Write every matte again with nothing drawn."""
    import numpy as np

    from genai_fill_contract.plate import path_at
    from genai_fill_server.imaging.local_frames import local_frame_ports
    from genai_fill_server.service.frame_ports import FrameHeader, TakeFrame

    window = shot.window
    rgb = np.zeros((window.height, window.width, 3), np.float32)
    header = FrameHeader(display=window, data_window=window, pixel_type="half")
    takes = local_frame_ports().takes
    for frame in shot.frames:
        picture = TakeFrame(window, rgb, rgb[..., 0].copy(), header)
        takes.write_frame(path_at(shot.matte.path_pattern, frame), picture)


def draw_nodes(words: list[NodeWords], path: Path) -> None:
    """Draw the states of the node side by side, as a node graph with the status line below."""
    from PySide6.QtCore import QRectF, Qt
    from PySide6.QtGui import QColor, QFont, QPainter, QPen, QPixmap

    column, height, ratio = 300, 330, 2
    picture = QPixmap(column * len(words) * ratio, height * ratio)
    picture.setDevicePixelRatio(ratio)
    picture.fill(QColor(GRAPH_COLOUR))
    painter = QPainter(picture)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    font = QFont(painter.font())
    wrap = int(Qt.TextFlag.TextWordWrap | Qt.AlignmentFlag.AlignHCenter | Qt.AlignmentFlag.AlignTop)
    middle = int(Qt.AlignmentFlag.AlignCenter)

    def text(box: QRectF, flags: int, what: str, colour: str, size: int) -> None:
        font.setPixelSize(size)
        painter.setFont(font)
        painter.setPen(QColor(colour))
        painter.drawText(box, flags, what)

    def tile(box: QRectF, what: str, colour: str) -> None:
        painter.setPen(QPen(QColor("#111111"), 1))
        painter.setBrush(QColor(colour))
        painter.drawRoundedRect(box, 4, 4)
        text(box, middle, what, "#101010", 12)

    for number, state in enumerate(words):
        left = number * column
        text(QRectF(left, 10, column, 20), wrap, state.caption, "#dddddd", 14)
        lines = 1 + len(state.label.splitlines())
        box = QRectF(left + 16, 92, column - 32, 16 + 16 * lines)
        painter.setPen(QPen(QColor("#b0b0b0"), 1.5))
        for x in (left + 90, left + 210):
            painter.drawLine(x, 66, x, 92)
        tile(QRectF(left + 50, 44, 80, 22), "Plate", PLATE_COLOUR)
        tile(QRectF(left + 170, 44, 80, 22), "Roto", PLATE_COLOUR)
        tile(box, "\n".join([state.name, *state.label.splitlines()]), NODE_COLOUR)
        text(QRectF(left + 16, 222, column - 32, 16), wrap, "status", "#8a8a8a", 11)
        text(QRectF(left + 16, 240, column - 32, 86), wrap, state.status or "–", "#dddddd", 12)
    painter.end()
    if not picture.save(str(path), "PNG"):
        raise OSError(f"The picture {path} could not be written.")


def shrink(source: Path, target: Path, *, width: int = 0, colours: int = 0) -> None:
    """Write ``source`` as a PNG at most ``width`` wide, in ``colours`` if that is not 0."""
    from PIL import Image

    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    if width and picture.width > width:
        size = (width, round(picture.height * width / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    if colours:
        picture = picture.quantize(colours, dither=Image.Dither.FLOYDSTEINBERG)
    picture.save(target, "PNG", optimize=True)


def main() -> int:
    """Make every picture; 1 when they are too large together."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("demo", type=Path, help="output folder of a demo run")
    parser.add_argument("--to", type=Path, default=Path("docs/pictures"), help="where they go")
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    qt_application()  # Qt first: see panel_picture.without_numpy.
    made = {name: arguments.to / f"{name}.png" for name in ("panel_error", "node_states")}
    with tempfile.TemporaryDirectory() as folder:
        draw_nodes(fill_and_fail(Path(folder), made["panel_error"]), made["node_states"])
    for path in made.values():
        shrink(path, path)
    made |= {name: arguments.to / f"{name}.png" for name in ("panel", "contact_sheet")}
    shrink(arguments.demo / "panel.png", made["panel"])
    sheet = arguments.demo / "contact_sheet.png"
    shrink(sheet, made["contact_sheet"], width=MAX_SHEET_WIDTH_PX)
    if sum(path.stat().st_size for path in made.values()) > MAX_TOTAL_BYTES:
        shrink(sheet, made["contact_sheet"], width=MAX_SHEET_WIDTH_PX, colours=256)
    sizes = {path.name: path.stat().st_size for path in made.values()}
    print(", ".join(f"{name} {size / 1000:.0f} kB" for name, size in sizes.items()))
    return 0 if sum(sizes.values()) <= MAX_TOTAL_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
