"""Time, threads and the file browser of this machine."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from genai_fill.adapters.backend_process import child_environment
from genai_fill.app.ports import Person
from genai_fill_contract.errors import InputError, MissingFrames

_log = logging.getLogger(__name__)


class SystemClock:
    """`genai_fill.app.ports.Clock`."""

    def now(self) -> float:
        """Return seconds since the epoch."""
        return time.time()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class DaemonThreads:
    """`genai_fill.app.ports.TaskRunner`: one daemon thread a task."""

    def start(self, name: str, call: Callable[[], None]) -> None:
        """Run ``call`` on a new thread that does not keep Nuke from quitting."""
        threading.Thread(target=call, name=f"genai-fill {name}", daemon=True).start()


class SystemFileBrowser:
    """`genai_fill.app.ports.FileBrowser`."""

    def __init__(self, environment: Mapping[str, str], host_dir: str) -> None:
        """``host_dir`` is Nuke's folder, kept off the browser's library path."""
        self._environment = environment
        self._host_dir = host_dir

    def reveal(self, path: str) -> None:
        """Open a folder; raises `MissingFrames` when it is gone, `InputError` when it fails."""
        folder = Path(path)
        if not folder.is_dir():
            raise MissingFrames(
                f"The folder {path} is not there any more.",
                hint="Generate the take again, or forget it.",
            )
        try:
            self._open(folder)
        except OSError as error:
            raise InputError(
                f"No file browser can be started ({error.strerror}).",
                hint=f"The takes are in {path}.",
            ) from error

    def _open(self, folder: Path) -> None:
        if sys.platform == "win32":
            os.startfile(folder)  # noqa: S606 - a folder that was checked to be one
            return
        program = "open" if sys.platform == "darwin" else "xdg-open"
        process = subprocess.Popen(
            [program, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=child_environment(self._environment, self._host_dir),
            start_new_session=True,
        )
        # Reaped by a thread, so that no zombie stays for as long as Nuke runs.
        threading.Thread(target=process.wait, name="genai-fill reap", daemon=True).start()


def person_of(environment: Mapping[str, str], host: str) -> Person:
    """Return who works here, from the environment that studios set up."""
    return Person(
        user=environment.get("USER") or environment.get("USERNAME") or "",
        show=environment.get("SHOW", ""),
        shot=environment.get("SHOT", ""),
        host=host,
    )
