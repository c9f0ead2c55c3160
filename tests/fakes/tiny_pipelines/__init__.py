"""Diffusers pipelines of real architecture and toy size, with random weights, made offline.

`build(name, folder, **card)` writes one to disk in diffusers layout, as safetensors, with a
``genai_fill_model.toml`` that sets a small native size. Pictures they make are noise; how
they are loaded, called, cancelled and repeated is what a real model does.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from tests.fakes.tiny_pipelines import flow_models, stable_diffusion, wan_vace

_PIPELINES = {
    "stable-diffusion": stable_diffusion.sd15,
    "stable-diffusion-controlnet": stable_diffusion.sd15,
    "stable-diffusion-xl": stable_diffusion.sdxl,
    "stable-diffusion-xl-controlnet": stable_diffusion.sdxl,
    "wan-vace": wan_vace.wan_vace,
    "flux2-klein": flow_models.flux2_klein,
    "flux2-klein-distilled": flow_models.flux2_klein_distilled,
    "z-image": flow_models.z_image,
    "z-image-controlnet": flow_models.z_image,
    "qwen-image": flow_models.qwen_image,
    "qwen-image-controlnet": flow_models.qwen_image,
    "qwen-image-edit": flow_models.qwen_image_edit,
    "qwen-image-edit-plus": flow_models.qwen_image_edit_plus,
    "chroma": flow_models.chroma,
    "flux-fill": flow_models.flux_fill,
}
_CONTROLNETS = {
    "stable-diffusion-controlnet": stable_diffusion.sd15_controlnet,
    "stable-diffusion-xl-controlnet": stable_diffusion.sdxl_controlnet,
    "z-image-controlnet": flow_models.z_image_controlnet,
    "qwen-image-controlnet": flow_models.qwen_image_controlnet,
}
NAMES = tuple(_PIPELINES)
_OF_MIXED_FAMILIES = {
    "flux2-klein",
    "flux2-klein-distilled",
    "qwen-image",
    "qwen-image-controlnet",
}
"""Without a card that says otherwise, these are taken for their non-commercial relatives."""


def build(name: str, folder: Path, **card) -> Path:
    """Write the tiny pipeline ``name`` into ``folder`` and return the folder.

    A ControlNet goes into a folder that the card names.
    """
    licence = {"commercial_use": "with_licence"} if name in _OF_MIXED_FAMILIES else {}
    card = {"native_px": 64, **licence, **card}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _PIPELINES[name]().save_pretrained(folder, safe_serialization=True)
        if name.startswith("qwen-image-edit"):
            _add_processor(folder)
        if name in _CONTROLNETS:
            card["controlnet"] = "weights_beside"
            controlnet = _CONTROLNETS[name]()
            wake(controlnet)
            controlnet.save_pretrained(folder / "weights_beside")
    write_card(folder, **card)
    return folder


def _add_processor(folder: Path) -> None:
    """Add what published folders have beside the tokenizer, for pictures of 8 bits."""
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    index["processor"] = ["transformers", "Qwen2VLProcessor"]
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    (folder / "processor").mkdir()
    settings = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14}
    (folder / "processor" / "preprocessor_config.json").write_text(
        json.dumps(settings), encoding="utf-8"
    )


def wake(controlnet) -> None:
    """Give layers that start at zero some weight: an untrained ControlNet does nothing."""
    with torch.no_grad():
        for parameter in controlnet.parameters():
            if not parameter.any():
                parameter.normal_(std=0.1)


def write_card(folder: Path, **entries) -> None:
    """Write ``genai_fill_model.toml`` with these entries."""
    lines = [
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
        for key, value in entries.items()
    ]
    (folder / "genai_fill_model.toml").write_text("\n".join(lines), encoding="utf-8")
