"""Log handlers: the only place that adds any."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

from genai_fill_server.service.job_log import LINE_FORMAT, JobOnEveryLine

_MAX_BYTES = 5 * 1024 * 1024
_KEPT = 3


def log_to_file(path: Path, *, verbose: bool) -> None:
    """Log into a rotating file that a server has for itself."""
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=_MAX_BYTES, backupCount=_KEPT, encoding="utf-8"
    )
    _install(handler, verbose=verbose)


def log_to_stderr(*, verbose: bool) -> None:
    """Log to stderr, which the server has pointed at the child's own file."""
    _install(logging.StreamHandler(sys.stderr), verbose=verbose)


def _install(handler: logging.Handler, *, verbose: bool) -> None:
    handler.setFormatter(logging.Formatter(LINE_FORMAT))
    handler.addFilter(JobOnEveryLine())
    root = logging.getLogger()
    root.addHandler(handler)
    # Prompts and paths are logged at DEBUG only, by us; libraries stay quiet.
    root.setLevel(logging.WARNING)
    for name in ("genai_fill_server", "genai_fill_contract"):
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.INFO)
