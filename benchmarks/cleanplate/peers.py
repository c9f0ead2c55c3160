"""What the engine is compared with. All take and give scene-linear (n, h, w, 3)."""

from __future__ import annotations

import cv2
import numpy as np
from skimage.restoration import inpaint_biharmonic

from benchmarks.cleanplate.metrics import display
from genai_fill_server.engines.cleanplate.diffusion import membrane, pull_push
from genai_fill_server.engines.cleanplate.encoding import decode, encode
from genai_fill_server.engines.cleanplate.exemplar import synthesise
from genai_fill_server.engines.cleanplate.peers import navier_stokes, telea
from tests.fakes.array_shot import QuietWatch


def _undisplay(coded: np.ndarray) -> np.ndarray:
    low, high = coded / 12.92, ((np.maximum(coded, 0) + 0.055) / 1.055) ** 2.4
    return np.where(coded <= 0.04045, low, high).astype(np.float32)


def each(plates, mattes, fill):
    """Fill each frame by itself with ``fill`` (display-coded frame, hole)."""
    results = []
    for plate, matte in zip(plates, mattes, strict=True):
        hole = matte > 0
        results.append(np.where(hole[..., None], _undisplay(fill(display(plate), hole)), plate))
    return np.array(results)


def by_telea(plates, mattes):
    """OpenCV's Telea, each frame by itself."""
    return each(plates, mattes, telea)


def by_navier_stokes(plates, mattes):
    """OpenCV's Navier-Stokes, each frame by itself."""
    return each(plates, mattes, navier_stokes)


def inpainters():
    """Return what fills a display-coded frame by itself and takes its time."""
    return {"biharmonic": lambda frame, hole: inpaint_biharmonic(frame, hole, channel_axis=-1)}


def by_median(plates, mattes):
    """The median over time of what is not under the matte, without any motion."""
    stack = np.where(mattes[..., None] > 0, np.nan, plates)
    with np.errstate(all="ignore"):
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            middle = np.nanmedian(stack, axis=0)
    middle = np.nan_to_num(middle, nan=float(np.nanmedian(stack)))
    return np.where(mattes[..., None] > 0, middle, plates)


def _grey(plate: np.ndarray, hole: np.ndarray) -> np.ndarray:
    filled = telea(display(plate), hole)
    return (filled.mean(axis=2) * 255).astype(np.uint8)


def by_nearest_plane(plates, mattes):
    """One homography (ORB, RANSAC) to each other frame; the nearest that shows a pixel."""
    holes = mattes > 0
    greys = [_grey(p, h) for p, h in zip(plates, holes, strict=True)]
    orb = cv2.ORB_create(1500)
    found = [
        orb.detectAndCompute(g, (~h).astype(np.uint8) * 255)
        for g, h in zip(greys, holes, strict=True)
    ]
    results = by_telea(plates, mattes)
    size = (plates.shape[2], plates.shape[1])
    for t in range(len(plates)):
        left = holes[t].copy()
        for s in sorted(range(len(plates)), key=lambda i, t=t: abs(i - t))[1:]:
            if not left.any() or found[t][1] is None or found[s][1] is None:
                break
            matches = cv2.BFMatcher(cv2.NORM_HAMMING, True).match(found[t][1], found[s][1])
            if len(matches) < 8:
                continue
            a = np.float32([found[t][0][m.queryIdx].pt for m in matches])
            b = np.float32([found[s][0][m.trainIdx].pt for m in matches])
            matrix, _ = cv2.findHomography(a, b, cv2.RANSAC, 2.0)
            if matrix is None:
                continue
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            seen = cv2.warpPerspective(plates[s], matrix, size, flags=flags)
            shown = cv2.warpPerspective((~holes[s]).astype(np.float32), matrix, size, flags=flags)
            take = left & (shown > 0.99)
            results[t][take] = seen[take]
            left &= ~take
    return results


def _flows(greys, holes):
    """Return completed flow from each frame to the next and back."""
    estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    onward, back = [], []
    for i in range(len(greys) - 1):
        for a, b, out in ((i, i + 1, onward), (i + 1, i, back)):
            flow = estimator.calc(greys[a], greys[b], None)
            known = 1.0 - cv2.dilate(holes[a].astype(np.float32), np.ones((25, 25)))
            out.append(pull_push(flow, known))
    return onward, back


def _followed(t, step, flows, plates, holes):
    """Follow the hole's pixels through the flows until they are seen."""
    height, width = holes[t].shape
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    place = np.dstack([columns, rows]).astype(np.float32)
    left = holes[t].copy()
    colours, after = np.zeros_like(plates[t]), np.full(holes[t].shape, 999)
    now = t
    while left.any() and 0 <= now + step < len(plates):
        flow = flows[now] if step > 0 else flows[now - 1]
        place = place + cv2.remap(flow, place[..., 0], place[..., 1], cv2.INTER_LINEAR)
        now += step
        shown = cv2.remap(
            (~holes[now]).astype(np.float32), place[..., 0], place[..., 1], cv2.INTER_LINEAR
        )
        take = left & (shown > 0.99)
        seen = cv2.remap(plates[now], place[..., 0], place[..., 1], cv2.INTER_LINEAR)
        colours[take] = seen[take]
        after[take] = abs(now - t)
        left &= ~take
    return colours, after


def by_flow(plates, mattes):
    """Borrowing along completed flow, as learning-free video completion does it.

    DIS flow between neighbours, completed in the holes, followed forward and backward; the
    nearer side is taken; a membrane closes the seam; PatchMatch fills the rest: patches alone,
    without the clean plate's guesses at structure, so that the peer is what others have.
    """
    holes = mattes > 0
    greys = [_grey(p, h) for p, h in zip(plates, holes, strict=True)]
    onward, back = _flows(greys, holes)
    results = []
    for t in range(len(plates)):
        ahead, ahead_after = _followed(t, 1, onward, plates, holes)
        behind, behind_after = _followed(t, -1, back, plates, holes)
        filled = np.where((ahead_after <= behind_after)[..., None], ahead, behind)
        found = np.minimum(ahead_after, behind_after) < 999
        picture = encode(np.where(holes[t][..., None], filled, plates[t]).astype(np.float32))
        rest = holes[t] & ~found
        if rest.any():
            picture = synthesise(picture, rest, rest, 0, 3, QuietWatch(), guided=False)
        closed = _closed(picture, plates[t], holes[t])
        results.append(np.where(holes[t][..., None], closed, plates[t]))
    return np.array(results)


def _closed(picture, plate, hole):
    """Spread the step at the hole's edge over the hole (Poisson with a membrane)."""
    inner = cv2.erode(hole.astype(np.uint8), np.ones((3, 3))) > 0
    edge = hole & ~inner
    outside = np.where(hole[..., None], 0, encode(plate))
    near = pull_push(outside.astype(np.float32), (~hole).astype(np.float32))
    step = np.where(edge[..., None], near - picture, 0).astype(np.float32)
    return decode(picture + np.clip(membrane(step, edge.astype(np.float32), 3), -0.3, 0.3))


PEERS = {
    "telea": by_telea,
    "navier-stokes": by_navier_stokes,
    "median": by_median,
    "plane": by_nearest_plane,
    "flow": by_flow,
}
