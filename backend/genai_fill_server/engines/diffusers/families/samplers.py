"""Samplers (diffusers calls them schedulers) that epsilon-prediction models share."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from genai_fill_contract.engine import EngineOption, OptionType
from genai_fill_contract.fill import OptionValue

OPTION = "sampler"
MODEL_DEFAULT = "model"


@dataclass(frozen=True)
class Sampler:
    """A scheduler class of diffusers and what it is built with."""

    label: str
    scheduler: str
    settings: dict[str, object] = field(default_factory=dict)


SAMPLERS: dict[str, Sampler] = {
    "ddim": Sampler("DDIM", "DDIMScheduler"),
    "euler": Sampler("Euler", "EulerDiscreteScheduler"),
    "euler_a": Sampler("Euler ancestral", "EulerAncestralDiscreteScheduler"),
    "dpmpp_2m": Sampler(
        "DPM++ 2M", "DPMSolverMultistepScheduler", {"algorithm_type": "dpmsolver++"}
    ),
    "dpmpp_2m_karras": Sampler(
        "DPM++ 2M Karras",
        "DPMSolverMultistepScheduler",
        {"algorithm_type": "dpmsolver++", "use_karras_sigmas": True},
    ),
    "unipc": Sampler("UniPC", "UniPCMultistepScheduler"),
}


def sampler_option() -> EngineOption:
    """Return the option for the sampler."""
    return EngineOption(
        OPTION,
        "Sampler",
        OptionType.CHOICE,
        MODEL_DEFAULT,
        "How noise is taken away from step to step. DPM++ 2M Karras and UniPC are good with "
        "20 to 30 steps.",
        choices=(
            (MODEL_DEFAULT, "As the model says"),
            *((key, sampler.label) for key, sampler in SAMPLERS.items()),
        ),
        advanced=True,
    )


def scheduler_for(own: Any, options: Mapping[str, OptionValue]) -> Any:
    """Return a fresh scheduler for the option, configured like the model's ``own``."""
    choice = str(options[OPTION])
    if choice == MODEL_DEFAULT:
        return type(own).from_config(own.config)
    sampler = SAMPLERS[choice]
    scheduler_class = getattr(importlib.import_module("diffusers"), sampler.scheduler)
    return scheduler_class.from_config(own.config, **sampler.settings)
