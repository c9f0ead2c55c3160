"""Models as the panel gets them: the real catalogue's, described by the backend's own code.

Only what lies on the disk is made up: one model is installed, one is unsafe, one broken off.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.models import ModelInfo
from genai_fill_server.bootstrap.model_folders import ENGINE_ID_PREFIX, known_offers
from genai_fill_server.models.describing import describe_models
from genai_fill_server.models.entries import Inspection, InstalledModel, ModelState, Offer

SHOWN = ("flux2-klein-4b", "wan21-vace-1.3b", "sdxl-inpaint", "flux1-fill-dev")
FOLDER = Path("/studio/models")
GB = 1_000_000_000


@dataclass(frozen=True)
class MadeUpStore:
    """A store with one good model, one of the studio's that is unsafe, and one broken off."""

    good: Offer
    broken_off: str

    def models(self) -> list[InstalledModel]:
        good = Inspection(
            ModelState.OK,
            label=self.good.label,
            family=self.good.family,
            licence=self.good.licence,
            commercial_use=self.good.commercial_use,
        )
        unsafe = Inspection(
            ModelState.UNSAFE,
            "unet/model.bin is a pickle, which can run any code when it is opened. Ask for the "
            "same weights as safetensors.",
            label="Studio fine-tune",
        )
        size = round(self.good.disk_gb * GB)
        return [
            InstalledModel(self.good.id, FOLDER / self.good.id, size, good, True, True),
            InstalledModel("studio-tune", FOLDER / "studio-tune", 6 * GB, unsafe, False, True),
        ]

    def partials(self) -> list[str]:
        return [self.broken_off]


def catalogue_models() -> tuple[ModelInfo, ...]:
    """Return the rows: installed, unsafe, broken off, to be agreed to, forbidden."""
    by_id = {offer.id: offer for offer in known_offers()}
    offers = [by_id[model_id] for model_id in SHOWN]
    return describe_models(
        MadeUpStore(offers[0], broken_off=SHOWN[1]),
        offers,
        engine_prefix=ENGINE_ID_PREFIX,
        allow_non_commercial=False,
    )
