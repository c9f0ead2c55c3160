"""Count an EXR header's entries before a library reads it: a header may be made to stall.

The layout is that of *OpenEXR File Layout*: magic number, version, then for each part entries
of name, type, size and value, ended by an empty name; a multi-part file's list of headers is
ended by an empty header.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

MAGIC = b"\x76\x2f\x31\x01"
MAX_ENTRIES = 4096
MAX_NAME_BYTES = 256
_MULTI_PART = 0x1000


def has_absurd_header(path: str) -> bool:
    """Whether ``path`` is an EXR whose header has more than `MAX_ENTRIES` entries.

    False for whatever is no EXR or is cut short: the library says that better. Reads no
    values, so the cost is a few seeks an entry.
    """
    try:
        with Path(path).open("rb") as file:
            start = file.read(8)
            if start[:4] != MAGIC or len(start) < 8:
                return False
            (flags,) = struct.unpack("<I", start[4:])
            return _entries(file, is_multi_part=bool(flags & _MULTI_PART)) > MAX_ENTRIES
    except OSError:
        return False


def _entries(file: BinaryIO, *, is_multi_part: bool) -> int:
    """Return how many entries the headers have; stops counting beyond the limit."""
    count, in_part = 0, 0
    while count <= MAX_ENTRIES:
        name = _text(file)
        if name is None:
            return count
        if not name:
            if not is_multi_part or in_part == 0:
                return count
            in_part = 0
            continue
        size = file.read(4) if _text(file) is not None else b""
        if len(size) < 4:
            return count
        file.seek(struct.unpack("<I", size)[0], 1)
        count, in_part = count + 1, in_part + 1
    return count


def _text(file: BinaryIO) -> bytes | None:
    """Return a text up to its closing zero byte; None where there is none."""
    text = bytearray()
    while len(text) <= MAX_NAME_BYTES:
        byte = file.read(1)
        if not byte:
            return None
        if byte == b"\0":
            return bytes(text)
        text += byte
    return None
