"""Write plate, matte and optional inputs where the backend reads them, frame by frame."""

from __future__ import annotations

import functools
import posixpath
import threading
from collections.abc import Callable
from dataclasses import dataclass

from genai_fill.app.optional_inputs import WantedInput
from genai_fill.app.ports import Footage, Host, HostBusy, NodeInputs, SpoolFolders
from genai_fill.app.watch import FillWatch, Stage
from genai_fill.domain.output_paths import require_no_frame_token
from genai_fill_contract.errors import NukeFailed
from genai_fill_contract.plate import FrameRange

BUSY_WAIT_S = 0.5
"""How long to leave Nuke alone when it renders something else."""

SPOOL_CHANNEL = "rgba.alpha"
"""The channel of spooled mattes; the node has put the artist's choice there."""


@dataclass(frozen=True)
class Spooled:
    """Plate, matte and optional inputs on disk, these with the pattern of their files.

    ``folder`` is empty when nothing had to be written.
    """

    plate: Footage
    matte: Footage
    folder: str = ""
    inputs: tuple[tuple[WantedInput, str], ...] = ()


@dataclass(frozen=True)
class _Writing:
    """One frame to render."""

    what: str
    frame: int
    write: Callable[[], None]


class SpoolPlates:
    """Renders what is not on disk already. For worker threads.

    Nuke renders on its main thread; giving it one frame a turn keeps it alive in between,
    and lets Cancel come through.
    """

    def __init__(self, host: Host, folders: SpoolFolders) -> None:
        """``folders`` makes the place to write to."""
        self._host = host
        self._folders = folders

    def __call__(
        self,
        uuid: str,
        inputs: NodeInputs,
        frames: FrameRange,
        wanted: tuple[WantedInput, ...],
        parent: str,
        watch: FillWatch,
    ) -> Spooled:
        """Return plate and matte over ``frames``, those of ``inputs`` if they are on disk.

        A new folder under ``parent`` takes what is written. Raises `FillStopped` between
        frames, `NukeFailed`, `NodeGone`, `OutputNotWritable`; then nothing is left behind.
        """
        on_disk = tuple((one, one.path_pattern) for one in wanted)
        if inputs.plate and inputs.matte and all(pattern for _, pattern in on_disk):
            return Spooled(inputs.plate, inputs.matte, inputs=on_disk)
        require_no_frame_token(parent)
        folder = self._folders.create(parent, uuid[:8])
        spooled = Spooled(
            inputs.plate or Footage(_file(folder, "plate"), frames),
            inputs.matte or Footage(_file(folder, "matte"), frames, SPOOL_CHANNEL),
            folder,
            tuple((one, pattern or _file(folder, one.role.value)) for one, pattern in on_disk),
        )
        try:
            self._write(self._writings(uuid, inputs, frames, spooled), watch)
        except BaseException:
            self._folders.discard(folder)
            raise
        return spooled

    def _writings(
        self, uuid: str, inputs: NodeInputs, frames: FrameRange, spooled: Spooled
    ) -> list[_Writing]:
        host, writings = self._host, []
        for frame in frames:
            for what, render, given, footage in (
                ("plate", host.spool_plate, inputs.plate, spooled.plate),
                ("matte", host.spool_matte, inputs.matte, spooled.matte),
            ):
                if given is None:
                    write = functools.partial(render, uuid, footage.path_pattern, frame)
                    writings.append(_Writing(what, frame, write))
        for one, pattern in spooled.inputs:
            if not one.path_pattern:
                what = one.role.value.replace("_", " ")
                writings += [
                    _Writing(
                        what,
                        frame,
                        functools.partial(host.spool_input, uuid, one.role, pattern, frame),
                    )
                    for frame in one.frames
                ]
        return writings

    def _write(self, writings: list[_Writing], watch: FillWatch) -> None:
        for done, writing in enumerate(writings):
            watch.check()
            phase = f"Writing {writing.what} frame {writing.frame}"
            watch.report(Stage(phase, done / len(writings)))
            self._render(writing, watch)
        watch.check()

    def _render(self, writing: _Writing, watch: FillWatch) -> None:
        """Render as soon as Nuke renders nothing else; an artist's render may take hours."""
        while True:
            try:
                self._host.run_on_main(writing.write)
            except HostBusy as error:
                if threading.current_thread() is threading.main_thread():
                    # Called from within that render: it would never end.
                    raise NukeFailed(
                        "Nuke is rendering something else.",
                        hint="Generate again when that is done.",
                    ) from error
            else:
                return
            watch.report(Stage("Waiting for another render in Nuke"))
            watch.pause(BUSY_WAIT_S)
            watch.check()


def _file(folder: str, name: str) -> str:
    return posixpath.join(folder, f"{name}.%04d.exr")
