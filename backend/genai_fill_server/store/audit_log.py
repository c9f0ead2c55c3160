"""The append-only record of every generation and every change of a model, one a line, in JSON."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genai_fill_contract import codec
from genai_fill_contract.errors import OutputNotWritable
from genai_fill_contract.job import Job
from genai_fill_server.service.job_ports import AuditEntry
from genai_fill_server.service.model_ports import ModelAuditEntry
from genai_fill_server.store.os_files import open_private, wait_for_lock


class JsonlAuditLog:
    """`AuditLog` and `ModelAuditLog` in a file that only this user may read: prompts are in it.

    The file is opened anew for each entry, so it may be rotated by renaming at any moment;
    a lock beside it keeps the lines of several processes whole. Each entry is flushed to
    disk before `append` returns.
    """

    def __init__(self, path: Path) -> None:
        """Write to ``path``; its folder must exist."""
        self._path = path
        self._lock_path = path.with_name(path.name + ".lock")

    def append(self, entry: AuditEntry) -> None:
        """Write the entry to disk before returning. Raises `OutputNotWritable`."""
        self._append(audit_record(entry))

    def append_model(self, entry: ModelAuditEntry) -> None:
        """Write the entry to disk before returning. Raises `OutputNotWritable`."""
        self._append(model_record(entry))

    def _append(self, record: Mapping[str, Any]) -> None:
        line = json.dumps(record, ensure_ascii=False, sort_keys=True)
        try:
            lock = wait_for_lock(self._lock_path)
            try:
                # Half a surrogate pair, which UTF-8 has no bytes for, becomes its JSON escape.
                self._write(line.encode("utf-8", "backslashreplace"))
            finally:
                lock.release()
        except OSError as error:
            raise OutputNotWritable(
                f"The audit log {self._path} cannot be written: {error.strerror}.",
                hint="Free room or mend the permissions of its folder; "
                "nothing is generated and no model changed without a record.",
            ) from error

    def _write(self, line: bytes) -> None:
        handle = open_private(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        with os.fdopen(handle, "r+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":  # a power cut left half a line: keep it, start anew
                    line = b"\n" + line
            pending = memoryview(line + b"\n")
            while pending:
                pending = pending[file.write(pending) :]
            os.fsync(file.fileno())


def audit_record(entry: AuditEntry) -> dict[str, Any]:
    """Return the JSON object of one entry."""
    request = entry.job.request
    return {
        "event": entry.event,
        "time_s": round(entry.time_s, 3),
        "job": entry.job.id,
        "state": entry.job.state.value,
        "who": codec.encode(request.provenance),
        "engine": entry.engine.id,
        "model": entry.engine.model,
        "licence": entry.engine.licence,
        "commercial_use": entry.engine.commercial_use.value,
        "options": dict(request.engine_options),
        "prompt": request.prompt,
        "prompt_sha256": hashlib.sha256(request.prompt.encode("utf-8", "replace")).hexdigest(),
        "negative_prompt": request.negative_prompt,
        "plate": request.plate.path_pattern,
        "matte": request.matte.path_pattern,
        "frames": [request.frame_range.first, request.frame_range.last],
        "takes": _takes(entry.job),
        "error": entry.job.error.code.value if entry.job.error else None,
    }


def model_record(entry: ModelAuditEntry) -> dict[str, Any]:
    """Return the JSON object of one change to the model store."""
    task, order = entry.task, entry.order
    return {
        "event": entry.event,
        "time_s": round(entry.time_s, 3),
        "task": task.id,
        "verb": order.verb.value,
        "model": task.model_id,
        "state": task.state.value,
        "who": codec.encode(entry.who),
        "accepted_licence": order.accept_licence,
        "revision": order.revision,
        "path": order.path,
        "error": task.error.code.value if task.error else None,
    }


def _takes(job: Job) -> list[dict[str, Any]]:
    return [
        {
            "version": take.version,
            "seed": take.seed,
            "output": take.path_pattern,
            "recipe": take.recipe_path,
            "frames_done": len(take.frames_done),
        }
        for take in job.takes
    ]
