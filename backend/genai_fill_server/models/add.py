"""Take a model from a local folder into the store."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.errors import InvalidRequest, ModelMissing, OutputNotWritable
from genai_fill_server.models.assemble import finish, refuse_unusable
from genai_fill_server.models.contents import INDEX_FILE, check_content, list_folder, read_parts
from genai_fill_server.models.entries import Offer
from genai_fill_server.models.hashing import copy_hashed, sha256_of
from genai_fill_server.models.names import check_model_id, id_from
from genai_fill_server.models.ports import Clock, Progress
from genai_fill_server.models.record import ModelRecord
from genai_fill_server.models.store import ModelStore, Partial

_CACHE_PREFIX = "models--"


@dataclass(frozen=True)
class AddModel:
    """Takes local model folders into the store."""

    store: ModelStore
    offers: tuple[Offer, ...]
    now: Clock

    def add(
        self, folder: Path, *, progress: Progress, model_id: str = "", link: bool = False
    ) -> Path:
        """Check a folder, copy it into the store (``link``: hard links), return the new one.

        What is not needed (pictures, notes) is left behind. Raises `ModelUnsafe`,
        `ModelMissing`, `ModelLoadFailed`, `OutputExists`, `OutputNotWritable`, `DiskFull`,
        `InvalidRequest`.
        """
        source = _source(folder)
        model_id = check_model_id(model_id) if model_id else self._id_of(source)
        if any(source.is_relative_to(directory.resolve()) for directory in self.store.dirs):
            raise InvalidRequest(
                f"{source} is in the store already.",
                hint="See 'genai-fill models list'; nothing needs to be added.",
            )
        self.store.check_free(model_id)
        boundary = _boundary(source)
        read_parts(source / INDEX_FILE)
        files = list_folder(source, boundary)
        for name, path in files.items():
            check_content(name, path)
        refuse_unusable(self.store.inspect(source, boundary, model_id))
        with self.store.incoming(model_id) as partial:
            _empty(partial)
            hashes = self._take(files, partial, progress, link=link)
            record = ModelRecord(model_id, "added", "", self.now())
            return finish(self.store, partial, record, hashes)

    def _take(
        self, files: Mapping[str, Path], partial: Partial, progress: Progress, *, link: bool
    ) -> dict[str, str]:
        total = sum(path.stat().st_size for path in files.values())
        self.store.check_room(partial, 0 if link else total)
        progress.start("Hashing" if link else "Copying", total)
        hashes: dict[str, str] = {}
        for name, path in files.items():
            target = partial.payload / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if link:
                _link(path, target)
                hashes[name] = sha256_of(target, progress.advance)
            else:
                hashes[name] = copy_hashed(path, target, progress.advance)
        return hashes

    def _id_of(self, source: Path) -> str:
        name = source.name
        repository = source.parent.parent.name
        if source.parent.name == "snapshots" and repository.startswith(_CACHE_PREFIX):
            name = repository.removeprefix(_CACHE_PREFIX)
        for offer in self.offers:
            known = offer.repository.lower()
            if name.lower() in (offer.id, known.replace("/", "--"), known.split("/")[-1]):
                return offer.id
        return id_from(name)


def _source(folder: Path) -> Path:
    source = folder.expanduser().resolve()
    if not source.is_dir():
        raise ModelMissing(
            f"{folder} is not a folder.",
            hint="Name the folder that has model_index.json in it.",
            path=str(folder),
        )
    return source


def _boundary(source: Path) -> Path:
    """Return where links of the folder may lead: the repository's folder of a cache, or itself."""
    repository = source.parent.parent
    if source.parent.name == "snapshots" and repository.name.startswith(_CACHE_PREFIX):
        return repository
    return source


def _empty(partial: Partial) -> None:
    """Start anew: what an interrupted add or pull left may be of something else."""
    shutil.rmtree(partial.payload)
    partial.payload.mkdir()
    for path in partial.folder.iterdir():
        if path.is_file() and path.name != "lock":
            path.unlink()


def _link(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        raise OutputNotWritable(
            f"{path} cannot be linked to {target}: {error.strerror}.",
            hint="Hard links need both on one disk. Copy (without --link), or put the model's "
            "own folder into models.dirs.",
            path=str(target),
        ) from error
