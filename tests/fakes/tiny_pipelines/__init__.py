"""Diffusers pipelines of real architecture and toy size, with random weights, made offline.

`build(name, folder, **card)` writes one to disk in diffusers layout, as safetensors, with a
``genai_fill_model.toml`` that sets a small native size. Pictures they make are noise; how
they are loaded, called, cancelled and repeated is what a real model does.
"""

from __future__ import annotations

from pathlib import Path

import torch

from tests.fakes.tiny_pipelines import stable_diffusion, wan_vace

_BUILDERS = {
    "stable-diffusion": stable_diffusion.sd15,
    "stable-diffusion-xl": stable_diffusion.sdxl,
    "wan-vace": wan_vace.wan_vace,
}


def build(name: str, folder: Path, **card) -> Path:
    """Write the tiny pipeline ``name`` into ``folder`` and return the folder."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        pipe = _BUILDERS[name]()
    pipe.save_pretrained(folder, safe_serialization=True)
    write_card(folder, **{"native_px": 64, **card})
    return folder


def write_card(folder: Path, **entries) -> None:
    """Write ``genai_fill_model.toml`` with these entries."""
    lines = [
        f"{key} = {str(value).lower() if isinstance(value, bool) else repr(value)}"
        for key, value in entries.items()
    ]
    (folder / "genai_fill_model.toml").write_text("\n".join(lines), encoding="utf-8")
