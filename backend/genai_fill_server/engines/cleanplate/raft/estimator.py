"""RAFT as a `Flow`: what it is given, and where it runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from genai_fill_contract.errors import ModelLoadFailed
from genai_fill_server.engines.cleanplate.description import Detail
from genai_fill_server.engines.cleanplate.devices.torch_device import give_back, is_fault
from genai_fill_server.engines.cleanplate.encoding import Bytes, Floats
from genai_fill_server.engines.cleanplate.raft.folder import (
    RaftFolder,
    check_raft_folder,
    fingerprint,
)
from genai_fill_server.engines.cleanplate.raft.layout import ENLARGED
from genai_fill_server.engines.cleanplate.raft.network import Raft

UPDATES = {Detail.DRAFT: 6, Detail.NORMAL: 12, Detail.FINE: 24}
"""How often the flow is improved. The authors train with 12 and measure with 24 and more."""

_LEAST_SIDE_PX = 128
"""Below this the coarsest correlations have no extent."""


class RaftFlow:
    """Dense flow by RAFT.

    One pair at a time, on one thread of the CPU: torch shares a sum out to threads, and its
    bits would depend on how many there are. All pairs of pixels are held at once, about
    0.45 GB for a region of 1024 x 576.
    """

    def __init__(
        self,
        network: Raft,
        name: str,
        detail: Detail,
        device: str,
        check: Callable[[], None],
        tell: Callable[[str], None],
    ) -> None:
        """Compute on torch's ``device``, or on the CPU once that gave up.

        ``check`` is called a few times a pair and may raise to cancel; ``tell`` gets a line
        for the job's log.
        """
        self.name = name
        self._device = torch.device(device)
        self._network = network.eval()
        self._updates = UPDATES[detail]
        self._check = check
        self._tell = tell
        self._lock = threading.Lock()
        self._moved = False

    def between(self, first: Bytes, second: Bytes) -> Floats:
        """Return the flow from one to the other, (h, w, 2) pixels."""
        with self._lock, _one_thread():
            return self._flow(first, second)

    def release(self) -> None:
        """Take the network off its device, until flow is measured again."""
        with self._lock:
            if self._device.type != "cpu":
                self._network.to("cpu")
                self._moved = False
                give_back(self._device)

    def _flow(self, first: Bytes, second: Bytes) -> Floats:
        try:
            return self._computed(first, second)
        except (RuntimeError, MemoryError) as error:
            if self._device.type == "cpu" or not is_fault(error):
                raise
            self._tell(
                f"RAFT goes on with the CPU, since {self._device} gave up: "
                f"{' '.join(str(error).split())[:200]}"
            )
        self._device, self._moved = torch.device("cpu"), False
        return self._computed(first, second)

    @torch.inference_mode()
    def _computed(self, first: Bytes, second: Bytes) -> Floats:
        if not self._moved:
            self._network.to(self._device)
            self._moved = True
        height, width = first.shape
        pictures = (self._picture(first), self._picture(second))
        # Whole float32 and one fixed way to convolve: the same bits every time.
        with torch.backends.cudnn.flags(
            enabled=True, benchmark=False, deterministic=True, allow_tf32=False
        ):
            flow = self._network.flow(*pictures, self._updates, self._check)
        measured = flow[0, :, :height, :width].permute(1, 2, 0).contiguous().cpu().numpy()
        return np.asarray(measured, np.float32)

    def _picture(self, levels: Bytes) -> Tensor:
        """Return bytes (h, w) as the network's (1, 3, h, w), its sides made to fit."""
        sides = [max(_LEAST_SIDE_PX, -(-side // ENLARGED) * ENLARGED) for side in levels.shape]
        more = [(0, whole - side) for side, whole in zip(levels.shape, sides, strict=True)]
        padded = np.pad(levels, more, mode="edge")
        grey = torch.tensor(padded, device=self._device).float() / 127.5 - 1.0
        return grey.expand(1, 3, -1, -1).contiguous()


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def load_raft(folder: RaftFolder) -> tuple[Raft, str]:
    """Return the network with a folder's weights, and its name for the recipe.

    Raises `ModelUnsafe`, `ModelMissing` or `ModelLoadFailed`.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    check_raft_folder(folder)
    try:
        weights = load_file(folder.weights)
    except (SafetensorError, OSError) as error:
        raise ModelLoadFailed(
            f"{folder.weights} cannot be loaded: {error}.",
            hint="Convert or copy the weights again.",
            path=str(folder.weights),
        ) from error
    broken = [name for name, tensor in weights.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise ModelLoadFailed(
            f"{folder.weights} holds values that are not numbers, first in {broken[0]!r}.",
            hint="Convert or copy the weights again.",
            path=str(folder.weights),
        )
    with torch.device("meta"):
        network = Raft(folder.layout)
    weights = {name: t.float() if t.is_floating_point() else t for name, t in weights.items()}
    network.load_state_dict(weights, assign=True)
    return network, f"{folder.layout.name} {fingerprint(folder)}"
