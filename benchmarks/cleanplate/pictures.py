"""Contact sheets: what each method made of a case, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from benchmarks.cleanplate.metrics import display
from benchmarks.cleanplate.shots import Case

SHOWN = ("cleanplate", "flow", "telea", "gmic inpaint")
_MARGIN_PX = 30


def write_sheet(path: Path, case: Case, filled: Mapping[str, Mapping[int, np.ndarray]]) -> None:
    """Write the first and the middle frame round the matte, methods side by side.

    ``filled`` has by method the frames (h, w, 3) that it filled, by index.
    """
    shown = {"plate": dict(enumerate(case.plates)), "truth": dict(enumerate(case.truths))}
    shown |= {name: dict(filled[name]) for name in SHOWN if name in filled}
    rows = []
    for index in sorted({0, len(case.plates) // 2 // 4 * 4}):
        ys, xs = np.nonzero(case.mattes[index] > 0)
        at = np.s_[
            max(0, ys.min() - _MARGIN_PX) : ys.max() + _MARGIN_PX,
            max(0, xs.min() - _MARGIN_PX) : xs.max() + _MARGIN_PX,
        ]
        rows.append(np.hstack([_tile(n, frames[index][at]) for n, frames in shown.items()]))
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(row, ((0, 4), (0, width - row.shape[1]), (0, 0))) for row in rows]
    picture = np.ascontiguousarray(np.vstack(rows)[..., ::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.resize(picture, None, fx=2, fy=2), [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _tile(name: str, pixels: np.ndarray) -> np.ndarray:
    tile = np.ascontiguousarray((display(pixels) * 255).astype(np.uint8))
    for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(tile, name, (5, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, thick, 16)
    return tile
