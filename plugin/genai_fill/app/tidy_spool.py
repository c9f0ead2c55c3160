"""Clear away plates that nobody came back for: a crash, a pulled plug, a lost job."""

from __future__ import annotations

import logging
import posixpath

from genai_fill.app.ports import Backend, SpoolFolders
from genai_fill_contract.errors import GenAIFillError
from genai_fill_contract.fill import FillRequest

OLD_S = 7 * 24 * 3600.0

_log = logging.getLogger(__name__)


def folders_of(request: FillRequest) -> tuple[str, ...]:
    """Return the folders in which a job's plate, matte and inputs lie."""
    patterns = [request.plate.path_pattern, request.matte.path_pattern]
    patterns += [given.path_pattern for given in request.inputs]
    return tuple(dict.fromkeys(posixpath.dirname(pattern) for pattern in patterns))


def tidy_spool(folders: SpoolFolders, backend: Backend, parent: str) -> None:
    """Discard spool folders under ``parent`` that are a week old and of no unfinished job.

    When the backend cannot say which jobs it has, nothing is discarded.
    """
    try:
        jobs = backend.recent_jobs().jobs
    except GenAIFillError as error:
        _log.debug("the spool stays as it is: %s", error)
        return
    in_use = {
        folder for job in jobs if not job.state.is_final for folder in folders_of(job.request)
    }
    folders.sweep(parent, older_than_s=OLD_S, in_use=in_use)
