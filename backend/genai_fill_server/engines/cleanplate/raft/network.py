"""RAFT in torch: recurrent all-pairs field transforms (Z. Teed & J. Deng, ECCV 2020).

Every pixel of one picture is correlated with every pixel of the other, once, at an eighth of
their size. A recurrent unit then improves a flow that starts at zero: it looks up what the
correlations are round where the flow leads, and says how to change it. Modules are named so
that `layout.tensors_of` are the network's tensors.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from genai_fill_server.engines.cleanplate.raft.layout import (
    ENLARGED,
    STRIDES,
    UPSAMPLING_HIDDEN,
    RaftLayout,
)

Norm = Callable[[int], nn.Module]

_UPSAMPLING_SCALE = 0.25
"""The authors scale the upsampling weights by this, and the trained weights expect it."""


def _conv(
    into: int,
    out: int,
    kernel: int,
    *,
    stride: int = 1,
    norm: Norm | None = None,
    relu: bool = True,
) -> nn.Sequential:
    parts: list[nn.Module] = [nn.Conv2d(into, out, kernel, stride, padding=kernel // 2)]
    if norm is not None:
        parts.append(norm(out))
    if relu:
        parts.append(nn.ReLU())
    return nn.Sequential(*parts)


class _Residual(nn.Module):
    """Two convolutions, or three through a bottleneck, beside a shortcut."""

    def __init__(
        self, into: int, out: int, stride: int, *, norm: Norm | None, bottleneck: bool
    ) -> None:
        super().__init__()
        if bottleneck:
            self.convnormrelu1 = _conv(into, out // 4, 1, norm=norm)
            self.convnormrelu2 = _conv(out // 4, out // 4, 3, stride=stride, norm=norm)
            self.convnormrelu3: nn.Module = _conv(out // 4, out, 1, norm=norm)
        else:
            self.convnormrelu1 = _conv(into, out, 3, stride=stride, norm=norm)
            self.convnormrelu2 = _conv(out, out, 3, norm=norm)
            self.convnormrelu3 = nn.Identity()
        self.downsample: nn.Module = nn.Identity()
        if stride > 1:
            self.downsample = _conv(into, out, 1, stride=stride, norm=norm, relu=False)

    def forward(self, given: Tensor) -> Tensor:
        inner = self.convnormrelu3(self.convnormrelu2(self.convnormrelu1(given)))
        return functional.relu(self.downsample(given) + inner)


class _Encoder(nn.Module):
    """A picture (n, 3, h, w) to features (n, c, h/8, w/8)."""

    def __init__(self, channels: tuple[int, ...], *, norm: Norm | None, bottlenecks: bool) -> None:
        super().__init__()
        self.convnormrelu = _conv(3, channels[0], 7, stride=2, norm=norm)
        stages = [
            nn.Sequential(
                _Residual(into, out, stride, norm=norm, bottleneck=bottlenecks),
                _Residual(out, out, 1, norm=norm, bottleneck=bottlenecks),
            )
            for into, out, stride in zip(channels[:3], channels[1:4], STRIDES, strict=True)
        ]
        self.layer1, self.layer2, self.layer3 = stages
        self.conv = nn.Conv2d(channels[3], channels[4], 1)

    def forward(self, picture: Tensor) -> Tensor:
        stem = self.convnormrelu(picture)
        features = self.conv(self.layer3(self.layer2(self.layer1(stem))))
        assert isinstance(features, Tensor)
        return features


class _MotionEncoder(nn.Module):
    """What is known of the motion so far: looked-up correlations, and the flow itself."""

    def __init__(self, layout: RaftLayout) -> None:
        super().__init__()
        first, *more = layout.correlation
        self.convcorr1 = _conv(layout.looked_up, first, 1)
        self.convcorr2: nn.Module = _conv(first, more[0], 3) if more else nn.Identity()
        self.convflow1 = _conv(2, layout.motion[0], 7)
        self.convflow2 = _conv(layout.motion[0], layout.motion[1], 3)
        both = layout.correlation[-1] + layout.motion[1]
        self.conv = _conv(both, layout.encoded - 2, 3)

    def forward(self, flow: Tensor, correlations: Tensor) -> Tensor:
        seen = self.convcorr2(self.convcorr1(correlations))
        moved = self.convflow2(self.convflow1(flow))
        return torch.cat([self.conv(torch.cat([seen, moved], dim=1)), flow], dim=1)


class _Gru(nn.Module):
    """A gated recurrent unit whose gates are convolutions."""

    def __init__(self, hidden: int, given: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.convz, self.convr, self.convq = (
            nn.Conv2d(hidden + given, hidden, kernel, padding=padding) for _ in range(3)
        )

    def forward(self, state: Tensor, given: Tensor) -> Tensor:
        both = torch.cat([state, given], dim=1)
        update, reset = torch.sigmoid(self.convz(both)), torch.sigmoid(self.convr(both))
        fresh = torch.tanh(self.convq(torch.cat([reset * state, given], dim=1)))
        return (1 - update) * state + update * fresh


class _Recurrent(nn.Module):
    """One unit, or two: along rows, then along columns."""

    def __init__(self, layout: RaftLayout) -> None:
        super().__init__()
        given = layout.encoded + layout.context[-1] - layout.hidden
        units = [_Gru(layout.hidden, given, kernel) for kernel in layout.kernels]
        self.convgru1 = units[0]
        self.convgru2 = units[1] if len(units) > 1 else None

    def forward(self, state: Tensor, given: Tensor) -> Tensor:
        state = self.convgru1(state, given)
        return state if self.convgru2 is None else self.convgru2(state, given)


class _FlowHead(nn.Module):
    """The change of the flow that a state stands for."""

    def __init__(self, layout: RaftLayout) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(layout.hidden, layout.head, 3, padding=1)
        self.conv2 = nn.Conv2d(layout.head, 2, 3, padding=1)

    def forward(self, state: Tensor) -> Tensor:
        change = self.conv2(functional.relu(self.conv1(state)))
        assert isinstance(change, Tensor)
        return change


class _UpdateBlock(nn.Module):
    """One improvement of the flow."""

    def __init__(self, layout: RaftLayout) -> None:
        super().__init__()
        self.motion_encoder = _MotionEncoder(layout)
        self.recurrent_block = _Recurrent(layout)
        self.flow_head = _FlowHead(layout)

    def forward(
        self, state: Tensor, context: Tensor, correlations: Tensor, flow: Tensor
    ) -> tuple[Tensor, Tensor]:
        motion = self.motion_encoder(flow, correlations)
        state = self.recurrent_block(state, torch.cat([context, motion], dim=1))
        return state, self.flow_head(state)


class _Upsampler(nn.Module):
    """Says how each of 8 x 8 pixels is mixed from the 3 x 3 coarse ones round it."""

    def __init__(self, layout: RaftLayout) -> None:
        super().__init__()
        self.convrelu = _conv(layout.hidden, UPSAMPLING_HIDDEN, 3)
        self.conv = nn.Conv2d(UPSAMPLING_HIDDEN, ENLARGED * ENLARGED * 9, 1)

    def forward(self, state: Tensor, flow: Tensor) -> Tensor:
        """Return ``flow`` (n, 2, h, w) at 8 times its size."""
        count, _, height, width = flow.shape
        shares = _UPSAMPLING_SCALE * self.conv(self.convrelu(state))
        shares = shares.view(count, 1, 9, ENLARGED, ENLARGED, height, width).softmax(dim=2)
        near = functional.unfold(ENLARGED * flow, 3, padding=1)
        near = near.view(count, 2, 9, 1, 1, height, width)
        mixed = (shares * near).sum(dim=2).permute(0, 1, 4, 2, 5, 3)
        large = mixed.reshape(count, 2, ENLARGED * height, ENLARGED * width)
        assert isinstance(large, Tensor)
        return large


class Raft(nn.Module):
    """The network. Call `flow` on pictures of sides that are multiples of 8, at least 128."""

    def __init__(self, layout: RaftLayout) -> None:
        super().__init__()
        self.layout = layout
        bottlenecks = layout.bottlenecks
        context_norm = nn.BatchNorm2d if layout.context_is_normed else None
        self.feature_encoder = _Encoder(
            layout.features, norm=nn.InstanceNorm2d, bottlenecks=bottlenecks
        )
        self.context_encoder = _Encoder(layout.context, norm=context_norm, bottlenecks=bottlenecks)
        self.update_block = _UpdateBlock(layout)
        self.mask_predictor = _Upsampler(layout) if layout.upsampling else None

    def flow(
        self, first: Tensor, second: Tensor, updates: int, check: Callable[[], None]
    ) -> Tensor:
        """Return the flow (n, 2: x and y, h, w) in pixels from ``first`` to ``second``.

        Both (n, 3, h, w) from -1 to 1. ``check`` is called before each of ``updates``
        improvements and may raise.
        """
        features = self.feature_encoder(torch.cat([first, second]))
        check()
        here, there = features.chunk(2)
        pyramid = _correlations(here, there, self.layout.levels)
        check()
        state, context = self.context_encoder(first).split(
            [self.layout.hidden, self.layout.context[-1] - self.layout.hidden], dim=1
        )
        state, context = torch.tanh(state), functional.relu(context)
        start = _places(features.shape[2], features.shape[3], features.device)
        flow = torch.zeros_like(start)[None].repeat(len(first), 1, 1, 1)
        for _ in range(updates):
            check()
            seen = _looked_up(pyramid, start + flow, self.layout.radius)
            state, change = self.update_block(state, context, seen, flow)
            flow = flow + change
        return self._enlarged(flow, state)

    def _enlarged(self, flow: Tensor, state: Tensor) -> Tensor:
        if self.mask_predictor is not None:
            large = self.mask_predictor(state, flow)
            assert isinstance(large, Tensor)
            return large
        size = [ENLARGED * side for side in flow.shape[2:]]
        # Corners meet corners here, since the weights were trained so.
        return ENLARGED * functional.interpolate(flow, size, mode="bilinear", align_corners=True)


def _correlations(first: Tensor, second: Tensor, levels: int) -> list[Tensor]:
    """Return how alike all pairs of pixels are, (n·h·w, 1, h, w), and that ever more reduced."""
    count, channels, height, width = first.shape
    pairs = first.flatten(2).transpose(1, 2) @ second.flatten(2)
    volume = pairs.view(count * height * width, 1, height, width) / channels**0.5
    pyramid = [volume]
    for _ in range(levels - 1):
        pyramid.append(functional.avg_pool2d(pyramid[-1], 2))
    return pyramid


def _places(height: int, width: int, device: torch.device) -> Tensor:
    """Return where each pixel is, (2: x and y, h, w)."""
    rows, columns = torch.meshgrid(
        torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij"
    )
    return torch.stack([columns, rows]).float()


def _looked_up(pyramid: list[Tensor], place: Tensor, radius: int) -> Tensor:
    """Return the correlations round ``place`` (n, 2, h, w) on every level, (n, k, h, w)."""
    count, _, height, width = place.shape
    side = 2 * radius + 1
    steps = torch.arange(-radius, radius + 1, device=place.device, dtype=place.dtype)
    # The first step counts in x: the order that the weights were trained with.
    around = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), dim=-1)
    centre = place.permute(0, 2, 3, 1).reshape(-1, 1, 1, 2)
    found = []
    for level, volume in enumerate(pyramid):
        last = torch.tensor([volume.shape[3] - 1, volume.shape[2] - 1], device=place.device)
        at = 2 * (centre / 2**level + around) / last - 1
        read = functional.grid_sample(volume, at, align_corners=True)
        found.append(read.view(count, height, width, side * side))
    return torch.cat(found, dim=-1).permute(0, 3, 1, 2).contiguous()
