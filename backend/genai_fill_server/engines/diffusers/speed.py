"""Two ways to run the same network faster, or not: memory layout and compilation.

Both change the last bits of a result and neither was measured, so both are off unless asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn

from genai_fill_server.engines.diffusers.memory import Placement
from genai_fill_server.engines.diffusers.options import CHANNELS_LAST, COMPILE, Options
from genai_fill_server.engines.diffusers.runtime import LIBRARY_ERRORS
from genai_fill_server.service.ports import Watch

_LOG = logging.getLogger(__name__)
_DENOISERS = ("unet", "transformer", "transformer_2", "controlnet")


class Speed:
    """How a loaded pipeline runs now; each job may ask for something else."""

    def __init__(self, pipe: Any, device: torch.device, placement: Placement) -> None:
        """``pipe`` runs plainly so far."""
        self._pipe = pipe
        self._device = device
        self._placement = placement
        self._is_channels_last = False
        self._plain: list[tuple[nn.Module, Callable[..., Any]]] = []
        self._failed = False
        self._log: Callable[[str], None] = _LOG.info

    @property
    def compiled(self) -> list[nn.Module]:
        """The blocks that run compiled: nothing may be hooked to what is inside them."""
        return [block for block, _ in self._plain]

    def use(self, options: Options, watch: Watch) -> bool:
        """Run as ``options`` say; return whether what the VAE makes may differ in its bits."""
        self._log = watch.log
        self._compile(bool(options.get(COMPILE)))
        return self._lay_out(bool(options.get(CHANNELS_LAST)))

    def _lay_out(self, wanted: bool) -> bool:
        if wanted and self._placement is Placement.LAYERS:
            self._log("Channels last has no effect where the model runs layer by layer.")
            wanted = False
        if wanted == self._is_channels_last:
            return False
        self._is_channels_last = wanted
        form = torch.channels_last if wanted else torch.contiguous_format
        for part in (*self._denoisers(), self._pipe.vae):
            for module in part.modules():
                if isinstance(module, nn.Conv2d):
                    module.weight.data = module.weight.data.contiguous(memory_format=form)
        return True

    def _compile(self, wanted: bool) -> None:
        if not wanted:
            for block, forward in self._plain:
                block.forward = forward
            self._plain = []
            return
        reason = self._why_not()
        if reason:
            self._log(f"The model is not compiled: {reason}.")
        elif not self._plain:
            for block in self._blocks():
                plain = block.forward
                self._plain.append((block, plain))
                block.forward = self._guarded(torch.compile(plain), plain)

    def _why_not(self) -> str:
        if self._failed:
            return "compiling it failed before"
        if self._device.type == "cpu":
            return "it runs on the CPU"
        if self._placement is not Placement.RESIDENT:
            return f"it runs by {self._placement.value}"
        if not any(True for _ in self._blocks()):
            return "it has no blocks that repeat"
        return ""

    def _denoisers(self) -> Iterator[nn.Module]:
        for name in _DENOISERS:
            part = getattr(self._pipe, name, None)
            if isinstance(part, nn.Module):
                yield part

    def _blocks(self) -> Iterator[nn.Module]:
        """Yield the blocks that repeat: one compilation serves them all."""
        for part in self._denoisers():
            names = getattr(part, "_repeated_blocks", None) or ()
            yield from (block for block in part.modules() if type(block).__name__ in names)

    def _guarded(self, fast: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``fast`` that becomes ``plain``, for good, when it cannot be compiled."""

        def forward(*args: Any, **kwargs: Any) -> Any:
            if self._failed:
                return plain(*args, **kwargs)
            try:
                return fast(*args, **kwargs)
            except torch.OutOfMemoryError:
                raise
            except LIBRARY_ERRORS as error:
                # A fault that is not the compiler's comes again below, as what it is.
                result = plain(*args, **kwargs)
                self._failed = True
                _LOG.warning("compiling failed", exc_info=error)
                self._log(
                    "The model could not be compiled and runs without: "
                    f"{type(error).__name__}. The server's log has the details."
                )
                return result

        return forward
