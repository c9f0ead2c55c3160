"""Tiny flow-matching pipelines: FLUX.2 klein, Z-Image, Qwen-Image, Chroma, FLUX.1 Fill."""

from __future__ import annotations

from diffusers import (
    AutoencoderKL,
    AutoencoderKLFlux2,
    AutoencoderKLQwenImage,
    ChromaPipeline,
    ChromaTransformer2DModel,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Transformer2DModel,
    FluxFillPipeline,
    FluxTransformer2DModel,
    QwenImageControlNetModel,
    QwenImageEditPipeline,
    QwenImageEditPlusPipeline,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
    ZImageControlNetModel,
    ZImagePipeline,
    ZImageTransformer2DModel,
)
from transformers import (
    CLIPTextModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

from tests.fakes.tiny_pipelines.stable_diffusion import text_config
from tests.fakes.tiny_pipelines.tokenizers import (
    VISION_TOKENS,
    clip_tokenizer,
    qwen_tokenizer,
    t5_tokenizer,
)


def _vae(latent_channels=4) -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=[4, 4, 4, 4],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        latent_channels=latent_channels,
        norm_num_groups=2,
        layers_per_block=1,
        use_quant_conv=False,
        use_post_quant_conv=False,
        shift_factor=0.0609,
        scaling_factor=1.5035,
    )


def _scheduler() -> FlowMatchEulerDiscreteScheduler:
    return FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)


def _qwen3_config(vocab_size, layers=4) -> Qwen3Config:
    return Qwen3Config(
        vocab_size=vocab_size,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=layers,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=1024,
        tie_word_embeddings=True,  # as Qwen3-4B: a weight that no file holds
    )


def _t5(vocab_size) -> T5EncoderModel:
    return T5EncoderModel(
        T5Config(vocab_size=vocab_size, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    )


def flux2_klein(is_distilled=False) -> Flux2KleinPipeline:
    """Return a FLUX.2 klein pipeline."""
    tokenizer = qwen_tokenizer()
    return Flux2KleinPipeline(
        scheduler=_scheduler(),
        vae=AutoencoderKLFlux2(
            block_out_channels=(4, 4, 4, 4),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=2,
            sample_size=64,
        ),
        text_encoder=Qwen3ForCausalLM(_qwen3_config(len(tokenizer))),
        tokenizer=tokenizer,
        transformer=Flux2Transformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=48,
            timestep_guidance_channels=16,
            axes_dims_rope=(4, 4, 4, 4),
            guidance_embeds=False,
        ),
        is_distilled=is_distilled,
    )


def flux2_klein_distilled() -> Flux2KleinPipeline:
    """Return a FLUX.2 klein pipeline that says it takes no guidance."""
    return flux2_klein(is_distilled=True)


def _z_transformer() -> ZImageTransformer2DModel:
    return ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=16,
        axes_dims=[4, 6, 6],
        axes_lens=[1024, 64, 64],
    )


def z_image() -> ZImagePipeline:
    """Return a Z-Image pipeline."""
    tokenizer = qwen_tokenizer()
    return ZImagePipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
        vae=_vae(),
        text_encoder=Qwen3Model(_qwen3_config(len(tokenizer), 2)),
        tokenizer=tokenizer,
        transformer=_z_transformer(),
    )


def z_image_controlnet() -> ZImageControlNetModel:
    """Return a ControlNet for `z_image` with the inputs of the Fun Union 2.x."""
    return ZImageControlNetModel(
        control_layers_places=[0],
        control_refiner_layers_places=[0],
        control_in_dim=9,
        add_control_noise_refiner="control_noise_refiner",
        dim=32,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
    )


def qwen_image(pipeline=QwenImagePipeline, **extra) -> QwenImagePipeline:
    """Return a Qwen-Image pipeline, or one of its relatives."""
    tokenizer = qwen_tokenizer(2048, VISION_TOKENS)
    config = Qwen2_5_VLConfig(
        **{
            f"{name}_token_id": tokenizer.convert_tokens_to_ids(token)
            for name, token in zip(
                ("vision_start", "image", "vision_end"), VISION_TOKENS, strict=True
            )
        },
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]},
            "max_position_embeddings": 4096,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 16,
            "intermediate_size": 16,
            "num_heads": 2,
            "out_hidden_size": 16,
        },
    )
    return pipeline(
        scheduler=_scheduler(),
        vae=AutoencoderKLQwenImage(
            base_dim=4,
            z_dim=4,
            dim_mult=[1, 1, 1, 1],
            num_res_blocks=1,
            latents_mean=[0.0] * 4,
            latents_std=[1.0] * 4,
        ),
        text_encoder=Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=tokenizer,
        transformer=QwenImageTransformer2DModel(
            in_channels=16,
            out_channels=4,
            num_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(4, 6, 6),
            zero_cond_t=bool(extra.pop("zero_cond_t", False)),
        ),
        **extra,
    )


def qwen_image_edit() -> QwenImageEditPipeline:
    """Return a Qwen-Image Edit pipeline. What prepares its pictures is not needed."""
    return qwen_image(QwenImageEditPipeline, processor=None)


def qwen_image_edit_plus() -> QwenImageEditPlusPipeline:
    """Return a Qwen-Image Edit pipeline of the later kind, as 2511 has it."""
    return qwen_image(QwenImageEditPlusPipeline, processor=None, zero_cond_t=True)


def qwen_image_controlnet() -> QwenImageControlNetModel:
    """Return an inpainting ControlNet for `qwen_image`."""
    return qwen_image_union(extra_condition_channels=4)


def qwen_image_union(extra_condition_channels=0) -> QwenImageControlNetModel:
    """Return a ControlNet for `qwen_image` that knows of no hole."""
    return QwenImageControlNetModel(
        in_channels=16,
        out_channels=4,
        num_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(4, 6, 6),
        extra_condition_channels=extra_condition_channels,
    )


def chroma() -> ChromaPipeline:
    """Return a Chroma pipeline."""
    tokenizer = t5_tokenizer()
    return ChromaPipeline(
        scheduler=_scheduler(),
        vae=_vae(),
        text_encoder=_t5(len(tokenizer)),
        tokenizer=tokenizer,
        transformer=ChromaTransformer2DModel(
            in_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            axes_dims_rope=(4, 6, 6),
            approximator_num_channels=64,
            approximator_hidden_dim=16,
            approximator_layers=1,
        ),
    )


def flux_fill() -> FluxFillPipeline:
    """Return a FLUX.1 Fill pipeline."""
    tokenizer = t5_tokenizer()
    return FluxFillPipeline(
        scheduler=_scheduler(),
        vae=_vae(),
        text_encoder=CLIPTextModel(text_config(16)),
        tokenizer=clip_tokenizer(),
        text_encoder_2=_t5(len(tokenizer)),
        tokenizer_2=tokenizer,
        transformer=FluxTransformer2DModel(
            in_channels=16 + 16 + 256,
            out_channels=16,
            num_layers=1,
            num_single_layers=1,
            attention_head_dim=16,
            num_attention_heads=2,
            joint_attention_dim=16,
            pooled_projection_dim=16,
            guidance_embeds=True,
            axes_dims_rope=(4, 6, 6),
        ),
    )
