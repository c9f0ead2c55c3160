"""The models of the backend: which there are, what their licences allow, and work on them."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from genai_fill_contract.engine import CommercialUse, EngineKind
from genai_fill_contract.errors import ErrorReport
from genai_fill_contract.fill import Provenance
from genai_fill_contract.job import JobState, Progress


class ModelState(enum.StrEnum):
    """Whether a model can be used, and what is wrong with it if not."""

    INSTALLED = "installed"
    MISSING = "missing"
    """Known, and could be pulled or added."""
    PARTIAL = "partial"
    """A pull or an add was broken off; the same again goes on with it."""
    UNSAFE = "unsafe"
    UNKNOWN = "unknown"
    """No engine here takes a model of its kind."""
    INCOMPLETE = "incomplete"
    BROKEN = "broken"


@dataclass(frozen=True)
class ModelInfo:
    """One model, installed or not.

    ``size_bytes`` is on disk, for a missing one about what it will be; 0: not known, as for
    ``vram_gb`` and ``offloaded_gb`` (the text encoder in main memory). ``needs_agreement``:
    pulling it wants the licence at ``licence_url`` agreed to. ``unverified`` are facts that
    nobody has checked against the model card. ``folder`` and ``engine_id`` are empty unless it
    is there. ``what_to_do`` says in words what is wrong and how to mend it.
    """

    id: str
    label: str
    state: ModelState
    family: str = ""
    kind: EngineKind | None = None
    licence: str = "unknown"
    commercial_use: CommercialUse = CommercialUse.WITH_LICENCE
    licence_note: str = ""
    licence_url: str = ""
    needs_agreement: bool = False
    unverified: tuple[str, ...] = ()
    size_bytes: int = 0
    vram_gb: float = 0.0
    offloaded_gb: float = 0.0
    good_for: str = ""
    folder: str = ""
    engine_id: str = ""
    what_to_do: str = ""
    can_pull: bool = False
    can_verify: bool = False
    can_remove: bool = False


@dataclass(frozen=True)
class ModelList:
    """Every model, those that are there first. ``folders`` are searched in this order."""

    models: tuple[ModelInfo, ...]
    folders: tuple[str, ...] = ()


@dataclass(frozen=True)
class PullRequest:
    """Fetch a published model. ``accept_licence``: whoever asks has agreed to its licence.

    ``revision`` is a commit, tag or branch; empty for the catalogue's.
    """

    accept_licence: bool = False
    revision: str = ""
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True)
class AddRequest:
    """Take a local folder in diffusers layout into the store. ``link``: by hard links.

    ``path`` is the backend's and lies under its allowed roots.
    """

    path: str
    link: bool = False
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True)
class ChangeRequest:
    """Verify or remove a model: nothing but who asks."""

    provenance: Provenance = field(default_factory=Provenance)


class ModelVerb(enum.StrEnum):
    """What a `ModelTask` does."""

    PULL = "pull"
    ADD = "add"
    VERIFY = "verify"
    REMOVE = "remove"


@dataclass(frozen=True)
class ModelTask:
    """Work on one model. Kept in the backend's memory only: a restart forgets it.

    ``progress.fraction`` is of the whole task. ``message`` says at the end what came of it.
    """

    id: str
    model_id: str
    verb: ModelVerb
    state: JobState
    created_s: float
    progress: Progress = field(default_factory=Progress)
    error: ErrorReport | None = None
    message: str = ""


@dataclass(frozen=True)
class ModelTaskList:
    """The latest tasks, newest first."""

    tasks: tuple[ModelTask, ...]
