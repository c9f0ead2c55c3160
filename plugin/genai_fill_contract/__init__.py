"""The contract between the plug-in and the backend: messages, errors, settings, codec.

Standard library only, frozen dataclasses only, no I/O: Nuke's Python and the backend's
both import exactly this, so there is one definition of every message.
"""

from genai_fill_contract.version import CONTRACT_VERSION

__all__ = ["CONTRACT_VERSION"]
