"""How published models are fetched: the package's own list, joined with the engines' cards."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from typing import Any

from genai_fill_contract.errors import ConfigError, ModelMissing
from genai_fill_server.models.entries import Offer

_FIELDS = frozenset(
    {
        "id",
        "revision",
        "disk_gb",
        "variant",
        "skip",
        "good_for",
        "settings",
        "suggested",
        "unverified",
    }
)


def read_downloads() -> dict[str, Mapping[str, Any]]:
    """Return the package's download list: id -> its entries."""
    text = resources.files(__package__).joinpath("downloads.toml").read_text(encoding="utf-8")
    return {entry["id"]: entry for entry in tomllib.loads(text)["download"]}


def with_downloads(
    models: Iterable[Offer], downloads: Mapping[str, Mapping[str, Any]]
) -> tuple[Offer, ...]:
    """Return the models that can be fetched, in the order of ``downloads``.

    Raises `ConfigError` for an entry that no model joins, or that has an unknown field.
    """
    by_id = {model.id: model for model in models}
    return tuple(_joined(by_id, model_id, entry) for model_id, entry in downloads.items())


def _joined(by_id: Mapping[str, Offer], model_id: str, entry: Mapping[str, Any]) -> Offer:
    model = by_id.get(model_id)
    unknown = sorted(set(entry) - _FIELDS)
    if model is None or unknown:
        what = f"has an unknown field {unknown[0]!r}" if unknown else "is of no known model"
        raise ConfigError(
            f"The download entry {model_id!r} {what}.", hint="Unpack the release again."
        )
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    return dataclasses.replace(model, **values)


def find_offer(offers: Iterable[Offer], model_id: str) -> Offer:
    """Return the model of that id. Raises `ModelMissing` naming the nearest one."""
    by_id = {offer.id: offer for offer in offers}
    if model_id in by_id:
        return by_id[model_id]
    near = difflib.get_close_matches(model_id, by_id, n=3)
    # Of those that are near, the one that stands first: the catalogue begins with the best.
    guess = f"Did you mean {min(near, key=list(by_id).index)!r}? " if near else ""
    raise ModelMissing(
        f"The catalogue has no model {model_id[:96]!r}.",
        hint=f"{guess}It has: {', '.join(by_id)}. A model from elsewhere is put into the store "
        "with 'genai-fill models add FOLDER'.",
    )


def how_to_get(offer: Offer) -> str:
    """Return the words for an artist whose engine is not installed."""
    size = f", {offer.disk_gb:g} GB" if offer.disk_gb else ""
    return (
        f"Not installed: genai-fill models pull {offer.id} ({offer.licence}{size}), "
        "or ask whoever looks after the models here."
    )
