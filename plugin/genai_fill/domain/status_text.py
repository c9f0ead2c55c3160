"""What the node says of itself, in words."""

from __future__ import annotations

from collections.abc import Iterable

from genai_fill.domain.eta import duration_in_words
from genai_fill.domain.frame_ranges import frames_in_words
from genai_fill_contract.errors import GenAIFillError
from genai_fill_contract.job import JobState
from genai_fill_contract.take import Take

_FINAL_WORDS = {
    JobState.CANCELLED: "Cancelled.",
    JobState.FAILED: "Failed.",
    JobState.LOST: "The backend lost the job. Finished frames are still there. Generate again.",
}

_GAP_END = ": the plate shows there."


def progress_text(phase: str, fraction: float | None, eta_s: float | None) -> str:
    """Return one line on what is going on: ``Filling, 40 %, 3 min left``."""
    parts = [phase]
    if fraction is not None:
        parts.append(f"{round(100 * min(1.0, max(0.0, fraction)))} %")
    if eta_s is not None:
        parts.append(f"{duration_in_words(eta_s)} left")
    return ", ".join(part for part in parts if part)


def queue_text(position: int | None) -> str:
    """Return what a waiting job says."""
    if not position:
        return "Waiting to start"
    return f"Waiting behind {position} other job{'s' if position > 1 else ''}"


def final_text(state: JobState, takes: tuple[Take, ...]) -> str:
    """Return what the node says when a job has ended."""
    if state is not JobState.DONE:
        return _FINAL_WORDS[state]
    versions = ", ".join(f"v{take.version:03d}" for take in takes)
    frames = frames_in_words(frame for take in takes for frame in take.frames_done)
    return f"Done: {versions}, frames {frames}." if frames else f"Done: {versions}."


def gap_text(label: str, missing: Iterable[int]) -> str:
    """Return what the node says of a take that lacks frames; empty if it lacks none."""
    frames = tuple(missing)
    if not frames:
        return ""
    plural = "s" if len(frames) > 1 else ""
    return f"{label} has no frame{plural} {frames_in_words(frames)}{_GAP_END}"


def tells_of_gap(text: str) -> bool:
    """Whether a text ends with what `gap_text` says."""
    return text.endswith(_GAP_END)


def error_text(error: GenAIFillError) -> str:
    """Return an error as the node says it: what happened, then what to do."""
    return f"{error.message} {error.hint}".strip()
