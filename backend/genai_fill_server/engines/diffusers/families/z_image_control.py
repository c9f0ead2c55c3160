"""The ControlNet of Z-Image as it is published: one .safetensors file, no configuration.

What the file does not say is read off its tensors and off the model that it is for. Files of
another layout need a ``config.json`` beside them, as diffusers writes it.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genai_fill_contract.errors import ModelLoadFailed

_PATCH = 4
"""Latent pixels of a token: 2 × 2."""
_EMBEDDER = "control_all_x_embedder.2-1.weight"
_REFINER = "control_noise_refiner."
_FIRST = "control_layers.0.attention."


def single_file(path: Path) -> Path | None:
    """Return the one weight file that ``path`` is, or holds without a ``config.json``."""
    if path.is_file():
        return path
    files = sorted(path.glob("*.safetensors"))
    return files[0] if len(files) == 1 and not (path / "config.json").is_file() else None


def load_single_file(path: Path, transformer: Mapping[str, Any], dtype: Any) -> Any:
    """Return the ControlNet of a published file in ``dtype``, for filling.

    ``transformer`` is the configuration of the model that it is for. Raises
    `ModelLoadFailed` for a file that is no such ControlNet, or knows of no hole.
    """
    torch = importlib.import_module("torch")
    tensors = importlib.import_module("safetensors.torch").load_file(str(path))
    config = _configuration(path, tensors, transformer)
    if config["add_control_noise_refiner"] == "control_layers":
        # Version 2.0 has them as well, but they were not trained.
        tensors = {name: t for name, t in tensors.items() if not name.startswith(_REFINER)}
    with torch.device("meta"):
        model = importlib.import_module("diffusers").ZImageControlNetModel(**config)
    names = set(model.state_dict())
    for what, differing in (("lacks", names - set(tensors)), ("adds", set(tensors) - names)):
        if differing:
            raise _unlike(path, f"it {what} {len(differing)} tensors, such as {min(differing)!r}")
    model.load_state_dict(tensors, assign=True)
    return model.to(dtype).eval()


def _configuration(
    path: Path, tensors: Mapping[str, Any], transformer: Mapping[str, Any]
) -> dict[str, Any]:
    sizes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    try:
        dim, values = sizes[_EMBEDDER]
        (head,) = sizes[f"{_FIRST}norm_q.weight"]
        keys, _ = sizes[f"{_FIRST}to_k.weight"]
    except (KeyError, ValueError) as error:
        raise _unlike(path, "its tensors are others") from error
    # The control picture, the plate without its hole, and the hole.
    channels, wanted = values // _PATCH, 2 * int(transformer["in_channels"]) + 1
    if channels != wanted:
        raise _unlike(path, f"it takes {channels} channels, not the {wanted} of one that fills")
    layers, count = int(transformer["n_layers"]), _count(sizes, "control_layers")
    if 2 * count != layers:
        raise _unlike(path, f"it has {count} layers for the model's {layers}, not half of them")
    before = tensors.get(f"{_REFINER}0.before_proj.weight")
    refines = before is not None and bool(before.any())
    return {
        "control_layers_places": list(range(0, layers, 2)),
        "control_refiner_layers_places": list(range(int(transformer["n_refiner_layers"]))),
        "control_in_dim": channels,
        "add_control_noise_refiner": "control_noise_refiner" if refines else "control_layers",
        "dim": dim,
        "n_refiner_layers": _count(sizes, "control_noise_refiner") or 1,
        "n_heads": dim // head,
        "n_kv_heads": keys // head,
    }


def _count(sizes: Mapping[str, Any], name: str) -> int:
    return len({found[1] for each in sizes if (found := re.match(rf"{name}\.(\d+)\.", each))})


def _unlike(path: Path, why: str) -> ModelLoadFailed:
    return ModelLoadFailed(
        f"{path} is not a ControlNet that this Z-Image can fill with: {why}.",
        hint="Known as single files are the Fun ControlNet Union 2.0 and 2.1. Another one "
        "needs a folder of its own with the config.json that diffusers writes.",
        path=str(path),
    )
