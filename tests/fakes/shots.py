"""A small shot on disk, a request over it, and running it for real."""

import json
from pathlib import Path

from genai_fill_contract.fill import FillRequest, MatteShaping, OutputPlace
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef, path_at
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service.allocate_takes import allocate_takes
from genai_fill_server.service.run_fill import run_fill
from tests.fakes.engines import FakeEngine, WatchRecorder
from tests.fakes.plates import disc, grainy, read_raw, write_exr

SIZE = (121, 203)  # odd on purpose
SHAPING = MatteShaping(grow_px=2, feather_px=4, blend_px=6)


class Shot:
    """Frames of plate and matte on disk, and a request over them."""

    def __init__(self, folder, frames=(1001, 1003), kind="half", plate=None, size=SIZE, **header):
        self.folder = Path(folder)
        self.frames = FrameRange(*frames)
        self.kind = kind
        self.size = size
        (self.folder / "in").mkdir(parents=True)
        for frame in self.frames:
            pixels = grainy(*size, seed=frame) if plate is None else plate(frame)
            self.write_plate(frame, pixels, **header)
            self.write_matte(frame, disc(*size, (60, 100 + frame % 10), 15))

    def write_plate(self, frame, pixels, **header):
        write_exr(self.folder / f"in/plate.{frame}.exr", pixels, "RGB", self.kind, **header)

    def write_matte(self, frame, matte, **header):
        write_exr(self.folder / f"in/matte.{frame}.exr", matte[..., None], "A", **header)

    def request(self, **changes):
        fields = {
            "plate": PlateRef(f"{self.folder}/in/plate.%04d.exr", self.frames),
            "matte": MatteRef(f"{self.folder}/in/matte.%04d.exr", self.frames),
            "frame_range": self.frames,
            "engine_id": "fake",
            "output": OutputPlace(f"{self.folder}/out", "fill"),
            "shaping": SHAPING,
            "seed": 7,
        }
        return FillRequest(**(fields | changes))

    def run(self, engine=None, watch=None, takes=None, ports=None, **changes):
        request = self.request(**changes)
        self.takes = takes or allocate_takes(request, "job-1")
        self.watch = watch or WatchRecorder()
        self.engine = engine or FakeEngine()
        run_fill(request, self.engine, self.takes, ports or local_frame_ports(), self.watch)
        return self

    def take_frame(self, frame, index=0, kind="float"):
        return read_raw(path_at(self.takes[index].path_pattern, frame), kind)

    def plate(self, frame, kind="float"):
        return read_raw(self.folder / f"in/plate.{frame}.exr", kind)[0]

    def recipe(self, index=0):
        return json.loads(Path(self.takes[index].recipe_path).read_text("utf-8"))

    def leftovers(self):
        return [p.name for p in (self.folder / "out").rglob(".*")]


def crop_of(pixels, spec):
    """What of a whole plate a take's data window shows."""
    x, y = spec.x - spec.full_x, spec.y - spec.full_y
    return pixels[y : y + spec.height, x : x + spec.width]
