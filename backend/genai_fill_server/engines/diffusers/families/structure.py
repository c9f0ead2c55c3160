"""ControlNets for depth, edges and poses in pipelines that have no place for them.

The network becomes part of the denoiser, so that it moves where that moves, and what it says
is added to what the denoiser is called with, beside that of any other ControlNet.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from genai_fill_contract.engine import EngineOption, OptionType

STRENGTH = "structure_strength"
_NETWORK = "genai_fill_structure"
_STATE = "_genai_fill_structure_state"


@dataclass
class _State:
    """What steers the call: packed latents of the control picture, None for nothing."""

    tokens: Any = None
    strength: float = 1.0
    latents: Any = None
    said: Any = None


def structure_strength_option() -> EngineOption:
    """Return the option for how strongly the control picture steers."""
    return EngineOption(
        STRENGTH,
        "Structure strength",
        OptionType.FLOAT,
        1.0,
        "How strongly the control picture (depth, edges, pose) steers the layout. It has no "
        "effect without one.",
        minimum=0.0,
        maximum=2.0,
        step=0.05,
    )


def add_structure(pipe: Any, network: Any) -> None:
    """Make ``network`` part of the denoiser of ``pipe``; nothing changes until `steer`."""
    state = _State()
    setattr(pipe, _STATE, state)
    pipe.transformer.add_module(_NETWORK, network)

    def before(module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if state.tokens is None:
            return None
        others = kwargs.get("controlnet_block_samples")
        says = _said(state, getattr(module, _NETWORK), kwargs)
        blocks = len(module.transformer_blocks)
        return args, {**kwargs, "controlnet_block_samples": _together(blocks, says, others)}

    pipe.transformer.register_forward_pre_hook(before, with_kwargs=True)


def steer(pipe: Any, tokens: Any, strength: float) -> None:
    """Steer the next call by ``tokens`` (1, count, channels); None: not at all."""
    state: _State = getattr(pipe, _STATE)
    state.tokens = tokens if strength else None
    state.strength, state.latents, state.said = strength, None, None


def _said(state: _State, network: Any, kwargs: dict[str, Any]) -> Any:
    """Return the network's residuals for a step; prompt and negative share those of the prompt."""
    latents = kwargs["hidden_states"]
    if state.latents is not latents:
        names = ("timestep", "encoder_hidden_states", "encoder_hidden_states_mask", "img_shapes")
        state.said = network(
            hidden_states=latents,
            controlnet_cond=state.tokens.to(latents).expand(len(latents), -1, -1),
            conditioning_scale=state.strength,
            return_dict=False,
            **{name: kwargs[name] for name in names},
        )
        state.latents = latents
    return state.said


def _together(blocks: int, says: Any, others: Any) -> list[Any]:
    """Return one residual a block: networks of fewer layers serve several blocks each."""
    sums = _spread(blocks, says)
    if others is not None:
        sums = [a + b for a, b in zip(sums, _spread(blocks, others), strict=True)]
    return sums


def _spread(blocks: int, residuals: Any) -> list[Any]:
    each = math.ceil(blocks / len(residuals))
    return [residuals[block // each] for block in range(blocks)]
