"""Shots rendered by Blender's module ``bpy``: depth, thin things, lamps, blur, shadows.

``bpy`` (GPL) is no dependency. Where an interpreter that has it is named, it renders
`blender_scene.py` in a process of its own; the frames are kept in a folder and found again by
what they were made from. Grain, exposure and the object come from `shots`, as everywhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import OpenImageIO as oiio  # noqa: N813

from benchmarks.cleanplate.shots import HEIGHT, WIDTH, Case, Look, across, covered

ENVIRONMENT = "GENAI_FILL_BENCH_BLENDER"
FRAMES, SAMPLES = 16, 16
_SCRIPT = Path(__file__).with_name("blender_scene.py")
_LIMIT_S = 1800


@dataclass(frozen=True)
class Shot:
    """A case of a rendered scene: the object's speed, height and size, the camera's look."""

    name: str
    kind: str
    scene: str
    speed: float
    y: float
    size: tuple[float, float]
    look: Look


SHOTS = (
    Shot("parallax", "moving", "parallax", 20.0, 140.0, (36, 50), Look(11)),
    Shot("thin things", "moving", "thin", -19.0, 135.0, (34, 50), Look(12)),
    Shot("motion blur", "moving", "blurred", 20.0, 145.0, (36, 50), Look(13)),
    Shot("heavy grain", "moving", "parallax", -20.0, 150.0, (34, 46), Look(14, grain=3.0)),
    Shot("exposure drift", "moving", "thin", 20.0, 120.0, (34, 46), Look(15, drift=0.8)),
    Shot("moving shadow", "moving", "shadowed", -18.0, 165.0, (34, 46), Look(16)),
    Shot("tripod shadow", "tripod", "shadowed_tripod", 19.0, 165.0, (36, 48), Look(17)),
    Shot("lamps", "hdr", "lamps", 19.0, 125.0, (36, 48), Look(18, drift=0.2)),
)


def interpreter(named: str | None) -> Path | str:
    """Return the interpreter that has ``bpy``, or in words why there is none."""
    chosen = named or os.environ.get(ENVIRONMENT, "")
    if not chosen:
        return f"no interpreter with bpy was named (--blender PYTHON or {ENVIRONMENT})"
    path = Path(chosen)
    if not path.is_file():
        return f"{chosen} is no file"
    asked = [str(path), "-c", "import bpy; print(bpy.app.version_string)"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=120)
    return path if found.returncode == 0 else f"{chosen} cannot import bpy"


def rendered(python: Path, scene: str, seed: int, cache: Path) -> list[np.ndarray]:
    """Return the frames of a scene in linear light, rendering what is not in ``cache``.

    Raises RuntimeError with Blender's last words when it fails.
    """
    spec = {
        "scene": scene,
        "seed": seed,
        "frames": FRAMES,
        "width": WIDTH,
        "height": HEIGHT,
        "samples": SAMPLES,
    }
    text = json.dumps(spec, sort_keys=True)
    key = hashlib.sha256(text.encode() + _SCRIPT.read_bytes()).hexdigest()[:16]
    folder = cache / f"{scene}_{seed}_{key}"
    whole = folder / "whole"
    if not whole.exists():
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "spec.json").write_text(text)
        command = [str(python), str(_SCRIPT), str(folder / "spec.json"), str(folder)]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_LIMIT_S
        )
        if done.returncode != 0:
            raise RuntimeError(f"Blender could not render {scene}: {done.stderr[-400:]}")
        whole.touch()
    return [_read(folder / f"{index:04d}.exr") for index in range(FRAMES)]


def _read(path: Path) -> np.ndarray:
    pixels = oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)
    return np.ascontiguousarray(np.asarray(pixels, np.float32)[..., :3])


def cases(
    python: Path, cache: Path, variant: int, wanted: Callable[[str, str], bool]
) -> Iterator[Case]:
    """Yield the rendered cases whose name and kind are ``wanted``; others are not rendered.

    Other variants have other scenes, objects and exposures.
    """
    random = np.random.default_rng([47, variant])
    for shot in SHOTS:
        speed, y, drift = random.uniform(0.85, 1.15), random.uniform(-20, 20), 1.0
        if variant:
            drift = float(random.uniform(0.7, 1.3))
            seed = shot.look.seed + 100 * variant
            shot = replace(
                shot,
                speed=float(shot.speed * speed * random.choice([-1, 1])),
                y=float(shot.y + y),
                look=replace(shot.look, seed=seed, drift=shot.look.drift * drift),
            )
        if not wanted(shot.name, shot.kind):
            continue
        cleans = rendered(python, shot.scene, 1 + variant, cache)
        path = across(shot.speed, shot.y, FRAMES)
        yield covered(shot.name, shot.kind, cleans, path, shot.size, shot.look)
