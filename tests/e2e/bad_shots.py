"""A tiny shot, the many ways in which one comes in broken, and what must be said of each."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio

WIDTH, HEIGHT = 96, 64
FIRST, LAST = 1001, 1003
HOLE = (slice(24, 40), slice(36, 60))
# As large as a display window may be: 200 whole frames of it, 16 times, are 12 TB.
HUGE_PX, HUGE_LAST = 23_000, 1200


@dataclass(frozen=True)
class Ask:
    """A fill as all three ways of asking can ask for it."""

    plate: str
    matte: str
    out: str
    first: int = FIRST
    last: int = LAST
    plate_range: tuple[int, int] = (FIRST, LAST)
    matte_range: tuple[int, int] = (FIRST, LAST)
    engine: str = "studio:paint"
    options: Mapping[str, object] = field(default_factory=dict)
    working_space: str = "scene_linear"
    crop: str = "fixed"
    takes: int = 1


class TinyShot:
    """Three frames of plate and matte on disk, 96 x 64."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write()

    def write(self) -> None:
        """Put the good shot there, whatever was in its place."""
        for path in (self.folder / "plate", self.folder / "matte"):
            if path.is_symlink():
                path.unlink()
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True)
        for frame in range(FIRST, LAST + 1):
            write_exr(self.plate(frame), plate_pixels(frame))
            write_exr(self.matte(frame), matte_pixels())

    def plate(self, frame: int) -> Path:
        return self.folder / "plate" / f"plate.{frame:04d}.exr"

    def matte(self, frame: int) -> Path:
        return self.folder / "matte" / f"matte.{frame:04d}.exr"

    @property
    def ask(self) -> Ask:
        """The fill of the good shot."""
        return Ask(
            plate=f"{self.folder}/plate/plate.%04d.exr",
            matte=f"{self.folder}/matte/matte.%04d.exr",
            out=f"{self.folder}/takes",
        )

    def finished(self) -> dict[str, bytes]:
        """Every file of the takes on disk, with its bytes: what must never be lost."""
        takes = self.folder / "takes"
        return {str(p): p.read_bytes() for p in sorted(takes.rglob("*")) if p.is_file()}


def plate_pixels(frame: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    grain = np.random.default_rng(frame).normal(0, 0.01, (height, width, 3))
    ramp = np.linspace(0.05, 2.0, width, dtype=np.float32)
    return (ramp[None, :, None] + grain).astype(np.float32)


def matte_pixels(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    matte = np.zeros((height, width, 4), np.float32)
    matte[HOLE] = 1
    return matte


def write_exr(
    path: Path,
    pixels: np.ndarray,
    names: tuple[str, ...] | None = None,
    attributes: Mapping[str, str] = {},
    display_px: int = 0,
) -> None:
    """Write an EXR; ``display_px`` claims a square display window of that size."""
    height, width, count = pixels.shape
    spec = oiio.ImageSpec(width, height, count, oiio.HALF)
    spec.channelnames = names or tuple("RGBA"[:count])
    for name, value in attributes.items():
        spec.attribute(name, value)
    if display_px:
        spec.full_width = spec.full_height = display_px
    out = oiio.ImageOutput.create(str(path))
    assert out.open(str(path), spec), out.geterror()
    assert out.write_image(pixels), out.geterror()
    out.close()


@dataclass(frozen=True)
class BadInput:
    """One way to be wrong.

    ``spoil`` breaks the files, ``asked`` changes the fill. ``code`` and ``says`` (what and
    where: all of these are in the message; ``{folder}`` is the shot's) and ``to_do`` (in the
    hint) are what a job says; ``typed`` and ``at_node`` where the command or the node sees it
    earlier and in other words. ``kept`` counts the frames that are done before it is met.
    """

    name: str
    code: str
    says: tuple[str, ...]
    to_do: str
    spoil: Callable[[TinyShot], None] = lambda shot: None
    asked: Callable[[Ask], Ask] = lambda ask: ask
    kept: int = 0
    typed: tuple[str, tuple[str, ...], str] | None = None
    at_node: tuple[str, tuple[str, ...], str] | None = None


def _empty_matte(shot: TinyShot) -> None:
    for frame in range(FIRST, LAST + 1):
        write_exr(shot.matte(frame), np.zeros((HEIGHT, WIDTH, 4), np.float32))


def _no_alpha(shot: TinyShot) -> None:
    for frame in range(FIRST, LAST + 1):
        write_exr(shot.matte(frame), plate_pixels(frame))


def cut(path: Path, share: float = 0.6) -> None:
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def _folder_as_frame(shot: TinyShot) -> None:
    shot.plate(1002).unlink()
    shot.plate(1002).mkdir()


def _linked_outside(shot: TinyShot) -> None:
    outside = shot.folder.parents[1] / "elsewhere"
    outside.mkdir(exist_ok=True)
    for frame in range(FIRST, LAST + 1):
        write_exr(outside / shot.plate(frame).name, plate_pixels(frame))
    shutil.rmtree(shot.folder / "plate")
    (shot.folder / "plate").symlink_to(outside)


def _huge_display(shot: TinyShot) -> None:
    write_exr(shot.plate(FIRST), plate_pixels(FIRST), display_px=HUGE_PX)
    write_exr(shot.matte(FIRST), matte_pixels(), display_px=HUGE_PX)
    for frame in range(FIRST + 1, HUGE_LAST + 1):
        for path, first in (
            (shot.plate(frame), shot.plate(FIRST)),
            (shot.matte(frame), shot.matte(FIRST)),
        ):
            path.unlink(missing_ok=True)
            path.hardlink_to(first)


def _everything_huge(ask: Ask) -> Ask:
    whole = (FIRST, HUGE_LAST)
    return replace(ask, crop="full", takes=16, last=HUGE_LAST, plate_range=whole, matte_range=whole)


def _deep(shot: TinyShot) -> None:
    spec = oiio.ImageSpec(WIDTH, HEIGHT, 3, oiio.FLOAT)
    spec.deep = True
    deep = oiio.DeepData()
    deep.init(WIDTH * HEIGHT, 3, (oiio.FLOAT,) * 3, ("R", "G", "B"))
    out = oiio.ImageOutput.create(str(shot.plate(1001)))
    assert out.open(str(shot.plate(1001)), spec), out.geterror()
    assert out.write_deep_image(deep), out.geterror()
    out.close()


_HALF_WRITTEN = "it may be half-written or damaged"

BAD_FILES = (
    BadInput(
        "empty_matte",
        "empty_matte",
        ("The matte", "empty", "1001-1003"),
        "Paint it",
        _empty_matte,
    ),
    BadInput(
        "plate_as_matte",
        "unknown_channel",
        ("'rgba.alpha'", "{folder}/matte/matte.1001.exr"),
        "The file has: R, G, B",
        _no_alpha,
        # Nuke renders an alpha of 0 where there is none, as its Viewer shows it.
        at_node=("empty_matte", ("The matte", "empty", "1001-1003"), "check its channel"),
    ),
    BadInput(
        "missing_plate_frame",
        "missing_frames",
        ("Frame 1002 of the plate is not on disk", "{folder}/plate/plate.1002.exr"),
        "Render",
        lambda shot: shot.plate(1002).unlink(),
    ),
    BadInput(
        "missing_matte_frame",
        "missing_frames",
        ("Frame 1003 of the matte is not on disk", "{folder}/matte/matte.1003.exr"),
        "Render",
        lambda shot: shot.matte(1003).unlink(),
        typed=("range_mismatch", ("1001-1003", "matte", "1001-1002"), "Shorten"),
    ),
    BadInput(
        "folder_named_like_a_frame",
        "missing_frames",
        ("Frame 1002 of the plate is not on disk", "{folder}/plate/plate.1002.exr"),
        "Render",
        _folder_as_frame,
    ),
    BadInput(
        "matte_of_another_size",
        "size_mismatch",
        ("Frame 1002 of the matte", "64 x 64", "96 x 64"),
        "Reformat",
        lambda shot: write_exr(shot.matte(1002), np.ones((64, 64, 4), np.float32)),
    ),
    BadInput(
        "plate_that_changes_size",
        "size_mismatch",
        ("Frame 1003 of the plate", "80 x 60", "96 x 64"),
        "one format",
        lambda shot: write_exr(shot.plate(1003), plate_pixels(1, 80, 60)),
    ),
    BadInput(
        "truncated_plate",
        "unreadable_image",
        ("Frame 1002", "{folder}/plate/plate.1002.exr"),
        _HALF_WRITTEN,
        lambda shot: cut(shot.plate(1002)),
        kept=1,
    ),
    BadInput(
        "truncated_matte",
        "unreadable_image",
        ("Frame 1002", "{folder}/matte/matte.1002.exr"),
        _HALF_WRITTEN,
        lambda shot: cut(shot.matte(1002)),
    ),
    BadInput(
        "zero_bytes",
        "unreadable_image",
        ("Frame 1002", "{folder}/plate/plate.1002.exr", "empty (0 bytes)"),
        _HALF_WRITTEN,
        lambda shot: shot.plate(1002).write_bytes(b""),
    ),
    BadInput(
        "text_called_exr",
        "unreadable_image",
        ("Frame 1001", "{folder}/plate/plate.1001.exr", "not an OpenEXR file."),
        _HALF_WRITTEN,
        lambda shot: shot.plate(1001).write_text("not a picture at all " * 100),
    ),
    BadInput(
        "deep_plate",
        "unreadable_image",
        ("Frame 1001", "deep", "{folder}/plate/plate.1001.exr"),
        "DeepToImage",
        _deep,
    ),
    BadInput(
        "linked_out_of_the_roots",
        "path_not_allowed",
        ("The plate", "{folder}/plate/plate.1001.exr"),
        "server.allowed_roots",
        _linked_outside,
    ),
    BadInput(
        "no_room_for_the_takes",
        "disk_full",
        ("{folder}/takes", "free", "needed"),
        "Free some space",
        _huge_display,
        _everything_huge,
    ),
)

BAD_WISHES = (
    BadInput(
        "range_beyond_the_plate",
        "range_mismatch",
        ("1001-1005", "the plate has 1001-1003"),
        "Shorten the frame range",
        asked=lambda ask: replace(ask, last=1005),
        at_node=("range_mismatch", ("1001-1005", "1001-1003"), "inside the plate's range"),
    ),
    BadInput(
        "matte_shorter_than_the_range",
        "range_mismatch",
        ("1001-1003", "the matte has 1001-1002"),
        "render the rest",
        spoil=lambda shot: shot.matte(1003).unlink(),
        asked=lambda ask: replace(ask, matte_range=(FIRST, 1002)),
    ),
    BadInput(
        "unknown_colorspace",
        "unknown_colorspace",
        ("no colorspace or role 'ACEScq'",),
        "ACEScg",
        asked=lambda ask: replace(ask, working_space="ACEScq"),
    ),
    BadInput(
        "output_below_a_file",
        "output_not_writable",
        ("{folder}/afile/takes", "Not a directory"),
        "choose another",
        spoil=lambda shot: (shot.folder / "afile").write_text("in the way") and None,
        asked=lambda ask: replace(ask, out=ask.out.replace("/takes", "/afile/takes")),
    ),
    BadInput(
        "output_out_of_the_roots",
        "path_not_allowed",
        ("The output folder", "/nowhere/of/ours"),
        "server.allowed_roots",
        asked=lambda ask: replace(ask, out="/nowhere/of/ours"),
    ),
    BadInput(
        "no_such_engine",
        "unknown_engine",
        ("'studio:pant'",),
        "studio:paint",
        asked=lambda ask: replace(ask, engine="studio:pant"),
    ),
    BadInput(
        "no_model",
        "model_missing",
        ("'Absent'",),
        "weights are on another disk",
        asked=lambda ask: replace(ask, engine="studio:absent"),
    ),
    BadInput(
        "model_that_was_never_fetched",
        "model_missing",
        ("SDXL",),
        "genai-fill models",
        asked=lambda ask: replace(ask, engine="diffusers:sdxl-inpaint"),
    ),
    BadInput(
        "disk_full_in_the_middle",
        "disk_full",
        ("is full", "{folder}/takes"),
        "Free some space",
        asked=lambda ask: replace(ask, engine="cramped:paint", options={"disk_full_at": 1002}),
        kept=1,
    ),
    BadInput(
        "scratch_disk_full",
        "disk_full",
        ("'Cramped'", "out of disk space", "after frame 1001"),
        "Free some space",
        asked=lambda ask: replace(ask, engine="cramped:paint", options={"scratch_full_at": 1002}),
        kept=1,
    ),
    BadInput(
        "engine_that_raises",
        "generation_failed",
        ("'Paint'", "after frame 1002", "the paint ran out"),
        "finished frames are kept",
        asked=lambda ask: replace(ask, options={"raise_at": 1003}),
        kept=2,
    ),
)
BAD_INPUTS = tuple(
    bad
    for bad in BAD_FILES + BAD_WISHES
    # Only Linux has a device that is always full.
    if Path("/dev/full").exists() or "disk_full" not in bad.name
)
