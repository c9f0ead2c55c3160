"""The picture of the models window: `python examples/models_picture.py PICTURE.png`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from examples.panel_picture import grab, qt_application


def models_picture(path: Path, *, ratio: float = 1.25) -> Path:
    """Save a picture of the window with a pull under way and a licence to agree to.

    Nothing is fetched: it shows models of the real catalogue, some as if they were there. Raises
    OSError.
    """
    qt_application()
    from PySide6.QtCore import Qt
    from PySide6.QtWidgets import QWidget

    from genai_fill.ui.models_dialog import ModelsDialog
    from genai_fill_contract.job import Progress
    from tests.fakes.panel_actions import FakeActions, ready_state

    actions = FakeActions(ready_state())
    owner = QWidget()
    dialog = ModelsDialog(actions, owner)
    dialog.setAttribute(Qt.WidgetAttribute.WA_DontShowOnScreen, True)
    dialog.show()
    actions.refresh_models()
    dialog.rows["wan21-vace-1.3b"].pull.click()
    moved = Progress("Fetching Wan 2.1 VACE 1.3B: 7.0 of 19.0 GB", 0.37, 340.0)
    actions.work_moves(progress=moved)
    dialog.rows["sdxl-inpaint"].pull.click()
    dialog.resize(560, 900)
    grab(dialog, path, ratio)
    dialog.close()
    owner.deleteLater()
    return path


if __name__ == "__main__":
    models_picture(Path(sys.argv[1]))
