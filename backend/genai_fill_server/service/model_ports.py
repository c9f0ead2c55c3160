"""The ports of work on models. The server process itself neither reads nor fetches any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from genai_fill_contract.fill import Provenance
from genai_fill_contract.job import Progress
from genai_fill_contract.models import ModelList, ModelTask, ModelVerb


@dataclass(frozen=True)
class ModelOrder:
    """What to do: ``path`` and ``link`` are for ADD, ``model_id`` for all others.

    ``accept_licence`` and ``revision`` are for PULL.
    """

    verb: ModelVerb
    model_id: str = ""
    path: str = ""
    link: bool = False
    accept_licence: bool = False
    revision: str = ""


@dataclass(frozen=True)
class ModelOutcome:
    """What came of an order: the model's id, known at last, and words for the artist."""

    model_id: str
    message: str


class ModelWorkStopped(Exception):
    """The work was stopped because its watch said so."""


class ModelWatch(Protocol):
    """Who looks at one order being carried out."""

    @property
    def is_stopped(self) -> bool:
        """Whether it shall stop."""

    def began(self) -> None:
        """Be told that nothing speaks against the order and the long part begins."""

    def moved(self, progress: Progress) -> None:
        """Be told how far it is."""


class ModelWorkers(Protocol):
    """Carries orders out, each in a process of its own. Any thread."""

    def models(self) -> ModelList:
        """Return every model. Raises `EngineError` or `OutputError`."""

    def carry_out(self, order: ModelOrder, watch: ModelWatch) -> ModelOutcome:
        """Block until the order is done. Raises `GenAIFillError` or `ModelWorkStopped`."""


@dataclass(frozen=True)
class ModelAuditEntry:
    """One line of the audit log: who changed which model.

    ``event`` is "model_started" or "model_ended".
    """

    event: str
    time_s: float
    task: ModelTask
    order: ModelOrder
    who: Provenance


class ModelAuditLog(Protocol):
    """The append-only record of every change to the store."""

    def append_model(self, entry: ModelAuditEntry) -> None:
        """Write the entry to disk before returning. Raises `OutputError`."""


ModelsChanged = Callable[[], None]
"""Called when other models may be there than before."""
