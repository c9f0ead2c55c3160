"""Tiny Stable Diffusion 1.5 and XL inpainting pipelines (9 channels) and ControlNets."""

from __future__ import annotations

from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    DDIMScheduler,
    EulerDiscreteScheduler,
    StableDiffusionInpaintPipeline,
    StableDiffusionXLInpaintPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from tests.fakes.tiny_pipelines.tokenizers import clip_tokenizer

_BETAS = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def _vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=[8, 16, 16, 16],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        latent_channels=4,
        norm_num_groups=4,
        sample_size=64,
    )


def text_config(hidden: int, **extra) -> CLIPTextConfig:
    """Return a CLIP text encoder's configuration for the byte tokenizer."""
    return CLIPTextConfig(
        vocab_size=514,
        hidden_size=hidden,
        intermediate_size=2 * hidden,
        num_hidden_layers=2,
        num_attention_heads=2,
        bos_token_id=512,
        eos_token_id=513,
        pad_token_id=513,
        **extra,
    )


def sd15() -> StableDiffusionInpaintPipeline:
    """Return a Stable Diffusion 1.5 inpainting pipeline."""
    unet = UNet2DConditionModel(
        block_out_channels=[16, 32],
        layers_per_block=1,
        sample_size=8,
        in_channels=9,
        out_channels=4,
        down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"],
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=8,
    )
    return StableDiffusionInpaintPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(text_config(16)),
        tokenizer=clip_tokenizer(),
        unet=unet,
        scheduler=DDIMScheduler(
            **_BETAS, clip_sample=False, set_alpha_to_one=False, steps_offset=1
        ),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def sd15_controlnet() -> ControlNetModel:
    """Return a ControlNet for `sd15`, of four channels as all of them are."""
    return ControlNetModel(
        block_out_channels=[16, 32],
        layers_per_block=1,
        in_channels=4,
        down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
        cross_attention_dim=16,
        attention_head_dim=4,
        norm_num_groups=8,
        conditioning_embedding_out_channels=(4, 8, 8, 8),
    )


def sdxl_controlnet() -> ControlNetModel:
    """Return a ControlNet for `sdxl`."""
    return ControlNetModel(
        block_out_channels=[16, 32],
        layers_per_block=1,
        in_channels=4,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"],
        attention_head_dim=[2, 4],
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=[1, 1],
        projection_class_embeddings_input_dim=6 * 8 + 16,
        cross_attention_dim=32,
        norm_num_groups=8,
        conditioning_embedding_out_channels=(4, 8, 8, 8),
    )


def sdxl() -> StableDiffusionXLInpaintPipeline:
    """Return a Stable Diffusion XL inpainting pipeline."""
    unet = UNet2DConditionModel(
        block_out_channels=[16, 32],
        layers_per_block=1,
        sample_size=8,
        in_channels=9,
        out_channels=4,
        down_block_types=["DownBlock2D", "CrossAttnDownBlock2D"],
        up_block_types=["CrossAttnUpBlock2D", "UpBlock2D"],
        attention_head_dim=[2, 4],
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        transformer_layers_per_block=[1, 1],
        projection_class_embeddings_input_dim=6 * 8 + 16,
        cross_attention_dim=32,
        norm_num_groups=8,
    )
    return StableDiffusionXLInpaintPipeline(
        vae=_vae(),
        text_encoder=CLIPTextModel(text_config(16)),
        text_encoder_2=CLIPTextModelWithProjection(text_config(16, projection_dim=16)),
        tokenizer=clip_tokenizer(),
        tokenizer_2=clip_tokenizer(),
        unet=unet,
        scheduler=EulerDiscreteScheduler(**_BETAS, steps_offset=1),
        add_watermarker=False,
    )
