"""Loading a pipeline from a checked folder: local files, safetensors, no code."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import SafetensorError

from genai_fill_contract.errors import ModelLoadFailed
from genai_fill_server.engines.diffusers.cards import ModelCard
from genai_fill_server.engines.diffusers.family import Family
from genai_fill_server.engines.diffusers.folder import ModelFolder, check_safe, weight_variant
from genai_fill_server.engines.diffusers.runtime import LIBRARY_ERRORS, out_of_memory


def load_pipeline(family: Family, folder: ModelFolder, card: ModelCard, dtype: torch.dtype) -> Any:
    """Return the pipeline of ``folder`` in main memory.

    The denoiser and the text encoders are in ``dtype``, the VAE in float32. Raises
    `ModelUnsafe`, `ModelMissing` or `ModelLoadFailed`.
    """
    check_safe(folder, family.unused_parts)
    pipeline_class = getattr(importlib.import_module("diffusers"), family.pipeline)
    try:
        with _quiet():
            pipe = pipeline_class.from_pretrained(
                str(folder.path),
                dtype={"vae": torch.float32, "default": dtype},
                use_safetensors=True,
                local_files_only=True,
                variant=weight_variant(folder, family.unused_parts),
                **_whole_text_encoders(folder, family, dtype),
                **family.parts(folder, card, dtype),
            )
            family.complete(pipe, folder, card, dtype)
    except (MemoryError, torch.OutOfMemoryError) as error:
        cpu = torch.device("cpu")
        raise out_of_memory(f"loading {folder.name!r}", cpu, card.vram_gb, error) from error
    except (*LIBRARY_ERRORS, SafetensorError) as error:
        raise ModelLoadFailed(
            f"The model {folder.path} does not load: {type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}",
            hint="A file may be damaged or cut short: compare its size and checksum with the "
            "source and copy it again.",
            path=str(folder.path),
        ) from error
    _check_whole(folder, pipe)
    pipe.set_progress_bar_config(disable=True)
    keep_vae_in_float32(pipe.vae)
    family.adapt(pipe)
    return pipe


def _whole_text_encoders(folder: ModelFolder, family: Family, dtype: torch.dtype) -> dict[str, Any]:
    """Return the parts that transformers loads, made sure that no weight is missing.

    transformers makes weights up where a file lacks them and only logs it: the prompt would
    then mean nothing. Raises `ModelLoadFailed` naming the first.
    """
    transformers = importlib.import_module("transformers")
    parts: dict[str, Any] = {}
    for name, (library, class_name) in folder.components.items():
        model_class: Any = getattr(transformers, class_name, None)
        is_model = isinstance(model_class, type) and issubclass(model_class, torch.nn.Module)
        if library != "transformers" or name in family.unused_parts or not is_model:
            continue
        parts[name], report = model_class.from_pretrained(
            str(folder.path / name),
            dtype=dtype,
            use_safetensors=True,
            local_files_only=True,
            variant=weight_variant(folder, family.unused_parts, only=name),
            output_loading_info=True,
        )
        _check_complete(folder, name, sorted(report["missing_keys"]))
    return parts


def _check_whole(folder: ModelFolder, pipe: Any) -> None:
    """Raise if a part that diffusers loaded has weights that no file gave."""
    for name, part in pipe.components.items():
        if isinstance(part, torch.nn.Module):
            missing = [key for key, weight in part.state_dict().items() if weight.is_meta]
            _check_complete(folder, name, missing)


def _check_complete(folder: ModelFolder, part: str, missing: list[str]) -> None:
    if missing:
        raise ModelLoadFailed(
            f"The weights {folder.path / part} lack {len(missing)} of the model's tensors, "
            f"the first being {missing[0]!r}.",
            hint="The folder was copied in part, or is of another model. Copy it again, whole.",
            path=str(folder.path / part),
        )


def keep_vae_in_float32(vae: Any) -> None:
    """Make the VAE compute in float32 whatever precision it is called with.

    bfloat16 has 129 levels between 0.5 and 1 and SDXL's VAE overflows in float16, so the
    VAE's weights are float32; but pipelines hand it tensors of the denoiser's precision.
    Latents come back in the caller's precision, pictures in float32.
    """
    if "force_upcast" in vae.config:
        # With it a pipeline would raise the VAE's precision by itself, and lower it after.
        vae.register_to_config(force_upcast=False)
    encode: Callable[..., Any] = vae.encode
    decode: Callable[..., Any] = vae.decode

    def encode_in_float32(x: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        output = encode(x.to(torch.float32), *args, **kwargs)
        return output if x.dtype == torch.float32 else _with_latents_in(output, x.dtype)

    def decode_in_float32(z: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        return decode(z.to(torch.float32), *args, **kwargs)

    vae.encode = encode_in_float32
    vae.decode = decode_in_float32


def _with_latents_in(output: Any, dtype: torch.dtype) -> Any:
    posterior = output[0]
    return type(output)(latent_dist=type(posterior)(posterior.parameters.to(dtype)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the libraries' progress bars off standard error while loading.

    Their warnings stay off for good: they repeat with every call, and what they warn of
    (cut prompts, missing masks) is reported by us or done on purpose.
    """
    bars = [
        importlib.import_module("diffusers.utils.logging"),
        importlib.import_module("transformers.utils.logging"),
    ]
    for module in bars:
        module.set_verbosity_error()
    enabled = [module.is_progress_bar_enabled() for module in bars]
    for module in bars:
        module.disable_progress_bar()
    try:
        yield
    finally:
        for module, was in zip(bars, enabled, strict=True):
            if was:
                module.enable_progress_bar()
