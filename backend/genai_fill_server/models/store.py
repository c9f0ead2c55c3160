"""The folders of the store: which is written to, what is in them, and how that changes.

A model appears and disappears in one rename. What is not whole yet, or about to go, lies in
a folder named ``blobs``, which nothing that looks for models ever enters.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.errors import (
    DiskFull,
    InvalidRequest,
    ModelMissing,
    OutputExists,
    OutputNotWritable,
)
from genai_fill_server.models.entries import Inspection, InstalledModel
from genai_fill_server.models.names import check_model_id
from genai_fill_server.models.ports import FreeBytes, Held, ModelFolders, Roots, TryLock
from genai_fill_server.models.record import has_record

_PARTIAL = ".partial"
_TRASH = ".trash"
_TRASH_NAME = re.compile(rf".+\.[0-9a-f]{{8}}{re.escape(_TRASH)}")
_PAYLOAD = "blobs"
_LOCK = "lock"
_SPARE_BYTES = 512 * 2**20


@dataclass(frozen=True)
class Partial:
    """A model on its way into the store: ``folder`` keeps notes, ``payload`` its files."""

    folder: Path
    payload: Path
    store: Path


class ModelStore:
    """The folders of ``models.dirs``, the first writable one taking what comes."""

    def __init__(
        self,
        dirs: Roots,
        folders: ModelFolders,
        try_lock: TryLock,
        *,
        make_first: bool = False,
        is_writable: Callable[[Path], bool] | None = None,
        free_bytes: FreeBytes = lambda path: shutil.disk_usage(path).free,
    ) -> None:
        """Use ``dirs``; ``make_first`` allows making the first one (our own default).

        A configured folder that is not there is never made: a share may be away.
        """
        self.dirs = dirs
        self._folders = folders
        self._try_lock = try_lock
        self._make_first = make_first
        self._is_writable = is_writable or can_write_to
        self._free_bytes = free_bytes

    def writable_dir(self) -> Path:
        """Return the folder that models are put into. Raises `OutputNotWritable`."""
        if self._make_first and self.dirs:
            with contextlib.suppress(OSError):
                self.dirs[0].mkdir(parents=True, exist_ok=True)
        for folder in self.dirs:
            if self._is_writable(folder):
                return folder
        seen = ", ".join(f"{d} ({'read-only' if d.is_dir() else 'not there'})" for d in self.dirs)
        raise OutputNotWritable(
            f"No folder of models.dirs can be written to: {seen or 'there is none'}.",
            hint="Run this as a user who may write there, or put a folder of your own first "
            "into models.dirs.",
        )

    def models(self) -> Iterator[InstalledModel]:
        """Yield every model folder under the dirs."""
        for name, path in self._folders.find(self.dirs):
            parent = path.parent.resolve()
            own = next((d for d in self.dirs if d.resolve() == parent), None)
            yield InstalledModel(
                id=name,
                path=path,
                size_bytes=_size_of(path),
                inspection=self._folders.inspect(path, self._roots()),
                is_recorded=has_record(path),
                is_removable=own is not None and self._is_writable(own),
            )

    def find(self, model_id: str) -> InstalledModel:
        """Return the model of that id. Raises `ModelMissing` or `InvalidRequest`."""
        found = list(self.models())
        for model in found:
            if model.id == model_id:
                return model
        check_model_id(model_id)
        raise ModelMissing(
            f"No model {model_id!r} is installed.",
            hint=f"Installed: {', '.join(m.id for m in found) or 'none'}. "
            "See 'genai-fill models list'.",
        )

    def partials(self) -> Iterator[str]:
        """Yield the ids of models whose coming was interrupted."""
        for folder in self.dirs:
            with contextlib.suppress(OSError):
                for path in sorted(folder.glob(f"*{_PARTIAL}")):
                    if path.is_dir():
                        yield path.name.removesuffix(_PARTIAL)

    def left_over(self) -> Iterator[Path]:
        """Yield what removals have put out of sight and not deleted yet."""
        for folder in self.dirs:
            with contextlib.suppress(OSError):
                for path in sorted(folder.glob(f"*{_TRASH}")):
                    if _TRASH_NAME.fullmatch(path.name) and (path / _PAYLOAD).is_dir():
                        yield path

    def left_over_bytes(self) -> int:
        """Return how much of the disk removals that were cut short still hold."""
        return sum(_size_of(path) for path in self.left_over())

    def sweep(self) -> None:
        """Finish removals that were cut short. Not those that another process is at."""
        for trash in self.left_over():
            with contextlib.suppress(OSError):
                lock = self._try_lock(trash / _LOCK)
                if lock is not None:
                    lock.release()
                    shutil.rmtree(trash, ignore_errors=True)

    def check_free(self, model_id: str) -> None:
        """Raise `OutputExists` if a model of that id is installed anywhere."""
        for name, path in self._folders.find(self.dirs):
            if name.lower() == model_id.lower():
                raise OutputExists(
                    f"The model {name!r} is installed already: {path}.",
                    hint=f"Check it with 'genai-fill models verify {name}', or remove it first.",
                    path=str(path),
                )

    @contextmanager
    def incoming(self, model_id: str) -> Iterator[Partial]:
        """Hold the folder in which a model is put together; it stays when this fails."""
        store = self.writable_dir()
        self.sweep()
        folder = store / f"{check_model_id(model_id)}{_PARTIAL}"
        if folder.is_symlink():
            raise OutputNotWritable(f"{folder} is a link.", hint="Remove it.", path=str(folder))
        partial = Partial(folder, folder / _PAYLOAD, store)
        folder.mkdir(exist_ok=True)
        lock = self._lock(folder)
        try:
            partial.payload.mkdir(exist_ok=True)
            yield partial
        finally:
            lock.release()
            if not _has_content(partial.payload):  # it was published, or nothing ever came
                shutil.rmtree(folder, ignore_errors=True)

    def check_room(self, partial: Partial, needed_bytes: int) -> None:
        """Raise `DiskFull` unless so much, and some to spare, fits on the store's disk."""
        free = self._free_bytes(partial.store)
        if free < needed_bytes + _SPARE_BYTES:
            raise DiskFull(
                f"{partial.store} has {free / 1e9:.1f} GB free; {needed_bytes / 1e9:.1f} GB "
                "are still needed.",
                hint="Free some room, or put a folder on a larger disk first into models.dirs.",
                path=str(partial.store),
            )

    def publish(self, partial: Partial, model_id: str) -> Path:
        """Make the payload a model of the store, in one rename. Raises `OutputExists`."""
        target = partial.store / check_model_id(model_id)
        if os.path.lexists(target):
            raise OutputExists(
                f"{target} is there already.", hint="Remove it first.", path=str(target)
            )
        partial.payload.rename(target)
        return target

    def inspect(self, path: Path, extra_root: Path, name: str) -> Inspection:
        """Return the engines' `Inspection` of a folder that is not in the store yet."""
        return self._folders.inspect(path, (*self._roots(), extra_root), name)

    def remove(self, model: InstalledModel) -> None:
        """Remove a model: renamed out of sight first, then deleted. Never outside the store.

        What is left when this is cut short, the next removal, add or pull deletes.
        """
        own = next((d for d in self.dirs if d.resolve() == model.path.parent.resolve()), None)
        if own is None:
            raise InvalidRequest(
                f"{model.path} is not a folder of the store, but inside another one.",
                hint="Remove it with whatever put it there.",
                path=str(model.path),
            )
        if not self._is_writable(own):
            raise OutputNotWritable(
                f"{own} is read-only here, so {model.id!r} stays.",
                hint="Run this as a user who may write there.",
                path=str(own),
            )
        if model.path.is_symlink():
            model.path.unlink()  # the link is ours, what it leads to is not
            return
        self.sweep()
        trash = own / f"{model.path.name}.{secrets.token_hex(4)}{_TRASH}"
        trash.mkdir()
        lock = self._lock(trash)
        try:
            model.path.rename(trash / _PAYLOAD)
            shutil.rmtree(trash / _PAYLOAD)
        finally:
            lock.release()
            if not _has_content(trash / _PAYLOAD):
                shutil.rmtree(trash, ignore_errors=True)

    def discard(self, model_id: str) -> bool:
        """Delete what an interrupted pull or add left. False: there was nothing."""
        folder = self.writable_dir() / f"{check_model_id(model_id)}{_PARTIAL}"
        if folder.is_symlink() or not folder.is_dir():
            return False
        self._lock(folder).release()
        shutil.rmtree(folder)
        return True

    def _lock(self, folder: Path) -> Held:
        lock = self._try_lock(folder / _LOCK)
        if lock is None:
            raise OutputExists(
                f"Another process is at work in {folder}.",
                hint="Wait for it, or end it first.",
                path=str(folder),
            )
        return lock

    def _roots(self) -> Roots:
        return tuple(folder.resolve() for folder in self.dirs)


def can_write_to(folder: Path) -> bool:
    """Whether files can be made in a folder; tried, since permissions alone do not tell."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _has_content(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except FileNotFoundError:
        return False


def _size_of(path: Path) -> int:
    total = 0
    for current, _, files in os.walk(path):
        for name in files:
            with contextlib.suppress(OSError):
                total += (Path(current) / name).stat().st_size
    return total
