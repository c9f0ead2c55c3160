"""The contract's version and the rule for who may talk to whom."""

from __future__ import annotations

from genai_fill_contract.errors import VersionMismatch

CONTRACT_VERSION = "1.0"


def require_same_major(theirs: str, *, who: str) -> None:
    """Raise `VersionMismatch` unless ``theirs`` has the major version of this side.

    ``who`` names the other side in the message ("the backend", "the plug-in").
    """
    if theirs.split(".", maxsplit=1)[0] != CONTRACT_VERSION.split(".", maxsplit=1)[0]:
        raise VersionMismatch(
            f"{who} speaks contract {theirs}, this side speaks {CONTRACT_VERSION}.",
            hint="Install the same GenAI Fill release for the plug-in and the backend.",
            theirs=theirs,
            ours=CONTRACT_VERSION,
        )
