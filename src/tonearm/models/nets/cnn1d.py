"""1D convolutional networks: the rows of a feature are channels, and convolution goes over time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from tonearm.models.nets._layers import (
    POOLINGS,
    Colours,
    activation_of,
    dense,
    each,
    one_of,
    picture,
    pooled,
    shrunk,
    whole,
)
from tonearm.models.nets._net import Net, net

JOINS = ("flatten", "mean", "max", "mean-max")


class ColourRows(nn.Module):
    """(batch, rows, frames) to (batch, 3 * rows, frames): the colours of the picture as further channels."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = Colours()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.colours(x).flatten(1, 2)


class OverTime(nn.Module):
    """(batch, channels, frames) to (batch, width), whatever the number of frames."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.how == "mean":
            return x.mean(-1)
        if self.how == "max":
            return x.amax(-1)
        return torch.cat([x.mean(-1), x.amax(-1)], 1)


@net("cnn1d", feature={"kind": "logmel", "hop_length": 1024})
def cnn1d(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: Sequence[int] = (128, 128, 256, 256, 512),
    kernel_size: int | Sequence[int] = 3,
    stride: int | Sequence[int] = 1,
    dilation: int | Sequence[int] = 1,
    pools: int | Sequence[int] = (4, 4, 4, 2, 1),
    pooling: str = "max",
    activation: str = "relu",
    batch_norm: bool = True,
    dropout: float = 0.0,
    join: str = "flatten",
    hidden: Sequence[int] = (),
    hidden_dropout: float = 0.0,
    colours: bool = False,
) -> Net:
    """Convolution over time, batch normalisation, activation, pooling, dropout, once per entry of `filters`.

    The defaults are the five layers on 128 bands x 646 frames that one report compares others with; `colours` is its
    variant that reads the spectrogram as a picture. A pool is never longer than the frames that are left.
    """
    rows, frames = picture(shape)
    kernels = each("kernel_size", kernel_size, len(filters))
    strides, dilations = each("stride", stride, len(filters)), each("dilation", dilation, len(filters))
    pool_sizes = each("pools", pools, len(filters))
    for name, values in (("filters", filters), ("kernel_size", kernels), ("stride", strides), ("pools", pool_sizes)):
        whole(name, values)
    act, max_pool = activation_of(activation), one_of("pooling", pooling, POOLINGS) == "max"
    layers: list[nn.Module] = [ColourRows()] if colours else []
    channels = 3 * rows if colours else rows
    for width, kernel, step, spread, pool in zip(filters, kernels, strides, dilations, pool_sizes, strict=True):
        pad = spread * (kernel - 1) // 2
        layers.append(nn.Conv1d(channels, width, kernel, step, pad, spread, bias=not batch_norm))
        frames = (frames + 2 * pad - spread * (kernel - 1) - 1) // step + 1
        if batch_norm:
            layers.append(nn.BatchNorm1d(width))
        pool = shrunk(pool, frames)
        layers += pooled(act(), None if pool == 1 else nn.MaxPool1d(pool) if max_pool else nn.AvgPool1d(pool))
        if dropout:
            layers.append(nn.Dropout(dropout))
        channels, frames = width, frames // pool
    if one_of("join", join, JOINS) == "flatten":
        layers.append(nn.Flatten())
        channels *= frames
    else:
        layers.append(OverTime(join))
        channels *= 2 if join == "mean-max" else 1
    more, width = dense(channels, hidden, activation=act, dropout=hidden_dropout)
    return Net(nn.Sequential(*layers, *more), nn.Linear(width, n_classes))
