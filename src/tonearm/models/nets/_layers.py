"""What several networks are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from tonearm.errors import UsageError, unknown_name

ACTIVATIONS = {"relu": nn.ReLU, "elu": nn.ELU, "gelu": nn.GELU, "leaky-relu": nn.LeakyReLU, "tanh": nn.Tanh}
POOLINGS = ("max", "average")
PICTURES = ("grey", "colours")


def activation_of(name: str) -> type[nn.Module]:
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]


def one_of(name: str, value: Any, valid: Sequence[str]) -> Any:
    if value not in valid:
        raise unknown_name(name, value, valid)
    return value


def picture(shape: tuple[int, ...]) -> tuple[int, int]:
    """The rows and frames of a feature that has both."""
    if len(shape) != 2:
        raise UsageError(f"this net takes features of (rows, frames), not of shape {tuple(shape)}")
    return shape[0], shape[1]


def wave(shape: tuple[int, ...]) -> int:
    """The number of samples of the feature `raw`."""
    if len(shape) != 2 or shape[0] != 1:
        raise UsageError(
            f"this net listens to samples, shape (1, samples), not to {tuple(shape)}", hint="give it the feature raw"
        )
    return shape[1]


def each(name: str, value: Any, layers: int) -> list[Any]:
    """A keyword that is one value for all layers, or a list with one per layer."""
    if isinstance(value, (list, tuple)):
        if len(value) != layers:
            raise UsageError(f"{layers} layers but {len(value)} {name}", hint="give one per layer, or one for all")
        return list(value)
    return [value] * layers


def whole(name: str, values: Sequence[Any]) -> None:
    """Refuse what is no whole number above 0."""
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UsageError(f"{name} are whole numbers above 0, not {value!r}")


def pooled(activation: nn.Module, pool: nn.Module | None) -> list[nn.Module]:
    """An activation and a pooling, in the order that costs less.

    The greatest of activated values is the activation of the greatest, where that rises everywhere: pooling first
    leaves a fourth of the values or less to activate (a tenth of the time of a training step).
    """
    if pool is None:
        return [activation]
    rises = not isinstance(activation, nn.GELU)
    return [pool, activation] if rises and isinstance(pool, (nn.MaxPool1d, nn.MaxPool2d)) else [activation, pool]


def shrunk(pool: int, length: int) -> int:
    """A pool no longer than what is left to pool: so a net of many pools takes clips of a second too."""
    return max(1, min(pool, length))


class Channel(nn.Module):
    """(batch, rows, frames) to (batch, 1, rows, frames): the picture has one colour."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.unsqueeze(1)


class Colours(nn.Module):
    """(batch, rows, frames) to (batch, 3, rows, frames): as an image viewer paints it, from blue over green to red.

    Each clip from its lowest to its highest value. It adds nothing that is not in the one channel; systems that read
    spectrograms from image files have it.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        level = self.level(x)
        return torch.stack([(1.5 - (4 * level - at).abs()).clamp(0, 1) for at in (3.0, 2.0, 1.0)], 1)

    @staticmethod
    def level(x: torch.Tensor) -> torch.Tensor:
        low, high = x.amin((1, 2), keepdim=True), x.amax((1, 2), keepdim=True)
        return (x - low) / (high - low).clamp(min=1e-6)


def dense(
    width: int,
    hidden: Sequence[int],
    *,
    activation: type[nn.Module] = nn.ReLU,
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> tuple[list[nn.Module], int]:
    """Dense layers from `width` through the sizes of `hidden`: the layers, and the width at the end."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers.append(nn.Linear(width, size, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(size))
        layers.append(activation())
        if dropout:
            layers.append(nn.Dropout(dropout))
        width = size
    return layers, width
