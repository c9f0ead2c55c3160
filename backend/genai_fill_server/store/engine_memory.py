"""What the engines said of themselves last, kept between two runs of the server."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from genai_fill_contract import codec
from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import MalformedMessage
from genai_fill_server.store.os_files import write_private

_LOG = logging.getLogger(__name__)
_MAX_BYTES = 4 * 1024 * 1024


class EngineMemoryFile:
    """Engine descriptions in a JSON file. A cache: whatever is wrong with it, it is empty."""

    def __init__(self, path: Path) -> None:
        """Keep them in ``path``."""
        self._path = path

    def load(self, fingerprint: str) -> tuple[EngineDescription, ...] | None:
        """Return what was saved under this fingerprint, if that was the last one."""
        try:
            with self._path.open("rb") as file:
                wire = json.loads(file.read(_MAX_BYTES))
            if wire["fingerprint"] != fingerprint:
                return None
            return tuple(codec.decode(EngineDescription, item) for item in wire["engines"])
        except (OSError, ValueError, KeyError, TypeError, MalformedMessage) as error:
            _LOG.debug("%s: not used: %s", self._path, error)
            return None

    def save(self, fingerprint: str, engines: tuple[EngineDescription, ...]) -> None:
        """Keep the descriptions."""
        wire = {"fingerprint": fingerprint, "engines": [codec.encode(item) for item in engines]}
        try:
            write_private(self._path, json.dumps(wire))
        except OSError as error:
            _LOG.warning("%s cannot be written: %s", self._path, error)
