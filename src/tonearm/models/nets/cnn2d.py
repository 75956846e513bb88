"""Plain 2D convolutional networks over a picture of sound."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from torch import nn

from tonearm.errors import UsageError
from tonearm.models.nets._layers import (
    POOLINGS,
    Channel,
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

# A whole number for both directions, or a pair: along the rows, along the frames.
Size = int | tuple[int, int] | list[int]


def _pair(name: str, value: Any) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, (list, tuple)) else ()
    if len(pair) != 2 or not all(isinstance(size, int) and size >= 1 for size in pair):
        raise UsageError(f"{name}: a whole number above 0, or a pair [rows, frames], not {value!r}")
    return pair


def _spread(pools: Sequence[tuple[int, int]], layers: int) -> list[tuple[int, int]]:
    """Pools of so many layers that shrink the picture as much as `pools` do in all, the later ones the more."""
    both = []
    for direction in (0, 1):
        total = prod(pool[direction] for pool in pools)
        halvings = total.bit_length() - 1
        if total != 1 << halvings:
            raise UsageError(f"layers share out pools that are powers of two, not {[list(pool) for pool in pools]}")
        shares = [halvings // layers + (i >= layers - halvings % layers) for i in range(layers)]
        both.append([1 << share for share in shares])
    return list(zip(*both, strict=True))


@net("cnn2d")
def cnn2d(
    shape: tuple[int, ...],
    n_classes: int,
    *,
    layers: int | None = None,
    filters: Sequence[int] = (16, 32, 64, 128, 64),
    kernel_size: Size | Sequence[Size] = 3,
    pools: Size | Sequence[Size] = (2, 2, 2, 2, 4),
    pooling: str = "max",
    activation: str = "relu",
    batch_norm: bool = True,
    dropout: float = 0.25,
    hidden: Sequence[int] = (32,),
    hidden_dropout: float = 0.0,
    global_pool: bool = False,
    colours: bool = False,
) -> Net:
    """Convolution, activation, pooling, Dropout2d, once per entry of `filters`; then dense layers.

    The defaults are the five layers 1-16-32-64-128-64 that one report runs on 128 x 128 spectrograms. A layer's
    kernel or pool may be a pair [rows, frames]. `layers` is for comparing depths: the first so many of `filters`
    (the last again where there are too few), which together shrink the picture as much as all `pools` do. With
    `global_pool` the mean over what is left of the picture makes the net independent of the clip's length. A pool is
    never greater than what is left of the picture.
    """
    rows, frames = picture(shape)
    sizes = [_pair("pools", size) for size in each("pools", pools, len(filters))]
    if layers is not None:
        whole("layers", [layers])
        filters, sizes = [*filters, *[filters[-1]] * layers][:layers], _spread(sizes, layers)
    kernels = [_pair("kernel_size", size) for size in each("kernel_size", kernel_size, len(filters))]
    if any(size % 2 == 0 for kernel in kernels for size in kernel):
        raise UsageError(f"kernel_size must be odd, not {kernel_size}", hint="3, 5 or 7")
    act, max_pool = activation_of(activation), one_of("pooling", pooling, POOLINGS) == "max"
    modules: list[nn.Module] = [Colours() if colours else Channel()]
    channels = 3 if colours else 1
    for width, kernel, size in zip(filters, kernels, sizes, strict=True):
        around = (kernel[0] // 2, kernel[1] // 2)
        modules.append(nn.Conv2d(channels, width, kernel, padding=around, bias=not batch_norm))
        if batch_norm:
            modules.append(nn.BatchNorm2d(width))
        pool = shrunk(size[0], rows), shrunk(size[1], frames)
        modules += pooled(act(), None if pool == (1, 1) else nn.MaxPool2d(pool) if max_pool else nn.AvgPool2d(pool))
        if dropout:
            modules.append(nn.Dropout2d(dropout))
        channels, rows, frames = width, rows // pool[0], frames // pool[1]
    modules += [nn.AdaptiveAvgPool2d(1)] if global_pool else []
    modules.append(nn.Flatten())
    more, width = dense(
        channels if global_pool else channels * rows * frames, hidden, activation=act, dropout=hidden_dropout
    )
    return Net(nn.Sequential(*modules, *more), nn.Linear(width, n_classes))
