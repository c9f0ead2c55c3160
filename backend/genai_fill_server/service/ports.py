"""What the service needs of the world: the ports that engines and adapters fill in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from genai_fill_contract.engine import ColourDomain, EngineDescription
from genai_fill_contract.fill import OptionValue
from genai_fill_contract.plate import FrameRange, InputRole, Window

FloatImage = npt.NDArray[np.float32]
"""float32, shape (height, width, 3): RGB."""

FloatMatte = npt.NDArray[np.float32]
"""float32, shape (height, width): 0 to 1."""


MAX_PREVIEW_PX = 256
"""The longer side of a preview, in pixels."""


class FillCancelled(BaseException):
    """The artist cancelled. A state, not an error, so no ``except Exception`` swallows it."""


class FillInterrupted(FillCancelled):
    """The server stopped or died: the job is not over, the next server goes on with it."""


@runtime_checkable
class Watch(Protocol):
    """How a running engine talks to whoever waits for it. Cheap enough for inner loops."""

    def check(self) -> None:
        """Raise `FillCancelled` if the job was cancelled. Call at least every 0.3 s."""

    def progress(self, phase: str, done: float, total: float) -> None:
        """Tell how far the engine is within its own work. Also checks for cancel."""

    def log(self, message: str) -> None:
        """Put a line into the job's log that the artist can read."""

    def note(self, key: str, value: object) -> None:
        """Put a JSON-able fact into the recipe of every take of the job."""

    def preview(self, take_index: int, frame: int, rgb: FloatImage) -> None:
        """Show what is being made of a frame, however unfinished.

        ``rgb`` (h, w, 3) is display-referred, 0 to 1, shaped like the crop and at most
        `MAX_PREVIEW_PX` a side. Only for engines that can do it nearly for free; every half
        second is often enough.
        """


@runtime_checkable
class Shot(Protocol):
    """A plate and a matte as an engine sees them: any frame, any window, float32.

    Pixels are in the engine's `ColourDomain`, in the coordinates of the plate (y down,
    origin at the display window's top left). The matte is grown and feathered. Reads are
    cached within a bounded budget; ask again rather than keep frames.
    """

    @property
    def frames(self) -> FrameRange:
        """The frames to fill, in order."""

    @property
    def reach(self) -> FrameRange:
        """The frames that can be read: ``frames`` and whatever more is on disk."""

    @property
    def plate_window(self) -> Window:
        """The whole plate: the union of its data windows over ``reach``."""

    def window(self, frame: int) -> Window:
        """Return the crop at ``frame``: one size for the whole shot."""

    def has_frame(self, frame: int) -> bool:
        """Whether the plate's frame is on disk and readable (source frames may be missing)."""

    def data_window(self, frame: int) -> Window:
        """Return where the plate has pixels at ``frame``, a part of ``plate_window``.

        Raises `MissingFrames` or `UnreadableImage`.
        """

    def plate(self, frame: int, window: Window | None = None) -> FloatImage:
        """Return the plate in ``window`` (default: the crop). Outside its data window: 0.

        Raises `MissingFrames` or `UnreadableImage`.
        """

    def matte(self, frame: int, window: Window | None = None) -> FloatMatte:
        """Return the generation matte in ``window`` (default: the crop). Outside: 0."""

    def input_frames(self, role: InputRole) -> tuple[int, ...]:
        """Return the frames that an optional input has, in order; empty: it was not given.

        Several patches are one input here, by frame. Roles that the engine's description
        does not name are never given.
        """

    def input(
        self, role: InputRole, frame: int, window: Window | None = None
    ) -> tuple[FloatImage, FloatMatte]:
        """Return the RGB (h, w, 3) and alpha (h, w) of an optional input at ``frame``.

        Alpha is 1 where the file has none. Outside the file's data window both are 0.

        PATCH: plate coordinates, the shot's colour domain; ``window`` defaults to the crop.
        REFERENCE: the colour domain; its own coordinates and, by default, the whole picture.
        The rest is data, untouched by colour management, in plate coordinates: CONTROL as it
        is; MOTION_FORWARD and MOTION_BACKWARD as pixels right (red) and **down** (green:
        Nuke's points up, it is turned round here and nowhere else); STMAP as Nuke has it, 0
        to 1 from the bottom left.

        Raises `MissingFrames` for a frame that is not in `input_frames`, `UnreadableImage`.
        """

    def in_domain(self, domain: ColourDomain) -> Shot:
        """Return the same shot with its colour in another domain."""

    def to_scene_linear(self, pixels: FloatImage) -> FloatImage:
        """Return pixels (h, w, 3) of this shot's domain in the script's working space."""

    def from_scene_linear(self, pixels: FloatImage) -> FloatImage:
        """Return working-space pixels (h, w, 3) in this shot's domain.

        The way to the display domain clips to what it can hold: 0 to 1.
        """


@dataclass(frozen=True)
class EngineJob:
    """What an engine is asked for, beside the shot.

    ``seeds`` has one entry a take. ``options`` holds every option of the engine's
    description. ``done`` says for each take which frames are already on disk: they need not
    be made again, and what is made must not depend on where a job was resumed.
    ``scratch_dir`` is a folder of the job for what an engine wants to find again when the
    job is resumed; it is removed with the job. Empty: there is none.
    """

    seeds: tuple[int, ...]
    prompt: str = ""
    negative_prompt: str = ""
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    done: tuple[frozenset[int], ...] = ()
    scratch_dir: str = ""


@dataclass(frozen=True)
class EngineFrame:
    """One filled frame: ``pixels`` covers ``window`` in plate coordinates, in the engine's
    domain. Only what lies in the matte is used. ``layers`` are optional extra float32 planes
    of the same size (name -> (h, w) or (h, w, 3)), written beside the RGBA."""

    take_index: int
    frame: int
    window: Window
    pixels: FloatImage
    layers: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


@runtime_checkable
class Engine(Protocol):
    """A way to make pixels. Lives in a worker process; one job at a time."""

    @property
    def description(self) -> EngineDescription:
        """What it is and which options it has. Must not import heavy libraries."""

    def prepare(self, watch: Watch) -> None:
        """Load weights, compile kernels. Called before `fill`; again is free."""

    def fill(self, shot: Shot, job: EngineJob, watch: Watch) -> Iterator[EngineFrame]:
        """Yield every frame of every take that is not in ``job.done``.

        Take by take or frame by frame, but each take's frames in rising order. Same shot,
        job and seed give the same bits, wherever it was resumed. Raises `EngineError` and
        lets `FillCancelled` pass.
        """

    def release(self) -> None:
        """Give memory back. `prepare` may be called again."""


EngineFactory = Callable[[Mapping[str, object]], list[Engine]]
"""What an entry point of ``genai_fill.engines`` names: engine settings in, engines out."""
