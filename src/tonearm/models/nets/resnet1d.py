"""Residual 1D networks that learn from the samples themselves."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from tonearm.errors import UsageError
from tonearm.models.nets._layers import shrunk, wave
from tonearm.models.nets._net import Net, net


class Block(nn.Module):
    """Two convolutions whose result is added to what came in (by a convolution of one where the width changes)."""

    def __init__(self, channels: int, width: int, kernel: int, pool: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(channels, width, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv1d(width, width, kernel, padding=kernel // 2, bias=False),
            nn.BatchNorm1d(width),
        )
        same = channels == width
        self.around = nn.Identity() if same else nn.Conv1d(channels, width, 1, bias=False)
        self.after = nn.Sequential(nn.ReLU(), nn.MaxPool1d(pool))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.after(self.body(x) + self.around(x))


@net(
    "resnet1d", feature={"kind": "raw"}, small={"first": 16, "filters": (16, 16, 32, 32, 32, 32, 32, 64)}
)  # fmt: skip
def resnet1d(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    filters: Sequence[int] = (128, 128, 256, 256, 256, 256, 256, 512),
    first: int = 128,
    kernel_size: int = 3,
    stride: int = 3,
    pool: int = 3,
    dropout: float = 0.2,
) -> Net:
    """A convolution of stride 3 on samples, residual blocks with max-pooling 3, the mean over time.

    With 59,049 samples (3 to the power of 10) the eight blocks leave nine steps in time. The widths are those of
    networks on single samples (Lee et al. 2017), from which the system of the paper descends.
    Allamy & Koerich 2021, 1D CNN architectures for music genre classification.
    """
    samples = wave(shape)
    if kernel_size % 2 == 0:
        raise UsageError(f"kernel_size must be odd, not {kernel_size}", hint="3 or 5")
    if samples < stride:
        raise UsageError(f"{samples} samples are too few for a stride of {stride}")
    layers: list[nn.Module] = [
        nn.Conv1d(1, first, kernel_size, stride, padding=kernel_size // 2, bias=False),
        nn.BatchNorm1d(first),
        nn.ReLU(),
    ]
    length = (samples + 2 * (kernel_size // 2) - kernel_size) // stride + 1
    channels = first
    for width in filters:
        size = shrunk(pool, length)
        layers.append(Block(channels, width, kernel_size, size, dropout))
        channels, length = width, length // size
    return Net(nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten()), nn.Linear(channels, n_classes))
