"""How near a fill comes to the truth, in one number that everybody can compute again.

PSNR in dB over the matte of all frames together: working space to linear Rec.709, clipped
to 0 to 1, sRGB-encoded, peak 1; every pixel whose matte is above 0 counts the same. Display
coding weighs errors as they are seen; highlights are judged apart, in `Highlights`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import path_at
from genai_fill_server.demo.shot import DemoShot
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service.frame_ports import ColourCodec

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

Peer = Callable[[Floats, Mask], Floats]
"""Fills the marked pixels of one display-coded frame (h, w, 3)."""


def display_coded(linear: Floats) -> Floats:
    """Return linear Rec.709 light clipped to 0 to 1 and sRGB-encoded."""
    light = np.clip(linear, 0.0, 1.0)
    curve = 1.055 * np.power(np.maximum(light, 1e-9), 1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, light * 12.92, curve).astype(np.float32)


@dataclass(frozen=True)
class Quality:
    """The measures of one fill of a shot.

    ``psnr_db`` per the module's definition, ``frame_psnr_db`` of each frame, and
    ``outside_px``: how many pixels outside the matte's reach differ from the plate's bits.
    ``peak`` and ``true_peak`` are the highest linear values under the matte.
    """

    psnr_db: float
    frame_psnr_db: tuple[float, ...]
    outside_px: int
    peak: float
    true_peak: float


def psnr_db(errors: Floats) -> float:
    """Return the PSNR of errors against a peak of 1; infinite when there are none."""
    mean = float(np.mean(np.square(errors, dtype=np.float64))) if errors.size else 0.0
    return float("inf") if mean == 0.0 else -10.0 * float(np.log10(mean))


class DemoFrames:
    """Reads the demo shot's frames for measuring and for pictures."""

    def __init__(self, shot: DemoShot) -> None:
        ports = local_frame_ports()
        self.shot = shot
        self.codec: ColourCodec = ports.colour(shot.colour)
        self._ports = ports
        self._plate = ports.plates.open_plate(shot.plate)
        self._truth = ports.plates.open_plate(shot.truth)
        self._matte = ports.plates.open_matte(shot.matte)

    def plate(self, frame: int) -> Floats:
        """Return the plate, working space."""
        return self._plate.read(frame, self.shot.window)

    def truth(self, frame: int) -> Floats:
        """Return the plate without the object, working space."""
        return self._truth.read(frame, self.shot.window)

    def matte(self, frame: int) -> Floats:
        """Return the matte as drawn."""
        return self._matte.read(frame, self.shot.window)

    def take(self, path_pattern: str, frame: int) -> tuple[Floats, Floats]:
        """Return a take's composite over the plate, and its blend matte, on the whole frame."""
        from genai_fill_server.imaging.exr_read import read_channel, read_header, read_rgb

        path = path_at(path_pattern, frame)
        window = read_header(path, frame).data_window.intersection(self.shot.window)
        full, matte = self.plate(frame).copy(), np.zeros(self.plate(frame).shape[:2], np.float32)
        at = slice(window.y0, window.y1), slice(window.x0, window.x1)
        full[at] = read_rgb(path, frame, window, "rgb", "main")
        matte[at] = read_channel(path, frame, window, "rgba.alpha", "main")
        return full, matte

    def display(self, working: Floats) -> Floats:
        """Return working-space pixels as they are shown: clipped, sRGB-encoded."""
        return display_coded(self.codec.to_rec709(np.ascontiguousarray(working)))


def measure_take(frames: DemoFrames, path_pattern: str) -> Quality:
    """Measure one take of the demo shot against its truth."""
    errors: list[Floats] = []
    peak, true_peak = 0.0, 0.0
    for frame in frames.shot.frames:
        filled, _ = frames.take(path_pattern, frame)
        truth, matte = frames.truth(frame), frames.matte(frame) > 0.0
        errors.append((frames.display(filled) - frames.display(truth))[matte])
        if matte.any():
            peak = max(peak, float(filled[matte].max()))
            true_peak = max(true_peak, float(truth[matte].max()))
    each = tuple(round(psnr_db(e), 2) for e in errors)
    outside = changed_outside_px(frames, path_pattern)
    return Quality(psnr_db(np.concatenate(errors)), each, outside, peak, true_peak)


def changed_outside_px(frames: DemoFrames, path_pattern: str) -> int:
    """Return how many pixels of a take differ from the plate's bits where its alpha is 0."""
    changed = 0
    for frame in frames.shot.frames:
        filled, blend = frames.take(path_pattern, frame)
        changed += int((filled != frames.plate(frame)).any(axis=2)[blend <= 0.0].sum())
    return changed


def measure_peer(frames: DemoFrames, peer: Peer) -> float:
    """Return the PSNR of a still-image fill of each frame by itself, in dB."""
    errors: list[Floats] = []
    for frame in frames.shot.frames:
        matte = frames.matte(frame) > 0.0
        filled = peer(frames.display(frames.plate(frame)), matte)
        errors.append((filled - frames.display(frames.truth(frame)))[matte])
    return psnr_db(np.concatenate(errors))
