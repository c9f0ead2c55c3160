"""Move arrays between windows: paste, cut, bound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from genai_fill_contract.plate import Window

FloatArray = npt.NDArray[np.float32]


def slices(inner: Window, outer: Window) -> tuple[slice, slice]:
    """Return the (rows, columns) that ``inner`` takes in an array covering ``outer``."""
    return (
        slice(inner.y0 - outer.y0, inner.y1 - outer.y0),
        slice(inner.x0 - outer.x0, inner.x1 - outer.x0),
    )


def recut(array: FloatArray, have: Window, want: Window, outside: float = 0.0) -> FloatArray:
    """Return what ``array`` (covering ``have``) shows in ``want``; ``outside`` where nothing is.

    ``array`` is (h, w) or (h, w, c). Always a new array, so the caller may write into it.
    """
    shared = have.intersection(want)
    if shared == want:
        return array[slices(want, have)].copy()
    shape = (want.height, want.width, *array.shape[2:])
    result = np.full(shape, outside, dtype=np.float32)
    if not shared.is_empty:
        result[slices(shared, want)] = array[slices(shared, have)]
    return result


def finite_pixels(image: FloatArray) -> npt.NDArray[np.bool_]:
    """Return where all three channels of ``image`` (h, w, 3) are finite."""
    # One sum instead of a reduction over an axis of three, which numpy is slow at. A sum of
    # finite values that overflows float32 counts as not finite: no picture has such values.
    with np.errstate(invalid="ignore", over="ignore"):
        summed = image[..., 0] + image[..., 1] + image[..., 2]
        return np.asarray(np.isfinite(summed))


def support(matte: FloatArray, window: Window) -> Window:
    """Return the smallest window that holds every non-zero value of ``matte`` (h, w)."""
    filled = matte != 0
    rows = np.flatnonzero(filled.any(axis=1))
    if rows.size == 0:
        return Window(window.x0, window.y0, window.x0, window.y0)
    columns = np.flatnonzero(filled.any(axis=0))
    return Window(
        window.x0 + int(columns[0]),
        window.y0 + int(rows[0]),
        window.x0 + int(columns[-1]) + 1,
        window.y0 + int(rows[-1]) + 1,
    )
