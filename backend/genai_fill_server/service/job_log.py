"""The job on every log line, whichever module writes it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("job", default="-")
LINE_FORMAT = "%(asctime)s %(levelname)s job=%(job)s %(name)s: %(message)s"


@contextmanager
def logging_job(job_id: str) -> Iterator[None]:
    """Mark every line that this thread logs within as one of the job."""
    token = _current.set(job_id)
    try:
        yield
    finally:
        _current.reset(token)


class JobOnEveryLine(logging.Filter):
    """Give each record its ``job``, "-" outside of one."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mark the record; drops none."""
        record.job = _current.get()
        return True
