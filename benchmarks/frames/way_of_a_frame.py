# ruff: noqa: D102, D103, ARG002, N813 - one small program, told whole above
"""What a frame costs beside its engine, against the bare reading and writing of its pixels.

    python benchmarks/frames/way_of_a_frame.py [--frames 8] [--domain display] [--matte A] [--match]
        [--engine-s 2]

Makes a grainy 4096 x 2160 half-float zip plate and a roto matte, runs a fill with an engine
that gives its crop back at once, and prints seconds a frame in total and by step, the crop,
and the ratio to the floor: reading the plate's rows of the crop and writing the crop, with
the same library in the same run. Beside the seconds on the clock stand those of all
processors: runs on a noisy machine differ, and these and the ratio do so less.

With ``--engine-s`` the engine waits so long for each frame, as for its device. How long it is
kept from going on with the next one, after it has given one, is printed as well: that is the
work beside the engine for which a device stands still.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

from genai_fill_contract.engine import ColourDomain, EngineDescription, EngineKind
from genai_fill_contract.fill import CropPolicy, FillRequest, OutputPlace
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef, Window
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service import finish_frame, shot_mattes, shot_view
from genai_fill_server.service.allocate_takes import allocate_takes
from genai_fill_server.service.ports import EngineFrame
from genai_fill_server.service.run_fill import run_fill

WIDTH, HEIGHT = 4096, 2160
CROP = Window(1300, 500, 2628, 1536)


class Ready:
    """An engine that costs nothing but the reading of its input."""

    def __init__(self, domain, match, engine_s):
        self.engine_s = engine_s
        self.kept_s = 0.0
        self.description = EngineDescription(
            "ready",
            "Ready",
            EngineKind.IMAGE,
            domain,
            "Gives its crop back.",
            context_px=128,
            size_multiple_px=16,
            matches_seams=not match,
            matches_grain=not match,
        )

    def prepare(self, watch):
        pass

    def release(self):
        pass

    def fill(self, shot, job, watch):
        for frame in shot.frames:
            pixels = shot.plate(frame)
            time.sleep(self.engine_s)
            given = time.perf_counter()
            yield EngineFrame(0, frame, shot.window(frame), pixels)
            self.kept_s += time.perf_counter() - given


class Silent:
    """A watch that nobody reads."""

    def __init__(self):
        self.crop = None

    def check(self):
        pass

    def report(self, progress):
        pass

    def log(self, message):
        pass

    def preview(self, take_index, frame, rgb):
        pass

    def crop_known(self, window):
        self.crop = window

    def frame_done(self, frame):
        pass


class Stopwatch:
    """Adds up the time spent in functions, on the clock and of all processors."""

    def __init__(self):
        self.seconds = {}
        self.busy = {}

    def wrap(self, owner, name, label):
        function = getattr(owner, name)

        def timed(*args, **kwargs):
            began, busy = time.perf_counter(), time.process_time()
            try:
                return function(*args, **kwargs)
            finally:
                spent, worked = time.perf_counter() - began, time.process_time() - busy
                self.seconds[label] = self.seconds.get(label, 0.0) + spent
                self.busy[label] = self.busy.get(label, 0.0) + worked

        setattr(owner, name, timed)


def write(path, pixels, names):
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], "half")
    spec.channelnames = names
    spec.attribute("compression", "zip")
    output = oiio.ImageOutput.create("exr")
    assert output.open(str(path), spec)
    assert output.write_image(pixels)
    assert output.close()


def make_shot(folder, frames, matte_names):
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    base = 0.4 + 0.2 * np.sin(x / 200)[..., None] * np.cos(y / 150)[..., None]
    matte = np.zeros((HEIGHT, WIDTH, 4), np.float32)
    centre = ((CROP.y0 + CROP.y1) / 2, (CROP.x0 + CROP.x1) / 2)
    radius = np.array([CROP.height / 2 - 144, CROP.width / 2 - 144])
    away = ((y - centre[0]) / radius[0]) ** 2 + ((x - centre[1]) / radius[1]) ** 2
    matte[..., 3] = np.clip((1 - away) * 60, 0, 1)
    for frame in frames:
        grain = rng.normal(0, 0.02, (HEIGHT, WIDTH, 4)).astype(np.float32)
        write(folder / f"plate.{frame}.exr", base + grain, ("R", "G", "B", "A"))
        write(folder / f"matte.{frame}.exr", matte[..., -len(matte_names) :], matte_names)


def floor_seconds(folder, frames, crop, matte_names):
    """Bare reading of the plate's and matte's rows and writing of the crop, a frame."""
    spent, worked = 0.0, 0.0
    for frame in frames:
        began, busy = time.perf_counter(), time.process_time()
        planes = []
        for name, first, last in (
            ("plate", 0, 3),
            ("matte", len(matte_names) - 1, len(matte_names)),
        ):
            image = oiio.ImageInput.open(str(folder / f"{name}.{frame}.exr"))
            rows = image.read_scanlines(0, 0, crop.y0, crop.y1, 0, first, last, oiio.FLOAT)
            planes.append(rows[:, crop.x0 : crop.x1].reshape(crop.height, crop.width, -1))
            image.close()
        write(folder / "floor.exr", np.concatenate(planes, axis=2), ("R", "G", "B", "A"))
        spent += time.perf_counter() - began
        worked += time.process_time() - busy
    return spent / len(frames), worked / len(frames)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--domain", choices=[d.value for d in ColourDomain], default="scene_linear")
    parser.add_argument("--matte", choices=["RGBA", "A"], default="RGBA", help="its channels")
    parser.add_argument("--match", action="store_true", help="let us match seam and grain")
    parser.add_argument("--engine-s", type=float, default=0.0, help="wait so long for each frame")
    options = parser.parse_args()
    oiio.attribute("threads", options.threads)
    oiio.attribute("exr_threads", options.threads)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        frames = FrameRange(1001, 1000 + options.frames)
        make_shot(folder, frames, tuple(options.matte))
        request = FillRequest(
            plate=PlateRef(f"{folder}/plate.%04d.exr", frames),
            matte=MatteRef(f"{folder}/matte.%04d.exr", frames),
            frame_range=frames,
            engine_id="ready",
            crop=CropPolicy(),
            output=OutputPlace(f"{folder}/out", "bench"),
        )
        takes, ports, watch = allocate_takes(request, "bench"), local_frame_ports(), Silent()
        stopwatch = Stopwatch()
        stopwatch.wrap(ports.takes, "write_frame", "write EXR")
        stopwatch.wrap(type(ports.plates.open_matte(request.matte)), "read", "read matte")
        stopwatch.wrap(type(ports.plates.open_plate(request.plate)), "read", "read plate")
        stopwatch.wrap(shot_mattes.ShotMattes, "_shape", "shape matte")
        stopwatch.wrap(finish_frame, "composite", "composite")
        stopwatch.wrap(finish_frame, "correct_seam", "seam")
        stopwatch.wrap(finish_frame, "measure_grain", "measure grain")
        stopwatch.wrap(finish_frame, "synthesise_grain", "make grain")
        stopwatch.wrap(shot_view.ShotView, "_display", "colour in")
        stopwatch.wrap(shot_view.ShotView, "to_working", "colour out")
        began, busy = time.perf_counter(), time.process_time()
        engine = Ready(ColourDomain(options.domain), options.match, options.engine_s)
        run_fill(request, engine, takes, ports, watch)
        ours = (time.perf_counter() - began) / len(frames)
        worked = (time.process_time() - busy) / len(frames)
        floor, floor_worked = floor_seconds(folder, frames, watch.crop, tuple(options.matte))
    print(
        f"plate {WIDTH} x {HEIGHT}, crop {watch.crop.width} x {watch.crop.height}, "
        f"{options.frames} frames, {options.domain}, {options.threads} threads"
    )
    for label, seconds in sorted(stopwatch.seconds.items(), key=lambda item: -item[1]):
        busy = stopwatch.busy[label] / len(frames)
        print(f"  {label:14s} {seconds / len(frames):7.3f} s/frame   processors {busy:.3f}")
    print(f"engine kept    {engine.kept_s / len(frames):7.3f} s/frame")
    print(f"whole way      {ours:7.3f} s/frame   processors {worked:.3f}")
    print(f"floor          {floor:7.3f} s/frame   processors {floor_worked:.3f}")
    print(f"ratio          {ours / floor:7.2f}           processors {worked / floor_worked:.2f}")
    print(f"load           {os.getloadavg()[0]:7.1f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory    {peak:7.0f} MiB")


if __name__ == "__main__":
    sys.exit(main())
