"""Recurrent networks that read a feature frame by frame; their last state is a deep feature for other models."""

from __future__ import annotations

import torch
from torch import nn

from tonearm.models.nets._layers import one_of, picture
from tonearm.models.nets._net import Net, net

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU}


class LastState(nn.Module):
    """(batch, rows, frames) to (batch, units), twice as many where it reads in both directions."""

    def __init__(self, rows: int, units: int, layers: int, cell: str, bidirectional: bool, dropout: float) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0
        self.cells = CELLS[cell](
            rows, units, layers, batch_first=True, bidirectional=bidirectional, dropout=between
        )  # fmt: skip
        self.units = units

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.cells(x.transpose(1, 2))
        # The way back has read everything when it arrives at the first frame.
        return torch.cat([states[:, -1, : self.units], states[:, 0, self.units :]], 1)


@net("lstm", feature={"kind": "mfcc", "n_mfcc": 30, "hop_length": 1024})
def lstm(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    units: int = 128,
    layers: int = 1,
    cell: str = "lstm",
    bidirectional: bool = False,
    batch_norm: bool = True,
    dropout: float = 0.2,
) -> Net:
    """An LSTM of 128 units with batch normalisation and dropout; `embed` gives its last state, a deep feature.

    Hochreiter & Schmidhuber 1997, Long short-term memory.
    """
    rows, _ = picture(shape)
    one_of("cell", cell, tuple(CELLS))
    width = units * (2 if bidirectional else 1)
    body: list[nn.Module] = [LastState(rows, units, layers, cell, bidirectional, dropout)]
    if batch_norm:
        body.append(nn.BatchNorm1d(width))
    head = nn.Sequential(nn.Dropout(dropout), nn.Linear(width, n_classes))
    return Net(nn.Sequential(*body), head)
