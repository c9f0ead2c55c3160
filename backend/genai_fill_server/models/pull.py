"""Fetch a published model: the only thing of the product that uses the network."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from genai_fill_contract.engine import CommercialUse
from genai_fill_contract.errors import InvalidRequest, ModelLoadFailed, ModelMissing, ModelUnsafe
from genai_fill_server.models.assemble import finish
from genai_fill_server.models.contents import (
    CARD_FILE,
    INDEX_FILE,
    LOCK_FILE,
    MAX_FILES,
    check_content,
    choose_files,
    read_parts,
)
from genai_fill_server.models.entries import Offer
from genai_fill_server.models.hashing import git_oid_of, sha256_of
from genai_fill_server.models.names import check_file_names
from genai_fill_server.models.ports import Clock, Hub, Progress, RemoteFile, RemoteModel
from genai_fill_server.models.record import ModelRecord
from genai_fill_server.models.store import ModelStore, Partial

_STATE_FILE = "pull.json"
_MAX_STATE_BYTES = 4096
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Ours: a repository has no business bringing them.
_OWN_FILES = frozenset({LOCK_FILE, CARD_FILE})


@dataclass(frozen=True)
class PullModel:
    """Fetches models into the store."""

    store: ModelStore
    hub: Hub
    now: Clock
    allow_non_commercial: bool = False

    def check_policy(self, offer: Offer) -> None:
        """Raise `InvalidRequest` for a model that cannot be pulled, or must not be here."""
        if offer.by_hand:
            raise InvalidRequest(f"{offer.label} cannot be pulled.", hint=offer.by_hand)
        if offer.commercial_use is CommercialUse.NO and not self.allow_non_commercial:
            raise InvalidRequest(
                f"The licence of {offer.label} ({offer.licence}) forbids commercial use.",
                hint="Take another model. Where the work is not commercial, or the studio has "
                "its own licence, an administrator can set models.allow_non_commercial.",
            )

    def check(self, offer: Offer, *, accepted: bool) -> None:
        """Raise what speaks against a pull before anything is asked of the network.

        `InvalidRequest` for the licence, `OutputExists` when the model is there.
        """
        self.check_policy(offer)
        if not offer.is_permissive and not accepted:
            raise InvalidRequest(
                f"{offer.label} has a licence that must be agreed to: {offer.licence}. "
                f"{offer.licence_note}".strip(),
                hint=f"Read it at {source_of(offer)} and agree to it; on the command line that is "
                "--accept-licence.",
            )
        self.store.check_free(offer.id)

    def pull(self, offer: Offer, *, accepted: bool, progress: Progress, revision: str = "") -> Path:
        """Fetch a model and return its folder.

        An interrupted pull goes on at the commit that it began with. Raises what `check`
        does, `OutputNotWritable`, `DiskFull`, `ModelMissing` (the hub), `ModelUnsafe`
        (contents or hashes).
        """
        self.check(offer, accepted=accepted)
        with self.store.incoming(offer.id) as partial:
            remote = self._remote(offer, partial, revision)
            files = self._choose(offer, remote, partial)
            self._fetch(offer, remote, files, partial, progress)
            hashes = _verify(files, partial, progress)
            self.hub.tidy(partial.payload)
            record = ModelRecord(
                id=offer.id,
                source=offer.repository,
                revision=remote.commit,
                recorded_at=self.now(),
                accepted="" if offer.is_permissive else offer.licence,
            )
            return finish(self.store, partial, record, hashes)

    def _remote(self, offer: Offer, partial: Partial, revision: str) -> RemoteModel:
        begun = _begun(partial, offer)
        if begun and revision and not begun.startswith(revision):
            raise InvalidRequest(
                f"A pull of {offer.id!r} at the commit {begun} was begun and is not finished.",
                hint=f"Finish it without --revision, or start anew: "
                f"genai-fill models remove {offer.id}.",
            )
        remote = self.hub.list_files(offer.repository, begun or revision or offer.revision)
        if not _COMMIT.fullmatch(remote.commit):
            raise ModelLoadFailed(
                f"The hub answered with a commit that is none: {remote.commit[:80]!r}.",
                hint="Look at what HF_ENDPOINT names.",
            )
        wire = {"repository": offer.repository, "commit": remote.commit}
        (partial.folder / _STATE_FILE).write_text(json.dumps(wire), encoding="utf-8")
        return remote

    def _choose(
        self, offer: Offer, remote: RemoteModel, partial: Partial
    ) -> tuple[RemoteFile, ...]:
        if len(remote.files) > MAX_FILES:
            raise ModelUnsafe(
                f"{offer.repository} has {len(remote.files)} files.",
                hint="A model has a few dozen. Do not use this repository.",
            )
        by_name = {file.name: file for file in remote.files}
        names = check_file_names(by_name, offer.repository)
        if INDEX_FILE not in by_name:
            raise ModelMissing(
                f"{offer.repository} has no {INDEX_FILE} at {remote.commit[:12]}.",
                hint="It is not in diffusers layout at that revision. Try another with --revision.",
            )
        index = by_name[INDEX_FILE]
        if not _is_there(index, partial):
            self.hub.fetch(
                offer.repository, remote.commit, index.name, partial.payload, _ignore_bytes
            )
        parts = read_parts(partial.payload / INDEX_FILE)
        wanted = choose_files(names, parts, skip=offer.skip, variant=offer.variant)
        return tuple(by_name[name] for name in wanted if name not in _OWN_FILES)

    def _fetch(
        self,
        offer: Offer,
        remote: RemoteModel,
        files: tuple[RemoteFile, ...],
        partial: Partial,
        progress: Progress,
    ) -> None:
        missing = [file for file in files if not _is_there(file, partial)]
        needed = sum(file.size_bytes for file in missing)
        self.store.check_room(partial, needed)
        total = sum(file.size_bytes for file in files)
        progress.start(f"Fetching {offer.label}", total)
        progress.advance(total - needed)
        for file in missing:
            self.hub.fetch(
                offer.repository, remote.commit, file.name, partial.payload, progress.advance
            )


def source_of(offer: Offer) -> str:
    """Return the address of the model's card, where its licence stands."""
    return offer.page or f"https://huggingface.co/{offer.repository}"


def _ignore_bytes(count: int) -> None:
    """Of a file of a few hundred bytes nobody needs to be told."""


def _is_there(file: RemoteFile, partial: Partial) -> bool:
    path = partial.payload / file.name
    return path.is_file() and not path.is_symlink() and path.stat().st_size == file.size_bytes


def _begun(partial: Partial, offer: Offer) -> str:
    """Return the commit that an interrupted pull of the same repository began with, or ""."""
    try:
        with (partial.folder / _STATE_FILE).open("rb") as file:
            wire = json.loads(file.read(_MAX_STATE_BYTES))
        if wire["repository"] == offer.repository and _COMMIT.fullmatch(wire["commit"]):
            return str(wire["commit"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    return ""


def _verify(files: tuple[RemoteFile, ...], partial: Partial, progress: Progress) -> dict[str, str]:
    """Return the SHA-256 of every file; raise `ModelUnsafe` for one that is not the hub's.

    A wrong file is deleted, so that the next pull fetches it again.
    """
    progress.start("Verifying", sum(file.size_bytes for file in files))
    hashes: dict[str, str] = {}
    for file in files:
        path = partial.payload / file.name
        digest = sha256_of(path, progress.advance) if path.is_file() else ""
        if not _matches(file, path, digest):
            path.unlink(missing_ok=True)
            raise ModelUnsafe(
                f"{file.name} is not the file that the hub lists: its size or hash differs.",
                hint="Run the same pull again: it fetches this file anew. If that does not "
                "help, a proxy on the way changes files.",
                path=str(path),
            )
        check_content(file.name, path)
        hashes[file.name] = digest
    return hashes


def _matches(file: RemoteFile, path: Path, digest: str) -> bool:
    if not digest or path.stat().st_size != file.size_bytes:
        return False
    if file.sha256:
        return digest == file.sha256
    return not file.git_oid or git_oid_of(path) == file.git_oid
