"""Model cards: licence, commercial use, native size and memory of a model folder."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from genai_fill_contract.engine import CommercialUse
from genai_fill_contract.errors import ConfigError

CARD_FILE = "genai_fill_model.toml"
UNKNOWN_LICENCE = "unknown"


@dataclass(frozen=True)
class ModelCard:
    """What is known about one model beside its weights.

    ``native_px`` is the side of the square area that the model was trained at, 0 for the
    family's own. ``vram_gb`` is what a fill needs with every part on the device,
    ``offloaded_gb`` with the text encoder in main memory; 0 means not known.
    ``distilled`` models take few steps and no guidance. ``controlnet`` names a folder (or one
    .safetensors file) beside the model's, for families that take one; ``structure`` likewise
    one that knows depth, edges and poses but no hole.
    """

    id: str
    label: str
    family: str = ""
    repository: str = ""
    licence: str = UNKNOWN_LICENCE
    commercial_use: CommercialUse = CommercialUse.WITH_LICENCE
    licence_note: str = ""
    native_px: int = 0
    vram_gb: float = 0.0
    offloaded_gb: float = 0.0
    distilled: bool = False
    controlnet: str = ""
    structure: str = ""


def read_catalogue() -> tuple[ModelCard, ...]:
    """Return the cards that ship with the package."""
    text = resources.files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)["model"]
    return tuple(_card(entry, ModelCard("", ""), "the catalogue") for entry in entries)


def card_of(folder: Path, name: str, family: str, catalogue: tuple[ModelCard, ...]) -> ModelCard:
    """Return the card of a model folder.

    The folder's own ``genai_fill_model.toml`` comes first (it may say ``catalogue = "id"``
    and add to that entry), then the catalogue entry of the same name and family. Without
    either the licence is unknown and commercial use needs one, or is not allowed at all
    where no known model of the family allows it. Raises `ConfigError` for a card that
    cannot be read.
    """
    unknown = _unknown_card(name, family, catalogue)
    path = folder / CARD_FILE
    if path.is_file():
        return _card_from_file(path, unknown, catalogue)
    for card in catalogue:
        if card.family == family and name.lower() in _names(card):
            return card
    return unknown


def _unknown_card(name: str, family: str, catalogue: tuple[ModelCard, ...]) -> ModelCard:
    card = ModelCard(id=name, label=name, family=family)
    relatives = [known for known in catalogue if known.family == family]
    if relatives and all(known.commercial_use is CommercialUse.NO for known in relatives):
        return dataclasses.replace(
            card,
            commercial_use=CommercialUse.NO,
            licence_note="Taken for non-commercial, as every known model of its family is.",
        )
    return card


def _names(card: ModelCard) -> set[str]:
    repository = card.repository.lower()
    return {card.id.lower(), repository, repository.replace("/", "--"), repository.split("/")[-1]}


def _card_from_file(path: Path, base: ModelCard, catalogue: tuple[ModelCard, ...]) -> ModelCard:
    try:
        entry = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            f"The model card {path} cannot be read: {error}.",
            hint="Mend the card, or remove it.",
            path=str(path),
        ) from error
    named = entry.pop("catalogue", None)
    if named is not None:
        known = {card.id: card for card in catalogue}
        if named not in known:
            raise ConfigError(
                f"The model card {path} names {named!r}, which the catalogue does not have.",
                hint=f"It has: {', '.join(known)}.",
                path=str(path),
            )
        base = dataclasses.replace(known[named], family=base.family)
    return _card(entry, base, str(path))


def _card(entry: Mapping[str, object], base: ModelCard, where: str) -> ModelCard:
    fields = {field.name: field for field in dataclasses.fields(ModelCard)}
    values: dict[str, object] = {}
    for key, value in entry.items():
        if key not in fields:
            raise ConfigError(
                f"{where} has an entry {key!r}, which a model card does not have.",
                hint=f"Entries are: {', '.join(fields)}.",
            )
        values[key] = _value(key, value, getattr(base, key), where)
    return dataclasses.replace(base, **values)  # type: ignore[arg-type]  # checked by _value


def _value(key: str, value: object, default: object, where: str) -> object:
    if key == "commercial_use" and value in [use.value for use in CommercialUse]:
        return CommercialUse(value)
    if isinstance(default, float) and isinstance(value, int | float):
        return float(value)
    if type(value) is type(default):
        return value
    raise ConfigError(
        f"{where} has {key} = {value!r}.",
        hint=f"It must be like {default!r}.",
    )
