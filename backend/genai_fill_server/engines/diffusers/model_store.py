"""The folders of models: what is there, bringing a model in, and checking its files.

Nothing here fetches from a network: a model comes from a folder that someone copied or
mounted. Standard library only; neither torch nor diffusers is imported.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from genai_fill_contract.errors import (
    DiskFull,
    EngineError,
    GenAIFillError,
    ModelLoadFailed,
    ModelMissing,
    ModelUnsafe,
    OutputExists,
    OutputNotWritable,
)
from genai_fill_server.engines.diffusers.cards import ModelCard, card_of, read_catalogue
from genai_fill_server.engines.diffusers.families import FAMILIES, family_of
from genai_fill_server.engines.diffusers.family import Family
from genai_fill_server.engines.diffusers.folder import (
    INDEX_FILE,
    ModelFolder,
    check_safe,
    find_model_folders,
    model_name,
    read_model_folder,
)

CHECKSUM_FILE = "genai_fill_sha256.txt"
"""Checksums in the format of ``sha256sum``, so that it can check them too."""

_BLOCK_BYTES = 4 * 2**20
_LEFT_OUT = frozenset({".git", ".cache", "__pycache__"})

Progress = Callable[[int, int], None]
"""Bytes done and bytes in all. May raise to stop."""


@dataclass(frozen=True)
class StoredModel:
    """A model folder as it is found: ``problem`` says why it cannot be used, "" if it can."""

    path: Path
    name: str
    family: str
    card: ModelCard
    size_bytes: int
    has_checksums: bool
    problem: str = ""


def list_models(dirs: tuple[str, ...]) -> list[StoredModel]:
    """Return every model folder under ``dirs``, usable or not."""
    catalogue = read_catalogue()
    return [_stored(path, roots, catalogue) for path, roots in find_model_folders(dirs)]


def add_model(source: Path, directory: Path, progress: Progress) -> Path:
    """Copy the model folder ``source`` into ``directory`` and return where it is.

    It is checked before anything is copied; links become files; checksums are written. The
    copy has another name until it is whole. Raises `ModelUnsafe`, `ModelMissing`,
    `ModelLoadFailed`, `OutputExists`, `DiskFull` or `OutputNotWritable`.
    """
    folder = _checked(source)
    target = directory / folder.name
    if target.exists():
        raise OutputExists(
            f"There is a model {target} already.",
            hint="Remove it first, or bring the new one in under another folder name.",
            path=str(target),
        )
    files = list(_files(folder.path))
    total = sum(path.stat().st_size for path in files)
    part = directory / f".{folder.name}.{uuid.uuid4().hex[:8]}.part"
    try:
        _check_room(directory, total)
        _copy(folder.path, files, part, total, progress)
        part.rename(target)
    except OSError as error:
        raise OutputNotWritable(
            f"The model cannot be copied to {directory}: {error.strerror or error}.",
            hint="Check that the folder can be written to.",
            path=str(directory),
        ) from error
    finally:
        # Gone already if all went well; else half a model must not be found later.
        shutil.rmtree(part, ignore_errors=True)
    return target


def write_checksums(path: Path, progress: Progress) -> Path:
    """Write the checksums of the model folder ``path`` as it is now; return the file."""
    files = list(_files(path))
    total, done = sum(f.stat().st_size for f in files), 0
    lines = []
    for file in files:
        digest, done = _digest(file, done, total, progress)
        lines.append(_line(digest, file.relative_to(path)))
    return _write_lines(path, lines)


def verify_model(path: Path, progress: Progress) -> int:
    """Compare the files of ``path`` with its checksums and return how many were compared.

    Raises `ModelMissing` if there are no checksums or a file is gone, `ModelUnsafe` for a
    file that was changed or added.
    """
    known = _read_checksums(path)
    present = {file.relative_to(path).as_posix(): file for file in _files(path)}
    for name in sorted(known.keys() - present.keys()):
        raise ModelMissing(
            f"{path / name} is not there any more.",
            hint="Copy the model again, whole.",
            path=str(path / name),
        )
    for name in sorted(present.keys() - known.keys()):
        raise ModelUnsafe(
            f"{path / name} was added after the checksums were written.",
            hint="Remove it, or write the checksums anew if it belongs there.",
            path=str(path / name),
        )
    total, done = sum(f.stat().st_size for f in present.values()), 0
    for name, file in sorted(present.items()):
        digest, done = _digest(file, done, total, progress)
        if digest != known[name]:
            raise ModelUnsafe(
                f"{file} is not the file that its checksum was made of.",
                hint="It is damaged or was exchanged. Copy the model again from its source.",
                path=str(file),
            )
    return len(present)


def _stored(path: Path, roots: tuple[Path, ...], catalogue: tuple[ModelCard, ...]) -> StoredModel:
    name = model_name(path)
    card, family, problem = ModelCard(id=name, label=name), "", ""
    try:
        folder = read_model_folder(path, roots)
        found = _family(folder)
        family, card = found.name, card_of(path, name, found.name, catalogue)
        check_safe(folder, found.unused_parts)
    except GenAIFillError as error:
        problem = str(error)
    size = sum(file.stat().st_size for file in _files(path) if file.exists())
    has_checksums = (path / CHECKSUM_FILE).is_file()
    return StoredModel(path, name, family, card, size, has_checksums, problem)


def _checked(source: Path) -> ModelFolder:
    if not (source / INDEX_FILE).is_file():
        raise ModelMissing(
            f"{source} is not a model in diffusers layout: it has no {INDEX_FILE}.",
            hint="Give the folder that holds model_index.json.",
            path=str(source),
        )
    resolved = source.resolve()
    # The blobs of a Hugging Face cache lie two folders up, beside the snapshots.
    is_cache = resolved.parent.name == "snapshots"
    root = resolved.parent.parent if is_cache else resolved
    folder = read_model_folder(resolved, (root,))
    check_safe(folder, _family(folder).unused_parts)
    return folder


def _family(folder: ModelFolder) -> Family:
    family = family_of(folder.pipeline)
    if family is None:
        raise unknown_family(folder)
    return family


def unknown_family(folder: ModelFolder) -> EngineError:
    """Return the error for a pipeline that no family loads."""
    known = sorted(name for family in FAMILIES for name in family.accepts)
    return ModelLoadFailed(
        f"The model {folder.name!r} is a {folder.pipeline!r}, which cannot fill.",
        hint=f"Known are: {', '.join(known)}.",
        path=str(folder.path),
    )


def _files(path: Path) -> Iterator[Path]:
    for current, folders, names in os.walk(path, followlinks=False):
        folders[:] = sorted(f for f in folders if f not in _LEFT_OUT)
        for name in sorted(names):
            if name != CHECKSUM_FILE:
                yield Path(current) / name


def _check_room(directory: Path, needed: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise DiskFull(
            f"The model takes {needed / 2**30:.1f} GB and {directory} has {free / 2**30:.1f} GB.",
            hint="Make room, or choose another folder.",
            path=str(directory),
        )


def _copy(source: Path, files: list[Path], part: Path, total: int, progress: Progress) -> None:
    lines, done = [], 0
    for file in files:
        relative = file.relative_to(source)
        target = part / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as out:
            digest, done = _digest(file, done, total, progress, out)
        lines.append(_line(digest, relative))
    _write_lines(part, lines)


def _digest(
    file: Path,
    done: int,
    total: int,
    progress: Progress,
    copy: BinaryIO | None = None,
) -> tuple[str, int]:
    """Return the SHA-256 of ``file`` and the bytes done after it; write it to ``copy`` too."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            if copy is not None:
                copy.write(block)
            done += len(block)
            progress(done, total)
    return digest.hexdigest(), done


def _line(digest: str, relative: Path) -> str:
    return f"{digest}  {relative.as_posix()}"


def _write_lines(path: Path, lines: list[str]) -> Path:
    target = path / CHECKSUM_FILE
    temporary = target.with_suffix(".part")
    temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
    temporary.replace(target)
    return target


def _read_checksums(path: Path) -> dict[str, str]:
    try:
        text = (path / CHECKSUM_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ModelMissing(
            f"The model {path} has no checksums.",
            hint="Write them when the model is known to be good.",
            path=str(path),
        ) from error
    known: dict[str, str] = {}
    for line in text.splitlines():
        digest, _, name = line.partition("  ")
        with contextlib.suppress(ValueError):
            int(digest, 16)
            known[name] = digest.lower()
    return known
