"""Starting the backend beside Nuke, in a Python and an environment of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from genai_fill.adapters.state_files import state_dir
from genai_fill.app.ports import SettingsSource
from genai_fill_contract.errors import BackendStartFailed
from genai_fill_contract.settings import environment_name
from genai_fill_contract.state_dir import LOG_DIR, as_told

_STRIPPED = frozenset(
    {
        "PYTHONPATH",
        "PYTHONHOME",
        "PYTHONEXECUTABLE",
        "PYTHONSTARTUP",
        "VIRTUAL_ENV",
        "__PYVENV_LAUNCHER__",
        "QML2_IMPORT_PATH",
    }
)
_LIBRARY_PATHS = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH")
_MAX_LOG_BYTES = 5 * 1024 * 1024
_TAIL_BYTES = 2000


def child_environment(environment: Mapping[str, str], host_dir: str) -> dict[str, str]:
    """Return an environment in which another Python works.

    Without what makes it load Nuke's modules and Qt plug-ins, and without library folders
    inside ``host_dir`` (Nuke's own; empty for none). GPU drivers' library paths stay.
    """
    child = {
        name: value
        for name, value in environment.items()
        if name not in _STRIPPED and not name.startswith("QT_")
    }
    for name in _LIBRARY_PATHS:
        if name in child and host_dir:
            kept = [
                part for part in child[name].split(os.pathsep) if not _is_inside(part, host_dir)
            ]
            child[name] = os.pathsep.join(kept)
            if not kept:
                del child[name]
    child["PYTHONNOUSERSITE"] = "1"
    return child


def _is_inside(folder: str, parent: str) -> bool:
    inner, outer = os.path.normpath(folder), os.path.normpath(parent)
    return inner == outer or inner.startswith(outer + os.sep)


def backend_command(told: str, root: Path, *, windows: bool) -> list[str]:
    """Return the program that starts the backend, with its arguments.

    ``told`` is the setting; otherwise the environment beside the plug-in (``.venv`` in
    ``root``), otherwise ``genai-fill`` on the PATH. Raises `BackendStartFailed` when there
    is none.
    """
    if told.strip():
        # On Windows a backslash is part of a path; shlex keeps it in non-posix mode, with
        # the quotes left round each word.
        words = shlex.split(told, posix=not windows)
        return [word.strip('"') for word in words] if windows else words
    beside = root / (".venv/Scripts/genai-fill.exe" if windows else ".venv/bin/genai-fill")
    program = str(beside) if beside.is_file() else shutil.which("genai-fill")
    if program is None:
        raise BackendStartFailed(
            f"There is no backend to start: neither {beside} nor genai-fill on the PATH.",
            hint="Install the backend beside the plug-in, or set backend.command.",
        )
    return [program, "serve"]


class LocalBackendProcess:
    """`genai_fill.app.ports.BackendProcess`.

    The backend outlives Nuke on purpose: jobs go on, and other sessions may use it.
    """

    def __init__(
        self,
        settings: SettingsSource,
        environment: Mapping[str, str],
        root: Path,
        host_dir: str,
    ) -> None:
        """``root`` is the product's folder, ``host_dir`` the folder of Nuke's program."""
        self._settings = settings
        self._environment = environment
        self._root = root
        self._host_dir = host_dir
        self._process: subprocess.Popen[bytes] | None = None
        self._log: Path | None = None

    def start(self) -> None:
        """Start the backend without waiting; raises `BackendStartFailed` and `ConfigError`."""
        settings = self._settings.load()
        command = backend_command(settings.backend.command, self._root, windows=os.name == "nt")
        folder = state_dir(settings, self._environment)
        environment = child_environment(self._environment, self._host_dir)
        environment[environment_name("backend.state_dir")] = as_told(str(folder))
        try:
            log = _fresh_log(folder / LOG_DIR / "started-by-nuke.log")
            with log.open("ab") as out:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    cwd=folder,
                    creationflags=_creation_flags(),
                    start_new_session=True,
                )
        except OSError as error:
            raise BackendStartFailed(
                f"The backend {command[0]!r} cannot be started ({error.strerror or error}).",
                hint="Look at backend.command, and whether the state folder can be written to.",
            ) from error
        self._log = log
        # Somebody must wait for a child, or it stays a zombie of Nuke's once it has ended.
        reaper = threading.Thread(
            target=self._process.wait, name="genai-fill backend's end", daemon=True
        )
        reaper.start()

    def failure(self) -> str | None:
        """Return why the backend ended, when it did; None while it runs or never started.

        A command that ends without an error has handed over to a service of the system.
        """
        if self._process is None or not self._process.poll():
            return None
        tail = ""
        if self._log is not None:
            with self._log.open("rb") as file:
                file.seek(max(0, self._log.stat().st_size - _TAIL_BYTES))
                tail = file.read().decode("utf-8", "replace").strip()
        last = tail.splitlines()[-1] if tail else "it said nothing"
        return f"it ended with code {self._process.returncode}: {last}"


def _fresh_log(path: Path) -> Path:
    """Return the log's path, its folder made and a log that grew large put aside."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _MAX_LOG_BYTES:
        path.replace(path.with_suffix(".old.log"))
    return path


def _creation_flags() -> int:
    """Return what keeps a console window and Nuke's Ctrl-C away from the child on Windows.

    Elsewhere a session of its own does that, and the flags do not exist.
    """
    no_window: int = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    own_group: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    return no_window | own_group
