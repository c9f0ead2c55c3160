"""Model cards: licence, commercial use, native size and memory of a model folder."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from genai_fill_contract.engine import CommercialUse
from genai_fill_contract.errors import ConfigError
from genai_fill_server.engines.diffusers.folder import read_sizes

CARD_FILE = "genai_fill_model.toml"
UNKNOWN_LICENCE = "unknown"
_TAKEN = f"{UNKNOWN_LICENCE}, taken for non-commercial"
_OF_THE_CATALOGUE = frozenset({"sizes"})
"""Entries that a folder's own card does not have."""


@dataclass(frozen=True)
class ModelCard:
    """What is known about one model beside its weights.

    ``native_px`` is the side of the square area that the model was trained at, 0 for the
    family's own. ``vram_gb`` is what a fill needs with every part on the device,
    ``offloaded_gb`` with the text encoder in main memory; 0 means not known.
    ``distilled`` models take few steps and no guidance. ``controlnet`` names a folder (or one
    .safetensors file) beside the model's, for families that take one; ``structure`` likewise
    one that knows depth, edges and poses but no hole. ``sizes`` are entries of its
    ``transformer/config.json`` that tell it from others of its family, where there are any.
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
    sizes: Mapping[str, int] = field(default_factory=dict)


def read_catalogue() -> tuple[ModelCard, ...]:
    """Return the cards that ship with the package."""
    text = resources.files(__package__).joinpath("catalogue.toml").read_text(encoding="utf-8")
    entries = tomllib.loads(text)["model"]
    return tuple(_card(entry, ModelCard("", ""), "the catalogue") for entry in entries)


def card_of(folder: Path, name: str, family: str, catalogue: tuple[ModelCard, ...]) -> ModelCard:
    """Return the card of a model folder.

    The folder's own ``genai_fill_model.toml`` comes first (it may say ``catalogue = "id"``
    and add to that entry), then the catalogue entry of the same name and family, unless the
    sizes in the folder are another one's. Without either the licence is unknown: commercial
    use needs one, or is not allowed at all where a known model of the family that it could
    be does not allow it. Raises `ConfigError` for a card that cannot be read.
    """
    relatives = [known for known in catalogue if _kin(known.family) == _kin(family)]
    sizes = read_sizes(folder)
    unknown = _unknown_card(name, family, relatives, sizes)
    path = folder / CARD_FILE
    if path.is_file():
        return _card_from_file(path, unknown, catalogue)
    for card in relatives:
        if card.family == family and name.lower() in _names(card) and _may_be(card, sizes):
            return card
    return unknown


def _kin(family: str) -> str:
    """Return the family that a model with a ControlNet of its own belongs to."""
    return family.removesuffix("-controlnet")


def _may_be(card: ModelCard, sizes: Mapping[str, int]) -> bool:
    """Whether nothing that is known of the sizes in a folder speaks against that model."""
    return all(sizes.get(key, size) == size for key, size in card.sizes.items())


def _unknown_card(
    name: str, family: str, relatives: Sequence[ModelCard], sizes: Mapping[str, int]
) -> ModelCard:
    """Return the card of a folder that only its name, family and sizes tell about.

    It is taken for the strictest of what it could be: a name is soon changed.
    """
    card = ModelCard(id=name, label=name, family=family)
    could_be = [known for known in relatives if _may_be(known, sizes)] or relatives
    strict = [known for known in could_be if known.commercial_use is CommercialUse.NO]
    strict += [known for known in relatives if _is_strict_by_name(known, name)]
    if not strict:
        return card
    first = strict[0]
    if could_be == [first] and first.sizes and first.sizes.items() <= sizes.items():
        licence, why = first.licence, f"By its sizes it is {first.label}."
    elif all(known.commercial_use is CommercialUse.NO for known in relatives):
        licence, why = _TAKEN, "Taken for non-commercial, as every known model of its family is."
    else:
        licence, why = _TAKEN, f"Taken for non-commercial, as {first.label} of its family is."
    return dataclasses.replace(
        card,
        licence=licence,
        commercial_use=CommercialUse.NO,
        licence_note=f"{why} If it is another one, say so in its {CARD_FILE}.",
    )


def _is_strict_by_name(card: ModelCard, name: str) -> bool:
    return card.commercial_use is CommercialUse.NO and name.lower() in _names(card)


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
    return _card(entry, base, str(path), _OF_THE_CATALOGUE)


def _card(
    entry: Mapping[str, object],
    base: ModelCard,
    where: str,
    without: frozenset[str] = frozenset(),
) -> ModelCard:
    fields = [f.name for f in dataclasses.fields(ModelCard) if f.name not in without]
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
