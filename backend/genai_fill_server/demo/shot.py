"""Write the demo shot to disk: plate, matte and truth as EXR sequences in ACEScg."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from genai_fill_contract.plate import (
    ColourSettings,
    FrameRange,
    MatteRef,
    PlateRef,
    Window,
    path_at,
)
from genai_fill_server.demo.scene import Floats, LaunchPad, SceneSize
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service.frame_ports import FrameHeader, FramePorts, TakeFrame

FIRST_FRAME = 1001

Progress = Callable[[str, float], None]
"""Told what is going on, and how much of it is done (0 to 1)."""


@dataclass(frozen=True)
class DemoShot:
    """Where the demo shot lies, with its references for a fill request."""

    plate: PlateRef
    matte: MatteRef
    truth: PlateRef
    frames: FrameRange
    window: Window
    colour: ColourSettings


def write_demo_shot(
    folder: Path, size: SceneSize | None = None, progress: Progress | None = None
) -> DemoShot:
    """Render the demo scene below ``folder`` and return where everything is.

    Pixels are in the default config's ``scene_linear`` role (ACEScg), half float, with
    values to about 20. The matte is soft, in the file's alpha and in its RGB.
    """
    scene = LaunchPad(size)
    size = scene.size
    ports = local_frame_ports()
    colour = ColourSettings()
    codec = ports.colour(colour)
    last = FIRST_FRAME + size.frames - 1
    window = Window(0, 0, size.width, size.height)
    patterns = {}
    for name in ("plate", "matte", "truth"):
        (folder / name).mkdir(parents=True, exist_ok=True)
        patterns[name] = (folder / name / f"{name}.%04d.exr").as_posix()

    def make(index: int) -> None:
        made = scene.frame(index)
        ones = np.ones_like(made.matte)
        pictures = {
            "plate": (codec.from_rec709(made.plate), ones),
            "truth": (codec.from_rec709(made.truth), ones),
            "matte": (np.repeat(made.matte[..., None], 3, axis=2), made.matte),
        }
        for name, (rgb, alpha) in pictures.items():
            _write(ports, path_at(patterns[name], FIRST_FRAME + index), window, rgb, alpha)

    # Resampling and EXR compression leave the interpreter's lock alone: threads share the cores.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for done, _ in enumerate(pool.map(make, range(size.frames)), start=1):
            if progress is not None:
                progress("render the shot", done / size.frames)
    frames = FrameRange(FIRST_FRAME, last)
    return DemoShot(
        plate=PlateRef(patterns["plate"], frames),
        matte=MatteRef(patterns["matte"], frames),
        truth=PlateRef(patterns["truth"], frames),
        frames=frames,
        window=window,
        colour=colour,
    )


def write_matte(path: str, window: Window, matte: Floats) -> None:
    """Write one frame of a matte (h, w), in the file's alpha and in its RGB."""
    write_painted(path, window, np.repeat(matte[..., None], 3, axis=2), matte)


def write_painted(path: str, window: Window, rgb: Floats, alpha: Floats) -> None:
    """Write one frame (h, w, 3) of the working space, and where it counts (h, w)."""
    _write(local_frame_ports(), path, window, rgb, alpha)


def _write(ports: FramePorts, path: str, window: Window, rgb: Floats, alpha: Floats) -> None:
    header = FrameHeader(display=window, data_window=window, pixel_type="half")
    pixels = np.ascontiguousarray(rgb, np.float32)
    ports.takes.write_frame(path, TakeFrame(window, pixels, alpha, header))
