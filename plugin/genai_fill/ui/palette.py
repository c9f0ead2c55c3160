"""Colours of the panel, all taken from the host's palette.

Inside Nuke the panel uses Nuke's own palette and style and sets none itself: no style sheet,
no application palette. `apply_nuke_like_palette` is for running outside Nuke only: tests,
pictures for the documentation, a studio's own window.
"""

from __future__ import annotations

import enum

from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QApplication


class Tone(enum.Enum):
    """What a colour says, apart from the host's own roles."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"
    QUIET = "quiet"


_ON_DARK = {Tone.GOOD: "#7bbf6a", Tone.WARNING: "#e0b34c", Tone.BAD: "#e8695c"}
_ON_LIGHT = {Tone.GOOD: "#2f7d32", Tone.WARNING: "#8a6100", Tone.BAD: "#b3261e"}

# Outside Nuke only: Nuke draws its own scroll bars.
_SCROLL_BARS = """
QScrollBar:vertical { background: transparent; width: 10px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 10px; margin: 0; }
QScrollBar::handle { background: #5a5a5a; border-radius: 3px; margin: 2px; }
QScrollBar::handle:vertical { min-height: 28px; }
QScrollBar::handle:horizontal { min-width: 28px; }
QScrollBar::handle:hover { background: #737373; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
"""


def mix(one: QColor, other: QColor, share: float) -> QColor:
    """Return ``one`` with ``share`` (0 to 1) of ``other`` mixed in, sRGB-encoded."""
    keep = 1.0 - share
    return QColor.fromRgbF(
        one.redF() * keep + other.redF() * share,
        one.greenF() * keep + other.greenF() * share,
        one.blueF() * keep + other.blueF() * share,
    )


def is_dark(palette: QPalette) -> bool:
    """Whether the palette is light text on a dark window."""
    window = palette.color(QPalette.ColorRole.Window)
    return window.lightnessF() < palette.color(QPalette.ColorRole.WindowText).lightnessF()


def tone_colour(palette: QPalette, tone: Tone) -> QColor:
    """Return the colour of a tone, readable on the palette's window."""
    if tone is Tone.QUIET:
        return dim_text(palette)
    return QColor((_ON_DARK if is_dark(palette) else _ON_LIGHT)[tone])


def dim_text(palette: QPalette) -> QColor:
    """Return the colour of secondary text: a third of the way to the background."""
    text = palette.color(QPalette.ColorRole.WindowText)
    return mix(text, palette.color(QPalette.ColorRole.Window), 0.34)


def line_colour(palette: QPalette) -> QColor:
    """Return the colour of separators and frames."""
    window = palette.color(QPalette.ColorRole.Window)
    return mix(window, palette.color(QPalette.ColorRole.WindowText), 0.16)


def raised_colour(palette: QPalette) -> QColor:
    """Return the background of a box that stands out a little from the window."""
    window = palette.color(QPalette.ColorRole.Window)
    return mix(window, palette.color(QPalette.ColorRole.WindowText), 0.06)


def readable_on(background: QColor) -> QColor:
    """Return near-black or near-white, whichever reads better on ``background``.

    Uses the relative luminance of WCAG 2.1.
    """

    def linear(value: float) -> float:
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    luminance = (
        0.2126 * linear(background.redF())
        + 0.7152 * linear(background.greenF())
        + 0.0722 * linear(background.blueF())
    )
    return QColor("#141414") if luminance > 0.18 else QColor("#f4f4f4")


def nuke_like_palette() -> QPalette:
    """Return a dark palette near to Nuke's default one."""
    role = QPalette.ColorRole
    palette = QPalette()
    colours = {
        role.Window: "#323232",
        role.WindowText: "#d2d2d2",
        role.Base: "#262626",
        role.AlternateBase: "#2b2b2b",
        role.Text: "#dcdcdc",
        role.Button: "#454545",
        role.ButtonText: "#dcdcdc",
        role.BrightText: "#ffffff",
        role.ToolTipBase: "#1f1f1f",
        role.ToolTipText: "#dcdcdc",
        role.Highlight: "#f08c1e",
        role.HighlightedText: "#141414",
        role.Link: "#f0a44c",
        role.PlaceholderText: "#8a8a8a",
        role.Light: "#5a5a5a",
        role.Midlight: "#505050",
        role.Mid: "#3c3c3c",
        role.Dark: "#242424",
        role.Shadow: "#161616",
    }
    for which, colour in colours.items():
        palette.setColor(which, QColor(colour))
    disabled = QPalette.ColorGroup.Disabled
    for which in (role.WindowText, role.Text, role.ButtonText, role.HighlightedText):
        palette.setColor(disabled, which, QColor("#7d7d7d"))
    palette.setColor(disabled, role.Base, QColor("#2e2e2e"))
    palette.setColor(disabled, role.Button, QColor("#3c3c3c"))
    palette.setColor(disabled, role.Highlight, QColor("#5a5a5a"))
    return palette


def apply_nuke_like_palette(app: QApplication) -> None:
    """Make an application outside Nuke look like Nuke. Never call it inside Nuke."""
    app.setStyle("Fusion")
    app.setPalette(nuke_like_palette())
    app.setStyleSheet(_SCROLL_BARS)
