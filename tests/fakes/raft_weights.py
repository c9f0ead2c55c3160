"""RAFT with random weights, as a folder of the model store."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from genai_fill_server.engines.cleanplate.raft.folder import INDEX_FILE, PART, index_of
from genai_fill_server.engines.cleanplate.raft.layout import RaftLayout, tensors_of


def random_weights(layout: RaftLayout, seed: int = 7, scale: float = 1.0) -> dict[str, np.ndarray]:
    """Return tensors of the right names and shapes, the same for the same seed anywhere.

    Values are such that the network neither dies out nor explodes; ``scale`` shrinks the
    flow that comes out of it.
    """
    weights: dict[str, np.ndarray] = {}
    for number, (name, shape) in enumerate(sorted(tensors_of(layout).items())):
        random = np.random.default_rng([seed, number])
        if shape == ():
            weights[name] = np.array(0, np.int64)
        elif name.endswith("running_var"):
            weights[name] = random.uniform(0.5, 2, shape).astype(np.float32)
        elif len(shape) == 1:
            middle = 1.0 if name.endswith(".1.weight") else 0.0
            weights[name] = (middle + random.standard_normal(shape) * 0.05).astype(np.float32)
        else:
            spread = np.sqrt(2 / np.prod(shape[1:]))
            weights[name] = (random.standard_normal(shape) * spread).astype(np.float32)
    if scale != 1.0:
        for name in ("weight", "bias"):
            weights[f"update_block.flow_head.conv2.{name}"] *= np.float32(scale)
    return weights


def write_raft(folder: Path, layout: RaftLayout, weights: dict | None = None) -> Path:
    """Write a model folder and return it."""
    (folder / PART).mkdir(parents=True)
    (folder / INDEX_FILE).write_text(json.dumps(index_of(layout)))
    save_file(weights or random_weights(layout), folder / PART / f"{layout.name}.safetensors")
    return folder
