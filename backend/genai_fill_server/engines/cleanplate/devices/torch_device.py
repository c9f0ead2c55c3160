"""A GPU as a device, through torch. The same code runs on torch's CPU, where it is tested.

Results differ from the CPU's by rounding, and where rounding decides between two sources
that cost the same, by the other source. Nothing used here is documented as varying from call
to call, so the same call gives the same bits on the same device.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from genai_fill_server.engines.cleanplate.device import Gathered, Mask, Source
from genai_fill_server.engines.cleanplate.devices import torch_fields, torch_samples
from genai_fill_server.engines.cleanplate.devices.falling_back import DeviceGaveUp
from genai_fill_server.engines.cleanplate.devices.torch_gather import Hole
from genai_fill_server.engines.cleanplate.encoding import Bytes, Floats
from genai_fill_server.engines.cleanplate.kernels import lanczos_table
from genai_fill_server.engines.cleanplate.planes import Matrix
from genai_fill_server.engines.cleanplate.waves import Runner, one_by_one

_AT_ONCE = 2
"""So many operations share the device's memory; more would not make it faster."""

_FAULTS = ("out of memory", "allocate memory", "CUDA error", "CUDA driver error", "cuDNN error")


class TorchDevice:
    """Computes on a torch device. ``name`` is torch's: "cuda:0", or "cpu" for tests.

    Every operation raises `DeviceGaveUp` when the device runs out of memory or fails.
    """

    def __init__(self, name: str) -> None:
        self._device = torch.device(name)
        self._turns = threading.BoundedSemaphore(_AT_ONCE)
        with self._faults():
            self._table = self._upload(lanczos_table())

    @property
    def name(self) -> str:
        """What stands in the recipe."""
        return f"{self._device} (torch {torch.__version__})"

    def reduced(self, image: Floats, factor: int) -> Floats:
        """Return means of blocks of (h, w[, c]), the edge repeated to a whole block."""
        if factor == 1:
            return image
        with self._turn():
            return self._flat(torch_fields.reduced(self._deep(image), factor), image)

    def warped(self, image: Bytes, matrix: Matrix, size: tuple[int, int]) -> Bytes:
        """Return ``image`` seen from the first frame of ``matrix``."""
        with self._turn():
            through = torch.tensor(np.asarray(matrix, np.float64), device=self._device)
            seen = torch_samples.warped(self._upload(image), through, size)
            return np.asarray(seen.cpu().numpy(), np.uint8)

    def followed(self, image: Floats | Bytes, place: Floats) -> Floats:
        """Read ``image`` (h, w[, c]) at ``place`` (..., 2: x, y)."""
        with self._turn():
            at = self._upload(place)
            read = torch_samples.bilinear(self._deep(image).float(), at[..., 0], at[..., 1])
            return self._flat(read.round() if image.dtype == np.uint8 else read, image)

    def pull_push(self, values: Floats, weight: Floats) -> Floats:
        """Return ``values`` with the places of weight 0 filled in smoothly."""
        with self._turn():
            filled = torch_fields.pull_push(self._deep(values), self._deep(weight))
            return self._flat(filled, values)

    def membrane(self, values: Floats, weight: Floats, smoothing_px: int) -> Floats:
        """Return a smooth surface through the weighted values."""
        with self._turn():
            deep = self._deep(values), self._deep(weight)
            return self._flat(torch_fields.membrane(*deep, smoothing_px), values)

    def apart(
        self, levels: Floats, usable: Mask, several: bool, run: Runner = one_by_one
    ) -> Floats:
        """Return how far each source stands from what most say."""
        del run  # the device shares its work out by itself
        with self._turn():
            marked = self._upload(usable.view(np.uint8)) > 0
            return self._back(torch_fields.apart(self._upload(levels), marked, several))

    def weighed(self, price: Floats, planes: Sequence[int], run: Runner = one_by_one) -> Floats:
        """Return the weights of sources that cost ``price``."""
        del run  # the device shares its work out by itself
        with self._turn():
            return self._back(torch_fields.weighed(self._upload(price), planes))

    def sampled(self, encoded: Floats, blocked: Bytes, place: Floats) -> tuple[Floats, Mask]:
        """Return Lanczos samples, and which of them exist."""
        with self._turn():
            closed = self._upload(blocked) > 0
            picture, places = self._upload(encoded), self._upload(place)
            out, found = torch_samples.lanczos(picture, closed, places, self._table)
            return self._back(out), np.asarray(found.cpu().numpy(), np.bool_)

    def gather(
        self,
        sources: Sequence[Source],
        weights: Floats,
        places: tuple[Floats, Floats],
        factor: int,
        run: Runner,
    ) -> Gathered:
        """Return what the sources give for a hole's pixels."""
        with self._turn():
            hole = Hole(places, factor, self._table, self._upload, self._turn)
        with torch.inference_mode(), self._faults():
            return hole.gather(sources, weights, run)

    def release(self) -> None:
        """Give back what torch keeps of the device's memory for later."""
        give_back(self._device)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with self._turns, torch.inference_mode(), self._faults():
            yield

    @contextlib.contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            if not is_fault(error):
                raise
            raise DeviceGaveUp(f"{self._device}: {' '.join(str(error).split())[:200]}") from error

    def _upload(self, array: Floats | Bytes) -> Tensor:
        # A copy, always: arrays of a shot are shared and may be read-only.
        return torch.tensor(np.ascontiguousarray(array), device=self._device)

    def _deep(self, image: Floats | Bytes) -> Tensor:
        """Upload (h, w[, c]) as (h, w, c)."""
        return self._upload(image if image.ndim == 3 else image[..., None])

    def _flat(self, deep: Tensor, like: Floats | Bytes) -> Floats:
        return self._back(deep if like.ndim == 3 else deep[..., 0])

    def _back(self, tensor: Tensor) -> Floats:
        return np.asarray(tensor.contiguous().cpu().numpy(), np.float32)


def is_fault(error: BaseException) -> bool:
    """Whether the device failed, not the code."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    accelerator = getattr(torch, "AcceleratorError", None)
    if accelerator is not None and isinstance(error, accelerator):
        return True
    return any(words in str(error) for words in _FAULTS)


def give_back(device: torch.device) -> None:
    """Return unused memory of a device to the system. A device that failed is left alone."""
    if device.type == "cuda":
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()


def cuda_devices() -> int:
    """Return how many CUDA devices torch can compute on here."""
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
