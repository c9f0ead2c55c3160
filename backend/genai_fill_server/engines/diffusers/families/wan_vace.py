"""Wan VACE: masked video. Kept pixels go in as they are, the hole as mid-grey."""

from __future__ import annotations

import importlib
from typing import Any

from genai_fill_contract.engine import EngineKind, EngineOption, OptionType
from genai_fill_contract.plate import InputRole
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.families.late_start import (
    make_late,
    noised,
    starts_late,
)
from genai_fill_server.engines.diffusers.family import Family, Picture, TextEncoderLimit
from genai_fill_server.engines.diffusers.options import (
    HOLE_SHAPE,
    KEEP_EVERY,
    REFERENCE_FRAMES,
    Options,
    detail_option,
    guidance_option,
    steps_option,
)

MAX_PROMPT_TOKENS = 512
_REFERENCE = "_genai_fill_reference"


class WanVace(Family):
    """Wan 2.1 and 2.2 VACE.

    Jiang et al., *VACE: All-in-One Video Creation and Editing* (2025). Sides are multiples
    of 16, windows of 4·n + 1 frames; 81 frames is what it was trained on.
    """

    name = "wan-vace"
    label = "Wan VACE"
    pipeline = "WanVACEPipeline"
    accepts = frozenset({"WanVACEPipeline"})
    kind = EngineKind.VIDEO
    multiple_px = 16
    native_px = 640
    smallest = 0.6
    largest = 1.0
    inputs = (
        InputRole.REFERENCE,
        InputRole.PATCH,
    )
    frame_multiple = 4
    makes_takes_at_once = False
    window_frames = 81
    working_gb = 5.0
    help = (
        "Fills whole shots with one video model: frames belong together. Long shots run in "
        "windows that overlap; their frames come out one for one, never resampled in time."
    )

    def options(self, card: ModelCard) -> tuple[EngineOption, ...]:
        """Return the family's options."""
        del card
        return (
            steps_option(50),
            guidance_option(5.0, maximum=20.0),
            *_window_options(),
            detail_option(),
            *_keeping_options(),
            EngineOption(
                "conditioning",
                "Conditioning",
                OptionType.FLOAT,
                1.0,
                "How strongly the plate round the matte holds the result. Lower it if the "
                "result copies its surroundings too literally.",
                minimum=0.0,
                maximum=2.0,
                step=0.05,
                advanced=True,
            ),
            EngineOption(
                "flow_shift",
                "Flow shift",
                OptionType.FLOAT,
                3.0,
                "Where the steps are spent: high values on layout, low ones on detail. 3 suits "
                "480 lines, 5 suits 720.",
                minimum=0.5,
                maximum=20.0,
                step=0.5,
                advanced=True,
            ),
        )

    def scheduler(self, own: Any, options: Options) -> Any:
        """Return the model's own scheduler with the flow shift that was asked for."""
        # Two names for one thing: UniPC and DPM++ call it flow_shift, Euler calls it shift.
        key = "flow_shift" if "flow_shift" in own.config else "shift"
        scheduler = type(own).from_config(own.config, **{key: float(options["flow_shift"])})
        return make_late(scheduler, options) if starts_late(options) else scheduler

    def adapt(self, pipe: Any) -> None:
        """Let reference pictures in as tensors: the call takes 8-bit pictures only."""
        _take_reference_tensors(pipe)

    def limits(self, pipe: Any) -> tuple[TextEncoderLimit, ...]:
        """One UMT5 encoder."""
        return (TextEncoderLimit("UMT5", pipe.tokenizer, MAX_PROMPT_TOKENS),)

    def encode(self, pipe: Any, prompt: str, negative: str, options: Options) -> dict[str, Any]:
        """Return the embeddings of the prompt and, under guidance, of its negative."""
        positive, negated = pipe.encode_prompt(
            prompt,
            negative_prompt=negative,
            do_classifier_free_guidance=self.is_guided(options),
            # The pipeline's call reads 512 tokens, this method 226 unless told.
            max_sequence_length=MAX_PROMPT_TOKENS,
        )
        return {"prompt_embeds": positive, "negative_prompt_embeds": negated}

    def arguments(self, pipe: Any, picture: Picture, options: Options) -> dict[str, Any]:
        """Return the call's arguments. ``picture`` is 5-D: (1, frames, channels, h, w).

        A list of frames crashes the pipeline, and a video larger than ``height × width`` is
        made smaller without a word, so both are given as they are.
        """
        first = () if picture.reference is None else (picture.reference,)
        setattr(pipe, _REFERENCE, (*first, *picture.more))
        return {
            "video": picture.image,
            "mask": picture.hole,
            "height": picture.height,
            "width": picture.width,
            "num_frames": int(picture.image.shape[1]),
            "num_inference_steps": int(options["steps"]),
            "guidance_scale": float(options["guidance"]),
            "conditioning_scale": float(options["conditioning"]),
        }

    def start(
        self, pipe: Any, picture: Picture, options: Options, generator: Any
    ) -> dict[str, Any]:
        """Return a late start for the tiles of the detail pass; they have no reference."""
        if not starts_late(options):
            return {}
        torch, config = importlib.import_module("torch"), pipe.vae.config
        with torch.no_grad():
            there = (picture.there * 2.0 - 1.0).to(pipe._execution_device).transpose(1, 2)
            latents = pipe.vae.encode(there.contiguous()).latent_dist.mode().float()
        mean, std = (
            latents.new_tensor(list(values)).view(1, -1, 1, 1, 1)
            for values in (config.latents_mean, config.latents_std)
        )
        probe = make_late(type(pipe.scheduler).from_config(pipe.scheduler.config), options)
        probe.set_timesteps(int(options["steps"]))
        return {"latents": noised((latents - mean) / std, float(probe.sigmas[0]), generator)}


def _take_reference_tensors(pipe: Any) -> None:
    prepare = pipe.preprocess_conditions

    def prepare_with_reference(*args: Any, **kwargs: Any) -> Any:
        video, mask, references = prepare(*args, **kwargs)
        shown = getattr(pipe, _REFERENCE, ())
        if shown:
            references = [[_on_white(each.to(video), video.shape[-2:]) for each in shown]]
        return video, mask, references

    pipe.preprocess_conditions = prepare_with_reference


def _on_white(picture: Any, size: Any) -> Any:
    """Return (1, 3, h, w) in [0, 1] as (3, *size) from -1 to 1, fitted and centred on white.

    White is what the model was trained to see round a reference.
    """
    functional = importlib.import_module("torch.nn.functional")
    height, width = int(size[0]), int(size[1])
    scale = min(height / picture.shape[-2], width / picture.shape[-1])
    inner = [max(1, int(side * scale)) for side in picture.shape[-2:]]
    small = functional.interpolate(picture, size=inner, mode="bilinear", antialias=True)
    top, left = (height - inner[0]) // 2, (width - inner[1]) // 2
    canvas = picture.new_ones((3, height, width))
    canvas[:, top : top + inner[0], left : left + inner[1]] = small[0] * 2.0 - 1.0
    return canvas


def _keeping_options() -> tuple[EngineOption, ...]:
    return (
        EngineOption(
            HOLE_SHAPE,
            "Hole for the model",
            OptionType.CHOICE,
            "matte",
            "What the model is told to fill. A close matte has the shape of what is removed, "
            "and the model may put it back: a hull or a box does not tell. The composite uses "
            "the matte either way.",
            choices=(("matte", "The matte"), ("hull", "Its hull"), ("box", "Its box")),
        ),
        EngineOption(
            KEEP_EVERY,
            "Keep every n-th approved",
            OptionType.INT,
            1,
            "Of the approved frames every n-th is kept as it is and leads the others, which are "
            "made anew; 1 keeps all of them.",
            minimum=1,
            maximum=81,
            step=1,
            unit="frames",
            advanced=True,
        ),
        EngineOption(
            REFERENCE_FRAMES,
            "Reference frames",
            OptionType.INT,
            1,
            "How many frames of the reference input the model is shown.",
            minimum=1,
            maximum=4,
            step=1,
            unit="frames",
            advanced=True,
        ),
    )


def _window_options() -> tuple[EngineOption, ...]:
    return (
        EngineOption(
            "window_frames",
            "Window",
            OptionType.INT,
            81,
            "Frames made at once; 4·n + 1, others are rounded down. Shorter windows need less "
            "memory and drift more.",
            minimum=5,
            maximum=161,
            step=4,
            unit="frames",
            advanced=True,
        ),
        EngineOption(
            "overlap_frames",
            "Overlap",
            OptionType.INT,
            17,
            "Frames that a window keeps of the one before, to carry on from. More is steadier "
            "and slower.",
            minimum=1,
            maximum=80,
            step=4,
            unit="frames",
            advanced=True,
        ),
    )
