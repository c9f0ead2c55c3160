"""The sentences about models, free of Qt."""

from __future__ import annotations

from genai_fill.ui.phrases import one_line, shorten, time_left
from genai_fill_contract.engine import EngineKind
from genai_fill_contract.job import JobState
from genai_fill_contract.models import ModelInfo, ModelState, ModelTask, ModelVerb

STATE_WORDS = {
    ModelState.INSTALLED: "Installed",
    ModelState.MISSING: "Not installed",
    ModelState.PARTIAL: "Broken off",
    ModelState.UNSAFE: "Unsafe",
    ModelState.UNKNOWN: "Unknown kind",
    ModelState.INCOMPLETE: "Incomplete",
    ModelState.BROKEN: "Broken",
}

_KINDS = {EngineKind.IMAGE: "stills", EngineKind.VIDEO: "moving shots", EngineKind.SHOT: "shots"}
DOING_WORDS = {
    ModelVerb.PULL: "Pulling",
    ModelVerb.ADD: "Adding",
    ModelVerb.VERIFY: "Verifying",
    ModelVerb.REMOVE: "Removing",
}
_DONE = {
    ModelVerb.PULL: "Pulled.",
    ModelVerb.ADD: "Added.",
    ModelVerb.VERIFY: "Verified.",
    ModelVerb.REMOVE: "Removed.",
}


def size_text(size_bytes: int) -> str:
    """Return a size on disk as one says it; empty when it is not known."""
    if size_bytes <= 0:
        return ""
    if size_bytes < 1e9:
        return f"{max(size_bytes / 1e6, 0.1):.1f} MB"
    return f"{size_bytes / 1e9:.3g} GB"


def facts_text(model: ModelInfo) -> str:
    """Return what a model needs and makes, on one line."""
    facts = [f"for {_KINDS[model.kind]}" if model.kind is not None else ""]
    size = size_text(model.size_bytes)
    facts.append(f"{size} on disk" if size else "")
    if model.vram_gb:
        less = f" ({model.offloaded_gb:g} GB offloaded)" if model.offloaded_gb else ""
        facts.append(f"{model.vram_gb:g} GB VRAM{less}")
    line = " · ".join(fact for fact in facts if fact)
    return line[:1].upper() + line[1:]


def agreement_text(model: ModelInfo) -> str:
    """Return what is asked before a model is pulled."""
    lines = [f"{one_line(model.label)} has a licence to agree to: {one_line(model.licence)}."]
    if model.licence_note:
        lines.append(one_line(model.licence_note))
    if model.unverified:
        facts = ", ".join(one_line(fact) for fact in model.unverified)
        lines.append(f"Not checked against the model card: {facts}.")
    if model.licence_url:
        lines.append(f"Read it at {one_line(model.licence_url)}")
    return "\n".join(shorten(line) for line in lines)


def removal_text(model: ModelInfo) -> str:
    """Return what is asked before a model is removed."""
    size = size_text(model.size_bytes) if model.state is not ModelState.PARTIAL else ""
    frees = f" It frees {size}." if size else ""
    return f"Remove {one_line(model.label)} from the backend's disk?{frees}"


def task_text(task: ModelTask) -> str:
    """Return one line on a task: how far it is, or what came of it."""
    state = task.state
    if state is JobState.DONE:
        return one_line(task.message) or _DONE[task.verb]
    if state is JobState.CANCELLED:
        return one_line(task.message) or "Cancelled."
    if state is JobState.LOST:
        return "Lost: the backend went away. What has come so far is kept."
    if state is JobState.FAILED:
        error = task.error
        return shorten(f"{error.message} {error.hint}".strip()) if error else "Failed."
    if state is JobState.CANCELLING:
        return "Cancelling"
    words = one_line(task.progress.phase) or DOING_WORDS[task.verb]
    left = time_left(task.progress.eta_s)
    return f"{words} · {left}" if left else words
