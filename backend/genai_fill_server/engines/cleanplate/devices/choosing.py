"""Which device a run gets: what the artist asks, within what the worker may use.

Looking is cheap: torch, whose import takes seconds, is imported only where there is a driver
for a device that it could use, or where that device was asked for by name.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from collections.abc import Callable

from genai_fill_contract.errors import InvalidOption
from genai_fill_server.domain.installing import install_words
from genai_fill_server.engines.cleanplate.description import Where
from genai_fill_server.engines.cleanplate.device import Device
from genai_fill_server.engines.cleanplate.devices.falling_back import DeviceGaveUp, FallingBack
from genai_fill_server.engines.cleanplate.devices.numba_device import NumbaDevice

_DRIVERS = {"win32": "nvcuda.dll", "linux": "libcuda.so.1"}


def choose_device(asked: Where, worker: str, tell: Callable[[str], None]) -> Device:
    """Return the device of a run.

    ``worker`` is the worker's own, as ``models.device`` names it ("auto", "cpu", "cuda:1",
    …): its kind and number are kept to. ``tell`` gets a line for the job's log. Raises
    `InvalidOption` for CUDA where there is none.
    """
    if asked is Where.CPU:
        return NumbaDevice()
    reason = _why_no_cuda(worker, look=asked is Where.AUTO)
    if reason is None:
        return _on_cuda(worker, tell)
    if asked is Where.AUTO:
        return NumbaDevice()
    raise InvalidOption(
        f"The clean plate was asked to compute on CUDA. {reason[0]}",
        hint=f"{reason[1]} Or choose 'auto' or 'CPU'.",
        option="device",
        engine="cleanplate",
    )


def has_torch(*more: str) -> bool:
    """Whether torch, and packages that are needed ``more``, are installed. Imports none."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", *more))


def torch_name(worker: str) -> str:
    """Return the device that torch shall compute a network on: CUDA where there is one."""
    return "cpu" if _why_no_cuda(worker, look=True) is not None else _cuda_name(worker)


def _cuda_name(worker: str) -> str:
    return worker if worker.startswith("cuda:") else "cuda:0"


def has_driver() -> bool:
    """Whether there is a CUDA driver to load. Does not touch the device."""
    name = _DRIVERS.get(sys.platform)
    if name is None:
        return False
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _why_no_cuda(worker: str, *, look: bool) -> tuple[str, str] | None:
    """Return (what is missing, what to do), None where CUDA can be used.

    ``look``: only look for the driver before importing torch.
    """
    kind, _, number = worker.partition(":")
    if kind not in ("auto", "cuda"):
        return (
            f"This worker computes on {worker!r} only, as models.device says.",
            "Have models.device changed.",
        )
    if not has_torch():
        return (
            "torch is not installed in the backend's environment.",
            f"Install it {install_words('gpu')}.",
        )
    if look and not has_driver():
        return "There is no CUDA driver.", "Install NVIDIA's driver."
    try:
        from genai_fill_server.engines.cleanplate.devices.torch_device import cuda_devices
    except (ImportError, OSError) as error:
        return f"torch does not load: {error}.", f"Install it again {install_words('gpu')}."
    count = cuda_devices()
    if count == 0:
        return (
            "torch sees no CUDA device.",
            "Check the driver with nvidia-smi, and that torch is a build for CUDA.",
        )
    if number and not (number.isdecimal() and int(number) < count):
        return f"{worker!r} is not one of {count} CUDA devices.", "Have models.device changed."
    return None


def _on_cuda(worker: str, tell: Callable[[str], None]) -> Device:
    from genai_fill_server.engines.cleanplate.devices.torch_device import TorchDevice

    try:
        return FallingBack(TorchDevice(_cuda_name(worker)), NumbaDevice(), tell)
    except DeviceGaveUp as error:
        tell(f"The clean plate computes on the CPU, since the device gave up ({error}).")
        return NumbaDevice()
