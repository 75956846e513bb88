"""Convolution, then recurrence: local patterns first, their order after."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from tonearm.errors import UsageError
from tonearm.models.nets._layers import Channel, activation_of, dense, each, picture, shrunk
from tonearm.models.nets._net import Net, net
from tonearm.models.nets.lstm import LastState


class Rows(nn.Module):
    """(batch, channels, rows, frames) to (batch, channels * rows, frames): what a recurrent layer reads."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1, 2)


@net("crnn", feature={"kind": "logmel", "sample_rate": 12000, "n_fft": 512, "hop_length": 256, "n_mels": 96})
def crnn(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: Sequence[int] = (64, 128, 128, 128),
    pools: Sequence[int] = (2, 3, 4, 4),
    activation: str = "elu",
    dropout: float = 0.1,
    units: int = 32,
    layers: int = 2,
    last_dropout: float = 0.3,
) -> Net:
    """Four 2D convolutions that pool the 96 bands away, then two GRU of 32 units over what is left of the frames.

    Choi et al. 2017, Convolutional recurrent neural networks for music classification.
    """
    rows, frames = picture(shape)
    if len(filters) != len(pools):
        raise UsageError(f"{len(filters)} layers but {len(pools)} pools", hint="give one pool per layer")
    act = activation_of(activation)
    body: list[nn.Module] = [Channel()]
    channels = 1
    for width, pool in zip(filters, pools, strict=True):
        size = shrunk(pool, rows), shrunk(pool, frames)
        body += [nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), act()]
        body += [nn.MaxPool2d(size), nn.Dropout(dropout)]
        channels, rows, frames = width, rows // size[0], frames // size[1]
    body += [Rows(), LastState(channels * rows, units, layers, "gru", False, 0.0)]
    return Net(nn.Sequential(*body), nn.Sequential(nn.Dropout(last_dropout), nn.Linear(units, n_classes)))


@net("crnn1d", feature={"kind": "logmel", "hop_length": 1024})
def crnn1d(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: Sequence[int] = (56, 56, 56),
    kernel_size: int | Sequence[int] = 5,
    pools: int | Sequence[int] = 2,
    dropout: float = 0.4,
    units: int = 96,
    hidden: Sequence[int] = (64,),
) -> Net:
    """Three 1D convolutions over time, an LSTM of 96 units, a dense layer: the CRNN that was tried on FMA small."""
    channels, frames = picture(shape)
    body: list[nn.Module] = []
    kernels, sizes = each("kernel_size", kernel_size, len(filters)), each("pools", pools, len(filters))
    for width, kernel, pool in zip(filters, kernels, sizes, strict=True):
        pool = shrunk(pool, frames)
        body += [nn.Conv1d(channels, width, kernel, padding=kernel // 2), nn.BatchNorm1d(width), nn.ReLU()]
        body += [nn.MaxPool1d(pool), nn.Dropout(dropout)]
        channels, frames = width, frames // pool
    body += [LastState(channels, units, 1, "lstm", False, 0.0), nn.Dropout(dropout)]
    more, width = dense(units, hidden, dropout=dropout)
    return Net(nn.Sequential(*body, *more), nn.Linear(width, n_classes))


class SideBySide(nn.Module):
    """Two bodies that see the same picture; their vectors are joined."""

    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.one(x), self.other(x)], 1)


class Coarser(nn.Module):
    """(batch, rows, frames) to the maxima of rectangles of it."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.pool = nn.MaxPool2d(size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pool(x.unsqueeze(1)).squeeze(1)


@net("cnn-rnn", feature={"kind": "logmel", "hop_length": 1024})
def cnn_rnn(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: Sequence[int] = (16, 32, 64, 64, 64),
    pools: Sequence[int] = (2, 2, 2, 4, 4),
    reading_pool: Sequence[int] = (2, 4),
    units: int = 64,
    batch_norm: bool = True,
    dropout: float = 0.0,
) -> Net:
    """Five 2D convolutions beside a bidirectional GRU that reads the same, coarser picture; both vectors joined.

    The convolutions look along the frames only (kernel 1 x 3). `reading_pool` is what rows and frames are pooled by
    before the GRU. With 128 x 640 the vectors have 256 and 128 values.
    Feng, Liu & Yao 2017, Music genre classification with paralleling recurrent convolutional neural network.
    """
    rows, frames = picture(shape)
    if len(filters) != len(pools) or len(reading_pool) != 2:
        raise UsageError(f"{len(filters)} layers, {len(pools)} pools, {len(reading_pool)} sizes of reading_pool (of 2)")
    size = shrunk(reading_pool[0], rows), shrunk(reading_pool[1], frames)
    reading = LastState(rows // size[0], units, 1, "gru", True, 0.0)
    looking: list[nn.Module] = [Channel()]
    channels = 1
    for width, pool in zip(filters, pools, strict=True):
        # Without padding, as the source has it, while the clip is long enough for that.
        pad = 0 if frames >= pool + 2 else 1
        looking.append(nn.Conv2d(channels, width, (1, 3), padding=(0, pad), bias=not batch_norm))
        frames += 2 * pad - 2
        if batch_norm:
            looking.append(nn.BatchNorm2d(width))
        step = shrunk(pool, rows), shrunk(pool, frames)
        looking += [nn.ReLU(), nn.MaxPool2d(step), nn.Dropout(dropout)]
        channels, rows, frames = width, rows // step[0], frames // step[1]
    body = SideBySide(nn.Sequential(*looking, nn.Flatten()), nn.Sequential(Coarser(size), reading))
    return Net(body, nn.Linear(channels * rows * frames + 2 * units, n_classes))
