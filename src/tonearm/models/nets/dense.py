"""Dense networks over a vector per clip: statistics, embeddings."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import nn

from tonearm.models.nets._layers import activation_of
from tonearm.models.nets._layers import dense as dense_layers
from tonearm.models.nets._net import Net, net


@net("dense", feature={"kind": "statistics"})
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

    Takes any shape, (columns,) or (rows, frames), as one vector.
    """
    layers, width = dense_layers(
        math.prod(shape), hidden, activation=activation_of(activation), dropout=dropout, batch_norm=batch_norm
    )
    return Net(nn.Sequential(nn.Flatten(), *layers), nn.Linear(width, n_classes))
