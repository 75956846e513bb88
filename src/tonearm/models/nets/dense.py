"""Dense networks over a vector per clip: statistics, embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from tonearm.models.nets._layers import activation_of
from tonearm.models.nets._layers import dense as dense_layers
from tonearm.models.nets._net import Net, net


class SevenStatistics(nn.Module):
    """(batch, rows, frames) to (batch, 7 * rows): mean, std, skew, kurtosis, median, min and max of each row."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mean = x.mean(-1, keepdim=True)
        away = x - mean
        variance = (away * away).mean(-1)
        scale = variance.clamp(min=1e-6)
        skew, kurtosis = (away**3).mean(-1) / scale**1.5, (away**4).mean(-1) / scale**2 - 3.0
        ordered = x.sort(-1).values
        middle = x.shape[-1] // 2
        median = ordered[..., middle] if x.shape[-1] % 2 else (ordered[..., middle - 1] + ordered[..., middle]) / 2
        parts = (mean.squeeze(-1), scale.sqrt(), skew, kurtosis, median, ordered[..., 0], ordered[..., -1])
        return torch.cat(parts, 1)


@net("dense", feature={"kind": "mfcc"})
def dense(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    hidden: Sequence[int] = (50, 50),
    activation: str = "relu",
    batch_norm: bool = False,
    dropout: float = 0.5,
) -> Net:
    """Dense layers with dropout behind each: the defaults are the 50-50 that one report puts on 140 MFCC statistics.

    Takes a vector, (columns,) or (columns, 1), as it is. Of a feature with frames the seven statistics of FMA's table
    are taken of each row, and scaled by batch normalisation.
    """
    first: list[nn.Module] = [nn.Flatten()]
    columns = math.prod(shape)
    if len(shape) == 2 and shape[1] > 1:
        columns = 7 * shape[0]
        first = [SevenStatistics(), nn.BatchNorm1d(columns)]
    layers, width = dense_layers(
        columns, hidden, activation=activation_of(activation), dropout=dropout, batch_norm=batch_norm
    )
    return Net(nn.Sequential(*first, *layers), nn.Linear(width, n_classes))
