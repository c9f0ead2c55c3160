"""The last steps of every way into the store: check, record, publish."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from genai_fill_contract.errors import ModelLoadFailed, ModelMissing, ModelUnsafe
from genai_fill_server.models.contents import check_content, list_folder
from genai_fill_server.models.entries import Inspection, ModelState
from genai_fill_server.models.record import FileRecord, ModelRecord, write_record
from genai_fill_server.models.store import ModelStore, Partial

_ERRORS = {
    ModelState.UNSAFE: ModelUnsafe,
    ModelState.INCOMPLETE: ModelMissing,
    ModelState.UNKNOWN: ModelLoadFailed,
    ModelState.BROKEN: ModelLoadFailed,
}


def refuse_unusable(inspection: Inspection) -> None:
    """Raise what the engines found wrong with a folder, if anything."""
    error = _ERRORS.get(inspection.state)
    if error is not None:
        raise error(f"The model cannot be used ({inspection.state.value}).", hint=inspection.reason)


def finish(
    store: ModelStore, partial: Partial, record: ModelRecord, hashes: Mapping[str, str]
) -> Path:
    """Make the payload a model of the store and return its folder.

    ``hashes`` are the SHA-256 of every file that shall be in it. Raises `ModelUnsafe` for a
    file too many or of the wrong kind, and whatever the engines have against it.
    """
    payload = partial.payload
    there = list_folder(payload, payload.resolve())
    strangers = sorted(set(there) ^ set(hashes))
    if strangers:
        raise ModelUnsafe(
            f"{payload} does not hold just the files that were put there: {strangers[0]!r}.",
            hint="Somebody else writes to the store. Delete that folder and start again.",
            path=str(payload),
        )
    for name, path in there.items():
        check_content(name, path)
    refuse_unusable(store.inspect(payload, payload.resolve(), record.id))
    files = {name: FileRecord(path.stat().st_size, hashes[name]) for name, path in there.items()}
    write_record(payload, dataclasses.replace(record, files=files))
    return store.publish(partial, record.id)
