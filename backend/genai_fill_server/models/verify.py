"""Hold installed models against the hashes that were recorded when they came."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.errors import GenAIFillError
from genai_fill_server.models.contents import CARD_FILE, LOCK_FILE, is_kept
from genai_fill_server.models.entries import InstalledModel, ModelState
from genai_fill_server.models.hashing import sha256_of
from genai_fill_server.models.ports import Progress
from genai_fill_server.models.record import ModelRecord, read_record

# A card is where a studio says more of a model; one that came with the model is recorded.
_OWN_FILES = frozenset({LOCK_FILE, CARD_FILE})


@dataclass(frozen=True)
class Verdict:
    """What verifying one model found. ``unrecorded``: there is nothing to verify against."""

    id: str
    wrong: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    unrecorded: bool = False
    problem: str = ""

    @property
    def is_good(self) -> bool:
        """Whether nothing speaks against the model."""
        return not (self.wrong or self.missing or self.extra or self.problem)


def verify_model(model: InstalledModel, progress: Progress) -> Verdict:
    """Hash every file of a model again. Only ``progress`` can stop it."""
    inspection = model.inspection
    problem = "" if inspection.state is ModelState.OK else inspection.reason
    try:
        record = read_record(model.path)
    except GenAIFillError as error:
        return Verdict(model.id, problem=str(error))
    if record is None:
        return Verdict(model.id, unrecorded=True, problem=problem)
    there = _files_of(model.path)
    wrong = _wrong(record, there, progress, model.id)
    return Verdict(
        model.id,
        wrong=wrong,
        missing=tuple(sorted(set(record.files) - set(there))),
        extra=tuple(sorted(set(there) - set(record.files) - _OWN_FILES)),
        problem=problem,
    )


def _wrong(
    record: ModelRecord, there: dict[str, Path], progress: Progress, model_id: str
) -> tuple[str, ...]:
    common = sorted(set(record.files) & set(there))
    progress.start(f"Verifying {model_id}", sum(there[n].stat().st_size for n in common))
    wrong = []
    for name in common:
        path, expected = there[name], record.files[name]
        size = path.stat().st_size
        if size != expected.size_bytes:
            progress.advance(size)
            wrong.append(name)
        elif _hash(path, progress) != expected.sha256:
            wrong.append(name)
    return tuple(wrong)


def _hash(path: Path, progress: Progress) -> str:
    try:
        return sha256_of(path, progress.advance)
    except OSError:
        return ""  # a disk that cannot give the bytes back has not kept them


def _files_of(folder: Path) -> dict[str, Path]:
    """Return the files in a folder: name -> path; hidden ones only where they could be loaded."""
    found = {}
    for current, folders, files in os.walk(folder):
        folders.sort()
        for name in files:
            path = Path(current) / name
            relative = path.relative_to(folder).as_posix()
            if path.is_file() and (is_kept(relative) or not name.startswith(".")):
                found[relative] = path
    return found
