"""Compiled passes over whole plates and mattes: each reads every pixel once and writes little."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

_NO_SIGN = np.int32(0x7FFFFFFF)
MOST_LIGHT = np.float32(1e30)
"""What is more is no light: sums of it over a picture's pixels are infinite."""

_MOST_BITS = MOST_LIGHT.view(np.int32)


@numba.njit("int32(int32[::1])", cache=True, nogil=True)
def _largest_bits(bits):  # type: ignore[no-untyped-def]
    """Return the largest of the bit patterns without their sign: the order of magnitudes."""
    largest = np.int32(0)
    for k in range(bits.shape[0]):
        largest = max(largest, bits[k] & _NO_SIGN)
    return largest


def is_light(image: npt.NDArray[np.float32]) -> bool:
    """Whether no value of a contiguous image is NaN, infinite or beyond `MOST_LIGHT`.

    As whole numbers, floats without their sign are in order, infinity after every finite one
    and NaN after that: one maximum answers, as fast as memory is read.
    """
    flat = np.ascontiguousarray(image).reshape(-1).view(np.int32)
    return bool(_largest_bits(flat) <= _MOST_BITS)


@numba.njit("void(float32[:,::1], int64, float32, boolean[:,::1])", cache=True, nogil=True)
def _mark_blocks(matte, factor, threshold, marked):  # type: ignore[no-untyped-def]
    height, width = matte.shape
    found = np.zeros(width, np.uint8)
    for block_row in range(marked.shape[0]):
        found[:] = 0
        for y in range(block_row * factor, min(block_row * factor + factor, height)):
            row = matte[y]
            for x in range(width):
                # NaN is on neither side of a threshold and counts as above.
                found[x] |= np.uint8(not (row[x] <= threshold))
        out = marked[block_row]
        for block in range(marked.shape[1]):
            here = np.uint8(0)
            for x in range(block * factor, min(block * factor + factor, width)):
                here |= found[x]
            out[block] = here != 0


def any_above(
    plane: npt.NDArray[np.float32], factor: int, threshold: float
) -> npt.NDArray[np.bool_]:
    """Return which blocks of ``factor`` x ``factor`` pixels hold a value above ``threshold``.

    Also those that hold NaN. Blocks at the right and bottom may be cut.
    """
    height, width = plane.shape
    marked = np.zeros((-(-height // factor), -(-width // factor)), np.bool_)
    _mark_blocks(np.ascontiguousarray(plane), factor, np.float32(threshold), marked)
    return marked
