"""Convert torchvision's RAFT weights into a folder that the model store takes.

They are published as a pickle (``raft_large_….pth``), which the product never opens. Run this
once, by hand, where torch and safetensors are installed, and add the folder afterwards:

    python examples/convert_raft.py raft_large_C_T_SKHT_V2-ff5fadd5.pth /tmp/raft-large
    genai-fill models add /tmp/raft-large

``torch.load`` is told ``weights_only``: of a pickle it then makes tensors and nothing else.
Check the file's hash all the same: the eight digits in its name are the first of its SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genai_fill_contract.errors import GenAIFillError, ModelLoadFailed, ModelUnsafe, OutputExists
from genai_fill_server.engines.cleanplate.raft.folder import (
    INDEX_FILE,
    PART,
    check_raft_folder,
    index_of,
    read_raft_folder,
)
from genai_fill_server.engines.cleanplate.raft.layout import LAYOUTS, RaftLayout, tensors_of

if TYPE_CHECKING:
    import torch

_HASH = re.compile(r"-([0-9a-f]{8})\.pth$")


def convert(pickle: Path, folder: Path) -> Path:
    """Write the weights of ``pickle`` as a model folder; return its file of weights.

    Raises `ModelUnsafe` for a file that holds more than tensors or whose hash is not the one
    in its name, `ModelLoadFailed` for tensors that are not RAFT's, `OutputExists`.
    """
    from safetensors.torch import save_file

    if folder.exists():
        raise OutputExists(f"{folder} is there already.", hint="Name a new folder.")
    _check_hash(pickle)
    tensors = _tensors(pickle)
    layout = _layout_of(tensors)
    weights = folder / PART / f"{layout.name}.safetensors"
    weights.parent.mkdir(parents=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, weights)
    index = json.dumps(index_of(layout), indent=2) + "\n"
    (folder / INDEX_FILE).write_text(index, encoding="utf-8")
    check_raft_folder(read_raft_folder(folder, ()))
    return weights


def _check_hash(pickle: Path) -> None:
    named = _HASH.search(pickle.name)
    if named is None:
        return
    with pickle.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(named.group(1)):
        raise ModelUnsafe(
            f"The SHA-256 of {pickle} begins with {digest[:8]}, not with the digits in its name.",
            hint="Fetch it again, from where torchvision's documentation says.",
        )


def _tensors(pickle: Path) -> Mapping[str, torch.Tensor]:
    import pickle as pickles

    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd pickles torch says more than is of use
            found = torch.load(pickle, map_location="cpu", weights_only=True)
    except (pickles.UnpicklingError, RuntimeError, EOFError, OSError, IndexError) as error:
        raise ModelUnsafe(
            f"{pickle} cannot be read as tensors alone: {' '.join(str(error).split())[:200]}",
            hint="Do not use this file.",
        ) from error
    if not isinstance(found, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in found.items()
    ):
        raise ModelLoadFailed(f"{pickle} is no table of tensors.", hint="Use another file.")
    return found


def _layout_of(tensors: Mapping[str, torch.Tensor]) -> RaftLayout:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for layout in LAYOUTS.values():
        if shapes == tensors_of(layout):
            return layout
    raise ModelLoadFailed(
        "These are not the tensors of torchvision's raft_large or raft_small.",
        hint="Weights of the authors' own code have other names and are not converted.",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Convert the file that the command line names; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pickle", type=Path, help="torchvision's file")
    parser.add_argument("folder", type=Path, help="the folder to make")
    given = parser.parse_args(arguments)
    try:
        print(f"Written: {convert(given.pickle, given.folder)}")
    except GenAIFillError as error:
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
