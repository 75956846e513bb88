"""One contract for all augmentations: draw all parameters from the given generator, then apply them.

So equal seeds give equal batches, whatever was drawn elsewhere, and what was drawn can be looked at.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from tonearm.errors import UsageError, unknown_name
from tonearm.registry import Registry

Drawn = dict[str, np.ndarray]
Batch = tuple[torch.Tensor, torch.Tensor]
TARGETS = ("spectrogram", "picture", "waveform")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Augmentation:
    """An augmentation: its fields are its keywords. `bounds` says between which values each of them may lie.

    `x` is a batch (clips, rows, frames), standardised; `y` are the shares of each genre (clips, n_classes). The shape
    stays. Write one with `@augmentation("name", on="spectrogram")` on a subclass that has `draw` and `apply`.
    """

    kind: ClassVar[str] = ""
    on: ClassVar[str] = "spectrogram"
    bounds: ClassVar[Mapping[str, tuple[float, float]]]

    probability: float = 1.0

    def __post_init__(self) -> None:
        for name, (low, high) in {"probability": (0, 1), **self.bounds}.items():
            value = getattr(self, name)
            whole = type(getattr(type(self), name)) is int
            number = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
            if not number or not low <= value <= high:
                what = "be a whole number" if whole else "lie"
                raise UsageError(f"{self.kind}: {name} must {what} between {low:g} and {high:g}, not {value!r}")
        self.check()

    def check(self) -> None:
        """Refuse keywords that do not go together, with a UsageError."""

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        """The parameters for n clips of that shape; a dictionary of arrays, most of them (n,)."""
        raise NotImplementedError

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        """What the parameters do to a batch; neither x nor y is changed."""
        raise NotImplementedError

    def __call__(self, x: torch.Tensor, y: torch.Tensor, draw: np.random.Generator) -> Batch:
        chosen = draw.random(len(x)) < self.probability
        drawn = self.draw(draw, len(x), tuple(x.shape[1:]))
        if not chosen.any():
            return x, y
        new_x, new_y = self.apply(x, y, drawn)
        if chosen.all():
            return new_x, new_y
        mask = torch.from_numpy(chosen).to(x.device)
        return torch.where(mask[:, None, None], new_x, x), torch.where(mask[:, None], new_y, y)

    def config(self) -> dict[str, Any]:
        return {"kind": self.kind, **dataclasses.asdict(self)}


registry: Registry[type[Augmentation]] = Registry("augmentation", "tonearm.training.augment")


def augmentation(
    kind: str, *, on: str, bounds: Mapping[str, tuple[float, float]] | None = None
) -> Callable[[type], type]:
    """Make a class an augmentation of that name: a frozen dataclass with keywords only, in the registry."""

    def register(cls: type) -> type:
        cls.kind, cls.on, cls.bounds = kind, on, dict(bounds or {})
        return registry.add(kind)(dataclasses.dataclass(frozen=True, kw_only=True)(cls))

    return register


@dataclasses.dataclass(frozen=True)
class Chain:
    """Augmentations one after the other: what the loop calls."""

    steps: tuple[Augmentation, ...]

    def __call__(self, x: torch.Tensor, y: torch.Tensor, draw: np.random.Generator) -> Batch:
        for step in self.steps:
            x, y = step(x, y, draw)
        return x, y

    def config(self) -> list[dict[str, Any]]:
        return [step.config() for step in self.steps]


def create(steps: Sequence[Mapping[str, Any]], *, sample_rate: int | None = None) -> Chain:
    """Augmentations from their configs, [{"kind": "mixup", "alpha": 0.3}, …]; unknown keys are refused.

    `sample_rate` is that of the clips: those on waveforms cannot do without.
    """
    made = []
    for config in steps:
        if not isinstance(config, Mapping) or not isinstance(config.get("kind"), str):
            raise UsageError(f"an augmentation is described by its kind and keywords, not {config!r}")
        cls = registry.get(config["kind"])
        keywords = {name: value for name, value in config.items() if name != "kind"}
        valid = [field.name for field in dataclasses.fields(cls)]
        for name in keywords:
            if name not in valid:
                raise unknown_name(f"keyword of the augmentation {cls.kind!r}:", str(name), valid)
        if cls.on == "waveform" and keywords.get("sample_rate") is None:
            if sample_rate is None:
                raise UsageError(f"{cls.kind} works on samples and must know their rate", hint="give sample_rate")
            keywords["sample_rate"] = sample_rate
        made.append(cls(**keywords))
    return Chain(tuple(made))


def column(values: np.ndarray, like: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """One value per clip (n,) as a tensor (n, 1, 1) beside a batch."""
    return torch.from_numpy(np.ascontiguousarray(values)).to(like.device, dtype)[:, None, None]


def along(x: torch.Tensor, places: torch.Tensor, axis: int) -> torch.Tensor:
    """Each clip of (n, rows, frames) read at `places` (n, size) of an axis, between two values where they fall there.

    Places outside the clip read its edge.
    """
    size = x.shape[axis]
    places = places.clamp(0, size - 1)
    below = places.floor().long()
    share = places - below
    shape = [len(x), 1, 1]
    shape[axis] = size
    wide = list(x.shape)
    low = below.view(shape).expand(wide)
    high = (below + 1).clamp(max=size - 1).view(shape).expand(wide)
    share = share.view(shape)
    return x.gather(axis, low) * (1 - share) + x.gather(axis, high) * share
