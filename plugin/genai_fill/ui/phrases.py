"""The panel's sentences, free of Qt: what a state is called, how long it will take."""

from __future__ import annotations

import html

from genai_fill.app.panel_state import ActivityView, PanelState, TakeRow
from genai_fill_contract.engine import CommercialUse
from genai_fill_contract.errors import ErrorReport
from genai_fill_contract.job import JobState
from genai_fill_contract.plate import InputRole

_STATE_WORDS = {
    JobState.QUEUED: "Waiting in the queue",
    JobState.RUNNING: "Working",
    JobState.CANCELLING: "Cancelling",
    JobState.DONE: "Done",
    JobState.FAILED: "Failed",
    JobState.CANCELLED: "Cancelled",
    JobState.LOST: "Lost: the backend went away before it was done",
}

COMMERCIAL_WORDS = {
    CommercialUse.YES: "Commercial use allowed",
    CommercialUse.NO: "Not for commercial use",
    CommercialUse.WITH_LICENCE: "Commercial use needs a licence",
}


def is_busy(activity: ActivityView) -> bool:
    """Whether something is going on that a new fill must wait for."""
    going_on = activity.state is not None and not activity.state.is_final
    return going_on or activity.can_cancel


def time_left(eta_s: float | None) -> str:
    """Return an estimate in words as coarse as it deserves; empty if there is none."""
    if eta_s is None or not 0 <= eta_s < 1e7:
        return ""
    if eta_s < 8:
        return "a few seconds left"
    if eta_s < 55:
        return f"about {max(10, round(eta_s / 10) * 10)} s left"
    minutes = max(1, round(eta_s / 60))
    if minutes < 60:
        return f"about {minutes} min left"
    hours, rest = divmod(round(minutes / 5) * 5, 60)
    return f"about {hours} h {rest} min left" if rest else f"about {hours} h left"


def activity_text(activity: ActivityView) -> str:
    """Return one line on what is going on, empty when nothing is."""
    state = activity.state
    words = activity.phase.strip()
    if state is not None and (not words or state is JobState.CANCELLING or state.is_final):
        words = _STATE_WORDS[state]
    left = time_left(activity.eta_s) if is_busy(activity) else ""
    return f"{words} · {left}" if words and left else words or left


def why_not_generate(state: PanelState, prompt: str) -> str:
    """Return what keeps Generate from being pressed, or an empty string."""
    if state.node_name is None:
        return "Select a GenAI Fill node."
    if is_busy(state.activity):
        return "A fill is under way for this node."
    engine = state.engine
    if engine is None:
        # The backend may not be up yet: generating starts it, and it knows the engines.
        return ""
    if not engine.available:
        return f"{engine.label} is not available."
    if engine.needs_prompt and not prompt.strip():
        return f"{engine.label} needs a prompt."
    return ""


def hero_hint(state: PanelState) -> tuple[str, bool]:
    """Return what becomes of the hero frames with this engine, and whether it uses them."""
    engine = state.engine
    if engine is None or not state.heroes:
        return "", True
    if InputRole.PATCH in engine.inputs:
        return f"{one_line(engine.label)} carries them through the frames.", True
    able = [e for e in state.engines if e.available and InputRole.PATCH in e.inputs]
    names = " or ".join(one_line(e.label) for e in able[:2])
    advice = f" Choose {names}." if names else ""
    return f"{one_line(engine.label)} does not use hero frames.{advice}", False


def generate_label(takes: int) -> str:
    """Return the words on the Generate button."""
    return "Generate" if takes <= 1 else f"Generate {takes} takes"


def frames_text(first: int, last: int) -> str:
    """Return a range as artists write it: ``1001`` or ``1001–1048``."""
    return f"{first}" if first == last else f"{first}–{last}"


def take_frames(take: TakeRow) -> str:
    """Return how much of a take is there: its range when complete, else a count."""
    if take.frames_done >= take.frames_total:
        return frames_text(take.first, take.last)
    return f"{take.frames_done} of {take.frames_total} frames"


def one_line(text: str) -> str:
    """Return ``text`` on one line, runs of white space as single spaces."""
    return " ".join(text[:2000].split())


def shorten(text: str, limit: int = 400) -> str:
    """Return ``text``, cut with an ellipsis where it is longer than a message should be."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def plain_tooltip(text: str) -> str:
    """Return ``text`` as a tool tip that wraps and is never read as markup."""
    shown = shorten(text, 1500)
    return f"<qt>{html.escape(shown).replace(chr(10), '<br>')}</qt>" if shown else ""


def can_try_again(state: PanelState) -> bool:
    """Whether the error shown is one of a fill that may go well the next time."""
    error, ended = state.error, state.activity.state
    return error is not None and (error.retryable or ended in (JobState.FAILED, JobState.LOST))


def error_details(report: ErrorReport) -> str:
    """Return an error in full, to be copied into a message to support."""
    lines = [report.message, report.hint, "", f"code: {report.code.value}"]
    lines += [f"{name}: {value}" for name, value in sorted(report.context.items())]
    return "\n".join(lines)
