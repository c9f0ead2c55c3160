"""An engine for a model folder that cannot be used: listed, with the reason."""

from __future__ import annotations

from collections.abc import Iterator

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import EngineError
from genai_fill_server.service.ports import EngineFrame, EngineJob, Shot, Watch


class RefusedEngine:
    """Describes the model and why it is not available; raises the reason when used."""

    def __init__(self, description: EngineDescription, reason: EngineError) -> None:
        self._description = description
        self._reason = reason

    @property
    def description(self) -> EngineDescription:
        """The model, with ``available`` false."""
        return self._description

    def prepare(self, watch: Watch) -> None:
        """Raise the reason."""
        del watch
        raise self._reason

    def fill(self, shot: Shot, job: EngineJob, watch: Watch) -> Iterator[EngineFrame]:
        """Raise the reason."""
        del shot, job, watch
        raise self._reason

    def release(self) -> None:
        """Nothing is held."""
