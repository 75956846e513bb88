"""How fast a net learns, epoch by epoch."""

from __future__ import annotations

import math

import torch

from tonearm.training._state import State
from tonearm.training.settings import Settings


def set_rate(optimizer: torch.optim.Optimizer, settings: Settings, state: State, at: float) -> None:
    """The learning rate at epoch `at` (with a fraction): a function of the epoch and of the curve so far, no more."""
    rate = settings.learning_rate
    share = min(1.0, at / settings.epochs)
    if settings.schedule == "plateau":
        rate *= settings.plateau_factor ** state.plateaus(settings)
    elif settings.schedule == "cosine":
        rate *= 0.5 * (1 + math.cos(math.pi * share))
    elif settings.schedule == "one-cycle":
        # Smith & Topin 2018: up by a cosine over the first 30 %, then down to nearly nothing.
        up = 0.3
        if share < up:
            rate *= 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * share / up))
        else:
            rate *= max(1e-4, 0.5 * (1 + math.cos(math.pi * (share - up) / (1 - up))))
    if at < settings.warmup_epochs:
        rate *= (at + 1e-3) / settings.warmup_epochs
    for group in optimizer.param_groups:
        group["lr"] = rate
