"""Errors of the wire, turned into the contract's."""

from __future__ import annotations

import http.client

from genai_fill_contract import codec
from genai_fill_contract.errors import (
    BackendTimeout,
    BackendUnreachable,
    ErrorReport,
    GenAIFillError,
    Internal,
    MalformedMessage,
    WrongToken,
)

_TransportFailure = OSError | http.client.HTTPException | UnicodeError


def transport_error(error: _TransportFailure, url: str) -> GenAIFillError:
    """Return what a failed connection to ``url`` means."""
    if isinstance(error, TimeoutError):
        return BackendTimeout(
            f"The backend at {url} took too long to answer.",
            hint="It may be busy: try again, or raise backend.request_timeout_s.",
        )
    return BackendUnreachable(
        f"Nothing answers at {url} ({_reason(error)}).",
        hint="Start the backend with 'genai-fill serve', or look into its log.",
    )


def _reason(error: _TransportFailure) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return type(error).__name__


def answer_error(status: int, body: bytes, url: str) -> GenAIFillError:
    """Return what an answer that is not a success means.

    The backend sends an `ErrorReport`. Anything else comes from somebody else at that
    address, or from a later release with an error that this one does not know.
    """
    try:
        return codec.loads(ErrorReport, body, unknown="ignore").to_error()
    except (MalformedMessage, TypeError):
        # TypeError: a context that names message or hint again; hostile or broken.
        pass
    if status in (401, 403):
        return WrongToken(
            f"The backend at {url} does not accept this token.",
            hint="Use the token of the backend's state folder, or start a backend of your own.",
        )
    if 300 <= status < 400:
        return BackendUnreachable(
            f"{url} answers with a redirect ({status}), which a backend never does.",
            hint="Correct backend.url: something else is at that address.",
        )
    if status >= 500:
        return Internal(
            f"The backend at {url} failed ({status}).", hint="Look into the backend's log."
        )
    return BackendUnreachable(
        f"{url} answers {status}, but not as a GenAI Fill backend does.",
        hint="Correct backend.url, or install the same release on both sides.",
    )
