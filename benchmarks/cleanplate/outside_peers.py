"""Fills by programs and packages that are compared where they are installed.

None is a dependency. G'MIC (CeCILL) is called as the command it is; patchmatch-cython
(BSD-3-Clause) and PyPatchMatch (MIT) are imported when the environment has them. Each takes
a display-coded frame (h, w, 3) and a hole, and gives the frame back; only the hole is used.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813

Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]

SLOWEST = ("gmic matchpatch",)
_LIMIT_S = 120


def outside_peers() -> tuple[dict[str, Fill], dict[str, str]]:
    """Return the fills that are here, and for the others why they are not."""
    here: dict[str, Fill] = {}
    absent: dict[str, str] = {}
    if shutil.which("gmic") is None:
        absent["gmic inpaint"] = absent["gmic matchpatch"] = "G'MIC's command is not installed"
    else:
        here["gmic inpaint"] = lambda picture, hole: _gmic("inpaint", picture, hole)
        here["gmic matchpatch"] = lambda picture, hole: _gmic("inpaint_matchpatch", picture, hole)
    for name, module, make in (
        ("patchmatch-cython", "patchmatch_cython", _cython),
        ("pypatchmatch", "patchmatch.patch_match", _pypatchmatch),
    ):
        try:
            here[name] = make(importlib.import_module(module))
        except (ImportError, OSError) as error:
            absent[name] = f"not installed ({error})"
    return here, absent


def _gmic(command: str, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        plate, mask, out = (Path(folder) / f"{name}.tiff" for name in ("plate", "mask", "out"))
        _write(plate, picture * 255.0)
        _write(mask, np.where(hole, 255.0, 0.0)[..., None])
        command_line = ["gmic", str(plate), str(mask), f"{command}[0]", "[1]", "keep[0]"]
        command_line += ["output", f"{out},float"]
        subprocess.run(command_line, check=True, capture_output=True, timeout=_LIMIT_S)
        pixels = np.asarray(oiio.ImageBuf(str(out)).get_pixels(oiio.FLOAT), np.float32)
    return pixels[..., :3] / 255.0


def _write(path: Path, pixels: np.ndarray) -> None:
    height, width, channels = pixels.shape
    out = oiio.ImageOutput.create(str(path))
    out.open(str(path), oiio.ImageSpec(width, height, channels, oiio.FLOAT))
    out.write_image(np.ascontiguousarray(pixels, np.float32))
    out.close()


def _bytes(picture: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.clip(picture * 255.0 + 0.5, 0, 255).astype(np.uint8))


def _cython(module) -> Fill:
    def fill(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        return module.inpaint_pyramid(_bytes(picture), hole, seed=1).astype(np.float32) / 255.0

    return fill


def _pypatchmatch(module) -> Fill:
    def fill(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        module.set_random_seed(1)
        found = module.inpaint(_bytes(picture), hole, patch_size=5)
        return np.asarray(found, np.float32) / 255.0

    return fill
