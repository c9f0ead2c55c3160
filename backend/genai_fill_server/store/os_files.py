"""The one module that differs by operating system: private files, locks, flushed folders."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_HELD_BY_ANOTHER = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})
PRIVATE_FILE_MODE = 0o600
PRIVATE_DIR_MODE = 0o700


def make_private_dir(path: Path) -> None:
    """Make a folder that only this user may enter (an existing one is left as it is).

    On Windows the user's own profile folder carries that permission already.
    """
    path.mkdir(mode=PRIVATE_DIR_MODE, parents=True, exist_ok=True)


def open_private(path: Path, flags: int) -> int:
    """Open ``path`` with `os.open` flags; a new file is readable by this user alone."""
    no_inherit = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
    binary = getattr(os, "O_BINARY", 0)
    return os.open(path, flags | no_inherit | binary, PRIVATE_FILE_MODE)


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` in one step: readers see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    handle = open_private(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_dir(path.parent)


def is_private(path: Path) -> bool:
    """Whether nobody but this user may read or write ``path``.

    Windows has no such mode bits; there the profile folder's permissions hold.
    """
    if sys.platform == "win32":
        return True
    status = path.stat()
    return stat.S_IMODE(status.st_mode) & 0o077 == 0 and status.st_uid == os.getuid()


def sync_dir(path: Path) -> None:
    """Flush a folder, so that a rename in it survives a power cut. Windows does it itself."""
    if sys.platform == "win32":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class FileLock:
    """An exclusive lock on a file, held until `release` or the end of the process."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def release(self) -> None:
        """Give the lock back; again is free."""
        self._file.close()


def try_lock(path: Path) -> FileLock | None:
    """Lock ``path`` (made when missing), or return None when another process holds it.

    Raises `OSError` where locking itself does not work.

    The operating system drops the lock when the process dies, however it dies, so there is
    no stale lock to clean up.
    """
    file = os.fdopen(open_private(path, os.O_RDWR | os.O_CREAT), "r+", encoding="utf-8")
    try:
        _lock(file, wait=False)
    except OSError as error:
        file.close()
        if error.errno in _HELD_BY_ANOTHER:
            return None
        raise
    return FileLock(file)


def wait_for_lock(path: Path) -> FileLock:
    """Lock ``path``, waiting for whoever holds it."""
    file = os.fdopen(open_private(path, os.O_RDWR | os.O_CREAT), "r+", encoding="utf-8")
    try:
        _lock(file, wait=True)
    except OSError:
        file.close()
        raise
    return FileLock(file)


def _lock(file: IO[str], *, wait: bool) -> None:
    if sys.platform == "win32":
        file.seek(2**30)  # one byte far beyond any content
        msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
