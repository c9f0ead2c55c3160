"""Progress and cancel inside a running pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn

from genai_fill_server.engines.diffusers.spans import Span
from genai_fill_server.service.ports import Watch

PHASE = "generating"
StepCallback = Callable[[Any, int, Any, dict[str, Any]], dict[str, Any]]


def step_callback(
    watch: Watch, span: Span, show: Callable[[Any, Any], None] | None = None
) -> StepCallback:
    """Return a ``callback_on_step_end`` that tells the progress and lets cancel through.

    ``span`` is this call's share of the job. Raising stops the pipeline at once and leaves
    it usable, while its own ``interrupt`` flag would still decode the picture. ``show`` is
    handed the pipeline and the latents that the step left.
    """

    def on_step_end(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        del timestep
        if show is not None:
            show(pipe, tensors["latents"])
        watch.progress(PHASE, span.at((step + 1) / max(1, pipe.num_timesteps)), span.total)
        return {}

    return on_step_end


@contextmanager
def cancel_checks(pipe: Any, watch: Watch, compiled: Sequence[nn.Module] = ()) -> Iterator[None]:
    """Look for cancel before every block of every network of ``pipe``.

    A step of a large model takes many seconds, and encoding and decoding know no steps.
    ``compiled`` blocks are looked at from outside only: a hook in one would break it up.
    """

    def before_block(module: nn.Module, inputs: Any) -> None:
        del module, inputs
        watch.check()

    inside = {part for whole in compiled for part in whole.modules() if part is not whole}
    hooks = [
        block.register_forward_pre_hook(before_block)
        for network in pipe.components.values()
        if isinstance(network, nn.Module)
        for module in network.modules()
        if isinstance(module, nn.ModuleList)
        for block in module
        if block not in inside
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
