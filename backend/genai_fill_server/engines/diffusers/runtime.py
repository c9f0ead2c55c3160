"""The device, its determinism, and what its errors mean."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
from collections.abc import Iterator

import torch

from genai_fill_contract.errors import ConfigError, GenerationFailed, OutOfMemory

# What libraries are known to raise for bad input or a broken model. Not `Exception`: a fault
# that is none of these should be seen as one.
LIBRARY_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
_OFFLINE = (
    "HF_HUB_OFFLINE",
    "TRANSFORMERS_OFFLINE",
    "DIFFUSERS_OFFLINE",
    "HF_HUB_DISABLE_TELEMETRY",
    "DISABLE_TELEMETRY",
)
_GIB = 2**30


def choose_device(setting: str) -> torch.device:
    """Return the device that ``models.device`` names; "auto" takes the best there is.

    Raises `ConfigError` for a device that this machine does not have.
    """
    if setting == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(setting)
    except RuntimeError as error:
        raise _no_device(setting, "It is not a device name.") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise _no_device(setting, f"This machine has {torch.cuda.device_count()} CUDA devices.")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise _no_device(setting, "This machine has no MPS device.")
    if device.type not in ("cuda", "mps", "cpu"):
        raise _no_device(setting, "Only CUDA, MPS and the CPU are supported.")
    return device


def _no_device(setting: str, why: str) -> ConfigError:
    return ConfigError(
        f"The setting models.device is {setting!r}. {why}",
        hint="Use auto, cpu, cuda, cuda:1 or mps.",
    )


def working_dtype(device: torch.device, name: str) -> torch.dtype:
    """Return the precision that a denoiser runs in on ``device``.

    float32 on the CPU, where half precision is slow and buys nothing; float16 in place of
    bfloat16 on devices without it.
    """
    if device.type == "cpu":
        return torch.float32
    if name == "bfloat16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        return torch.float16
    dtype = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype


def make_reproducible(threads: int) -> None:
    """Make the same call give the same bits on the same device, and stay offline.

    Sets process-wide state of torch; a worker process holds one engine at work.
    ``threads`` 0 keeps what torch chose.
    """
    for name in _OFFLINE:
        os.environ[name] = "1"
    use_threads(threads)
    # cuDNN otherwise times several kernels and takes the fastest: not always the same.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    torch.backends.cuda.matmul.allow_tf32 = False


def use_threads(threads: int) -> None:
    """Let torch use so many CPU threads for what this thread asks of it; 0: its own choice.

    OpenMP counts for each thread that calls it, so another thread has to say it again.
    """
    if threads > 0:
        torch.set_num_threads(threads)


def works_beside(device: torch.device) -> bool:
    """Whether a device leaves the CPU free while it works."""
    return device.type != "cpu"


def library_versions() -> dict[str, str]:
    """Return the versions of the libraries that a result depends on."""
    names = ("torch", "diffusers", "transformers")
    return {name: str(importlib.import_module(name).__version__) for name in names}


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[torch.Generator]:
    """Give a generator on the CPU: a seed means the same noise on every device.

    Some pipelines draw from the global generator too, whatever they are handed, so that is
    seeded inside and put back after.
    """
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield torch.Generator("cpu").manual_seed(seed)


@contextlib.contextmanager
def translated_errors(what: str, device: torch.device, needed_gb: float) -> Iterator[None]:
    """Turn what torch and diffusers raise into errors that say what to do.

    ``what`` stands in the message ("frame 1001"); ``needed_gb`` is the model card's figure,
    0 for unknown.
    """
    try:
        yield
    except MemoryError as error:
        raise out_of_memory(what, device, needed_gb, error) from error
    except LIBRARY_ERRORS as error:
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise out_of_memory(what, device, needed_gb, error) from error
        raise GenerationFailed(
            f"The model failed on {what}: {type(error).__name__}: {_short(error)}",
            hint="Try other options. If it fails always, the model folder may be damaged or of "
            "another version of diffusers.",
        ) from error


def out_of_memory(
    what: str,
    device: torch.device,
    needed_gb: float,
    error: BaseException | None = None,
    fits: str = "",
) -> OutOfMemory:
    """Return the error for a device without room: what is needed, what is free, what ``fits``."""
    free = free_gb(device)
    needs = f" The model needs about {needed_gb:.1f} GB" if needed_gb else ""
    has = f"{' and' if needs else ' The device has'} {free:.1f} GB are free" if free else ""
    rest = "Make the crop smaller, close other programs on this device (Nuke's Viewer is one), "
    return OutOfMemory(
        f"Out of memory on {device} at {what}.{needs}{has}{'.' if needs or has else ''}",
        hint=f"{fits} {rest}or choose a smaller model.".lstrip(),
        device=str(device),
        needed_gb=needed_gb,
        free_gb=free,
        cause=_short(error) if error else "",
    )


def free_gb(device: torch.device) -> float:
    """Return how much memory is free on a CUDA device, in GB (2**30 bytes); 0 if unknown."""
    if device.type != "cuda":
        return 0.0
    free, _ = torch.cuda.mem_get_info(device)
    return free / _GIB


def give_memory_back(device: torch.device | None) -> None:
    """Return unused memory to the system and, on CUDA, to the other programs."""
    gc.collect()
    if device is not None and device.type == "cuda":
        torch.cuda.empty_cache()
    elif device is not None and device.type == "mps":
        torch.mps.empty_cache()


def _short(error: BaseException | None) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= 300 else text[:297] + "..."
