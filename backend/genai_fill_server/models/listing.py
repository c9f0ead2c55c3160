"""What is in the store and what could be, as plain rows for tables and JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from genai_fill_contract.errors import ModelLoadFailed
from genai_fill_server.models.entries import InstalledModel, Offer
from genai_fill_server.models.pull import source_of
from genai_fill_server.models.record import read_record


def installed_row(model: InstalledModel) -> dict[str, Any]:
    """Return a row for an installed model."""
    inspection = model.inspection
    return {
        "id": model.id,
        "state": inspection.state.value,
        "reason": inspection.reason,
        "label": inspection.label or model.id,
        "family": inspection.family,
        "licence": inspection.licence,
        "commercial_use": inspection.commercial_use.value,
        "size_bytes": model.size_bytes,
        "recorded": model.is_recorded,
        "removable": model.is_removable,
        "path": str(model.path),
    }


def offer_row(offer: Offer) -> dict[str, Any]:
    """Return a row for a model that can be fetched."""
    return {
        "id": offer.id,
        "label": offer.label,
        "kind": offer.kind.value if offer.kind is not None else "flow",
        "family": offer.family,
        "repository": offer.repository,
        "revision": offer.revision,
        "licence": offer.licence,
        "commercial_use": offer.commercial_use.value,
        "disk_gb": offer.disk_gb,
        "vram_gb": offer.vram_gb,
        "offloaded_gb": offer.offloaded_gb,
        "native_px": offer.native_px,
        "good_for": offer.good_for,
        "settings": offer.settings,
        "suggested": offer.suggested,
        "by_hand": offer.by_hand,
        "unverified": list(offer.unverified),
    }


def licence_rows(
    models: Iterable[InstalledModel], offers: Iterable[Offer]
) -> list[Mapping[str, Any]]:
    """Return the licence of every model, the installed first, with where it stands."""
    by_id = {offer.id: offer for offer in offers}
    rows: list[Mapping[str, Any]] = []
    for model in models:
        offer = by_id.pop(model.id, None)
        rows.append(
            {
                "id": model.id,
                "installed": True,
                "licence": model.inspection.licence,
                "commercial_use": model.inspection.commercial_use.value,
                "note": model.inspection.licence_note or (offer.licence_note if offer else ""),
                "source": source_of(offer) if offer else str(model.path),
                "accepted": _accepted(model),
            }
        )
    rows += [
        {
            "id": offer.id,
            "installed": False,
            "licence": offer.licence,
            "commercial_use": offer.commercial_use.value,
            "note": offer.licence_note,
            "source": source_of(offer),
            "accepted": "",
        }
        for offer in by_id.values()
    ]
    return rows


def _accepted(model: InstalledModel) -> str:
    """Return the licence that who fetched the model agreed to; a spoilt record says nothing."""
    try:
        record = read_record(model.path)
    except ModelLoadFailed:
        return ""
    return record.accepted if record else ""
