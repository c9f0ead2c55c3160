"""`make demo`: the main job on a shot with known truth, through every layer.

Builds the shot from free photographs, then does what an artist does: adds the node from the
menu, connects plate and matte, types a prompt into the panel, presses Generate, waits while
a real backend process fills, looks at the node's output, saves the script, and opens it again
where the plug-in is absent. Prints what it measured and exits with 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from examples.panel_picture import qt_application

MIN_GAIN_DB = 8.0
MARKER = ".genai-fill-demo"


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, default=Path("demo_out"), help="folder to write to")
    parser.add_argument("--frames", type=int, default=24, help="length of the shot")
    parser.add_argument("--width", type=int, default=960, help="width in pixels; 16:9")
    return parser.parse_args()


class Told:
    """Prints one line a step and a bar that redraws itself on a terminal."""

    def __init__(self) -> None:
        self._last: tuple[str, float | None] = ("", None)
        self._is_terminal = sys.stdout.isatty()

    def __call__(self, phase: str, share: float | None) -> None:
        """Tell that ``phase`` is ``share`` (0 to 1) done."""
        if share is None:
            text = f"  {phase}"
        else:
            text = f"  {phase:<34} [{'#' * round(share * 28):<28}] {share:4.0%}"
        if self._is_terminal:
            print(f"\r{text:<78}", end="", flush=True)
        elif phase != self._last[0] or (share == 1.0 and self._last[1] != 1.0):
            print(text, flush=True)
        self._last = (phase, share)

    def end(self) -> None:
        """End the redrawn line."""
        if self._is_terminal:
            print()


def fresh_folder(out: Path) -> Path | None:
    """Return an empty ``out``; only what an earlier demo made is ever deleted."""
    marker = out / MARKER
    if marker.exists():
        shutil.rmtree(out)
    elif out.exists() and any(out.iterdir()):
        print(f"{out} holds other files. Choose an empty or a new folder with --out.")
        return None
    out.mkdir(parents=True, exist_ok=True)
    marker.write_text("Made by the GenAI Fill demo; its next run empties this folder.\n")
    return out


def main() -> int:
    """Run the demo; 0 when every promise held."""
    arguments = parse()
    qt_application()  # Qt first: see panel_picture.without_numpy.
    from examples.whole_chain import run_chain
    from genai_fill_server.demo.measure import DemoFrames, measure_peer, measure_take
    from genai_fill_server.demo.run import shown_frames, telea
    from genai_fill_server.demo.scene import SceneSize
    from genai_fill_server.demo.shot import write_demo_shot

    out = fresh_folder(arguments.out.absolute())
    if out is None:
        return 2
    told = Told()
    start = time.monotonic()
    print("Building the shot: photographs, two layers, highlights, drift, grain, a crossing horse")
    size = SceneSize(arguments.width, arguments.width * 9 // 16, arguments.frames)
    shot = write_demo_shot(out, size, told)
    told.end()

    print("Filling it: node, panel, backend")

    def follow(state: Any) -> None:
        if state.activity.phase:
            told(state.activity.phase, state.activity.fraction)

    def shape(node: Any) -> None:
        node["grow_px"].setValue(2.0)
        node["feather_px"].setValue(4.0)
        node["blend_px"].setValue(4.0)

    chain = run_chain(
        out,
        shot.plate.path_pattern,
        shot.matte.path_pattern,
        (shot.frames.first, shot.frames.last),
        "an empty launch pad at dusk",
        picture=out / "panel.png",
        prepare=shape,
        told=follow,
    )
    told.end()

    print("Measuring")
    frames = DemoFrames(shot)
    quality = measure_take(frames, chain.take_pattern)
    baseline = measure_peer(frames, telea)
    sheet = out / "contact_sheet.png"
    sheet.write_bytes(contact_sheet_of(frames, chain.take_pattern, shown_frames(shot)))
    return report(chain, quality, baseline, out, time.monotonic() - start)


def contact_sheet_of(frames: Any, pattern: str, shown: tuple[int, ...]) -> bytes:
    """Return the before / matte / after / truth picture."""
    from genai_fill_server.demo.contact_sheet import contact_sheet

    return contact_sheet(frames, pattern, shown)


def promises(chain: Any, quality: Any, baseline: float) -> dict[str, bool]:
    """Return what was promised and whether it held."""
    outside = [
        np.array_equal(
            chain.output[f][chain.blend[f] <= 0].view(np.uint32),
            chain.plate[f][chain.blend[f] <= 0].view(np.uint32),
        )
        for f in chain.frames
    ]
    inside = [
        bool((chain.output[f] != chain.plate[f]).any(axis=2)[chain.blend[f] >= 1].any())
        for f in chain.frames
        if (chain.blend[f] >= 1).any()
    ]
    reopened = [np.array_equal(chain.output[f], chain.reopened[f]) for f in chain.frames]
    return {
        "outside the matte the node's output is the plate, bit for bit": all(outside),
        "inside the matte it is something else": all(inside) and bool(inside),
        "the saved script gives the same pixels without the plug-in": all(reopened),
        f"at least {MIN_GAIN_DB:.0f} dB better than OpenCV's Telea": (
            quality.psnr_db >= baseline + MIN_GAIN_DB
        ),
        "no error in the comp and no TCL run from a prompt or path": (
            not chain.errors and not chain.tcl_violations
        ),
    }


def report(chain: Any, quality: Any, baseline: float, out: Path, took_s: float) -> int:
    """Print the figures and the promises; 0 when every promise held."""
    print(f"  PSNR in the matte   clean plate {quality.psnr_db:5.2f} dB   Telea {baseline:5.2f} dB")
    print(f"  highlights          {quality.peak:.2f} filled, {quality.true_peak:.2f} true")
    each = chain.fill_s / len(chain.frames)
    print(f"  seconds per frame   {each:.2f} (backend's start and first compile included)")
    print(f"  longest stall       {chain.longest_stall_s * 1000:.0f} ms of Nuke's main thread")
    held = promises(chain, quality, baseline)
    for promise, kept in held.items():
        print(f"  {'ok  ' if kept else 'FAIL'} {promise}")
    print(f"Pictures: {out / 'contact_sheet.png'}, {out / 'panel.png'}")
    print(f"Frames:   {chain.take_pattern}")
    print(f"Script:   {chain.script}")
    print(f"Took {took_s:.0f} s")
    return 0 if all(held.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
