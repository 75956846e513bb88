"""The net of the shipped models: small, over bands and frames of a log-mel pack, pooled over time in three ways."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def _block(n_in: int, n_out: int, pool: tuple[int, int], pool_first: bool) -> nn.Sequential:
    """Pooling before normalisation and ReLU leaves a quarter of the values to them: a step costs a tenth less."""
    convolution, rest = nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), [nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]
    pooling = nn.MaxPool2d(pool)
    return nn.Sequential(convolution, *([pooling, *rest] if pool_first else [*rest, pooling]))


class _Residual(nn.Module):
    """Another convolution where the picture is small already, beside what is there; at first it adds nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.added = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        nn.init.zeros_(self.added[1].weight)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.relu(maps + self.added(maps))


class BandNet(nn.Module):
    """Crops (batch, bands, frames), 0 to 1, to an embedding (batch, size); one linear head for each name in `heads`.

    After four blocks of convolution the bands that are left are mixed by one layer that sees all of them, so that a
    place in the spectrum keeps its meaning; mean, maximum and deviation over time make a crop of any length one vector.
    `residual` puts a second convolution behind each block but the first (He et al. 2016), for two fifths more time.
    """

    def __init__(
        self,
        bands: int,
        heads: dict[str, int],
        *,
        width: int = 24,
        embedding: int = 128,
        dropout: float = 0.3,
        dropout_pooled: float = 0.3,
        pool_first: bool = False,
        residual: bool = False,
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(_block(1, width, (2, 2), pool_first))
        for n_in, pool in ((width, (2, 2)), (width * 2, (2, 2)), (width * 4, (4, 1))):
            self.body.append(_block(n_in, n_in * 2, pool, pool_first))
            if residual:
                self.body.append(_Residual(n_in * 2))
        channels, left = width * 8, bands // 32
        self.mix = nn.Sequential(nn.Conv1d(channels * left, channels, 1), nn.BatchNorm1d(channels), nn.ReLU())
        self.to_embedding = nn.Sequential(
            nn.Dropout(dropout_pooled),
            nn.Linear(channels * 3, embedding, bias=False),
            nn.BatchNorm1d(embedding),
            nn.ReLU(),
        )
        self.dropout = dropout
        self.heads = nn.ModuleDict({name: nn.Linear(embedding, size) for name, size in heads.items()})
        # The scale of the pack, by band: part of the net, because the net means nothing without it.
        self.register_buffer("mean", torch.zeros(bands, 1))
        self.register_buffer("deviation", torch.ones(bands, 1))

    def maps(self, crops: torch.Tensor) -> torch.Tensor:
        """(batch, channels, times): what the convolutions make of crops, a time for eight frames."""
        scaled = ((crops - self.mean) / self.deviation).unsqueeze(1)
        maps = self.body(scaled.contiguous(memory_format=torch.channels_last))
        return self.mix(maps.flatten(1, 2))

    def pooled(self, maps: torch.Tensor) -> torch.Tensor:
        """The embedding of maps, or of a stretch of them."""
        # Not Tensor.std: its gradient at no deviation at all is not a number.
        middle = maps.mean(2)
        spread = ((maps - middle.unsqueeze(2)) ** 2).mean(2).add(1e-5).sqrt()
        return self.to_embedding(torch.cat([middle, maps.amax(2), spread], 1))

    def embed(self, crops: torch.Tensor) -> torch.Tensor:
        return self.pooled(self.maps(crops))

    def forward(self, crops: torch.Tensor) -> dict[str, torch.Tensor]:
        embedded = self.embed(crops)
        dropped = functional.dropout(embedded, self.dropout, self.training)
        # What is learnt beside the genre (a teacher's vector) is a regression, and gets the whole embedding.
        return {name: head(dropped if name == "genre" else embedded) for name, head in self.heads.items()}
