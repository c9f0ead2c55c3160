"""The model families that can be loaded, one module each."""

from __future__ import annotations

from genai_fill_server.engines.diffusers.families.chroma import Chroma
from genai_fill_server.engines.diffusers.families.flux2_klein import Flux2Klein
from genai_fill_server.engines.diffusers.families.flux_fill import FluxFill
from genai_fill_server.engines.diffusers.families.qwen_edit import (
    QwenImageEdit,
    QwenImageEditPlus,
)
from genai_fill_server.engines.diffusers.families.qwen_image import QwenImage, QwenImageControlNet
from genai_fill_server.engines.diffusers.families.stable_diffusion import (
    StableDiffusion,
    StableDiffusionControlNet,
)
from genai_fill_server.engines.diffusers.families.stable_diffusion_xl import (
    StableDiffusionXL,
    StableDiffusionXLControlNet,
)
from genai_fill_server.engines.diffusers.families.wan_vace import WanVace
from genai_fill_server.engines.diffusers.families.z_image import ZImage, ZImageControlNet
from genai_fill_server.engines.diffusers.family import Family

FAMILIES: tuple[Family, ...] = (
    StableDiffusion(),
    StableDiffusionControlNet(),
    StableDiffusionXL(),
    StableDiffusionXLControlNet(),
    WanVace(),
    Flux2Klein(),
    ZImage(),
    ZImageControlNet(),
    QwenImage(),
    QwenImageControlNet(),
    QwenImageEdit(),
    QwenImageEditPlus(),
    Chroma(),
    FluxFill(),
)


def family_of(pipeline: str) -> Family | None:
    """Return the family that loads folders of that ``_class_name``, None if none does."""
    return next((family for family in FAMILIES if pipeline in family.accepts), None)
