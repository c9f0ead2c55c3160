"""Every model as the panel shows it: what is there, what could be, and what to do."""

from __future__ import annotations

from collections.abc import Iterable

from genai_fill_contract import models as contract
from genai_fill_contract.engine import CommercialUse
from genai_fill_contract.models import ModelInfo
from genai_fill_server.models.entries import InstalledModel, ModelState, Offer
from genai_fill_server.models.pull import source_of
from genai_fill_server.models.store import ModelStore

_STATES = {
    ModelState.OK: contract.ModelState.INSTALLED,
    ModelState.UNSAFE: contract.ModelState.UNSAFE,
    ModelState.UNKNOWN: contract.ModelState.UNKNOWN,
    ModelState.INCOMPLETE: contract.ModelState.INCOMPLETE,
    ModelState.BROKEN: contract.ModelState.BROKEN,
}
_BLOCKED = (
    "Its licence forbids commercial use. Where the work is not commercial, an administrator "
    "can set models.allow_non_commercial."
)
_GB = 1e9


def describe_models(
    store: ModelStore,
    offers: Iterable[Offer],
    *,
    engine_prefix: str,
    allow_non_commercial: bool,
) -> tuple[ModelInfo, ...]:
    """Return those that are there first, then what was broken off, then what could be had.

    An engine's id is ``engine_prefix`` and the model's. Reads no weights, and no network.
    """
    by_id = {offer.id: offer for offer in offers}
    installed = [
        _installed(model, by_id.get(model.id), engine_prefix, allow=allow_non_commercial)
        for model in store.models()
    ]
    there = {model.id for model in installed}
    partial = [
        _partial(model_id, by_id.get(model_id), allow=allow_non_commercial)
        for model_id in store.partials()
        if model_id not in there
    ]
    there |= {model.id for model in partial}
    missing = [
        _missing(offer, allow=allow_non_commercial)
        for offer in by_id.values()
        if offer.id not in there
    ]
    return (*installed, *partial, *missing)


def _installed(
    model: InstalledModel, offer: Offer | None, engine_prefix: str, *, allow: bool
) -> ModelInfo:
    found = model.inspection
    is_good = found.state is ModelState.OK
    blocked = is_good and found.commercial_use is CommercialUse.NO and not allow
    return ModelInfo(
        id=model.id,
        label=found.label or (offer.label if offer else model.id),
        state=_STATES[found.state],
        family=found.family,
        kind=offer.kind if offer else None,
        licence=found.licence,
        commercial_use=found.commercial_use,
        licence_note=found.licence_note or (offer.licence_note if offer else ""),
        licence_url=source_of(offer) if offer else "",
        unverified=offer.in_doubt if offer else (),
        size_bytes=model.size_bytes,
        vram_gb=offer.vram_gb if offer else 0.0,
        offloaded_gb=offer.offloaded_gb if offer else 0.0,
        good_for=offer.good_for if offer else "",
        folder=str(model.path),
        engine_id=engine_prefix + model.id if is_good and found.is_engine else "",
        what_to_do=_BLOCKED if blocked else found.reason,
        can_verify=model.is_recorded,
        can_remove=model.is_removable,
    )


def _partial(model_id: str, offer: Offer | None, *, allow: bool) -> ModelInfo:
    if offer is None or offer.by_hand:
        return ModelInfo(
            id=model_id,
            label=offer.label if offer else model_id,
            state=contract.ModelState.PARTIAL,
            what_to_do="Adding it was broken off. Add its folder again, or remove what is there.",
            can_remove=True,
        )
    words = "Pulling it was broken off. Pull it again to go on, or remove what is there."
    blocked = offer.commercial_use is CommercialUse.NO and not allow
    return _offered(
        offer,
        contract.ModelState.PARTIAL,
        _BLOCKED if blocked else words,
        can_pull=not blocked,
        can_remove=True,
    )


def _missing(offer: Offer, *, allow: bool) -> ModelInfo:
    blocked = offer.commercial_use is CommercialUse.NO and not allow
    words = _BLOCKED if blocked else offer.by_hand
    can_pull = not blocked and not offer.by_hand
    return _offered(offer, contract.ModelState.MISSING, words, can_pull=can_pull)


def _offered(
    offer: Offer,
    state: contract.ModelState,
    what_to_do: str,
    *,
    can_pull: bool,
    can_remove: bool = False,
) -> ModelInfo:
    return ModelInfo(
        id=offer.id,
        label=offer.label,
        state=state,
        family=offer.family,
        kind=offer.kind,
        licence=offer.licence,
        commercial_use=offer.commercial_use,
        licence_note=offer.licence_note,
        licence_url=source_of(offer),
        needs_agreement=not offer.is_permissive and not offer.by_hand,
        unverified=offer.in_doubt,
        size_bytes=round(offer.disk_gb * _GB),
        vram_gb=offer.vram_gb,
        offloaded_gb=offer.offloaded_gb,
        good_for=offer.good_for,
        what_to_do=what_to_do,
        can_pull=can_pull,
        can_remove=can_remove,
    )
