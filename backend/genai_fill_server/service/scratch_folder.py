"""A folder for what an engine wants to find again when its job is resumed.

It lies in the first take's version folder, so it is on the disk that has the room, follows the
job to whichever machine resumes it, and can be on no path that was not allowed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from genai_fill_contract.take import Take
from genai_fill_server.service.allocate_takes import SCRATCH_NAME, output_error
from genai_fill_server.service.ports import FillCancelled, FillInterrupted


@contextmanager
def scratch_folder(takes: Sequence[Take]) -> Iterator[str]:
    """Give the job's scratch folder; remove it when the job has ended.

    Done, failed and cancelled are ends. A server that stops and a process told to stop, or
    killed, are none: the next one finds the folder as it was (`tidy_takes` removes it when the
    job ends without another run). Raises `OutputNotWritable` or `DiskFull`.
    """
    folder = Path(takes[0].path_pattern).parent / SCRATCH_NAME
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise output_error(error, folder) from error
    try:
        yield folder.as_posix()
    except FillInterrupted:
        raise
    except (Exception, FillCancelled):
        shutil.rmtree(folder, ignore_errors=True)
        raise
    shutil.rmtree(folder, ignore_errors=True)
