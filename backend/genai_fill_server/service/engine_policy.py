"""Which engines may run here, and whether a request is one that its engine takes."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable

from genai_fill_contract.engine import CommercialUse, EngineDescription
from genai_fill_contract.errors import (
    InvalidRequest,
    LicenceForbids,
    ModelMissing,
    UnknownEngine,
)
from genai_fill_contract.fill import FillRequest

_BLOCKED = (
    "Its licence ({licence}) forbids commercial use. A project that may use it sets "
    "models.allow_non_commercial."
)


def under_policy(
    engines: Iterable[EngineDescription], *, allow_non_commercial: bool
) -> tuple[EngineDescription, ...]:
    """Return the engines as this studio sees them: blocked ones unavailable, with the reason."""
    return tuple(
        engine if allow_non_commercial or not _is_non_commercial(engine) else _blocked(engine)
        for engine in engines
    )


def admit(request: FillRequest, engines: Iterable[EngineDescription]) -> EngineDescription:
    """Return the engine of ``request`` if it may run with these options.

    Raises `UnknownEngine`, `LicenceForbids` when policy blocks it, `ModelMissing` when it is
    unavailable, `InvalidOption`, and `InvalidRequest` when it needs a prompt and has none.
    """
    by_id = {engine.id: engine for engine in engines}
    engine = by_id.get(request.engine_id)
    if engine is None:
        raise _unknown(request.engine_id, list(by_id))
    if not engine.available and engine.unavailable_reason == _forbidden(engine):
        raise LicenceForbids(
            f"The engine {engine.label!r} may not run here.",
            hint=engine.unavailable_reason,
            engine=engine.id,
        )
    if not engine.available:
        raise ModelMissing(
            f"The engine {engine.label!r} cannot run here.",
            hint=engine.unavailable_reason or "See genai-fill doctor.",
            engine=engine.id,
        )
    engine.resolve(request.engine_options)
    if engine.needs_prompt and not request.prompt.strip():
        raise InvalidRequest(
            f"The engine {engine.label!r} needs a prompt, and there is none.",
            hint="Write what should be there, or choose an engine that needs no prompt.",
            engine=engine.id,
        )
    return engine


def _is_non_commercial(engine: EngineDescription) -> bool:
    return engine.commercial_use is CommercialUse.NO


def _blocked(engine: EngineDescription) -> EngineDescription:
    return dataclasses.replace(engine, available=False, unavailable_reason=_forbidden(engine))


def _forbidden(engine: EngineDescription) -> str:
    return _BLOCKED.format(licence=engine.licence or "unnamed")


def _unknown(engine_id: str, known: list[str]) -> UnknownEngine:
    near = difflib.get_close_matches(engine_id, known, n=1)
    guess = f"Did you mean {near[0]!r}? " if near else ""
    return UnknownEngine(
        f"There is no engine {engine_id[:64]!r}.",
        hint=f"{guess}Installed: {', '.join(known) or 'none'}.",
        engine=engine_id[:64],
    )
