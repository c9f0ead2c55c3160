"""What the engines know of models, for the model store: their catalogue and their checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import EngineError, GenAIFillError, ModelMissing, ModelUnsafe
from genai_fill_server.bootstrap.flow_models import (
    flow_offers,
    inspect_flow_model,
    is_flow_model,
)
from genai_fill_server.engines.diffusers.cards import ModelCard, card_of, read_catalogue
from genai_fill_server.engines.diffusers.describing import ID_PREFIX, describe
from genai_fill_server.engines.diffusers.families import FAMILIES, family_of
from genai_fill_server.engines.diffusers.family import Family
from genai_fill_server.engines.diffusers.folder import (
    check_safe,
    find_model_folders,
    model_name,
    read_model_folder,
)
from genai_fill_server.models.catalogue import how_to_get, read_downloads, with_downloads
from genai_fill_server.models.entries import Inspection, ModelState, Offer

ENGINE_ID_PREFIX = ID_PREFIX
"""What stands before a model's id in its engine's."""


class EngineModelFolders:
    """`ModelFolders` by the checks that the diffusers engines make before they load."""

    def __init__(self) -> None:
        """Read the engines' catalogue."""
        self._cards = read_catalogue()

    def find(self, dirs: tuple[Path, ...]) -> Iterator[tuple[str, Path]]:
        """Yield (name, path) of every model under ``dirs``."""
        for path, _ in find_model_folders(tuple(str(d) for d in dirs)):
            yield model_name(path), path

    def inspect(self, path: Path, roots: tuple[Path, ...], name: str = "") -> Inspection:
        """Say whether the engines would load the folder."""
        card = None
        try:
            if is_flow_model(path):
                return inspect_flow_model(path, roots)
            folder = read_model_folder(path, roots)
            family = family_of(folder.pipeline)
            if family is None:
                return Inspection(
                    ModelState.UNKNOWN, f"No engine here fills with a {folder.pipeline!r}."
                )
            card = card_of(path, name or folder.name, family.name, self._cards)
            check_safe(folder, family.unused_parts)
        except GenAIFillError as error:
            return _inspection(_state_of(error), card, str(error))
        return _inspection(ModelState.OK, card)


def _inspection(state: ModelState, card: ModelCard | None, reason: str = "") -> Inspection:
    if card is None:
        return Inspection(state, reason)
    return Inspection(
        state,
        reason,
        card.label,
        card.family,
        card.licence,
        card.commercial_use,
        card.licence_note,
    )


def _state_of(error: GenAIFillError) -> ModelState:
    if isinstance(error, ModelUnsafe):
        return ModelState.UNSAFE
    return ModelState.INCOMPLETE if isinstance(error, ModelMissing) else ModelState.BROKEN


def known_offers() -> tuple[Offer, ...]:
    """Return every published model that the store knows, also those that are added by hand."""
    downloads = with_downloads(
        [
            Offer(
                id=card.id,
                label=card.label,
                family=card.family,
                kind=_family(card).kind,
                repository=card.repository,
                licence=card.licence,
                commercial_use=card.commercial_use,
                licence_note=card.licence_note,
                native_px=card.native_px,
                vram_gb=card.vram_gb,
                offloaded_gb=card.offloaded_gb,
            )
            for card in read_catalogue()
        ],
        read_downloads(),
    )
    return (*downloads, *flow_offers())


def engines_not_installed(installed: Iterable[EngineDescription]) -> list[EngineDescription]:
    """Return an unavailable engine, saying how to get it, for each suggested model not there.

    ``installed`` are the engines that there are, usable or not.
    """
    there = {engine.id for engine in installed} | {engine.model for engine in installed}
    cards = {card.id: card for card in read_catalogue()}
    return [
        describe(ID_PREFIX + offer.id, _family(cards[offer.id]), cards[offer.id], how_to_get(offer))
        for offer in known_offers()
        if offer.suggested and not there & {ID_PREFIX + offer.id, offer.repository}
    ]


def _family(card: ModelCard) -> Family:
    for family in FAMILIES:
        if family.name == card.family:
            return family
    raise EngineError(
        f"The catalogue names a family {card.family!r}, which no engine has.",
        hint="Unpack the release again.",
    )
