"""What a model folder may hold, checked before anything is copied and again after.

Weights are safetensors, all else is text. A pickle can run any code when it is opened.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from genai_fill_contract.errors import ModelLoadFailed, ModelMissing, ModelUnsafe
from genai_fill_server.models.names import check_file_names

INDEX_FILE = "model_index.json"
CARD_FILE = "genai_fill_model.toml"
LOCK_FILE = "genai_fill_lock.json"
PICKLES = frozenset(
    {".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle", ".msgpack", ".h5", ".npy", ".npz"}
)
_CODE = frozenset({".py", ".pyc", ".pyd", ".so", ".dll", ".dylib", ".exe", ".sh", ".bat"})
_TEXTS = frozenset({".json", ".txt"})
_NOTICES = re.compile(r"(licen[cs]e|notice|readme|use_policy)[\w.-]*", re.IGNORECASE)
_TEMPLATE = "chat_template.jinja"
_MAX_TEXT_BYTES = 128 * 2**20
_MAX_INDEX_BYTES = 2**20
_MAX_CARD_BYTES = 64 * 2**10
_MAX_HEADER_BYTES = 100 * 2**20
MAX_FILES = 5000
_VARIANT = re.compile(r"\.(fp16|bf16|fp32|non_ema|ema)(?=[.-])")


def is_kept(name: str) -> bool:
    """Whether a file of that name belongs into the store."""
    base = name.rsplit("/", 1)[-1]
    suffix = Path(base).suffix.lower()
    if suffix in PICKLES or suffix in _CODE:
        return False
    return (
        suffix == ".safetensors"
        or suffix in _TEXTS
        or base == _TEMPLATE
        or name == CARD_FILE
        or ("/" not in name and _NOTICES.fullmatch(base) is not None)
    )


def choose_files(
    names: tuple[str, ...], parts: frozenset[str], *, skip: tuple[str, ...] = (), variant: str = ""
) -> tuple[str, ...]:
    """Return the files that loading the pipeline needs, in order.

    Those of the folders of ``parts`` without ``skip``, and texts at the top. Of weights
    that come in several variants one is taken: ``variant`` in the folders that have it,
    else the plain one.
    """
    chosen: list[str] = []
    for folder in sorted({name.rsplit("/", 1)[0] if "/" in name else "" for name in names}):
        here = [n for n in names if (n.rsplit("/", 1)[0] if "/" in n else "") == folder]
        kept = [name for name in here if is_kept(name)]
        if folder == "":
            # Weights at the top are the same model as one file, for other programs.
            chosen += [name for name in kept if not name.endswith(".safetensors")]
        elif folder.split("/")[0] in parts - set(skip):
            chosen += _one_variant(kept, variant)
    return tuple(sorted(chosen))


def _one_variant(names: list[str], variant: str) -> list[str]:
    weights = [n for n in names if n.endswith(".safetensors")]
    have = {_variant_of(name) for name in weights}
    take = next((v for v in (variant, "", *sorted(have)) if v in have), "")
    return [
        name
        for name in names
        if not (name.endswith(".safetensors") or ".safetensors.index." in name)
        or _variant_of(name) == take
    ]


def _variant_of(name: str) -> str:
    found = _VARIANT.search(name.rsplit("/", 1)[-1])
    return found.group(1) if found else ""


def list_folder(folder: Path, boundary: Path) -> dict[str, Path]:
    """Return the files to keep of a local model folder: name -> file, links resolved.

    Links may lead within ``boundary`` (the folder itself, or the repository's folder of a
    Hugging Face cache). Raises `ModelUnsafe` for pickles, code, links that leave, and names
    that are never written.
    """
    found: dict[str, Path] = {}
    for name, path in _walk(folder):
        suffix = path.suffix.lower()
        if suffix in PICKLES or suffix in _CODE:
            what = "a pickle, which can run any code when opened" if suffix in PICKLES else "code"
            raise ModelUnsafe(
                f"{path} is {what}.",
                hint="Only models with .safetensors weights and no code of their own are added. "
                "If the file is not needed, remove it from the folder first.",
                path=str(path),
            )
        target = path.resolve()
        if path.is_symlink() and not target.is_relative_to(boundary):
            raise ModelUnsafe(
                f"{path} is a link to {target}, outside the model's folder.",
                hint="Put the file itself there.",
                path=str(path),
            )
        if not target.is_file():
            raise ModelMissing(
                f"{path} is not a file, or a link to one that is not there.",
                hint="Copy the model folder again, whole.",
                path=str(path),
            )
        found[name] = target
        if len(found) > MAX_FILES:
            raise ModelUnsafe(
                f"{folder} holds more than {MAX_FILES} files.",
                hint="Name the folder of one model, the one with model_index.json.",
            )
    kept = check_file_names((name for name in found if is_kept(name)), str(folder))
    return {name: found[name] for name in kept if name != LOCK_FILE}


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for current, folders, files in os.walk(folder):
        here = Path(current)
        for name in [f for f in folders if (here / f).is_symlink()]:
            raise ModelUnsafe(
                f"{here / name} is a link to a folder.",
                hint="Put the folder itself there.",
                path=str(here / name),
            )
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(files):
            if not name.startswith("."):
                yield (here / name).relative_to(folder).as_posix(), here / name


def read_parts(index_path: Path) -> frozenset[str]:
    """Return the parts that a ``model_index.json`` names. Raises for one that is not an index."""
    index = _read_object(index_path, _MAX_INDEX_BYTES)
    parts = frozenset(
        key
        for key, value in index.items()
        if isinstance(value, list) and len(value) == 2 and value[0] is not None
    )
    for part in parts:
        check_file_names([part], str(index_path))
        if "/" in part:
            raise ModelUnsafe(
                f"{index_path} names a part {part[:80]!r}.", hint="Do not use this model."
            )
    return parts


def check_content(name: str, path: Path) -> None:
    """Raise unless the file is what its name says: safetensors, or text of a sane size."""
    if name.endswith(".safetensors"):
        _check_safetensors(path)
    elif name == CARD_FILE:
        _check_card(path)
    elif path.stat().st_size > _MAX_TEXT_BYTES:
        raise ModelUnsafe(
            f"{path} is a text of {path.stat().st_size / 2**20:.0f} MiB.",
            hint="A model's texts are small. Do not use this model.",
            path=str(path),
        )


def _check_safetensors(path: Path) -> None:
    """Read the header (8 bytes of length, then JSON) and hold it against the file's size."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MAX_HEADER_BYTES, size - 8):
                raise ValueError("its header has no possible length")
            header = json.loads(file.read(length))
        if not isinstance(header, dict):
            raise ValueError("its header is not an object")
        end = max((_end(e) for key, e in header.items() if key != "__metadata__"), default=0)
        if end != size - 8 - length:
            raise ValueError(f"it has {size - 8 - length} bytes of weights, not {end}")
    except (ValueError, RecursionError) as error:
        raise ModelUnsafe(
            f"{path} is not a safetensors file, or is cut: {error}.",
            hint="Fetch or copy it again.",
            path=str(path),
        ) from error


def _end(entry: Any) -> int:
    try:
        begin, end = entry["data_offsets"]
        if type(begin) is type(end) is int and 0 <= begin <= end:
            return int(end)
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError("its header does not describe weights") from error
    raise ValueError("its header describes impossible weights")


def _check_card(path: Path) -> None:
    try:
        if path.stat().st_size > _MAX_CARD_BYTES:
            raise ValueError("it is too large")
        tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ModelLoadFailed(
            f"The model card {path} cannot be read: {error}.",
            hint="Mend the card, or remove it.",
            path=str(path),
        ) from error


def _read_object(path: Path, limit_bytes: int) -> dict[str, Any]:
    try:
        if path.stat().st_size > limit_bytes:
            raise ValueError("it is too large")
        value = json.loads(path.read_bytes())
        if not isinstance(value, dict):
            raise ValueError("it is not an object")
    except FileNotFoundError as error:
        raise ModelMissing(
            f"{path} is not there, so this is not a model in diffusers layout.",
            hint="Name the folder that has model_index.json in it.",
            path=str(path),
        ) from error
    except (ValueError, RecursionError) as error:
        raise ModelLoadFailed(
            f"{path} cannot be read: {error}.",
            hint="Fetch or copy the model again.",
            path=str(path),
        ) from error
    return value
