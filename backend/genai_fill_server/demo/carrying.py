"""Hero frames on the demo shot: something to paint on, and whether it stays where it is.

The scene knows where every point of its background goes. So what a hero frame shows can be
put on any other frame by the truth, and the difference to what a take shows there is measured:
in pixels, and in stops against the scene's own exposure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import MatteRef, Window, path_at
from genai_fill_server.demo.measure import DemoFrames
from genai_fill_server.demo.scene import Doubles, Floats, LaunchPad
from genai_fill_server.demo.shot import FIRST_FRAME, DemoShot, write_matte
from genai_fill_server.domain.pixel_windows import recut
from genai_fill_server.imaging.exr_read import read_channel, read_header, read_rgb
from genai_fill_server.imaging.local_frames import local_frame_ports
from genai_fill_server.service.frame_ports import FrameHeader, TakeFrame

SURFACES = (((478.0, 250.0), (74.0, 92.0)), ((240.0, 506.0), (86.0, 24.0)))
"""Two ellipses on the scene's first frame at 960 x 540: middle and radii, x and y.

One lies on the far backdrop, one on the near ground: they move apart.
"""

_MARGIN_PX = 5
_MEASURED_PX = 500
"""Fewer pixels do not tell a shift from noise."""
_STEPS = 8
_SMOOTH_PX = 1.0
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True)
class CarriedFrame:
    """How well one frame shows what a hero frame holds on one surface, far or near.

    ``shift_px`` is how far from the truth it lies, ``stops`` by how much the light of all
    ``pixels`` together is off (Rec.709 luminance: colours outside it would weigh too much).
    """

    frame: int
    hero: int
    is_far: bool
    pixels: int
    shift_px: float
    stops: float


def write_surface_matte(folder: Path, shot: DemoShot, scene: LaunchPad) -> MatteRef:
    """Write a matte that stays on two surfaces of the background, below ``folder``."""
    (folder / "surface").mkdir(parents=True, exist_ok=True)
    pattern = (folder / "surface" / "surface.%04d.exr").as_posix()
    for frame in shot.frames:
        write_matte(path_at(pattern, frame), shot.window, surface_matte(scene, frame - FIRST_FRAME))
    return MatteRef(pattern, shot.frames)


def surface_matte(scene: LaunchPad, index: int) -> Floats:
    """Return the matte (h, w) of `SURFACES` as they lie on frame ``index``."""
    on_first = scene.moved(_grid(scene), index, 0) / scene.size.scale
    matte = np.zeros((scene.size.height, scene.size.width), np.float32)
    for middle, radii in SURFACES:
        away = np.hypot(*np.moveaxis((on_first - middle) / np.array(radii), -1, 0))
        soft = np.clip((1.0 - away) * min(radii) * scene.size.scale + 0.5, 0.0, 1.0)
        matte = np.maximum(matte, soft.astype(np.float32))
    return matte


def write_true_motion(folder: Path, shot: DemoShot, scene: LaunchPad) -> str:
    """Write the scene's motion vectors as Nuke has them, below ``folder``; return the pattern.

    Layers ``forward`` and ``backward``: pixels right and **up** to the next and the last frame.
    """
    (folder / "motion").mkdir(parents=True, exist_ok=True)
    pattern = (folder / "motion" / "motion.%04d.exr").as_posix()
    header = FrameHeader(display=shot.window, data_window=shot.window, pixel_type="float")
    here, nothing = _grid(scene), np.zeros((scene.size.height, scene.size.width), np.float32)
    for frame in shot.frames:
        index = frame - FIRST_FRAME
        layers = {
            name: ((scene.moved(here, index, other) - here) * (1.0, -1.0)).astype(np.float32)
            for name, other in (("forward", index + 1), ("backward", index - 1))
        }
        picture = np.repeat(nothing[..., None], 3, axis=2)
        made = TakeFrame(shot.window, picture, nothing, header, layers=layers)
        local_frame_ports().takes.write_frame(path_at(pattern, frame), made)
    return pattern


def measure_carried(
    frames: DemoFrames, scene: LaunchPad, path_pattern: str, heroes: Mapping[int, str]
) -> tuple[CarriedFrame, ...]:
    """Measure a take on every frame that shows enough of a hero frame.

    The take must have its origin layers; ``heroes`` maps a frame to the file whose alpha says
    where it counts. Each surface on its own: two can be wrong in opposite directions.
    """
    found = []
    pictures = {frame: _OnPlate(frames, path, frame) for frame, path in heroes.items()}
    for frame in frames.shot.frames:
        take = _OnPlate(frames, path_at(path_pattern, frame), frame)
        for hero in pictures.values():
            if hero.frame != frame:
                found += _compared(scene, take, hero)
    return tuple(found)


class _OnPlate:
    """A file of a take, or a hero frame, on the whole plate: linear Rec.709 and alpha."""

    def __init__(self, frames: DemoFrames, path: str, frame: int) -> None:
        self.frame = frame
        self._shown = frames.shot.window
        self._path = path
        rgb = self._whole(read_rgb(path, frame, self._window, "rgb", "main"))
        self.rgb = frames.codec.to_rec709(rgb)
        self.alpha = self.plane("rgba.alpha")

    def plane(self, name: str) -> Floats:
        """Return one channel of the file, (h, w); 0 outside its data window."""
        return self._whole(read_channel(self._path, self.frame, self._window, name, "main"))

    @property
    def _window(self) -> Window:
        return read_header(self._path, self.frame).data_window.intersection(self._shown)

    def _whole(self, part: Floats) -> Floats:
        return recut(part, self._window, self._shown)


def _compared(scene: LaunchPad, take: _OnPlate, hero: _OnPlate) -> list[CarriedFrame]:
    place = scene.moved(_grid(scene), take.frame - FIRST_FRAME, hero.frame - FIRST_FRAME)
    maps = place[..., 0].astype(np.float32), place[..., 1].astype(np.float32)
    put = np.asarray(cv2.remap(hero.rgb, *maps, cv2.INTER_CUBIC), np.float32)
    covered = cv2.remap(hero.alpha, *maps, cv2.INTER_LINEAR) >= 1.0
    carried = covered & (take.alpha >= 1.0) & (take.plane("origin.Y") == hero.frame - take.frame)
    margin = np.ones((2 * _MARGIN_PX + 1,) * 2, np.uint8)
    carried = cv2.erode(carried.astype(np.uint8), margin) > 0
    far = scene.is_far(take.frame - FIRST_FRAME)
    gain = scene.exposure(take.frame - FIRST_FRAME) / scene.exposure(hero.frame - FIRST_FRAME)
    wanted = np.asarray(put * gain, np.float32)
    found = []
    for is_far in (True, False):
        where = carried & (far == is_far)
        pixels = int(where.sum())
        if pixels >= _MEASURED_PX:
            light = (take.rgb[where] @ _LUMINANCE).sum(), (wanted[where] @ _LUMINANCE).sum()
            stops = abs(float(np.log2(max(light[0], 1e-6) / max(light[1], 1e-6))))
            shift_px = shift_between(take.rgb, wanted, where)
            found.append(CarriedFrame(take.frame, hero.frame, is_far, pixels, shift_px, stops))
    return found


def shift_between(seen: Floats, wanted: Floats, where: npt.NDArray[np.bool_]) -> float:
    """Return by how many pixels ``seen`` lies beside ``wanted`` in the region ``where``.

    Lucas and Kanade's least squares (1981) on log light, repeated until it stands still, with
    a gain between the two. Both are (h, w, 3) linear light.
    """
    one, two = _log_light(seen), _log_light(wanted)
    ys, xs = np.mgrid[: one.shape[0], : one.shape[1]].astype(np.float32)
    shift = np.zeros(2)
    for _ in range(_STEPS):
        moved = cv2.remap(
            two,
            (xs - np.float32(shift[0])).astype(np.float32),
            (ys - np.float32(shift[1])).astype(np.float32),
            cv2.INTER_CUBIC,
        )
        slope_y, slope_x = np.gradient(moved)
        columns = np.column_stack([-slope_x[where], -slope_y[where], np.ones(int(where.sum()))])
        step, *_ = np.linalg.lstsq(columns, (one - moved)[where], rcond=None)
        shift = shift + step[:2]
        if float(np.hypot(*step[:2])) < 1e-3:
            break
    return float(np.hypot(*shift))


def _log_light(rgb: Floats) -> Floats:
    light = np.log2(np.maximum(rgb.mean(axis=2), 0.0) + 0.01).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(light, (0, 0), _SMOOTH_PX), np.float32)


def _grid(scene: LaunchPad) -> Doubles:
    rows, columns = np.mgrid[: scene.size.height, : scene.size.width].astype(np.float64)
    return np.stack([columns, rows], axis=-1)
