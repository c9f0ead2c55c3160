"""What the two sides say first, and the lists the backend answers with."""

from __future__ import annotations

from dataclasses import dataclass

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.job import Job


@dataclass(frozen=True)
class Hello:
    """The backend's first answer: who it is and which contract it speaks.

    Asked with a nonce and without the token, it holds the versions, the id and the ``proof``
    (`genai_fill_contract.proof`) alone; asked with the token, everything but the proof.
    """

    contract_version: str
    product_version: str
    server_id: str
    pid: int = 0
    allowed_roots: tuple[str, ...] = ()
    proof: str = ""


@dataclass(frozen=True)
class EngineList:
    """Every engine the backend has, the unavailable ones included."""

    engines: tuple[EngineDescription, ...]
    default_engine_id: str


@dataclass(frozen=True)
class JobList:
    """Jobs, newest first."""

    jobs: tuple[Job, ...]
