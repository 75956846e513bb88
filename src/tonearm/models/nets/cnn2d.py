"""Plain 2D convolutional networks over a picture of sound."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from tonearm.errors import UsageError, unknown_name
from tonearm.models.nets._net import Net, net

ACTIVATIONS = {"relu": nn.ReLU, "elu": nn.ELU, "gelu": nn.GELU, "leaky-relu": nn.LeakyReLU}


def activation_of(name: str) -> type[nn.Module]:
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


class Channel(nn.Module):
    """(batch, rows, frames) to (batch, 1, rows, frames): the picture has one colour."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unsqueeze(1)


@net("cnn2d")
def cnn2d(
    shape: tuple[int, int],
    n_classes: int,
    *,
    filters: Sequence[int] = (16, 32, 64, 128, 64),
    kernel_size: int = 3,
    pools: Sequence[int] = (2, 2, 2, 2, 4),
    activation: str = "relu",
    batch_norm: bool = True,
    dropout: float = 0.25,
    hidden: Sequence[int] = (32,),
    global_pool: bool = False,
) -> Net:
    """Convolution, activation, max-pooling, Dropout2d, once per entry of `filters`; then dense layers.

    The defaults are the five layers 1-16-32-64-128-64 that one report runs on 128 x 128 spectrograms. With
    `global_pool` the mean over what is left of the picture makes the net independent of the clip's length.
    """
    if len(filters) != len(pools):
        raise UsageError(f"{len(filters)} layers but {len(pools)} pools", hint="give one pool per layer")
    if kernel_size < 1 or kernel_size % 2 == 0:
        raise UsageError(f"kernel_size must be odd, not {kernel_size}", hint="3, 5 or 7")
    act = activation_of(activation)
    rows, frames = shape
    layers: list[nn.Module] = [Channel()]
    channels = 1
    for width, pool in zip(filters, pools, strict=True):
        layers.append(nn.Conv2d(channels, width, kernel_size, padding=kernel_size // 2, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers += [act(), nn.MaxPool2d(pool), nn.Dropout2d(dropout)]
        channels, rows, frames = width, rows // pool, frames // pool
        if rows < 1 or frames < 1:
            raise UsageError(f"a picture of {shape[0]} x {shape[1]} does not survive pools of {list(pools)}")
    layers += [nn.AdaptiveAvgPool2d(1)] if global_pool else []
    layers.append(nn.Flatten())
    width = channels if global_pool else channels * rows * frames
    for size in hidden:
        layers += [nn.Linear(width, size), act()]
        width = size
    return Net(nn.Sequential(*layers), nn.Linear(width, n_classes))
