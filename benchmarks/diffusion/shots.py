"""A grainy plate and a matte over a tenth of it, on disk and in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813 - its own community spells it so

from genai_fill_contract.fill import CropPolicy, FillRequest, OutputPlace
from genai_fill_contract.plate import FrameRange, MatteRef, PlateRef, Window
from tests.fakes.array_shot import ArrayShot

MATTE_SHARE = 0.1
FIRST_FRAME = 1001


@dataclass
class Files:
    """A shot on disk: ``width × height`` half-float zip EXRs, the matte an ellipse."""

    folder: Path
    width: int
    height: int
    frames: int

    @property
    def frame_range(self) -> FrameRange:
        """The frames on disk."""
        return FrameRange(FIRST_FRAME, FIRST_FRAME + self.frames - 1)

    def write(self) -> None:
        """Write the files. The matte covers `MATTE_SHARE` of the picture."""
        rng = np.random.default_rng(1)
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        base = 0.4 + 0.2 * np.sin(x / 200)[..., None] * np.cos(y / 150)[..., None]
        # An ellipse of the picture's own shape: pi a b is the share of the area.
        share = 2 * np.sqrt(MATTE_SHARE / np.pi)
        radius = 0.5 * share * np.array([self.height, self.width])
        away = ((y - self.height / 2) / radius[0]) ** 2 + ((x - self.width / 2) / radius[1]) ** 2
        matte = np.clip((1 - away) * 60 + 0.5, 0, 1)[..., None]
        for frame in self.frame_range:
            grain = rng.normal(0, 0.02, (self.height, self.width, 4)).astype(np.float32)
            _write(self.folder / f"plate.{frame}.exr", base + grain, ("R", "G", "B", "A"))
            _write(self.folder / f"matte.{frame}.exr", matte, ("A",))

    def request(self, engine_id: str, options: dict, prompt: str, seed: int) -> FillRequest:
        """Return a fill of all frames, one take."""
        frames = self.frame_range
        return FillRequest(
            plate=PlateRef(f"{self.folder}/plate.%04d.exr", frames),
            matte=MatteRef(f"{self.folder}/matte.%04d.exr", frames),
            frame_range=frames,
            engine_id=engine_id,
            engine_options=options,
            prompt=prompt,
            seed=seed,
            crop=CropPolicy(),
            output=OutputPlace(f"{self.folder}/out", "bench"),
        )


def _write(path: Path, pixels: np.ndarray, names: tuple[str, ...]) -> None:
    spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], pixels.shape[2], "half")
    spec.channelnames = names
    spec.attribute("compression", "zip")
    output = oiio.ImageOutput.create("exr")
    if not (output.open(str(path), spec) and output.write_image(pixels) and output.close()):
        raise OSError(f"{path}: {output.geterror()}")


def in_memory(crop: Window, frames: int) -> ArrayShot:
    """Return a shot that is just the crop, in display values, its middle to be filled."""
    rng = np.random.default_rng(2)
    plates = rng.uniform(0.3, 0.6, (1, crop.height, crop.width, 3)).astype(np.float32)
    mattes = np.zeros((1, crop.height, crop.width), np.float32)
    top, left = crop.height // 8, crop.width // 8
    mattes[:, top:-top, left:-left] = 1.0
    # No two frames alike: an engine may keep what it made of a plate.
    step = np.linspace(0.0, 0.1, frames, dtype=np.float32)[:, None, None, None]
    return ArrayShot(
        plates + step,
        np.broadcast_to(mattes, (frames, crop.height, crop.width)),
        first=FIRST_FRAME,
        origin=(crop.x0, crop.y0),
        crop=crop,
    )


@dataclass
class Waiting:
    """A `JobWatch` that keeps the crop and counts frames."""

    crop: Window | None = None
    done: int = 0
    lines: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Never cancels."""

    def report(self, progress: object) -> None:
        """Nobody looks at the bar."""

    def log(self, message: str) -> None:
        """Keep the line."""
        self.lines.append(message)

    def preview(self, take_index: int, frame: int, rgb: object) -> None:
        """Nobody looks at previews."""

    def crop_known(self, window: Window) -> None:
        """Keep the crop."""
        self.crop = window

    def frame_done(self, frame: object) -> None:
        """Count it."""
        del frame
        self.done += 1
