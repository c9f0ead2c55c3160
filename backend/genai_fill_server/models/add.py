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
from genai_fill_server.models.contents import (
    CARD_FILE,
    INDEX_FILE,
    check_content,
    list_folder,
    read_parts,
)
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

        What is not needed (pictures, notes) is left behind. A model that the source's name tells
        stays that model under any id: its card says so. Raises `ModelUnsafe`,
        `ModelMissing`, `ModelLoadFailed`, `OutputExists`, `OutputNotWritable`, `DiskFull`,
        `InvalidRequest`.
        """
        source = _source(folder)
        known = self._offer_called(_name_of(source))
        if model_id:
            self._check_id(check_model_id(model_id), source, known)
        else:
            model_id = known.id if known else id_from(_name_of(source))
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
        inspection = self.store.inspect(source, boundary, model_id)
        refuse_unusable(inspection)
        with self.store.incoming(model_id) as partial:
            _empty(partial)
            hashes = self._take(files, partial, progress, link=link)
            if known and inspection.family == known.family and not known.is_called(model_id):
                hashes |= _name_in_card(known, partial, hashes)
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

    def _offer_called(self, name: str) -> Offer | None:
        return next((offer for offer in self.offers if offer.is_called(name)), None)

    def _check_id(self, model_id: str, source: Path, known: Offer | None) -> None:
        """Raise `InvalidRequest` for an id by which one known model would go for another."""
        other = self._offer_called(model_id)
        if known and other and other != known:
            raise InvalidRequest(
                f"{model_id!r} is the name of {other.label}, and {source} is {known.label}.",
                hint=f"Choose another id, or leave it out: it is {known.id!r} then.",
                path=str(source),
            )


def _name_of(source: Path) -> str:
    """Return what a folder is called, or the repository of a Hugging Face cache."""
    repository = source.parent.parent.name
    if source.parent.name == "snapshots" and repository.startswith(_CACHE_PREFIX):
        return repository.removeprefix(_CACHE_PREFIX)
    return source.name


def _name_in_card(known: Offer, partial: Partial, hashes: Mapping[str, str]) -> dict[str, str]:
    """Write a card that says which model this is, unless it has one; return the card's hash."""
    if CARD_FILE in hashes:
        return {}
    path = partial.payload / CARD_FILE
    path.write_text(f'catalogue = "{known.id}"\n', encoding="utf-8")
    return {CARD_FILE: sha256_of(path, _ignore_bytes)}


def _ignore_bytes(count: int) -> None:
    """A card of one line: nobody need be told how far its hash is."""


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
