"""What the server and its child processes say to each other: one JSON object a line.

Both ends are the same release, so an unknown message or field is a fault, not a future.
Built on the contract's codec: every field is checked against its type.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genai_fill_contract import codec
from genai_fill_contract.engine import EngineDescription
from genai_fill_contract.errors import ErrorReport, MalformedMessage
from genai_fill_contract.job import FrameDone, Job, JobState, Progress
from genai_fill_contract.models import ModelList
from genai_fill_contract.plate import ColourSettings, Window
from genai_fill_contract.settings import Settings
from genai_fill_server.service.model_ports import ModelOrder


@dataclass(frozen=True)
class Start:
    """To a child, first: everything it needs to know of this backend.

    ``roots`` and ``trusted_files`` are those of the server's path policy: a child checks
    again what it opens, as a link may have changed since the request came in.
    """

    settings: Settings
    device: str
    roots: tuple[str, ...]
    trusted_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """To a worker: run this job. Answered by `Finished`."""

    job: Job


@dataclass(frozen=True)
class Cancel:
    """To a worker: stop this job as soon as you can. Answered by its `Finished`."""

    job_id: str


@dataclass(frozen=True)
class Describe:
    """To a child: which engines are there? Answered by `Engines` or `Refused`."""

    request_id: int


@dataclass(frozen=True)
class MakeThumbnail:
    """To a child: a PNG of this frame. Answered by `Thumbnail` or `Refused`."""

    request_id: int
    path: str
    frame: int
    width_px: int
    colour: ColourSettings


@dataclass(frozen=True)
class ListModels:
    """To a model child: which models are there? Answered by `Models` or `ModelRefused`."""


@dataclass(frozen=True)
class WorkOnModel:
    """To a model child: do this. Answered by `ModelDone` or `ModelRefused`."""

    order: ModelOrder


@dataclass(frozen=True)
class Ready:
    """From a child, first: it listens."""

    pid: int


@dataclass(frozen=True)
class Reported:
    """From a worker: how far the whole job is."""

    job_id: str
    progress: Progress


@dataclass(frozen=True)
class Logged:
    """From a worker: a line for the artist."""

    job_id: str
    message: str


@dataclass(frozen=True)
class CropKnown:
    """From a worker: the crop at the first frame."""

    job_id: str
    window: Window


@dataclass(frozen=True)
class FrameWritten:
    """From a worker: a frame is complete on disk."""

    job_id: str
    frame: FrameDone


@dataclass(frozen=True)
class Previewed:
    """From a worker: what a take looks like so far, a small PNG file in base64."""

    job_id: str
    take_index: int
    frame: int
    png_base64: str


@dataclass(frozen=True)
class Finished:
    """From a worker: the job ended as DONE, CANCELLED or FAILED with ``error``."""

    job_id: str
    state: JobState
    error: ErrorReport | None = None


@dataclass(frozen=True)
class Engines:
    """From a child: every engine."""

    request_id: int
    engines: tuple[EngineDescription, ...]


@dataclass(frozen=True)
class Thumbnail:
    """From a child: the PNG file in base64."""

    request_id: int
    png_base64: str


@dataclass(frozen=True)
class Refused:
    """From a child: the request cannot be answered."""

    request_id: int
    error: ErrorReport


@dataclass(frozen=True)
class Models:
    """From a model child: every model."""

    models: ModelList


@dataclass(frozen=True)
class ModelBegan:
    """From a model child: nothing speaks against the order, the long part begins."""


@dataclass(frozen=True)
class ModelMoved:
    """From a model child: how far the order is."""

    progress: Progress


@dataclass(frozen=True)
class ModelDone:
    """From a model child: the order is carried out."""

    model_id: str
    message: str


@dataclass(frozen=True)
class ModelRefused:
    """From a model child: it cannot be done."""

    error: ErrorReport


ToChild = Start | Run | Cancel | Describe | MakeThumbnail | ListModels | WorkOnModel
FromChild = (
    Ready
    | Reported
    | Logged
    | Previewed
    | CropKnown
    | FrameWritten
    | Finished
    | Engines
    | Thumbnail
    | Refused
    | Models
    | ModelBegan
    | ModelMoved
    | ModelDone
    | ModelRefused
)
Answer = Engines | Thumbnail | Refused

_TO_CHILD: Mapping[str, type[Any]] = {
    cls.__name__: cls
    for cls in (Start, Run, Cancel, Describe, MakeThumbnail, ListModels, WorkOnModel)
}
_FROM_CHILD: Mapping[str, type[Any]] = {
    cls.__name__: cls
    for cls in (
        Ready,
        Reported,
        Logged,
        CropKnown,
        Previewed,
        FrameWritten,
        Finished,
        Engines,
        Thumbnail,
        Refused,
        Models,
        ModelBegan,
        ModelMoved,
        ModelDone,
        ModelRefused,
    )
}


def to_line(message: ToChild | FromChild) -> bytes:
    """Return the message as one line, newline included."""
    wire = {"type": type(message).__name__, **codec.encode(message)}
    return json.dumps(wire, allow_nan=False).encode("ascii") + b"\n"


def read_to_child(line: bytes) -> ToChild:
    """Return the message that a child got. Raises `MalformedMessage`."""
    message: ToChild = _read(line, _TO_CHILD)
    return message


def read_from_child(line: bytes) -> FromChild:
    """Return the message that a child sent. Raises `MalformedMessage`."""
    message: FromChild = _read(line, _FROM_CHILD)
    return message


def _read(line: bytes, known: Mapping[str, type[Any]]) -> Any:
    try:
        wire = json.loads(line)
    except ValueError:
        wire = None
    name = wire.pop("type", None) if isinstance(wire, dict) else None
    if not isinstance(name, str) or name not in known:
        raise MalformedMessage(
            f"A worker's line is no message of the protocol: {line[:80]!r}.",
            hint="Report this with the backend's log.",
        )
    return codec.decode(known[name], wire)
