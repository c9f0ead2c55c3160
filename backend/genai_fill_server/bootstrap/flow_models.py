"""RAFT's weights for the model store: a model that no engine fills with by itself."""

from __future__ import annotations

from pathlib import Path

from genai_fill_contract.engine import CommercialUse
from genai_fill_server.engines.cleanplate.raft.folder import (
    check_raft_folder,
    is_raft_folder,
    read_raft_folder,
)
from genai_fill_server.engines.cleanplate.raft.layout import LARGE, SMALL
from genai_fill_server.engines.diffusers.cards import ModelCard, card_of
from genai_fill_server.models.entries import Inspection, ModelState, Offer

FAMILY = "raft"
_PAGE = "https://github.com/pytorch/vision"
_BY_HAND = (
    "It is published as a pickle, which is never opened here. Convert it once and add the "
    "folder: docs/engines/models.md, 'RAFT'."
)
_NOTE = (
    "torchvision's code and weights are under the BSD licence. The weights were trained on "
    "FlyingChairs and FlyingThings3D, most of them also on Sintel, KITTI and HD1K, whose own "
    "terms restrict their use: have it judged whether that binds what is made with them."
)
_CARDS = {
    LARGE.name: ModelCard(
        id="raft-large",
        label="RAFT large (optical flow)",
        family=FAMILY,
        licence="BSD-3-Clause",
        commercial_use=CommercialUse.WITH_LICENCE,
        licence_note=_NOTE,
    ),
    SMALL.name: ModelCard(
        id="raft-small",
        label="RAFT small (optical flow)",
        family=FAMILY,
        licence="BSD-3-Clause",
        commercial_use=CommercialUse.WITH_LICENCE,
        licence_note=_NOTE,
    ),
}
_GOOD_FOR = {
    LARGE.name: "The clean plate's option Flow: the more exact of the two. No engine by itself.",
    SMALL.name: "The clean plate's option Flow: a fifth of the size. No engine by itself.",
}
_DISK_GB = {LARGE.name: 0.021, SMALL.name: 0.004}


def is_flow_model(path: Path) -> bool:
    """Whether a folder of the store holds flow, not an engine's model."""
    return is_raft_folder(path)


def inspect_flow_model(path: Path, roots: tuple[Path, ...]) -> Inspection:
    """Say what the folder holds. Raises what speaks against loading it."""
    folder = read_raft_folder(path, roots)
    check_raft_folder(folder)
    known = _CARDS[folder.layout.name]
    card = card_of(path, known.id, FAMILY, tuple(_CARDS.values()))
    return Inspection(
        ModelState.OK, "", card.label, FAMILY, card.licence, card.commercial_use, is_engine=False
    )


def flow_offers() -> tuple[Offer, ...]:
    """Return the published weights, none of which can be pulled."""
    return tuple(
        Offer(
            id=card.id,
            label=card.label,
            family=FAMILY,
            kind=None,
            repository="",
            licence=card.licence,
            commercial_use=card.commercial_use,
            licence_note=card.licence_note,
            disk_gb=_DISK_GB[name],
            good_for=_GOOD_FOR[name],
            page=_PAGE,
            by_hand=_BY_HAND,
        )
        for name, card in _CARDS.items()
    )
