"""Engines for image and video models in diffusers layout, from local folders only.

Making engines imports neither torch nor diffusers; preparing one does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from genai_fill_contract.engine import CommercialUse, EngineKind
from genai_fill_contract.errors import ConfigError, EngineError, GenAIFillError, ModelLoadFailed
from genai_fill_server.engines.cleanplate.raft.folder import is_raft_folder
from genai_fill_server.engines.diffusers.cards import ModelCard, card_of, read_catalogue
from genai_fill_server.engines.diffusers.describing import ID_PREFIX, describe, describe_unknown
from genai_fill_server.engines.diffusers.families import FAMILIES, family_of
from genai_fill_server.engines.diffusers.family import Family
from genai_fill_server.engines.diffusers.folder import (
    ModelFolder,
    check_safe,
    check_safe_part,
    find_model_folders,
    model_name,
    read_model_folder,
)
from genai_fill_server.engines.diffusers.image_engine import ImageEngine
from genai_fill_server.engines.diffusers.model_engine import Model
from genai_fill_server.engines.diffusers.refused import RefusedEngine
from genai_fill_server.engines.diffusers.video_engine import VideoEngine
from genai_fill_server.service.ports import Engine

__all__ = ["create"]


def create(settings: Mapping[str, object]) -> list[Engine]:
    """Return one engine for each model folder under ``models.dirs``, usable or not.

    ``settings`` is flat, ``"section.key": value``; read are ``models.dirs``,
    ``models.device``, ``models.allow_non_commercial`` and ``worker.threads``. A folder that
    cannot be used gives an engine that says why.
    """
    dirs = settings.get("models.dirs", ())
    if not isinstance(dirs, list | tuple) or not all(isinstance(d, str) for d in dirs):
        raise ConfigError(
            f"The setting models.dirs is {dirs!r}.", hint="It must be a list of folders."
        )
    catalogue = read_catalogue()
    engines: list[Engine] = []
    taken: set[str] = set()
    for path, roots in find_model_folders(tuple(dirs)):
        if is_raft_folder(path):
            continue  # the clean plate's, and no engine by itself
        engine_id = _engine_id(path, taken)
        engines.append(_engine(engine_id, path, roots, catalogue, settings))
    return engines


def _engine_id(path: Path, taken: set[str]) -> str:
    """Return "diffusers:<folder name>", with the parent's name before it where two are alike."""
    engine_id = ID_PREFIX + model_name(path)
    if engine_id in taken:
        engine_id = f"{ID_PREFIX}{path.parent.name}/{model_name(path)}"
    taken.add(engine_id)
    return engine_id


def _engine(
    engine_id: str,
    path: Path,
    roots: tuple[Path, ...],
    catalogue: tuple[ModelCard, ...],
    settings: Mapping[str, object],
) -> Engine:
    try:
        folder = read_model_folder(path, roots)
        family = family_of(folder.pipeline)
        if family is None:
            raise _unknown_family(folder)
        card = card_of(path, folder.name, family.name, catalogue)
        family = _with_parts(family, folder, card)
        distilled = card.distilled or folder.index.get("is_distilled") is True
        card = dataclasses.replace(card, distilled=distilled)
    except GenAIFillError as error:
        reason = error if isinstance(error, EngineError) else _as_engine_error(error)
        return RefusedEngine(describe_unknown(engine_id, model_name(path), str(error)), reason)
    try:
        check_safe(folder, family.unused_parts)
        _check_licence(card, settings)
    except EngineError as error:
        return RefusedEngine(describe(engine_id, family, card, str(error)), error)
    device = str(settings.get("models.device", "auto"))
    description = describe(engine_id, family, card, device=device)
    threads = settings.get("worker.threads", 0)
    return _KINDS[family.kind](
        Model(folder, family, card),
        description,
        device=device,
        threads=threads if isinstance(threads, int) else 0,
    )


_KINDS: dict[EngineKind, type[ImageEngine] | type[VideoEngine]] = {
    EngineKind.IMAGE: ImageEngine,
    EngineKind.VIDEO: VideoEngine,
}


def _with_parts(family: Family, folder: ModelFolder, card: ModelCard) -> Family:
    """Return the family that loads ``folder`` with the parts that its card names, if any."""
    if card.controlnet and "controlnet" not in folder.components:
        family = _with_part(family, family.controlnet, folder, "controlnet", card.controlnet)
    if card.structure:
        family = _with_part(family, family.structured, folder, "structure", card.structure)
    return family


def _with_part(
    family: Family, relative: Family | None, folder: ModelFolder, entry: str, named: str
) -> Family:
    if relative is None:
        raise ConfigError(
            f"The card of {folder.name!r} names a ControlNet, which {family.label} does not take.",
            hint=f"Remove the entry {entry!r} from the card.",
        )
    check_safe_part(folder, (folder.path / named).resolve())
    return relative


def _unknown_family(folder: ModelFolder) -> EngineError:
    known = sorted(name for family in FAMILIES for name in family.accepts)
    return ModelLoadFailed(
        f"The model {folder.name!r} is a {folder.pipeline!r}, which cannot fill.",
        hint=f"Known are: {', '.join(known)}.",
        path=str(folder.path),
    )


def _check_licence(card: ModelCard, settings: Mapping[str, object]) -> None:
    if card.commercial_use is CommercialUse.NO and not settings.get("models.allow_non_commercial"):
        raise EngineError(
            f"The licence of {card.label!r} ({card.licence}) forbids commercial use. "
            f"{card.licence_note}".strip(),
            hint="Use another model. Where the work is not commercial, or the studio has its own "
            "licence, an administrator can set models.allow_non_commercial.",
        )


def _as_engine_error(error: GenAIFillError) -> EngineError:
    return ModelLoadFailed(error.message, hint=error.hint)
