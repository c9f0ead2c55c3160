"""The two published sizes of RAFT, and which tensors their weights hold. No torch.

Names and shapes are those of torchvision's ``raft_large`` and ``raft_small``, so that their
weights load as they are once they are safetensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

Shape = tuple[int, ...]


@dataclass(frozen=True)
class RaftLayout:
    """The numbers that one size of the network is made of.

    ``features`` and ``context`` are the channels after the stem, the three stages and the
    last convolution of the two encoders; ``bottlenecks`` are blocks of three convolutions in
    place of two. ``radius`` is that of the correlation lookup on each of ``levels`` levels.
    ``correlation`` and ``motion`` are channels inside the motion encoder, ``encoded`` what it
    gives. ``hidden`` is the state of the recurrent unit, whose gates have ``kernels``;
    ``upsampling`` tells whether the network learned how its flow is enlarged.
    """

    name: str
    features: tuple[int, ...]
    context: tuple[int, ...]
    bottlenecks: bool
    context_is_normed: bool
    radius: int
    correlation: tuple[int, ...]
    motion: tuple[int, int]
    encoded: int
    hidden: int
    kernels: tuple[tuple[int, int], ...]
    head: int
    upsampling: bool
    levels: int = 4

    @property
    def looked_up(self) -> int:
        """How many correlations are looked up for each pixel."""
        return self.levels * (2 * self.radius + 1) ** 2


LARGE = RaftLayout(
    name="raft_large",
    features=(64, 64, 96, 128, 256),
    context=(64, 64, 96, 128, 256),
    bottlenecks=False,
    context_is_normed=True,
    radius=4,
    correlation=(256, 192),
    motion=(128, 64),
    encoded=128,
    hidden=128,
    kernels=((1, 5), (5, 1)),
    head=256,
    upsampling=True,
)
SMALL = RaftLayout(
    name="raft_small",
    features=(32, 32, 64, 96, 128),
    context=(32, 32, 64, 96, 160),
    bottlenecks=True,
    context_is_normed=False,
    radius=3,
    correlation=(96,),
    motion=(64, 32),
    encoded=82,
    hidden=96,
    kernels=((3, 3),),
    head=128,
    upsampling=False,
)
LAYOUTS: Mapping[str, RaftLayout] = {layout.name: layout for layout in (LARGE, SMALL)}
"""The best first."""

UPSAMPLING_HIDDEN = 256
ENLARGED = 8
"""Flow is computed at an eighth of the picture's size."""

STRIDES = (1, 2, 2)
"""By how much each stage of an encoder reduces; the stem before them halves."""


def tensors_of(layout: RaftLayout) -> dict[str, Shape]:
    """Return the name and shape of every tensor in the weights."""
    found: dict[str, Shape] = {}
    found.update(_encoder("feature_encoder", layout.features, layout.bottlenecks, normed=False))
    normed = layout.context_is_normed
    found.update(_encoder("context_encoder", layout.context, layout.bottlenecks, normed=normed))
    found.update(_update_block(layout))
    if layout.upsampling:
        weights = ENLARGED * ENLARGED * 9
        found.update(_conv("mask_predictor.convrelu.0", layout.hidden, UPSAMPLING_HIDDEN, 3, 3))
        found.update(_conv("mask_predictor.conv", UPSAMPLING_HIDDEN, weights, 1, 1))
    return found


def _conv(name: str, into: int, out: int, height: int, width: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (out, into, height, width)
    yield f"{name}.bias", (out,)


def _normed_conv(
    name: str, into: int, out: int, side: int, *, normed: bool
) -> Iterator[tuple[str, Shape]]:
    yield from _conv(f"{name}.0", into, out, side, side)
    if normed:
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"{name}.1.{part}", (out,)
        yield f"{name}.1.num_batches_tracked", ()


def _encoder(
    name: str, channels: tuple[int, ...], bottlenecks: bool, *, normed: bool
) -> Iterator[tuple[str, Shape]]:
    yield from _normed_conv(f"{name}.convnormrelu", 3, channels[0], 7, normed=normed)
    for stage, stride in enumerate(STRIDES):
        into, out = channels[stage], channels[stage + 1]
        for number, before in ((0, into), (1, out)):
            block = f"{name}.layer{stage + 1}.{number}"
            inner = out // 4 if bottlenecks else out
            sides = (1, 3, 1) if bottlenecks else (3, 3)
            steps = (before, *[inner] * (len(sides) - 1), out)
            for k, side in enumerate(sides):
                part = f"{block}.convnormrelu{k + 1}"
                yield from _normed_conv(part, steps[k], steps[k + 1], side, normed=normed)
            if number == 0 and stride > 1:
                yield from _normed_conv(f"{block}.downsample", before, out, 1, normed=normed)
    yield from _conv(f"{name}.conv", channels[3], channels[4], 1, 1)


def _update_block(layout: RaftLayout) -> Iterator[tuple[str, Shape]]:
    encoder, into = "update_block.motion_encoder", layout.looked_up
    for number, (out, side) in enumerate(zip(layout.correlation, (1, 3), strict=False), 1):
        yield from _conv(f"{encoder}.convcorr{number}.0", into, out, side, side)
        into = out
    first, second = layout.motion
    yield from _conv(f"{encoder}.convflow1.0", 2, first, 7, 7)
    yield from _conv(f"{encoder}.convflow2.0", first, second, 3, 3)
    yield from _conv(f"{encoder}.conv.0", into + second, layout.encoded - 2, 3, 3)
    hidden = layout.hidden
    given = hidden + layout.encoded + layout.context[-1] - hidden
    for number, kernel in enumerate(layout.kernels, 1):
        for gate in "zrq":
            name = f"update_block.recurrent_block.convgru{number}.conv{gate}"
            yield from _conv(name, given, hidden, *kernel)
    yield from _conv("update_block.flow_head.conv1", hidden, layout.head, 3, 3)
    yield from _conv("update_block.flow_head.conv2", layout.head, 2, 3, 3)
