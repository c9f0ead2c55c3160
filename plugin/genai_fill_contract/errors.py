"""Every error that an artist, a TD or the other side can meet.

    GenAIFillError
    ├── InputError          EmptyMatte  MissingFrames  SizeMismatch  RangeMismatch
    │                       UnreadableImage  UnknownColorspace  UnknownChannel
    │                       NotConnected  UnsavedScript  InvalidRequest  InvalidOption
    ├── OutputError         DiskFull  OutputNotWritable  OutputExists  PathNotAllowed
    ├── ConfigError
    ├── ContractError       MalformedMessage  VersionMismatch
    ├── BackendError        BackendUnreachable  BackendStartFailed  BackendTimeout  BackendLost
    │                       WrongToken  ForbiddenOrigin  JobNotFound  Internal
    ├── EngineError         UnknownEngine  ModelMissing  ModelUnsafe  ModelLoadFailed
    │                       LicenceForbids  OutOfMemory  GenerationFailed  WorkerDied
    └── HostError           NodeGone  NukeFailed

Cancelled is a job state, not an error.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

ContextValue = str | int | float | bool | None


class ErrorCode(enum.StrEnum):
    """One code a class of `GenAIFillError`; travels on the wire."""

    EMPTY_MATTE = "empty_matte"
    MISSING_FRAMES = "missing_frames"
    SIZE_MISMATCH = "size_mismatch"
    RANGE_MISMATCH = "range_mismatch"
    UNREADABLE_IMAGE = "unreadable_image"
    UNKNOWN_COLORSPACE = "unknown_colorspace"
    UNKNOWN_CHANNEL = "unknown_channel"
    NOT_CONNECTED = "not_connected"
    UNSAVED_SCRIPT = "unsaved_script"
    INVALID_REQUEST = "invalid_request"
    INVALID_OPTION = "invalid_option"
    DISK_FULL = "disk_full"
    OUTPUT_NOT_WRITABLE = "output_not_writable"
    OUTPUT_EXISTS = "output_exists"
    PATH_NOT_ALLOWED = "path_not_allowed"
    CONFIG_INVALID = "config_invalid"
    MALFORMED_MESSAGE = "malformed_message"
    VERSION_MISMATCH = "version_mismatch"
    BACKEND_UNREACHABLE = "backend_unreachable"
    BACKEND_START_FAILED = "backend_start_failed"
    BACKEND_TIMEOUT = "backend_timeout"
    BACKEND_LOST = "backend_lost"
    WRONG_TOKEN = "wrong_token"  # noqa: S105 - the name of an error, not a secret
    FORBIDDEN_ORIGIN = "forbidden_origin"
    JOB_NOT_FOUND = "job_not_found"
    INTERNAL = "internal"
    UNKNOWN_ENGINE = "unknown_engine"
    MODEL_MISSING = "model_missing"
    LICENCE_FORBIDS = "licence_forbids"
    MODEL_UNSAFE = "model_unsafe"
    MODEL_LOAD_FAILED = "model_load_failed"
    OUT_OF_MEMORY = "out_of_memory"
    GENERATION_FAILED = "generation_failed"
    WORKER_DIED = "worker_died"
    NODE_GONE = "node_gone"
    NUKE_FAILED = "nuke_failed"


class GenAIFillError(Exception):
    """Base of the tree: a message (what, where), a hint (what to do) and its context.

    The hint is required: an error that cannot say what to do next is not finished.
    ``context`` holds plain values for logs and for building better messages; never pixels,
    prompts or tokens.
    """

    code: ClassVar[ErrorCode] = ErrorCode.INTERNAL
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str, **context: ContextValue) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.context = context

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class InputError(GenAIFillError):
    """What came in cannot be filled."""

    code = ErrorCode.INVALID_REQUEST


class EmptyMatte(InputError):
    """The matte has nothing to fill on the frames named."""

    code = ErrorCode.EMPTY_MATTE


class MissingFrames(InputError):
    """Frames of the plate or the matte are not on disk."""

    code = ErrorCode.MISSING_FRAMES


class SizeMismatch(InputError):
    """Plate and matte, or two frames of one of them, differ in size."""

    code = ErrorCode.SIZE_MISMATCH


class RangeMismatch(InputError):
    """The range asked for is not covered by the plate or the matte."""

    code = ErrorCode.RANGE_MISMATCH


class UnreadableImage(InputError):
    """A file is there but cannot be read: truncated, corrupt or not an image."""

    code = ErrorCode.UNREADABLE_IMAGE


class UnknownColorspace(InputError):
    """The OCIO config has no colorspace or role of that name."""

    code = ErrorCode.UNKNOWN_COLORSPACE


class UnknownChannel(InputError):
    """The image has no layer or channel of that name."""

    code = ErrorCode.UNKNOWN_CHANNEL


class NotConnected(InputError):
    """An input of the node is not connected."""

    code = ErrorCode.NOT_CONNECTED


class UnsavedScript(InputError):
    """The output place is relative to the script, and the script was never saved."""

    code = ErrorCode.UNSAVED_SCRIPT


class InvalidRequest(InputError):
    """A value of the request is out of its bounds."""

    code = ErrorCode.INVALID_REQUEST


class InvalidOption(InputError):
    """An engine option is unknown, of the wrong type or out of range."""

    code = ErrorCode.INVALID_OPTION


class OutputError(GenAIFillError):
    """Frames cannot be written."""

    code = ErrorCode.OUTPUT_NOT_WRITABLE


class DiskFull(OutputError):
    """The disk filled up, or has not the room that the job needs."""

    code = ErrorCode.DISK_FULL
    retryable = True


class OutputNotWritable(OutputError):
    """The folder cannot be made or written to."""

    code = ErrorCode.OUTPUT_NOT_WRITABLE


class OutputExists(OutputError):
    """Another take's frames are already there; nothing is ever overwritten."""

    code = ErrorCode.OUTPUT_EXISTS


class PathNotAllowed(OutputError):
    """A path lies outside the backend's allowed roots."""

    code = ErrorCode.PATH_NOT_ALLOWED


class ConfigError(GenAIFillError):
    """A setting is unknown or has a value of the wrong kind."""

    code = ErrorCode.CONFIG_INVALID


class ContractError(GenAIFillError):
    """The two sides do not understand each other."""

    code = ErrorCode.MALFORMED_MESSAGE


class MalformedMessage(ContractError):
    """A message does not have the form that the contract gives it."""

    code = ErrorCode.MALFORMED_MESSAGE


class VersionMismatch(ContractError):
    """The two sides speak different major versions of the contract."""

    code = ErrorCode.VERSION_MISMATCH


class BackendError(GenAIFillError):
    """The backend cannot be used."""

    code = ErrorCode.INTERNAL


class BackendUnreachable(BackendError):
    """Nothing answers at the backend's address."""

    code = ErrorCode.BACKEND_UNREACHABLE
    retryable = True


class BackendStartFailed(BackendError):
    """The backend was started by the plug-in and did not come up."""

    code = ErrorCode.BACKEND_START_FAILED


class BackendTimeout(BackendError):
    """The backend took too long to answer."""

    code = ErrorCode.BACKEND_TIMEOUT
    retryable = True


class BackendLost(BackendError):
    """The backend went away while a job was running."""

    code = ErrorCode.BACKEND_LOST
    retryable = True


class WrongToken(BackendError):
    """The bearer token is missing or wrong."""

    code = ErrorCode.WRONG_TOKEN


class ForbiddenOrigin(BackendError):
    """The request's Host or Origin is not one the backend answers to."""

    code = ErrorCode.FORBIDDEN_ORIGIN


class JobNotFound(BackendError):
    """The backend has no job of that id."""

    code = ErrorCode.JOB_NOT_FOUND


class Internal(BackendError):
    """A fault of ours. The log has the traceback."""

    code = ErrorCode.INTERNAL


class EngineError(GenAIFillError):
    """The engine cannot do what was asked."""

    code = ErrorCode.GENERATION_FAILED


class UnknownEngine(EngineError):
    """No engine of that id is installed."""

    code = ErrorCode.UNKNOWN_ENGINE


class ModelMissing(EngineError):
    """The engine's weights are not in the model store."""

    code = ErrorCode.MODEL_MISSING


class LicenceForbids(EngineError):
    """The model's licence forbids what the studio's policy says it is used for."""

    code = ErrorCode.LICENCE_FORBIDS


class ModelUnsafe(EngineError):
    """The model folder holds what is never loaded: pickles, remote code, a wrong hash."""

    code = ErrorCode.MODEL_UNSAFE


class ModelLoadFailed(EngineError):
    """The weights are there but do not load."""

    code = ErrorCode.MODEL_LOAD_FAILED


class OutOfMemory(EngineError):
    """The device has not the memory that the job needs."""

    code = ErrorCode.OUT_OF_MEMORY
    retryable = True


class GenerationFailed(EngineError):
    """The engine failed on a frame."""

    code = ErrorCode.GENERATION_FAILED


class WorkerDied(EngineError):
    """The worker process died; the queue did not."""

    code = ErrorCode.WORKER_DIED
    retryable = True


class HostError(GenAIFillError):
    """Nuke could not do what was asked of it."""

    code = ErrorCode.NUKE_FAILED


class NodeGone(HostError):
    """The GenAI Fill node was deleted while it was being worked on."""

    code = ErrorCode.NODE_GONE


class NukeFailed(HostError):
    """Nuke raised while rendering or editing the graph."""

    code = ErrorCode.NUKE_FAILED


def _concrete_classes() -> dict[ErrorCode, type[GenAIFillError]]:
    classes: dict[ErrorCode, type[GenAIFillError]] = {}
    pending: list[type[GenAIFillError]] = [GenAIFillError]
    while pending:
        cls = pending.pop()
        children = cls.__subclasses__()
        pending.extend(children)
        if not children or cls is ConfigError:
            classes[cls.code] = cls
    return classes


@dataclass(frozen=True)
class ErrorReport:
    """A `GenAIFillError` on the wire."""

    code: ErrorCode
    message: str
    hint: str = ""
    retryable: bool = False
    context: Mapping[str, ContextValue] = field(default_factory=dict)

    @classmethod
    def of(cls, error: GenAIFillError) -> ErrorReport:
        """Return the report of ``error``."""
        return cls(error.code, error.message, error.hint, error.retryable, dict(error.context))

    def to_error(self) -> GenAIFillError:
        """Return an error of the class that the code names."""
        error_class = _concrete_classes()[self.code]
        return error_class(self.message, hint=self.hint, **self.context)
