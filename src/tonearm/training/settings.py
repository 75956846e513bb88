"""How a net is trained, as keywords: what a recipe's `training` section may say."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tonearm.errors import UsageError, unknown_name

CHOICES = {
    "optimizer": ("adam", "adamw", "sgd", "rmsprop"),
    "schedule": ("constant", "plateau", "cosine", "one-cycle"),
    "monitor": ("accuracy", "loss", "track-loss"),
    "class_weights": ("none", "balanced"),
    "precision": ("auto", "float32", "bf16"),
    "join": ("mean", "sum", "majority", "log-mean"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Training as it is done unless a recipe says otherwise.

    `monitor` is taken on the validation part: accuracy per track, loss per clip, or loss of the joined votes per track.
    """

    epochs: int = 50
    batch_size: int = 32
    optimizer: str = "adam"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    schedule: str = "constant"
    plateau_patience: int = 5
    plateau_factor: float = 0.5
    warmup_epochs: int = 0
    monitor: str = "accuracy"
    stop_patience: int | None = None
    gradient_clip: float | None = None
    ema_decay: float | None = None
    label_smoothing: float = 0.0
    class_weights: str = "none"
    precision: str = "auto"
    join: str = "mean"
    clips_per_track: int = 1
    augment: tuple[Mapping[str, Any], ...] = ()

    def __post_init__(self) -> None:
        for name, valid in CHOICES.items():
            if getattr(self, name) not in valid:
                raise unknown_name(name, getattr(self, name), valid)
        for name in ("epochs", "batch_size", "clips_per_track"):
            _number(name, getattr(self, name), least=1, whole=True)
        for name in ("learning_rate", "plateau_factor"):
            _number(name, getattr(self, name), above=0)
        for name in ("weight_decay", "label_smoothing", "warmup_epochs", "plateau_patience"):
            _number(name, getattr(self, name), least=0)
        for name in ("stop_patience", "gradient_clip", "ema_decay"):
            if getattr(self, name) is not None:
                _number(name, getattr(self, name), above=0)
        if self.ema_decay is not None and self.ema_decay >= 1:
            raise UsageError(f"ema_decay must be below 1, not {self.ema_decay}")
        if self.label_smoothing >= 1:
            raise UsageError(f"label_smoothing must be below 1, not {self.label_smoothing}")
        listed = isinstance(self.augment, (list, tuple))
        if not listed or not all(isinstance(step, Mapping) for step in self.augment):
            raise UsageError(
                f"augment is a list of augmentations, not {self.augment!r}", hint="[{kind: time-mask}, {kind: mixup}]"
            )
        object.__setattr__(self, "augment", tuple(dict(step) for step in self.augment))

    def config(self) -> dict[str, Any]:
        return {**dataclasses.asdict(self), "augment": [dict(step) for step in self.augment]}


def settings(**keywords: Any) -> Settings:
    """Settings from keywords; a misspelt one is refused with the list of the valid ones."""
    valid = [field.name for field in dataclasses.fields(Settings)]
    for name in keywords:
        if name not in valid:
            raise unknown_name("keyword of training:", name, valid)
    return Settings(**keywords)


def _number(
    name: str, value: Any, *, least: float | None = None, above: float | None = None, whole: bool = False
) -> None:
    good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
    if not good or (least is not None and not value >= least) or (above is not None and not value > above):
        bound = f"at least {least:g}" if least is not None else f"above {above:g}"
        raise UsageError(f"{name} must be {'a whole number ' if whole else ''}{bound}, not {value!r}")
