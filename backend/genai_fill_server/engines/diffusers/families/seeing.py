"""Pictures for an edit model, float all the way: for its text encoder and for its denoiser.

The libraries' own way to both leads through 8-bit pictures. torch is imported when needed.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

VL_MULTIPLE = 28
"""Sides of a picture for Qwen2.5-VL: 14 pixels a patch, 2 × 2 patches a token."""


Shown = tuple[Any, tuple[int, int, int]]
"""Tokens (1, count, channels) that the denoiser sees, and their grid (frames, rows, columns)."""


def fitted(picture: Any, most_px: int, multiple: int) -> Any:
    """Return ``picture`` (1, 3, h, w) in [0, 1], no larger in area than about ``most_px``.

    Its sides become multiples of ``multiple``; one that fits already stays what it is.
    """
    height, width = (int(side) for side in picture.shape[-2:])
    scale = min(1.0, math.sqrt(most_px / (height * width)))
    size = [max(multiple, round(side * scale / multiple) * multiple) for side in (height, width)]
    if size == [height, width]:
        return picture
    functional = importlib.import_module("torch.nn.functional")
    return functional.interpolate(picture, size=size, mode="bicubic", antialias=True).clamp(0, 1)


def read_with_pictures(pipe: Any, ids: list[int], pictures: list[Any]) -> Any:
    """Return what Qwen2.5-VL makes of a text with pictures: (1, tokens, channels).

    ``ids`` has one picture token for each of ``pictures``; each of those stands for as many
    as the picture has. The places of the tokens in the picture are given to the encoder,
    which would otherwise take the picture for a line of words.
    """
    torch = importlib.import_module("torch")
    encoder, device = pipe.text_encoder, pipe._execution_device
    config = encoder.config
    merged = int(config.vision_config.spatial_merge_size) ** 2
    cut = [_patches(picture, config.vision_config) for picture in pictures]
    counts = iter([rows * columns // merged for _, (_, rows, columns) in cut])
    mark = int(config.image_token_id)
    spread = [i for each in ids for i in ([mark] * next(counts) if each == mark else [each])]
    tokens = torch.tensor([spread], device=device)
    output = encoder(
        input_ids=tokens,
        attention_mask=torch.ones_like(tokens),
        pixel_values=torch.cat([patches for patches, _ in cut]).to(device),
        image_grid_thw=torch.tensor([grid for _, grid in cut], device=device),
        mm_token_type_ids=(tokens == mark).int(),
        output_hidden_states=True,
        # The words that it would answer with are not wanted, and weigh half a gigabyte.
        logits_to_keep=1,
    )
    return output.hidden_states[-1]


def _patches(picture: Any, vision: Any) -> tuple[Any, tuple[int, int, int]]:
    """Return a picture as (patches, values), in the encoder's order, and its grid (1, h, w).

    Patches that share a token follow each other; the one frame stands for two moments.
    """
    utils = importlib.import_module("transformers.image_utils")
    mean, std = (
        picture.new_tensor(values).view(1, 3, 1, 1)
        for values in (utils.OPENAI_CLIP_MEAN, utils.OPENAI_CLIP_STD)
    )
    size, merge = int(vision.patch_size), int(vision.spatial_merge_size)
    rows, columns = (int(side) // size for side in picture.shape[-2:])
    normal = ((picture - mean) / std)[0]
    cells = normal.reshape(3, rows // merge, merge, size, columns // merge, merge, size)
    cells = cells.permute(1, 4, 2, 5, 0, 3, 6)[:, :, :, :, :, None]
    moments = cells.expand(-1, -1, -1, -1, -1, int(vision.temporal_patch_size), -1, -1)
    return moments.reshape(rows * columns, -1), (1, rows, columns)


def latent_tokens(pipe: Any, picture: Any) -> Shown:
    """Return the latents of a picture, packed as the denoiser takes them, and their grid.

    The mean of what the VAE says, not a sample: the same for every seed.
    """
    torch = importlib.import_module("torch")
    config = pipe.vae.config
    with torch.no_grad():
        normal = (picture * 2.0 - 1.0).to(pipe._execution_device)
        latents = pipe.vae.encode(normal[:, :, None]).latent_dist.mode()[:, :, 0]
    mean, std = (
        latents.new_tensor(list(values)).view(1, -1, 1, 1)
        for values in (config.latents_mean, config.latents_std)
    )
    _, channels, height, width = latents.shape
    cells = ((latents - mean) / std).reshape(1, channels, height // 2, 2, width // 2, 2)
    tokens = cells.permute(0, 2, 4, 1, 3, 5).reshape(1, -1, channels * 4)
    return tokens, (1, height // 2, width // 2)


def show_to_denoiser(
    pipe: Any, shown: Callable[[], list[tuple[Any, tuple[int, int, int]]]]
) -> None:
    """Add what ``shown`` gives, tokens and their grids, to what the denoiser is called with.

    What it makes of them is dropped, as the edit pipelines do.
    """
    torch = importlib.import_module("torch")

    def before(module: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        del module
        own = kwargs["hidden_states"]
        more = [tokens.to(own).expand(len(own), -1, -1) for tokens, _ in shown()]
        grids = [grid for _, grid in shown()]
        return args, {
            **kwargs,
            "hidden_states": torch.cat([own, *more], dim=1),
            "img_shapes": [[*each, *grids] for each in kwargs["img_shapes"]],
        }

    def after(module: Any, args: Any, kwargs: dict[str, Any], output: Any) -> Any:
        del module, args
        added = sum(tokens.shape[1] for tokens, _ in shown())
        length = kwargs["hidden_states"].shape[1] - added
        return (output[0][:, :length], *output[1:])

    pipe.transformer.register_forward_pre_hook(before, with_kwargs=True)
    pipe.transformer.register_forward_hook(after, with_kwargs=True)
