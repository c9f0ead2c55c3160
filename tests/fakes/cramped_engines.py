"""An engine on whose disk there is no room left, as a test package beside `studio_engines`.

Filling a disk for real needs the rights to mount a small one. ``/dev/full`` needs none and
gives the kernel's own answer: every write to it fails with ENOSPC. The engine makes the file
that the backend is about to write a link there, or writes its own scratch there.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from studio_engines import OPTIONS, Paint

from genai_fill_contract.engine import EngineOption, OptionType
from genai_fill_server.imaging import exr_write

FULL = Path("/dev/full")
NEVER = -1


class Cramped(Paint):
    def fill(self, shot, job, watch):
        for made in super().fill(shot, job, watch):
            if made.frame == job.options["scratch_full_at"]:
                with FULL.open("wb", buffering=0) as scratch:
                    scratch.write(made.pixels.tobytes())
            if made.frame != job.options["disk_full_at"]:
                yield made
                continue
            takes_folder = Path(job.scratch_dir).parent
            name = f".{takes_folder.name}.{made.frame:04d}.exr.full.part"
            (takes_folder / name).symlink_to(FULL)
            # For good: the frame is written by another thread, while the engine is ahead of it.
            # Other frames' parts have names of their own and lie where there is room.
            exr_write.secrets = SimpleNamespace(token_hex=lambda _: "full")
            yield made


def create(settings):
    more = (
        EngineOption("disk_full_at", "Disk full at", OptionType.INT, NEVER, "Frame."),
        EngineOption("scratch_full_at", "Scratch full at", OptionType.INT, NEVER, "Frame."),
    )
    return [Cramped(settings, id="cramped:paint", label="Cramped", options=(*OPTIONS, *more))]
