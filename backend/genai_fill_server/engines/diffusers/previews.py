"""What is being made, while it is made: latents as small pictures, nearly for free.

A VAE's latents are close to a linear function of the colours of the picture, so a matrix of a
few numbers a channel shows layout and colours. The matrix is fitted to each VAE when it is
loaded, from what that VAE itself makes of a picture, so it needs no table of known models.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from genai_fill_server.engines.diffusers.picture import Fit, resized
from genai_fill_server.engines.diffusers.runtime import LIBRARY_ERRORS
from genai_fill_server.service.ports import MAX_PREVIEW_PX, FloatImage, Watch

_LOG = logging.getLogger(__name__)
EVERY_S = 0.5
_FIT_PX = 192
_PATCH_PX = 24
_RIDGE = 1e-3


@dataclass(frozen=True)
class LatentColours:
    """From a VAE's latents to display-referred colours: ``weights`` (channels, 3), ``bias``."""

    weights: torch.Tensor
    bias: torch.Tensor

    def picture(self, latents: torch.Tensor) -> FloatImage:
        """Return latents (channels, h, w) as RGB (h, w, 3) in [0, 1]."""
        z = latents.to(torch.float32)
        weights, bias = self.weights.to(z.device), self.bias.to(z.device)
        rgb = torch.einsum("chw,cr->hwr", z, weights) + bias
        return np.asarray(torch.nan_to_num(rgb).clamp(0.0, 1.0).cpu().numpy(), dtype=np.float32)


@torch.no_grad()
def fit_colours(vae: Any) -> LatentColours:
    """Return the linear map from the latents of ``vae`` that comes nearest to its pictures.

    Least squares, held towards zero where a channel says nothing. One small picture is
    encoded and decoded, the same one every time; the generators of torch are not touched.
    """
    picture = _many_colours()
    is_video = any(isinstance(part, nn.Conv3d) for part in vae.encoder.modules())
    x = torch.from_numpy(picture.transpose(2, 0, 1).copy())[None] * 2.0 - 1.0
    latents = vae.encode(x[:, :, None] if is_video else x).latent_dist.mode()
    decoded = vae.decode(latents, return_dict=False)[0]
    if is_video:
        latents, decoded = latents[:, :, 0], decoded[:, :, 0]
    small = nn.functional.interpolate(decoded.float(), size=latents.shape[-2:], mode="area")
    colours = (small[0] / 2.0 + 0.5).clamp(0.0, 1.0).flatten(1).T.double()
    z = latents[0].float().flatten(1).T.double()
    centre, mean = z.mean(dim=0), colours.mean(dim=0)
    spread = (z - centre).T @ (z - centre)
    held = spread + torch.eye(len(spread), dtype=spread.dtype) * (
        _RIDGE * spread.diagonal().mean() + 1e-9
    )
    weights = torch.linalg.solve(held, (z - centre).T @ (colours - mean))
    return LatentColours(weights.float(), (mean - centre @ weights).float())


def _many_colours() -> FloatImage:
    """Return a picture of flat patches of many colours over a soft ramp."""
    count = _FIT_PX // _PATCH_PX
    patches = np.random.default_rng(0).random((count, count, 3), dtype=np.float32)
    flat = np.kron(patches, np.ones((_PATCH_PX, _PATCH_PX, 1), np.float32))
    ramp = np.linspace(0.0, 1.0, _FIT_PX, dtype=np.float32)[:, None, None]
    return np.asarray(0.8 * flat + 0.2 * ramp, dtype=np.float32)


def vae_latents(pipe: Any, latents: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return latents as a step leaves them in the form that the VAE decodes.

    (1, channels, h, w), or (1, channels, frames, h, w). Pipelines normalise latents by what
    the VAE's configuration says, and some pack 2 × 2 of them into a token.
    """
    vae, z = pipe.vae, latents.to(torch.float32)
    if z.ndim == 3:
        side = 2 * int(pipe.vae_scale_factor)
        z = z.transpose(1, 2).reshape(1, -1, height // side, width // side)
        z = _unpacked(_without_batch_norm(vae, z))
    mean, std = (getattr(vae.config, f"latents_{name}", None) for name in ("mean", "std"))
    scale = getattr(vae.config, "scaling_factor", None) or 1.0
    if mean is not None and std is not None:
        shape = (1, -1) + (1,) * (z.ndim - 2)
        spread, centre = (z.new_tensor(list(values)).view(shape) for values in (std, mean))
        return z * spread / scale + centre
    return z / scale + (getattr(vae.config, "shift_factor", None) or 0.0)


def _without_batch_norm(vae: Any, z: torch.Tensor) -> torch.Tensor:
    norm = getattr(vae, "bn", None)
    if norm is None:
        return z
    std = torch.sqrt(norm.running_var.view(1, -1, 1, 1) + vae.config.batch_norm_eps)
    mean: torch.Tensor = norm.running_mean.view(1, -1, 1, 1)
    return z * std.to(z) + mean.to(z)


def _unpacked(z: torch.Tensor) -> torch.Tensor:
    _, channels, rows, columns = z.shape
    z = z.reshape(1, channels // 4, 2, 2, rows, columns).permute(0, 1, 4, 2, 5, 3)
    return z.reshape(1, channels // 4, rows * 2, columns * 2)


@dataclass(frozen=True)
class Sight:
    """What a call makes: a frame of a take, or frames from ``frame`` to ``last``.

    ``fit`` is how the crop went to the model; ``frames_each`` the frames that a latent
    frame stands for, but the first, which stands for one.
    """

    take: int
    frame: int
    fit: Fit
    last: int
    frames_each: int = 1
    latent_frames: int = 1


class Previews:
    """Shows a job's latents at a bounded pace. Never the reason why a fill fails."""

    def __init__(
        self,
        watch: Watch,
        colours: LatentColours | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Show to ``watch``; without ``colours`` nothing is shown."""
        self._watch = watch
        self._colours = colours
        self._clock = clock
        self._shown_s = float("-inf")

    def show(self, pipe: Any, latents: Any, sight: Sight) -> None:
        """Show what ``latents`` are so far, unless something was shown just now."""
        if self._colours is None or self._clock() - self._shown_s < EVERY_S:
            return
        self._shown_s = self._clock()
        try:
            # Of several takes that are made at once it is the first that is shown.
            frame, picture = _seen(self._colours, pipe, latents[:1], sight)
        except LIBRARY_ERRORS as error:
            self._colours = None
            _LOG.warning("there is no preview of this job", exc_info=error)
            return
        self._watch.preview(sight.take, frame, picture)


def _seen(
    colours: LatentColours, pipe: Any, latents: torch.Tensor, sight: Sight
) -> tuple[int, FloatImage]:
    """Return the frame that is shown and its picture: of several, the middle one."""
    fit, frame = sight.fit, sight.frame
    z = vae_latents(pipe, latents, *fit.model)
    if z.ndim == 5:
        # What stands before the window's own frames are reference pictures.
        z = z[:, :, -sight.latent_frames :]
        middle = z.shape[2] // 2
        z, frame = z[:, :, middle], min(sight.frame + middle * sight.frames_each, sight.last)
    picture = colours.picture(z[0])
    rows, columns = (
        max(1, round(side * inner / outer))
        for side, inner, outer in zip(picture.shape, fit.scaled, fit.model, strict=False)
    )
    return frame, _small(picture[:rows, :columns])


def _small(picture: FloatImage) -> FloatImage:
    scale = MAX_PREVIEW_PX / max(picture.shape[:2])
    if scale >= 1:
        return picture
    height, width = (max(1, int(side * scale)) for side in picture.shape[:2])
    return np.clip(resized(picture, (height, width)), 0.0, 1.0)
