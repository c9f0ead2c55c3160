"""The one mapper between `GenAIFillError` and HTTP, both ways."""

from __future__ import annotations

from collections.abc import Mapping

from genai_fill_contract import codec
from genai_fill_contract.errors import (
    BackendUnreachable,
    ErrorCode,
    ErrorReport,
    ForbiddenOrigin,
    GenAIFillError,
    Internal,
    JobNotFound,
    MalformedMessage,
    WrongToken,
)

STATUS: Mapping[ErrorCode, int] = {
    ErrorCode.EMPTY_MATTE: 422,
    ErrorCode.MISSING_FRAMES: 422,
    ErrorCode.SIZE_MISMATCH: 422,
    ErrorCode.RANGE_MISMATCH: 422,
    ErrorCode.UNREADABLE_IMAGE: 422,
    ErrorCode.UNKNOWN_COLORSPACE: 422,
    ErrorCode.UNKNOWN_CHANNEL: 422,
    ErrorCode.NOT_CONNECTED: 422,
    ErrorCode.UNSAVED_SCRIPT: 422,
    ErrorCode.INVALID_REQUEST: 422,
    ErrorCode.INVALID_OPTION: 422,
    ErrorCode.DISK_FULL: 507,
    ErrorCode.OUTPUT_NOT_WRITABLE: 409,
    ErrorCode.OUTPUT_EXISTS: 409,
    ErrorCode.PATH_NOT_ALLOWED: 403,
    ErrorCode.CONFIG_INVALID: 500,
    ErrorCode.MALFORMED_MESSAGE: 400,
    ErrorCode.VERSION_MISMATCH: 409,
    ErrorCode.BACKEND_UNREACHABLE: 503,
    ErrorCode.BACKEND_START_FAILED: 503,
    ErrorCode.BACKEND_TIMEOUT: 504,
    ErrorCode.BACKEND_LOST: 503,
    ErrorCode.WRONG_TOKEN: 401,
    ErrorCode.FORBIDDEN_ORIGIN: 403,
    ErrorCode.JOB_NOT_FOUND: 404,
    ErrorCode.INTERNAL: 500,
    ErrorCode.UNKNOWN_ENGINE: 422,
    ErrorCode.MODEL_MISSING: 422,
    ErrorCode.LICENCE_FORBIDS: 422,
    ErrorCode.MODEL_UNSAFE: 422,
    ErrorCode.MODEL_LOAD_FAILED: 500,
    ErrorCode.OUT_OF_MEMORY: 507,
    ErrorCode.GENERATION_FAILED: 500,
    ErrorCode.WORKER_DIED: 503,
    ErrorCode.NODE_GONE: 500,
    ErrorCode.NUKE_FAILED: 500,
}

_BY_STATUS: Mapping[int, type[GenAIFillError]] = {
    400: MalformedMessage,
    401: WrongToken,
    403: ForbiddenOrigin,
    404: JobNotFound,
    500: Internal,
}


def to_http(error: GenAIFillError) -> tuple[int, bytes]:
    """Return the status and the JSON body that tell of ``error``."""
    return STATUS[error.code], codec.dumps(ErrorReport.of(error)).encode()


def from_http(status: int, body: bytes) -> GenAIFillError:
    """Return the error that an answer tells of.

    An answer without our body (a proxy's page, another program's) becomes the error that
    its status comes closest to.
    """
    try:
        return codec.loads(ErrorReport, body, unknown="ignore").to_error()
    except MalformedMessage:
        error_class = _BY_STATUS.get(status, BackendUnreachable)
        return error_class(
            f"What answers at the backend's address said HTTP {status}.",
            hint="See whether another program listens there, or a proxy stands between.",
            status=status,
        )
