"""Names from outside: model ids, and files inside a model. Both are hostile until checked."""

from __future__ import annotations

import re
from collections.abc import Iterable

from genai_fill_contract.errors import InvalidRequest, ModelUnsafe

MAX_ID_CHARACTERS = 96
_MAX_FILE_CHARACTERS = 240
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+ ()=-]*")
# Names that are devices on Windows, whatever their suffix.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10)}
)
# Endings of the store's own folders, and folders that no walk for models enters.
_RESERVED = (".partial", ".trash")
_RESERVED_NAMES = frozenset({"blobs", "refs", "snapshots"})


def check_model_id(model_id: str) -> str:
    """Return ``model_id`` if it may name a folder of the store. Raises `InvalidRequest`."""
    good = (
        len(model_id) <= MAX_ID_CHARACTERS
        and _ID.fullmatch(model_id)
        and not model_id.endswith((".", *_RESERVED))
        and model_id.lower() not in _RESERVED_NAMES
        and model_id.split(".")[0].lower() not in _DEVICES
    )
    if not good:
        raise InvalidRequest(
            f"{model_id[:MAX_ID_CHARACTERS]!r} cannot be the id of a model.",
            hint="An id has letters, digits, '.', '_' and '-', and starts with a letter or digit.",
        )
    return model_id


def id_from(name: str) -> str:
    """Return an id made of a folder's name: what an id cannot hold becomes "-"."""
    return check_model_id(re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._"))


def check_file_names(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Return the names, sorted, if each is a plain relative path with "/" between its parts.

    Names must also differ when upper and lower case are the same, as on macOS and Windows.
    Raises `ModelUnsafe` naming the first that is not, and ``where`` it came from.
    """
    seen: dict[str, str] = {}
    for name in sorted(names):
        if not _is_plain(name):
            raise ModelUnsafe(
                f"{where} has a file of a name that is never written: {name[:120]!r}.",
                hint="Do not use this model: its maker may mean harm.",
            )
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise ModelUnsafe(
                f"{where} has both {other!r} and {name!r}, one file on many disks.",
                hint="Use another version of the model.",
            )
    return tuple(seen.values())


def _is_plain(name: str) -> bool:
    if len(name) > _MAX_FILE_CHARACTERS:
        return False
    return all(
        _PART.fullmatch(part)
        and not part.endswith((".", " "))
        and part.split(".")[0].lower() not in _DEVICES
        for part in name.split("/")
    )
