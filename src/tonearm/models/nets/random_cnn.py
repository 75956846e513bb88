"""A network that learns nothing: what it embeds is a baseline for an SVM that every trained net must beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from tonearm.errors import UsageError
from tonearm.models.nets._layers import picture, shrunk
from tonearm.models.nets._net import Net, net


def _weights(filters: Sequence[int], kernel_size: int, seed: int) -> list[torch.Tensor]:
    """He et al. 2015, drawn by numpy: the same on every machine and by every torch."""
    draw = np.random.default_rng([seed, kernel_size, *filters])
    weights, channels = [], 1
    for width in filters:
        deviation = np.sqrt(2.0 / (channels * kernel_size * kernel_size))
        values = draw.normal(scale=deviation, size=(width, channels, kernel_size, kernel_size))
        weights.append(torch.from_numpy(values.astype(np.float32)))
        channels = width
    return weights


class RandomLayers(nn.Module):
    """(batch, rows, frames) to (batch, 2 * sum of filters): the mean and maximum of every filter of every layer."""

    def __init__(self, shape: tuple[int, int], filters: Sequence[int], kernel_size: int, seed: int) -> None:
        super().__init__()
        self.pad = kernel_size // 2
        self.pools: list[tuple[int, int]] = []
        rows, frames = shape
        for number, weight in enumerate(_weights(filters, kernel_size, seed)):
            self.register_buffer(f"weight{number}", weight)
            pool = shrunk(2, rows), shrunk(2, frames)
            self.pools.append(pool)
            rows, frames = rows // pool[0], frames // pool[1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Each clip by itself: its vector depends on the clip and the seed alone.
        x = x.unsqueeze(1)
        x = x - x.mean((2, 3), keepdim=True)
        x = x / ((x * x).mean((2, 3), keepdim=True) + 1e-12).sqrt()
        parts = []
        for number, pool in enumerate(self.pools):
            x = functional.conv2d(x, getattr(self, f"weight{number}"), padding=self.pad)
            x = functional.elu(functional.max_pool2d(x, pool))
            parts += [x.mean((2, 3)), x.amax((2, 3))]
        return torch.cat(parts, 1)


@net("random-cnn")
def random_cnn(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: Sequence[int] = (64, 64, 64, 64, 64),
    kernel_size: int = 3,
    seed: int = 0,
) -> Net:
    """Convolutions of random weights with ELU and max-pooling 2; only the linear head can learn.

    `embed` is a function of the clip and of `seed`: features for an SVM.
    Pons & Serra 2019, Randomly weighted CNNs for (music) audio classification.
    """
    size = picture(shape)
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise UsageError(f"kernel_size must be odd, not {kernel_size}", hint="3, 5 or 7")
    if not filters or min(filters) < 1:
        raise UsageError(f"filters are whole numbers above 0, not {list(filters)}")
    return Net(RandomLayers(size, filters, kernel_size, seed), nn.Linear(2 * sum(filters), n_classes))
