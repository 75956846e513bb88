"""Where training stands: the curves, the best so far, and the two files that keep them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import AveragedModel

from tonearm.training import checkpoint
from tonearm.training.settings import Settings


@dataclass
class Outcome:
    """What training leaves: the net with the best weights by validation, and a row per epoch."""

    net: torch.nn.Module
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str = ""
    rank: int = 0  # which of several processes this is


class State:
    """The outcome so far; `last.safetensors` and `best.safetensors` in the folder."""

    def __init__(self, folder: Path, outcome: Outcome) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.last, self.best = folder / "last.safetensors", folder / "best.safetensors"
        self.outcome = outcome

    @property
    def next_epoch(self) -> int:
        return len(self.outcome.history)

    def resume(self, net: torch.nn.Module, ema: AveragedModel | None, optimizer: Any) -> None:
        if not self.last.exists():
            return
        groups, about = checkpoint.load(self.last)
        net.load_state_dict(groups["net"])
        if ema is not None:
            ema.load_state_dict(groups["ema"])
        checkpoint.restore_optimizer(optimizer, groups.get("optimizer", {}), about["optimizer"])
        self.outcome.history = about["history"]
        self.outcome.best_epoch, self.outcome.stopped = about["best_epoch"], about["stopped"]

    def add(self, row: dict[str, float], settings: Settings) -> None:
        self.outcome.history.append(row)
        scores = self._scores(settings)
        self.outcome.best_epoch = int(np.argmax(scores)) + 1
        waited = len(scores) - self.outcome.best_epoch
        if settings.stop_patience is not None and waited >= settings.stop_patience:
            self.outcome.stopped = f"no better for {waited} epochs"

    def _scores(self, settings: Settings) -> list[float]:
        if settings.monitor == "accuracy":
            return [row["valid_accuracy"] for row in self.outcome.history]
        name = {"loss": "valid_loss", "track-loss": "valid_track_loss"}[settings.monitor]
        return [-row[name] for row in self.outcome.history]

    def plateaus(self, settings: Settings) -> int:
        """How often the curve has stood still for `plateau_patience` epochs."""
        best, waited, count = -math.inf, 0, 0
        for score in self._scores(settings):
            if score > best:
                best, waited = score, 0
            else:
                waited += 1
            if waited > settings.plateau_patience:
                waited, count = 0, count + 1
        return count

    def save(self, net: torch.nn.Module, judged: torch.nn.Module, ema: AveragedModel | None, optimizer: Any) -> None:
        if self.outcome.best_epoch == len(self.outcome.history):
            checkpoint.save(self.best, {"net": judged.state_dict()}, {"epoch": self.outcome.best_epoch})
        tensors, about = checkpoint.optimizer_tensors(optimizer)
        groups = {"net": net.state_dict(), "optimizer": tensors}
        if ema is not None:
            groups["ema"] = ema.state_dict()
        outcome = self.outcome
        plain = {"history": outcome.history, "best_epoch": outcome.best_epoch, "stopped": outcome.stopped}
        checkpoint.save(self.last, groups, {**plain, "optimizer": about})

    def finish(self) -> Outcome:
        groups, _ = checkpoint.load(self.best)
        self.outcome.net.load_state_dict(groups["net"])
        self.outcome.net.eval()
        return self.outcome
