"""What the store knows of a model: as something to fetch, and as a folder that is there."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.engine import CommercialUse, EngineKind

_FACTS = {"disk_gb": "size on disk", "vram_gb": "VRAM"}
_PERMISSIVE = frozenset({"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause"})


@dataclass(frozen=True)
class Offer:
    """A published model that can be fetched.

    ``disk_gb``, ``vram_gb``, ``offloaded_gb`` (the text encoder in main memory) and
    ``native_px`` are 0 where they are not known. ``revision`` is a branch, tag or commit.
    ``variant`` names files to prefer ("fp16"), ``skip`` parts that are never loaded,
    ``suggested`` models are named to artists when they are not installed, ``unverified``
    lists the facts that nobody has checked against the model card. ``kind`` is None for a
    model that engines use and none is. ``page`` is where its licence stands, where that is
    not its repository; ``by_hand`` says how to get one that cannot be pulled.
    """

    id: str
    label: str
    family: str
    kind: EngineKind | None
    repository: str
    licence: str
    commercial_use: CommercialUse
    licence_note: str = ""
    native_px: int = 0
    vram_gb: float = 0.0
    offloaded_gb: float = 0.0
    revision: str = "main"
    disk_gb: float = 0.0
    variant: str = ""
    skip: tuple[str, ...] = ()
    good_for: str = ""
    settings: str = ""
    suggested: bool = False
    unverified: tuple[str, ...] = ()
    page: str = ""
    by_hand: str = ""

    def is_called(self, name: str) -> bool:
        """Whether a folder of that name is this model: its id, or its repository's name."""
        repository = self.repository.lower()
        names = {self.id, repository.replace("/", "--"), repository.split("/")[-1]} - {""}
        return name.lower() in names

    @property
    def in_doubt(self) -> tuple[str, ...]:
        """Return the unverified facts in words, for whoever decides about the model."""
        return tuple(_FACTS.get(fact, fact) for fact in self.unverified)

    @property
    def is_permissive(self) -> bool:
        """Whether the licence asks nothing of who uses the model, so nobody need agree to it."""
        return (
            self.commercial_use is CommercialUse.YES
            and self.licence.lower() in _PERMISSIVE
            and not any(fact.split(" ")[0] == "licence" for fact in self.unverified)
        )


class ModelState(enum.StrEnum):
    """Whether a model folder can be used."""

    OK = "ok"
    UNSAFE = "unsafe"
    UNKNOWN = "unknown family"
    INCOMPLETE = "incomplete"
    BROKEN = "broken"


@dataclass(frozen=True)
class Inspection:
    """What the engines say of a model folder, without reading its weights.

    ``is_engine``: an engine fills with it; otherwise one uses it for something else.
    """

    state: ModelState
    reason: str = ""
    label: str = ""
    family: str = ""
    licence: str = "unknown"
    commercial_use: CommercialUse = CommercialUse.WITH_LICENCE
    licence_note: str = ""
    is_engine: bool = True


@dataclass(frozen=True)
class InstalledModel:
    """A model folder under ``models.dirs``.

    ``is_recorded`` tells whether there are hashes to verify it against. ``is_removable``
    tells that it is a folder of a store that this user may write to.
    """

    id: str
    path: Path
    size_bytes: int
    inspection: Inspection
    is_recorded: bool
    is_removable: bool
