"""Starting a call late, from what is there, in pipelines that know of no strength.

ControlNet pipelines start from pure noise. Given noised latents and the last of the steps'
noise levels they go over a picture at low strength instead, as SDEdit does (Meng et al. 2022).
"""

from __future__ import annotations

import importlib
from typing import Any

from genai_fill_server.engines.diffusers.options import Options


def late_start(
    pipe: Any, clean: Any, tokens: int, options: Options, generator: Any
) -> dict[str, Any]:
    """Return ``latents`` and ``sigmas`` for a call that makes the last of its steps only.

    ``clean`` are the picture's latents as the denoiser has them, ``tokens`` how many it makes
    of them. The option for strength is the share of the steps that is made, at least one.
    """
    steps = int(options["steps"])
    late = max(1, int(steps * float(options["strength"])))
    levels = [left / steps for left in range(late, 0, -1)]
    scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)
    scheduler.set_timesteps(sigmas=levels, mu=_shift(scheduler.config, tokens))
    latents = noised(clean, float(scheduler.sigmas[0]), generator)
    return {"latents": latents, "sigmas": levels}


def make_late(scheduler: Any, options: Options) -> Any:
    """Return ``scheduler``, changed so that it makes the last of its steps only.

    For pipelines that take no noise levels.
    """
    set_all = scheduler.set_timesteps

    def set_late(steps: int, *args: Any, **kwargs: Any) -> None:
        set_all(steps, *args, **kwargs)
        skipped = len(scheduler.timesteps) - max(1, int(steps * float(options["strength"])))
        scheduler.sigmas = scheduler.sigmas[skipped:]
        scheduler.timesteps = scheduler.timesteps[skipped:]
        scheduler.num_inference_steps = len(scheduler.timesteps)

    scheduler.set_timesteps = set_late
    return scheduler


def noised(clean: Any, level: float, generator: Any) -> Any:
    """Return ``clean`` latents as noisy as a step of that level expects: 1 is noise alone."""
    randn = importlib.import_module("diffusers.utils.torch_utils").randn_tensor
    noise = randn(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
    return level * noise + (1.0 - level) * clean


def starts_late(options: Options) -> bool:
    """Whether a call starts from what is there."""
    return float(options.get("strength", 1.0)) < 1.0


def _shift(config: Any, tokens: int) -> float:
    """Return how far a flow-matching scheduler shifts its levels for so many tokens.

    A line through two points of its configuration, as the pipelines draw it.
    """
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    return float(low + (high - low) * (tokens - few) / (many - few))
