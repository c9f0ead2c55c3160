"""RAFT's weights in the model store: found, checked and read. No torch.

A folder of its own with a ``model_index.json`` of the class "RAFT", so that the model store
takes it as it takes any model. Hostile input: weights are safetensors, a pickle is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genai_fill_contract.errors import (
    GenAIFillError,
    ModelLoadFailed,
    ModelMissing,
    ModelUnsafe,
)
from genai_fill_server.engines.cleanplate.raft.layout import (
    LAYOUTS,
    RaftLayout,
    Shape,
    tensors_of,
)

INDEX_FILE = "model_index.json"
CLASS_NAME = "RAFT"
PART = "flow"
LIBRARY = "genai_fill"
_PICKLES = frozenset({".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle"})
_MAX_DEPTH = 4
_MAX_INDEX_BYTES = 2**16
_MAX_HEADER_BYTES = 2**20
_MAX_WEIGHTS_BYTES = 2**28
_WHOLE_NUMBERS = frozenset({"I64", "I32"})
_FLOATS = frozenset({"F32", "F16"})
_CONVERT = "How torchvision's weights become such a folder: docs/engines/models.md, 'RAFT'."


@dataclass(frozen=True)
class RaftFolder:
    """A folder whose index says RAFT. Nothing but that has been checked.

    ``roots`` are the model directories, resolved; links may lead anywhere inside them.
    """

    path: Path
    roots: tuple[Path, ...]
    layout: RaftLayout

    @property
    def weights(self) -> Path:
        """The one file of weights."""
        return self.path / PART / f"{self.layout.name}.safetensors"


def index_of(layout: RaftLayout) -> dict[str, object]:
    """Return what stands in the index of a folder with these weights."""
    return {"_class_name": CLASS_NAME, PART: [LIBRARY, layout.name]}


def find_raft_folders(dirs: Sequence[str]) -> Iterator[RaftFolder]:
    """Yield the usable RAFT folders under ``dirs``, the better size first.

    Whatever else lies there is passed over. Looks as deep as the store does.
    """
    roots = tuple(Path(folder).expanduser().resolve() for folder in dirs)
    found: list[RaftFolder] = []
    for root in roots:
        for current, folders, files in os.walk(root):
            here = Path(current)
            if INDEX_FILE in files:
                folders.clear()
                folder = _raft_at(here, roots)
                found += [folder] if folder is not None else []
            elif len(here.relative_to(root).parts) >= _MAX_DEPTH:
                folders.clear()
            folders[:] = sorted(name for name in folders if name not in ("blobs", "refs", ".git"))
    order = list(LAYOUTS)
    yield from sorted(found, key=lambda folder: order.index(folder.layout.name))


def _raft_at(path: Path, roots: tuple[Path, ...]) -> RaftFolder | None:
    try:
        return read_raft_folder(path, roots) if is_raft_folder(path) else None
    except GenAIFillError:
        return None


def is_raft_folder(path: Path) -> bool:
    """Whether the folder's index says that it is RAFT's."""
    try:
        return _index(path).get("_class_name") == CLASS_NAME
    except GenAIFillError:
        return False


def read_raft_folder(path: Path, roots: tuple[Path, ...]) -> RaftFolder:
    """Return the folder at ``path``. Raises `ModelLoadFailed` for an index that is not RAFT's."""
    part = _index(path).get(PART)
    layout = None
    if isinstance(part, list) and len(part) == 2 and part[0] == LIBRARY:
        layout = LAYOUTS.get(str(part[1]))
    if layout is None:
        raise ModelLoadFailed(
            f"{path / INDEX_FILE} names no size of RAFT that is known: {str(part)[:80]}.",
            hint=f"Known are: {', '.join(LAYOUTS)}. {_CONVERT}",
            path=str(path),
        )
    return RaftFolder(path, roots, layout)


def _index(path: Path) -> Mapping[str, Any]:
    where = path / INDEX_FILE
    try:
        if where.stat().st_size > _MAX_INDEX_BYTES:
            raise ValueError("it is too large")
        index = json.loads(where.read_bytes())
        if not isinstance(index, dict):
            raise ValueError("it is not an object")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadFailed(
            f"{where} cannot be read: {error}.", hint="Make the folder again.", path=str(where)
        ) from error
    return index


def check_raft_folder(folder: RaftFolder) -> None:
    """Raise unless the weights may and can be loaded: `ModelUnsafe`, `ModelMissing`,
    `ModelLoadFailed`."""
    for current, folders, files in os.walk(folder.path):
        # A linked folder is not walked into (it could lead in circles) but must be safe.
        for name in (*folders, *files):
            _check_file(folder, Path(current) / name)
    if not folder.weights.is_file():
        raise ModelMissing(
            f"{folder.weights} is not there.", hint=_CONVERT, path=str(folder.weights)
        )
    _check_tensors(folder, _header(folder.weights))


def _check_file(folder: RaftFolder, path: Path) -> None:
    if path.suffix.lower() in _PICKLES:
        raise ModelUnsafe(
            f"{path} is a pickle, which can run any code when it is opened.",
            hint=f"Remove it. {_CONVERT}",
            path=str(path),
        )
    target = path.resolve()
    allowed = (folder.path.resolve(), *folder.roots)
    if path.is_symlink() and not any(target.is_relative_to(root) for root in allowed):
        raise ModelUnsafe(
            f"{path} is a link to {target}, outside the model folders.",
            hint="Put the file itself there.",
            path=str(path),
        )


def _header(path: Path) -> Mapping[str, Any]:
    """Return the header of a safetensors file: 8 bytes of length, then JSON."""
    try:
        size = path.stat().st_size
        if size > _MAX_WEIGHTS_BYTES:
            raise ValueError("it is far too large for RAFT")
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
                raise ValueError("its header has no possible length")
            header = json.loads(file.read(length))
        if not isinstance(header, dict):
            raise ValueError("its header is not an object")
        return {key: entry for key, entry in header.items() if key != "__metadata__"}
    except (OSError, ValueError, RecursionError) as error:
        raise ModelUnsafe(
            f"{path} is not a safetensors file, or is cut: {error}.",
            hint="Convert or copy the weights again.",
            path=str(path),
        ) from error


def _check_tensors(folder: RaftFolder, header: Mapping[str, Any]) -> None:
    wanted, found = tensors_of(folder.layout), {}
    for name, entry in header.items():
        found[name] = _shape_of(entry)
    wrong = sorted(name for name in wanted if found.get(name) != wanted[name])
    strange = sorted(found.keys() - wanted.keys())
    if wrong or strange:
        what = (
            f"has no tensor {wrong[0]!r} of shape {wanted[wrong[0]]}"
            if wrong
            else f"has a tensor {strange[0][:80]!r} that is none of its"
        )
        raise ModelLoadFailed(
            f"{folder.weights} is not {folder.layout.name}: it {what}.",
            hint=_CONVERT,
            path=str(folder.weights),
        )


def _shape_of(entry: Any) -> Shape | None:
    """Return a tensor's shape; None for a header's entry that describes no usable one."""
    try:
        shape, dtype = tuple(entry["shape"]), entry["dtype"]
    except (TypeError, KeyError):
        return None
    # Only the counts of batches, scalars, are whole numbers.
    allowed = _FLOATS | _WHOLE_NUMBERS if shape == () else _FLOATS
    return shape if dtype in allowed and all(type(side) is int for side in shape) else None


def fingerprint(folder: RaftFolder) -> str:
    """Return 16 hex digits of the weights' hash."""
    with folder.weights.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
