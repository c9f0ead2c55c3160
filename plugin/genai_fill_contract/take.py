"""One generated result of a fill, kept on the node."""

from __future__ import annotations

from dataclasses import dataclass

from genai_fill_contract.plate import FrameRange, Window


@dataclass(frozen=True)
class Take:
    """One result on disk: an EXR sequence and its recipe.

    RGB is the composite in the working space, alpha the blend matte actually used. Every
    frame's data window is that frame's crop, its display window the plate's.
    ``index`` counts takes within the job from 0, ``version`` on disk from 1.
    ``frames_done`` lists finished frames in the order of the range; a frame in it is
    complete on disk. ``crop`` is the window at the first frame, once known.
    """

    job_id: str
    index: int
    version: int
    seed: int
    path_pattern: str
    recipe_path: str
    frame_range: FrameRange
    frames_done: tuple[int, ...] = ()
    crop: Window | None = None
