"""Descriptions of model engines: what the panel, the queue and a TD see of a model."""

from __future__ import annotations

from genai_fill_contract.engine import (
    ColourDomain,
    CommercialUse,
    EngineDescription,
    EngineKind,
    EngineOption,
)
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.family import Family
from genai_fill_server.engines.diffusers.options import lora_options, speed_options, takes_option

ID_PREFIX = "diffusers:"
# Models need to see a good part of the scene, not just a rim, to know what belongs there.
_CONTEXT_SHARE = 8


def describe(
    engine_id: str, family: Family, card: ModelCard, reason: str = "", device: str = "auto"
) -> EngineDescription:
    """Return the description of a model of ``family``; ``reason`` says why it is not usable.

    ``device`` is the setting: not every option is for every device.
    """
    native = card.native_px or family.native_px
    video = family.kind is EngineKind.VIDEO
    return EngineDescription(
        id=engine_id,
        label=card.label,
        kind=family.kind,
        domain=ColourDomain.DISPLAY,
        help=_help(family, card),
        options=_options(family, card, device),
        inputs=family.inputs,
        needs_prompt=True,
        uses_negative_prompt=family.uses_negative(card),
        size_multiple_px=family.multiple_px,
        native_size_px=native,
        context_px=native // _CONTEXT_SHARE,
        frame_multiple=family.frame_multiple if video else 1,
        window_frames=family.window_frames if video else 1,
        model=card.repository or card.id,
        licence=card.licence,
        commercial_use=card.commercial_use,
        available=not reason,
        unavailable_reason=reason,
    )


def _options(family: Family, card: ModelCard, device: str) -> tuple[EngineOption, ...]:
    takes = (takes_option(),) if family.makes_takes_at_once else ()
    return (*family.options(card), *takes, *lora_options(), *speed_options(device))


def describe_unknown(engine_id: str, name: str, reason: str) -> EngineDescription:
    """Return the description of a model folder of which not even the family is known."""
    return EngineDescription(
        id=engine_id,
        label=name,
        kind=EngineKind.IMAGE,
        domain=ColourDomain.DISPLAY,
        help="A model that cannot be used.",
        needs_prompt=True,
        model=name,
        licence="unknown",
        commercial_use=CommercialUse.WITH_LICENCE,
        available=False,
        unavailable_reason=reason,
    )


def _help(family: Family, card: ModelCard) -> str:
    parts = [family.help]
    if card.vram_gb:
        offloaded = (
            f", about {card.offloaded_gb:g} GB with the text encoder in main memory"
            if card.offloaded_gb
            else ""
        )
        parts.append(f"Needs about {card.vram_gb:g} GB on the device{offloaded}.")
    licence = {
        CommercialUse.YES: "commercial use allowed",
        CommercialUse.NO: "no commercial use",
        CommercialUse.WITH_LICENCE: "commercial use needs a licence, or is not known",
    }[card.commercial_use]
    parts.append(f"Licence: {card.licence} ({licence}). {card.licence_note}".strip())
    return " ".join(parts)
