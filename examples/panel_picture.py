"""Pictures of the panel for the documentation, at twice the pixels of the screen."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PySide6.QtWidgets import QApplication, QWidget


@contextmanager
def without_numpy() -> Iterator[None]:
    """Hide numpy while PySide6 is imported for the first time.

    PySide6 6.5, the one that Nuke 16 ships, was built against numpy 1. Where numpy 2 is
    installed it prints a page of warning and then goes on without numpy all the same, which
    the panel never hands it. Hiding numpy gives the same result without the page.
    """
    absent = object()
    kept = sys.modules.get("numpy", absent)
    sys.modules["numpy"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if kept is absent:
            del sys.modules["numpy"]
        else:
            sys.modules["numpy"] = kept  # type: ignore[assignment]


def _tell(kind: object, context: object, message: str) -> None:
    """Pass Qt's messages on, but for what the off-screen platform says at every window."""
    del kind, context
    if "propagateSizeHints" not in message:
        print(message, file=sys.stderr)


def qt_application() -> QApplication:
    """Return the application, made off screen with a Nuke-like look where there is none."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    with without_numpy():
        from PySide6.QtCore import qInstallMessageHandler
        from PySide6.QtWidgets import QApplication

        from genai_fill.ui.palette import apply_nuke_like_palette
    app = QApplication.instance()
    if not isinstance(app, QApplication):
        qInstallMessageHandler(_tell)
        app = QApplication(["genai-fill"])
        apply_nuke_like_palette(app)
    return app


def grab(panel: QWidget, path: Path, ratio: float = 2.0) -> Path:
    """Save a picture of ``panel`` as PNG with ``ratio`` pixels a logical pixel.

    The panel is shown for it if it is not showing, and hidden again. Raises OSError when
    the file cannot be written.
    """
    from PySide6.QtCore import QPoint, Qt
    from PySide6.QtGui import QPixmap

    app = qt_application()
    was_visible = panel.isVisible()
    if not was_visible:
        panel.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen, True)
        panel.show()
    # Twice: the first round lays out, the second lets what depends on widths settle.
    app.processEvents()
    app.processEvents()
    picture = QPixmap(panel.size() * ratio)
    picture.setDevicePixelRatio(ratio)
    picture.fill(panel.palette().window().color())
    panel.render(picture, QPoint(0, 0))
    if not was_visible:
        panel.hide()
        panel.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen, False)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not picture.save(str(path), "PNG"):
        raise OSError(f"The picture {path} could not be written.")
    return path
