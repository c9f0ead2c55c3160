"""Mask-aware ControlNets: found in the model's folder, or in one that its card names."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from genai_fill_contract.engine import EngineOption, OptionType
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.folder import ModelFolder, check_safe_part

PART = "controlnet"


def control_strength_option(default: float) -> EngineOption:
    """Return the option for how strongly the ControlNet steers."""
    return EngineOption(
        "control_strength",
        "Control strength",
        OptionType.FLOAT,
        default,
        "How strongly the plate round the matte holds the result. Low values are freer and "
        "may not meet the edge.",
        minimum=0.0,
        maximum=2.0,
        step=0.05,
    )


def normalised(image: Any) -> Any:
    """Return a tensor in [0, 1] as -1 to 1: ControlNet pipelines take tensors as they are."""
    return image * 2.0 - 1.0


def controlnet_part(
    folder: ModelFolder, card: ModelCard, class_name: str, dtype: Any
) -> dict[str, Any]:
    """Return the ControlNet as an argument for ``from_pretrained``; none if the folder has it.

    Raises `ModelUnsafe` or `ModelMissing`.
    """
    if PART in folder.components:
        return {}
    return {PART: load_part(part_path(folder, card.controlnet), class_name, dtype)}


def part_path(folder: ModelFolder, named: str) -> Path:
    """Return where a part is that a card names, relative to the model's folder.

    It must lie in the model directories. Raises `ModelUnsafe` or `ModelMissing`.
    """
    path = (folder.path / named).resolve()
    check_safe_part(folder, path)
    return path


def load_part(path: Path, class_name: str, dtype: Any) -> Any:
    """Return the model of a folder in diffusers layout, in ``dtype``."""
    model_class = getattr(importlib.import_module("diffusers"), class_name)
    return model_class.from_pretrained(
        str(path), dtype=dtype, use_safetensors=True, local_files_only=True
    )
