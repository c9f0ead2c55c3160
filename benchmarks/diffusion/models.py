"""Pipelines of full size, of a size for the CPU, and of toy size, with random weights.

How fast a network runs does not depend on its weights, so nothing is read from disk: parts
are made on the device in the precision they run in. Where each number of a full-size
configuration comes from stands in `BenchModel.origin`.
"""

from __future__ import annotations

import enum
import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
import transformers

from tests.fakes.tiny_pipelines import flow_models, stable_diffusion, wan_vace
from tests.fakes.tiny_pipelines.tokenizers import clip_tokenizer, qwen_tokenizer, t5_tokenizer

Parts = dict[str, Any]
Made = Callable[[str, dict[str, Any]], Any]
"""Class name and configuration in, network out, on the device in its precision."""

_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
_FOUR_DOWN = ["DownEncoderBlock2D"] * 4
_FOUR_UP = ["UpDecoderBlock2D"] * 4


class Size(enum.StrEnum):
    """How large the networks are."""

    FULL = "full"
    """As published."""
    SMALL = "small"
    """The same layout with fewer channels and layers: seconds a call on a CPU."""
    TINY = "tiny"
    """The toys of the tests: for tests of this benchmark."""


@dataclass(frozen=True)
class BenchModel:
    """One model to measure: the family's name, how its parts are made, what its card says.

    ``native_px`` are the model's native sides by size; ``frames`` the frames of a fill on a
    GPU and elsewhere.
    """

    name: str
    family: str
    parts: Callable[[Size, Made], Parts]
    tiny: Callable[[], Any]
    native_px: dict[Size, int]
    frames: tuple[int, int]
    origin: str
    distilled: bool = False


def build(model: BenchModel, size: Size, family: Any, device: torch.device, dtype: Any) -> Any:
    """Return the pipeline of ``model`` on ``device``: networks in ``dtype``, VAE in float32."""
    pipeline = getattr(diffusers, family.pipeline)
    torch.manual_seed(0)
    if size is Size.TINY:
        parts = dict(model.tiny().components)
    else:
        parts = model.parts(size, _maker(device, dtype))
    if "requires_safety_checker" in pipeline.__init__.__code__.co_varnames:
        parts |= {"safety_checker": None, "feature_extractor": None, "image_encoder": None}
        parts["requires_safety_checker"] = False
    if "is_distilled" in pipeline.__init__.__code__.co_varnames:
        parts["is_distilled"] = model.distilled
    if family.name == "stable-diffusion-xl":
        parts["add_watermarker"] = False
    pipe = pipeline(**parts)
    pipe.set_progress_bar_config(disable=True)
    pipe.to(device)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.eval().requires_grad_(False)
    return pipe


def parameters(pipe: Any) -> dict[str, int]:
    """Return the number of parameters of each network of ``pipe``."""
    return {
        name: sum(p.numel() for p in part.parameters())
        for name, part in pipe.components.items()
        if isinstance(part, torch.nn.Module)
    }


@contextmanager
def _made_on(device: torch.device, dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            yield
    finally:
        torch.set_default_dtype(before)


def _maker(device: torch.device, dtype: torch.dtype) -> Made:
    """Return a maker of networks in ``dtype``; VAEs ("Autoencoder…") are float32."""

    def make(name: str, config: dict[str, Any]) -> Any:
        own = torch.float32 if name.startswith("Autoencoder") else dtype
        with _made_on(device, own):
            if hasattr(diffusers, name):
                return getattr(diffusers, name)(**config)
            network = getattr(transformers, name)
            return network(network.config_class(**config))

    return make


def _vae(latent_channels: int, size: Size, **more: Any) -> dict[str, Any]:
    channels = [128, 256, 512, 512] if size is Size.FULL else [16, 32, 32, 32]
    return {
        "block_out_channels": channels,
        "down_block_types": _FOUR_DOWN,
        "up_block_types": _FOUR_UP,
        "latent_channels": latent_channels,
        "layers_per_block": 2 if size is Size.FULL else 1,
        "norm_num_groups": 32 if size is Size.FULL else 8,
        **more,
    }


def _clip(size: Size, wide: bool = False) -> dict[str, Any]:
    layers, hidden = (32, 1280) if wide else (12, 768)
    if size is not Size.FULL:
        layers, hidden = 2, 64
    return {
        "vocab_size": 49408,
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": hidden // 64,
        "projection_dim": hidden,
        "hidden_act": "gelu" if wide else "quick_gelu",
        "bos_token_id": 512,
        "eos_token_id": 513,
        "pad_token_id": 513,
    }


def _sd15(size: Size, make: Made) -> Parts:
    unet: dict[str, Any] = {"in_channels": 9, "out_channels": 4, "sample_size": 64}
    if size is Size.FULL:
        unet |= {"cross_attention_dim": 768}  # the rest is the class's own default
    else:
        unet |= {
            "block_out_channels": [32, 64, 64, 64],
            "layers_per_block": 1,
            "cross_attention_dim": 64,
            "attention_head_dim": 4,
            "norm_num_groups": 8,
        }
    return {
        "unet": make("UNet2DConditionModel", unet),
        "vae": make("AutoencoderKL", _vae(4, size)),
        "text_encoder": make("CLIPTextModel", _clip(size)),
        "tokenizer": clip_tokenizer(),
        "scheduler": diffusers.DDIMScheduler(
            **_BETAS, clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
    }


def _sdxl(size: Size, make: Made) -> Parts:
    full = size is Size.FULL
    text, wide = _clip(size), _clip(size, wide=True)
    unet = {
        "in_channels": 9,
        "out_channels": 4,
        "sample_size": 128,
        "block_out_channels": [320, 640, 1280] if full else [64, 128, 256],
        "layers_per_block": 2 if full else 1,
        "norm_num_groups": 32 if full else 16,
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
        "transformer_layers_per_block": [1, 2, 10] if full else [1, 1, 2],
        "attention_head_dim": [5, 10, 20] if full else [2, 2, 4],
        "cross_attention_dim": text["hidden_size"] + wide["hidden_size"],
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 6 * 256 + wide["projection_dim"],
    }
    return {
        "unet": make("UNet2DConditionModel", unet),
        "vae": make("AutoencoderKL", _vae(4, size, scaling_factor=0.13025)),
        "text_encoder": make("CLIPTextModel", text),
        "text_encoder_2": make("CLIPTextModelWithProjection", wide),
        "tokenizer": clip_tokenizer(),
        "tokenizer_2": clip_tokenizer(),
        "scheduler": diffusers.EulerDiscreteScheduler(**_BETAS, steps_offset=1),
    }


def _qwen3(size: Size) -> dict[str, Any]:
    full = size is Size.FULL
    return {
        "vocab_size": 151936 if full else 512,
        "hidden_size": 2560 if full else 64,
        "intermediate_size": 9728 if full else 128,
        "num_hidden_layers": 36 if full else 4,
        "num_attention_heads": 32 if full else 2,
        "num_key_value_heads": 8 if full else 2,
        "head_dim": 128 if full else 32,
        "max_position_embeddings": 40960 if full else 1024,
        "tie_word_embeddings": True,
    }


def _klein(size: Size, make: Made) -> Parts:
    full, text = size is Size.FULL, _qwen3(size)
    transformer = {
        "num_layers": 5 if full else 2,
        "num_single_layers": 20 if full else 4,
        "num_attention_heads": 24 if full else 2,
        "attention_head_dim": 128,
        "joint_attention_dim": 3 * text["hidden_size"],
        "guidance_embeds": False,
    }
    vae = {} if full else {"block_out_channels": (16, 32, 32, 32), "norm_num_groups": 8}
    return {
        "transformer": make("Flux2Transformer2DModel", transformer),
        "vae": make("AutoencoderKLFlux2", vae),
        "text_encoder": make("Qwen3ForCausalLM", text),
        "tokenizer": qwen_tokenizer(),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True),
    }


def _z_image(size: Size, make: Made) -> Parts:
    full, text = size is Size.FULL, _qwen3(size)
    small = {"dim": 256, "n_layers": 4, "n_refiner_layers": 1, "n_heads": 2, "n_kv_heads": 2}
    transformer = {"cap_feat_dim": text["hidden_size"]} | ({} if full else small)
    vae = _vae(16, size, shift_factor=0.1159, scaling_factor=0.3611)
    return {
        "transformer": make("ZImageTransformer2DModel", transformer),
        "vae": make("AutoencoderKL", vae | {"use_quant_conv": False, "use_post_quant_conv": False}),
        "text_encoder": make("Qwen3Model", text),
        "tokenizer": qwen_tokenizer(),
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    }


def _wan_vace(size: Size, make: Made) -> Parts:
    full = size is Size.FULL
    text = {
        "vocab_size": 256384 if full else 512,
        "d_model": 4096 if full else 64,
        "d_kv": 64,
        "d_ff": 10240 if full else 128,
        "num_layers": 24 if full else 2,
        "num_heads": 64 if full else 1,
        "feed_forward_proj": "gated-gelu",
    }
    transformer = {
        "num_attention_heads": 12 if full else 1,
        "attention_head_dim": 128,
        "text_dim": text["d_model"],
        "ffn_dim": 8960 if full else 512,
        "num_layers": 30 if full else 2,
        "vace_layers": list(range(0, 30, 2)) if full else [0],
        "vace_in_channels": 96,
    }
    vae = {} if full else {"base_dim": 8, "num_res_blocks": 1}
    return {
        "transformer": make("WanVACETransformer3DModel", transformer),
        "vae": make("AutoencoderKLWan", vae),
        "text_encoder": make("UMT5EncoderModel", text),
        "tokenizer": t5_tokenizer(),
        "scheduler": diffusers.UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0
        ),
    }


def _native(full_px: int, small_px: int) -> dict[Size, int]:
    return {Size.FULL: full_px, Size.SMALL: small_px, Size.TINY: 64}


_VAE_AND_CLIP = "VAE and text encoders from the published configurations"
_QWEN3 = "text encoder: Qwen3-4B as published"

MODELS: tuple[BenchModel, ...] = (
    BenchModel(
        "sd15",
        "stable-diffusion",
        _sd15,
        stable_diffusion.sd15,
        _native(512, 256),
        (4, 2),
        "UNet: the class's own defaults in diffusers are SD 1.x, with 9 input channels and a "
        f"768-wide prompt; {_VAE_AND_CLIP}; DDIM",
    ),
    BenchModel(
        "sdxl",
        "stable-diffusion-xl",
        _sdxl,
        stable_diffusion.sdxl,
        _native(1024, 384),
        (4, 2),
        f"UNet: the published configuration of SDXL 1.0 with 9 input channels; {_VAE_AND_CLIP}; "
        "Euler",
    ),
    BenchModel(
        "flux2-klein-4b",
        "flux2-klein",
        _klein,
        flow_models.flux2_klein_distilled,
        _native(1024, 384),
        (4, 2),
        "transformer: 5 double and 20 single blocks, 24 heads of 128, prompt 3 × 2560, as the "
        f"model's own source states; VAE: defaults of diffusers; {_QWEN3}",
        distilled=True,
    ),
    BenchModel(
        "z-image-turbo",
        "z-image",
        _z_image,
        flow_models.z_image,
        _native(1024, 384),
        (4, 2),
        "approximate: transformer from the defaults of diffusers, VAE of FLUX.1's layout, both "
        f"not compared with the published files; {_QWEN3}",
        distilled=True,
    ),
    BenchModel(
        "wan21-vace-1.3b",
        "wan-vace",
        _wan_vace,
        wan_vace.wan_vace,
        _native(640, 256),
        (81, 9),
        "transformer: the 1.3B entry of the conversion script of diffusers; VAE: defaults of "
        "diffusers; text encoder: UMT5-XXL as published",
    ),
)


def models_named(names: list[str]) -> list[BenchModel]:
    """Return the models of these names. Raises `ValueError` for one that is not known."""
    known = {model.name: model for model in MODELS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"unknown: {', '.join(unknown)}; known are {', '.join(known)}")
    return [known[name] for name in names]


def count_without_memory(model: BenchModel) -> dict[str, int]:
    """Return the parameters of the full-size networks without making any weight."""
    parts = model.parts(Size.FULL, _maker(torch.device("meta"), torch.float32))
    return {
        name: sum(p.numel() for p in part.parameters())
        for name, part in parts.items()
        if isinstance(part, torch.nn.Module)
    }


def library(name: str) -> str:
    """Return a library's version."""
    return str(importlib.import_module(name).__version__)
