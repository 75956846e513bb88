"""Densely connected 1D networks: every layer hears all that came before it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from tonearm.models.nets._layers import picture, shrunk
from tonearm.models.nets._net import Net, net
from tonearm.models.nets.cnn1d import OverTime


class Addition(nn.Module):
    """`growth` new channels, put beside those that came in (Huang et al. 2017, with the bottleneck of 4 x growth)."""

    def __init__(self, channels: int, growth: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm1d(channels),
            nn.ReLU(),
            nn.Conv1d(channels, 4 * growth, 1, bias=False),
            nn.BatchNorm1d(4 * growth),
            nn.ReLU(),
            nn.Conv1d(4 * growth, growth, kernel, padding=kernel // 2, bias=False),
            nn.Dropout(dropout),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.body(x)], 1)


@net("densenet1d", feature={"kind": "logmel", "hop_length": 1024})
def densenet1d(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    first: int = 128,
    growth: int = 32,
    blocks: Sequence[int] = (4, 4, 4),
    kernel_size: int = 3,
    pool: int = 4,
    dropout: float = 0.2,
) -> Net:
    """Dense blocks over time with a halving of the channels and pooling between them; mean and maximum at the end.

    Bian et al. 2019, Audio-based music classification with DenseNet and data augmentation: convolution over the whole
    height of the spectrogram, as here; depth and growth are keywords because the paper's figures vary.
    """
    rows, frames = picture(shape)
    layers: list[nn.Module] = [nn.Conv1d(rows, first, kernel_size, padding=kernel_size // 2, bias=False)]
    channels = first
    for number, depth in enumerate(blocks):
        if number:
            size = shrunk(pool, frames)
            layers += [nn.BatchNorm1d(channels), nn.ReLU(), nn.Conv1d(channels, channels // 2, 1, bias=False)]
            layers.append(nn.MaxPool1d(size))
            channels, frames = channels // 2, frames // size
        for _ in range(depth):
            layers.append(Addition(channels, growth, kernel_size, dropout))
            channels += growth
    layers += [nn.BatchNorm1d(channels), nn.ReLU(), OverTime("mean-max")]
    return Net(nn.Sequential(*layers), nn.Linear(2 * channels, n_classes))
