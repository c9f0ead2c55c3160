"""The pixels of a hole fetched from its sources in torch: the counterpart of `transfer`.

What belongs to the hole stays on the device until it is whole; of a source only the part
that is touched goes there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from genai_fill_server.engines.cleanplate.device import Gathered, Source
from genai_fill_server.engines.cleanplate.devices.torch_samples import (
    bilinear,
    brightened,
    encode,
    lanczos,
)
from genai_fill_server.engines.cleanplate.encoding import Bytes, Floats
from genai_fill_server.engines.cleanplate.transfer import (
    FEW,
    HIGHLIGHT,
    LAMP_STOPS,
    LEAST_WEIGHT,
    SHADE,
    touched,
)
from genai_fill_server.engines.cleanplate.waves import Runner

_FAR = 1e6
Upload = Callable[[Floats | Bytes], Tensor]


@dataclass(frozen=True)
class _Part:
    """What one source gave: for the pixels ``at`` of the hole (m,) colours (m, 3)."""

    at: Tensor
    encoded: Tensor


class Hole:
    """The pixels of one hole on a device.

    ``upload`` brings an array there; ``turn`` is held while the device computes, so that few
    sources take its memory at once. ``table`` is `kernels.lanczos_table`.
    """

    def __init__(
        self,
        places: tuple[Floats, Floats],
        factor: int,
        table: Tensor,
        upload: Upload,
        turn: Callable[[], AbstractContextManager[object]],
    ) -> None:
        self._x, self._y = upload(places[0]), upload(places[1])
        self._factor = factor
        self._table = table
        self._upload = upload
        self._turn = turn
        self._encoded = torch.zeros((len(self._x), 3), device=self._x.device)
        self._mass = torch.zeros_like(self._x)
        self._origin = torch.zeros_like(self._x)

    def gather(self, sources: Sequence[Source], weights: Floats, run: Runner) -> Gathered:
        """Return what the sources give, ``weights`` (n, h, w) deciding."""
        with self._turn():
            planes = self._upload(weights).permute(1, 2, 0)
            shares = bilinear(planes, self._x, self._y).T
            shares = torch.where(shares > LEAST_WEIGHT, shares, 0.0)
            wanted = [(share > 0.0).nonzero()[:, 0] for share in shares]
        jobs = [
            partial(self._taken, source, at) for source, at in zip(sources, wanted, strict=True)
        ]
        for part, source, share in zip(run(jobs), sources, shares, strict=True):
            with self._turn():
                self._add(part, share, source.offset)
        # What the chosen source turned out not to show at full size, another may.
        for source in sources:
            with self._turn():
                at = (self._mass <= 0.0).nonzero()[:, 0]
            if len(at) == 0:
                break
            part = self._taken(source, at)
            with self._turn():
                self._add(part, torch.ones_like(self._mass), source.offset)
        with self._turn():
            return self._result()

    def _add(self, part: _Part, share: Tensor, offset: int) -> None:
        own, before = share[part.at], self._mass[part.at]
        self._encoded[part.at] = self._encoded[part.at] + part.encoded * own[:, None]
        self._origin[part.at] = torch.where(own > before, float(offset), self._origin[part.at])
        self._mass[part.at] = before + own

    def _result(self) -> Gathered:
        parts = (self._encoded, self._mass, self._origin)
        return Gathered(*(part.cpu().numpy() for part in parts))

    @torch.inference_mode()
    def _taken(self, source: Source, at: Tensor) -> _Part:
        """Return the source's pixels, gain applied, for the hole's pixels ``at`` (m,)."""
        nothing = _Part(at[:0], torch.zeros((0, 3), device=at.device))
        with self._turn():
            place = self._placed(source, at)
            corners = _corners(place)
        window = None if corners is None else touched(*corners, source.width, source.height)
        if window is None:
            return nothing
        # Reading waits for a disk, light for the device: not while others wait for that.
        pixels, blocked = source.pixels(window)
        gain = source.gain()
        with self._turn():
            offset = torch.tensor([window.x0, window.y0], dtype=torch.float32, device=at.device)
            linear, closed = self._upload(pixels), self._upload(blocked) > 0
            encoded, found = _in_both_lights(linear, closed, place - offset, self._table)
            at, encoded = at[found], encoded[found]
            if len(at) == 0:
                return nothing
            x, y = self._x[at] * 0.5 - 0.25, self._y[at] * 0.5 - 0.25
            return _Part(at, _lit(encoded, bilinear(self._upload(gain), x, y)))

    def _placed(self, source: Source, at: Tensor) -> Tensor:
        """Return where the pixels ``at`` lie on the source's plate, (m, 2)."""
        x, y = self._x[at], self._y[at]
        shift = bilinear(self._upload(source.shift), x, y)
        place = torch.stack([x, y], dim=1) + shift
        return place * float(self._factor) + (self._factor - 1) / 2


def _corners(place: Tensor) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return the least and greatest whole (x, y) round places; None where there are none."""
    finite = place[torch.isfinite(place).all(dim=1)]
    if len(finite) == 0:
        return None
    low = finite.amin(dim=0).floor().clamp(-_FAR, _FAR).tolist()
    high = finite.amax(dim=0).ceil().clamp(-_FAR, _FAR).tolist()
    return (int(low[0]), int(low[1])), (int(high[0]), int(high[1]))


def _in_both_lights(
    linear: Tensor, blocked: Tensor, place: Tensor, table: Tensor
) -> tuple[Tensor, Tensor]:
    """Return encoded samples as `transfer.in_both_lights` does, and which exist."""
    both, found = lanczos(torch.cat([encode(linear), linear], dim=2), blocked, place, table)
    dark, bright = both[:, :3], encode(both[:, 3:])
    span = float(HIGHLIGHT - SHADE)
    share = (bright - float(SHADE)).clamp(0.0, span) / span
    return dark + share * (bright - dark), found


def _lit(encoded: Tensor, gain: Tensor) -> Tensor:
    """Apply a gain as `transfer.within_reason` does, to samples that all exist."""
    usual = _median(gain).clamp(min=0.0)
    most = brightened(encoded.amax(dim=0), usual)
    free = brightened(
        _median(encoded[:: max(1, len(encoded) // FEW)]), gain.amax(dim=0) + float(LAMP_STOPS)
    )
    most = torch.maximum(most, free)
    least = brightened(encoded.amin(dim=0), usual).clamp(max=0.0)
    lit = brightened(encoded, gain)
    return torch.minimum(torch.maximum(lit, least), torch.maximum(most, least))


def _median(values: Tensor) -> Tensor:
    """Return the median of each column of (n, c); of an even count the mean of two."""
    ordered = torch.sort(values, dim=0).values
    count = len(values)
    return (ordered[(count - 1) // 2] + ordered[count // 2]) * 0.5
