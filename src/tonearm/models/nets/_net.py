"""One contract for all networks: features in, `embed` to a vector, `head` to a score per genre."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from tonearm.errors import UsageError, unknown_name
from tonearm.registry import Registry


class Net(nn.Module):
    """A network of two parts: `body` makes a vector of a clip's feature, `head` makes scores of the vector.

    Shapes: (batch, rows, frames) to (batch, n_classes). What the body needs beside (a channel axis, say) it adds.
    """

    def __init__(self, body: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, head

    def embed(self, x: torch.Tensor) -> torch.Tensor:
        """The vector of each clip, (batch, width): what deep features and similarity are made of."""
        return self.body(x)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.embed(x))


registry: Registry[Callable[..., Net]] = Registry("net", "tonearm.models.nets")


def net(
    name: str,
    *,
    feature: Mapping[str, Any] | None = None,
    scratch: Mapping[str, Any] | None = None,
    small: Mapping[str, Any] | None = None,
) -> Callable[[Callable[..., Net]], Callable[..., Net]]:
    """Register a builder: a function of (shape, n_classes) and keywords, which are the network's whole config.

    `feature` is the config of the feature that it was made for (log-mel unless told). `scratch` are the keywords with
    which it needs no file of weights: how it is built where its weights are read from a checkpoint anyway. `small`
    are keywords that make it quick to try.
    """

    def register(build: Callable[..., Net]) -> Callable[..., Net]:
        build.feature = dict(feature or {"kind": "logmel"})
        build.scratch = dict(scratch or {})
        build.small = dict(small or {})
        return registry.add(name)(build)

    return register


def create(name: str, shape: tuple[int, ...], n_classes: int, **keywords: Any) -> Net:
    """The network of that name for features of `shape` (rows, frames) and so many genres.

    A keyword that the builder does not know is refused with the list of those it knows.
    """
    build = registry.get(name)
    valid = [p.name for p in inspect.signature(build).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for keyword in keywords:
        if keyword not in valid:
            raise unknown_name(f"keyword of the net {name!r}:", keyword, valid)
    if n_classes < 2:
        raise UsageError(f"a net tells at least 2 classes apart, not {n_classes}")
    try:
        return build(tuple(shape), n_classes, **keywords)
    except (TypeError, ValueError) as error:  # of torch's layers, which check their own numbers
        raise UsageError(f"the net {name!r} cannot be built like that: {error}") from None
