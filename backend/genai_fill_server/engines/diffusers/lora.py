"""LoRA: small weight changes for a look, a place or a character, mixed into the model.

Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models* (2021). The change is added
to the weights themselves, and taken back by putting the very same weights back, so a model
without its LoRA is bit for bit what it was.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from genai_fill_contract.errors import (
    GenAIFillError,
    GenerationFailed,
    ModelLoadFailed,
    ModelMissing,
    ModelUnsafe,
)
from genai_fill_server.engines.diffusers.options import Options, asked_loras
from genai_fill_server.engines.diffusers.runtime import LIBRARY_ERRORS
from genai_fill_server.service.ports import Watch

# The spellings in which diffusers hands out the two halves of a change.
_HALVES = re.compile(
    r"^(?P<module>.+?)(?:[._]lora)?[._]"
    r"(?P<half>lora_A|lora_B|lora_down|lora_up|down|up)(?:\.default)?\.weight$"
)
# Older names of attention layers, in text encoders and (the first of two layers) in UNets.
_RENAMED = {
    ".to_q": ".q_proj",
    ".to_k": ".k_proj",
    ".to_v": ".v_proj",
    ".to_out": ".out_proj",
    "_out": "_out.0",
}
_DOWN = frozenset({"lora_A", "down", "lora_down"})


@dataclass
class AppliedLora:
    """What is mixed into a pipeline now (nothing: an empty ``identity``), and what was before.

    ``notes`` is what the recipe of every take says of them.
    """

    identity: tuple[object, ...] = ()
    notes: list[dict[str, object]] = field(default_factory=list)
    originals: dict[str, torch.Tensor] = field(default_factory=dict)


@dataclass
class _Change:
    """A low-rank change of one module's weight: up @ down, times alpha over rank."""

    down: torch.Tensor | None = None
    up: torch.Tensor | None = None
    scale: float = 1.0


def find_lora(text: str, roots: tuple[Path, ...]) -> Path:
    """Return the LoRA file that an option names: a path, or one relative to a model folder.

    Raises `ModelUnsafe` for a file outside the model folders or of another kind than
    safetensors, `ModelMissing` for one that is not there.
    """
    given = Path(text).expanduser()
    candidates = [given] if given.is_absolute() else [root / given for root in roots]
    inside = [
        path.resolve()
        for path in candidates
        if any(path.resolve().is_relative_to(root) for root in roots)
    ]
    if given.suffix.lower() != ".safetensors" or not inside:
        raise ModelUnsafe(
            f"The LoRA {text!r} is not a safetensors file in the model folders.",
            hint="Put the .safetensors file into one of the folders of models.dirs.",
            path=text,
        )
    for path in inside:
        if path.is_file():
            return path
    raise ModelMissing(
        f"The LoRA {text!r} is not there.",
        hint="Give its path, or its place under one of the folders of models.dirs.",
        path=text,
    )


def use_lora(
    pipe: Any, applied: AppliedLora, options: Options, roots: tuple[Path, ...], watch: Watch
) -> bool:
    """Mix the LoRAs of ``options`` into ``pipe``, and what was mixed in before out.

    Returns whether any weight changed, so that cached embeddings may be dropped. Raises
    `ModelUnsafe`, `ModelMissing`, `ModelLoadFailed` or `GenerationFailed`.
    """
    asked = [(find_lora(text, roots), strength) for text, strength in asked_loras(options)]
    identity = tuple(_identity(path, strength) for path, strength in asked)
    changes = identity != applied.identity
    if changes:
        remove_lora(pipe, applied)
        applied.notes = [_mixed_in(pipe, path, weight, applied, watch) for path, weight in asked]
        applied.identity = identity
    if applied.notes:
        watch.note("lora", applied.notes)
    return changes


def _mixed_in(
    pipe: Any, path: Path, strength: float, applied: AppliedLora, watch: Watch
) -> dict[str, object]:
    """Mix one LoRA in; return what the recipe says of it. If it fails none is left mixed in."""
    try:
        changes = _read(pipe, path)
        matched = {key: c for key, c in changes.items() if _weight(pipe, key) is not None}
        if not matched:
            raise ModelLoadFailed(
                f"The LoRA {path} is for another model: it has no weight of this one "
                f"(its first is {next(iter(changes), 'none')!r}).",
                hint="Choose a LoRA that was made for this model.",
                path=str(path),
            )
        _apply(pipe, path, matched, strength, applied)
    except GenAIFillError:
        remove_lora(pipe, applied)
        raise
    if len(matched) < len(changes):
        watch.log(
            f"{len(changes) - len(matched)} of the {len(changes)} changes of the LoRA "
            f"{path.name} do not fit the model and are left out."
        )
    return {"file": path.name, "strength": strength, "weights": len(matched)}


def remove_lora(pipe: Any, applied: AppliedLora) -> None:
    """Put back the weights that were there before."""
    with torch.no_grad():
        for key, original in applied.originals.items():
            weight = _weight(pipe, key)
            assert weight is not None
            weight.copy_(original)
    applied.identity, applied.originals, applied.notes = (), {}, []


def _identity(path: Path, strength: float) -> tuple[object, ...]:
    # With time and size: artists train a LoRA again and put it where the last one was.
    stat = path.stat()
    return path, stat.st_mtime_ns, stat.st_size, strength


def _apply(
    pipe: Any, path: Path, changes: Mapping[str, _Change], strength: float, applied: AppliedLora
) -> None:
    try:
        with torch.no_grad():
            for key, change in changes.items():
                weight = _weight(pipe, key)
                assert weight is not None
                delta = _delta(change, weight.shape).to(weight.device) * strength
                if key not in applied.originals:  # by a LoRA before this one
                    applied.originals[key] = weight.detach().to("cpu", copy=True)
                weight.copy_((weight.float() + delta).to(weight.dtype))
    except LIBRARY_ERRORS as error:
        raise ModelLoadFailed(
            f"The LoRA {path} does not fit the model: {' '.join(str(error).split())[:200]}",
            hint="Choose a LoRA that was made for this model.",
            path=str(path),
        ) from error


def _delta(change: _Change, shape: torch.Size) -> torch.Tensor:
    if change.down is None or change.up is None:
        raise ValueError("half of a change is missing")
    down, up = change.down.float(), change.up.float()
    product = up.flatten(1) @ down.flatten(1)
    return product.reshape(shape) * change.scale


def _read(pipe: Any, path: Path) -> dict[str, _Change]:
    """Return the changes in ``path`` by "part.module", in diffusers' own names."""
    try:
        with safe_open(str(path), framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        converted, alphas = _converted(pipe, state)
    except (*LIBRARY_ERRORS, SafetensorError) as error:
        raise ModelLoadFailed(
            f"The LoRA {path} cannot be read: {' '.join(str(error).split())[:200]}",
            hint="The file may be damaged, or of a kind that is not known.",
            path=str(path),
        ) from error
    changes: dict[str, _Change] = {}
    for key, tensor in converted.items():
        found = _HALVES.match(key.replace(".processor.", "."))
        if found is None:
            continue
        change = changes.setdefault(found["module"], _Change())
        if found["half"] in _DOWN:
            change.down = tensor
            change.scale = _scale(key, found["module"], tensor.shape[0], alphas, metadata)
        else:
            change.up = tensor
    return changes


def _converted(
    pipe: Any, state: dict[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], dict[str, float]]:
    """Return the tensors in diffusers' names, and alphas by name where they are apart.

    diffusers knows the spellings of other trainers; some of its families hand the alphas
    out, others work them into the tensors.
    """
    convert = pipe.lora_state_dict
    arguments: dict[str, Any] = {}
    if "return_alphas" in inspect.signature(convert).parameters:
        arguments["return_alphas"] = True
    if hasattr(pipe, "unet"):
        arguments["unet_config"] = pipe.unet.config
    result = convert(state, **arguments)
    if isinstance(result, tuple):
        return result[0], {k: float(v) for k, v in (result[1] or {}).items()}
    return result, {}


def _scale(
    key: str, module: str, rank: int, alphas: Mapping[str, float], metadata: Mapping[str, str]
) -> float:
    for name in (f"{key}.alpha", f"{module}.alpha", key.replace(".weight", ".alpha")):
        if name in alphas:
            return alphas[name] / rank
    try:
        adapter = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        part = module.split(".", 1)[0]
        return float(adapter[f"{part}.lora_alpha"]) / float(adapter[f"{part}.r"])
    except (ValueError, KeyError, TypeError, ZeroDivisionError):
        return 1.0


def _weight(pipe: Any, key: str) -> torch.Tensor | None:
    """Return the weight of module "part.path" of ``pipe``; None if there is none."""
    part, _, path = key.partition(".")
    root = pipe.components.get(part)
    weight = getattr(_module(root, path), "weight", None) if isinstance(root, nn.Module) else None
    if not isinstance(weight, torch.Tensor):
        return None
    if weight.is_meta:
        raise GenerationFailed(
            "A LoRA cannot be mixed into a model that runs layer by layer.",
            hint="Free memory on the device, or run without the LoRA.",
        )
    return weight


def _module(root: nn.Module, path: str) -> nn.Module | None:
    for name in _spellings(path):
        try:
            module = root.get_submodule(name)
        except AttributeError:
            continue
        if hasattr(module, "weight"):
            return module
    return None


def _spellings(path: str) -> list[str]:
    """Return the names that a module may go by: its own, then newer ones for older."""
    names = [path, path.replace("text_model.", "", 1)]
    for name in tuple(names):
        names += [name.removesuffix(o) + n for o, n in _RENAMED.items() if name.endswith(o)]
    return names
