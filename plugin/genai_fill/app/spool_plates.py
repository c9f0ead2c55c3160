"""Write plate and matte where the backend can read them, one frame at a time."""

from __future__ import annotations

import functools
import posixpath
from collections.abc import Callable
from dataclasses import dataclass

from genai_fill.app.ports import Footage, Host, NodeInputs, SpoolFolders
from genai_fill.app.watch import FillWatch, Stage
from genai_fill.domain.output_paths import require_no_frame_token
from genai_fill_contract.plate import FrameRange

SPOOL_CHANNEL = "rgba.alpha"
"""The channel of spooled mattes; the node has put the artist's choice there."""


@dataclass(frozen=True)
class Spooled:
    """Plate and matte on disk. ``folder`` is empty when nothing had to be written."""

    plate: Footage
    matte: Footage
    folder: str = ""


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
        self, uuid: str, inputs: NodeInputs, frames: FrameRange, parent: str, watch: FillWatch
    ) -> Spooled:
        """Return plate and matte over ``frames``, those of ``inputs`` if they are on disk.

        A new folder under ``parent`` takes what is written. Raises `FillStopped` between
        frames, `NukeFailed`, `NodeGone`, `OutputNotWritable`; then nothing is left behind.
        """
        if inputs.plate and inputs.matte:
            return Spooled(inputs.plate, inputs.matte)
        require_no_frame_token(parent)
        folder = self._folders.create(parent, uuid[:8])
        try:
            return self._write(uuid, inputs, frames, folder, watch)
        except BaseException:
            self._folders.discard(folder)
            raise

    def _write(
        self, uuid: str, inputs: NodeInputs, frames: FrameRange, folder: str, watch: FillWatch
    ) -> Spooled:
        plate = inputs.plate or Footage(posixpath.join(folder, "plate.%04d.exr"), frames)
        matte = inputs.matte or Footage(
            posixpath.join(folder, "matte.%04d.exr"), frames, SPOOL_CHANNEL
        )
        writers: list[tuple[str, Callable[[str, str, int], None], Footage]] = []
        if inputs.plate is None:
            writers.append(("plate", self._host.spool_plate, plate))
        if inputs.matte is None:
            writers.append(("matte", self._host.spool_matte, matte))
        total = len(frames) * len(writers)
        done = 0
        for frame in frames:
            for what, write, footage in writers:
                watch.check()
                watch.report(Stage(f"Writing {what} frame {frame}", done / total))
                self._host.run_on_main(functools.partial(write, uuid, footage.path_pattern, frame))
                done += 1
        watch.check()
        return Spooled(plate, matte, folder)
