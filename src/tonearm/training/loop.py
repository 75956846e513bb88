"""The training loop, on one page.

All chance of an epoch (the order, the crops, the augmentation, dropout) comes from the seed and the number of the
epoch alone. So a run that was killed goes on from the end of its last whole epoch with exactly the curves that it
would have had, and no state of a random generator needs to be kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tonearm.errors import TonearmError
from tonearm.training import _machine, checkpoint
from tonearm.training.clips import Clips, Scale
from tonearm.training.settings import Settings

Batch = tuple[torch.Tensor, torch.Tensor]
Augment = Callable[[torch.Tensor, torch.Tensor, np.random.Generator], Batch]


@dataclass
class Outcome:
    """What training leaves: the net with the best weights by validation, and a row per epoch."""

    net: torch.nn.Module
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    stopped: str = ""


def precision_of(settings: Settings, device: torch.device) -> str:
    """bf16 where the device multiplies it in hardware (3.6 times as fast on a CPU that does), else float32."""
    if settings.precision == "auto":
        if device.type == "cuda":
            fast = torch.cuda.is_bf16_supported()
        else:
            fast = device.type == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return "bf16-mixed" if fast else "32-true"
    return {"bf16": "bf16-mixed", "float32": "32-true"}[settings.precision]


def fit(
    net: torch.nn.Module,
    train: Clips,
    valid: Clips,
    scale: Scale,
    settings: Settings,
    folder: Path,
    *,
    seed: int = 0,
    n_classes: int,
    augment: Augment | None = None,
    report: Callable[[dict[str, float]], None] = lambda row: None,
    accelerator: str = "auto",
    devices: int | str = 1,
) -> Outcome:
    """Train `net` on `train`, keep what is best on `valid`; go on where `folder` says an earlier run stopped."""
    for part, clips in (("training", train), ("validation", valid)):
        if not len(clips):
            raise TonearmError(f"the {part} part is empty", hint="choose another split", code="empty-part")
    fabric = Fabric(accelerator=accelerator, devices=devices)
    fabric = Fabric(accelerator=accelerator, devices=devices, precision=precision_of(settings, fabric.device))
    fabric.launch()
    if fabric.device.type == "cpu":
        _machine.keep_memory()
        if fabric.world_size == 1:
            _machine.all_cores()
    torch.manual_seed(seed)
    # Convolutions on a CPU are a third faster with the channel last; on a GPU it is what tensor cores want.
    net = net.to(memory_format=torch.channels_last)
    optimizer = _optimizer(net, settings)
    model, optimizer = fabric.setup(net, optimizer)
    ema = None
    if settings.ema_decay is not None:
        ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay), use_buffers=True)
    state = _State(folder, Outcome(net))
    state.resume(net, ema, optimizer)
    weights = _class_weights(train.labels, n_classes, settings).to(fabric.device)

    for epoch in range(state.next_epoch, settings.epochs):
        if state.outcome.stopped:
            break
        began = time.monotonic()
        torch.manual_seed(seed * 1_000_003 + epoch)
        draw = np.random.default_rng([seed, epoch])
        model.train()
        total, hits, seen = 0.0, 0, 0
        batches = list(train.epoch(settings.batch_size, settings.clips_per_track, draw))
        for number, (positions, starts) in enumerate(batches[fabric.global_rank :: fabric.world_size]):
            _set_rate(optimizer, settings, state, epoch + number * fabric.world_size / len(batches))
            x = torch.from_numpy(train.cut(positions, starts, scale)).to(fabric.device)
            y = functional.one_hot(torch.from_numpy(train.labels[positions]), n_classes).float().to(fabric.device)
            if augment is not None:
                x, y = augment(x, y, draw)
            with fabric.autocast():
                scores = model(x).float()
            loss = functional.cross_entropy(scores, y, weight=weights, label_smoothing=settings.label_smoothing)
            if not math.isfinite(loss.item()):
                raise _not_finite(epoch, number, train.tracks[positions], state)
            optimizer.zero_grad(set_to_none=True)
            fabric.backward(loss)
            if settings.gradient_clip is not None:
                fabric.clip_gradients(model, optimizer, max_norm=settings.gradient_clip, error_if_nonfinite=False)
            optimizer.step()
            if ema is not None:
                ema.update_parameters(net)
            total, seen = total + loss.item() * len(y), seen + len(y)
            hits += int((scores.argmax(dim=1) == y.argmax(dim=1)).sum())

        judged = ema.module if ema is not None else net
        row = {"epoch": epoch + 1, "train_loss": total / seen, "train_accuracy": hits / seen}
        row["learning_rate"] = optimizer.param_groups[0]["lr"]
        row |= _judge(judged, valid, scale, settings, fabric)
        row["seconds"] = time.monotonic() - began
        state.add(row, settings)
        if fabric.is_global_zero:
            state.save(net, judged, ema, optimizer)
        report(row)
        fabric.barrier()
    return state.finish()


@torch.inference_mode()
def predict(
    net: torch.nn.Module, clips: Clips, scale: Scale, *, overlap: float = 0.5, batch_size: int = 64,
    device: torch.device | str = "cpu",
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Scores of all fixed clips, float32 (n, n_classes), and the place in `clips.rows` of each."""
    net.eval()
    positions, starts = clips.fixed(overlap)
    scores = []
    for at in range(0, len(positions), batch_size):
        batch = slice(at, at + batch_size)
        x = torch.from_numpy(clips.cut(positions[batch], starts[batch], scale)).to(device)
        scores.append(net(x).float().cpu().numpy())
    return np.concatenate(scores), positions


def _judge(net: torch.nn.Module, valid: Clips, scale: Scale, settings: Settings, fabric: Fabric) -> dict[str, float]:
    """Loss per clip and accuracy per track on the validation part."""
    with fabric.autocast():
        scores, positions = predict(net, valid, scale, batch_size=max(64, settings.batch_size), device=fabric.device)
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    truth = valid.labels[positions]
    joined = join(np.exp(logs), positions, len(valid), settings.join)
    return {
        "valid_loss": float(-logs[np.arange(len(truth)), truth].mean()),
        "valid_accuracy": float((joined.argmax(axis=1) == valid.labels).mean()),
    }


def join(probabilities: np.ndarray, positions: np.ndarray, n: int, how: str) -> np.ndarray:
    """Probabilities of clips (m, n_classes) joined to those of tracks (n, n_classes), rows that sum to one."""
    votes = probabilities
    if how == "majority":
        # A little of the probability itself decides between equal counts.
        votes = np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)] + 1e-6 * probabilities
    elif how == "log-mean":
        votes = np.log(np.maximum(probabilities, 1e-12))
    total = np.zeros((n, probabilities.shape[1]))
    np.add.at(total, positions, votes)
    if how == "log-mean":
        total /= np.bincount(positions, minlength=n)[:, None]
        total = np.exp(total - total.max(axis=1, keepdims=True))
    return total / total.sum(axis=1, keepdims=True)


def _optimizer(net: torch.nn.Module, settings: Settings) -> torch.optim.Optimizer:
    parameters = [p for p in net.parameters() if p.requires_grad]
    options: dict[str, Any] = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    if settings.optimizer in ("sgd", "rmsprop"):
        options["momentum"] = settings.momentum
    if settings.optimizer == "sgd":
        options["nesterov"] = settings.momentum > 0
    names = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
    }
    return names[settings.optimizer](parameters, **options)


def _set_rate(optimizer: torch.optim.Optimizer, settings: Settings, state: _State, at: float) -> None:
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


def _class_weights(labels: np.ndarray, n_classes: int, settings: Settings) -> torch.Tensor:
    counts = np.bincount(labels, minlength=n_classes)
    if settings.class_weights == "none":
        return torch.ones(n_classes)
    return torch.tensor(len(labels) / np.maximum(counts, 1) / max(1, (counts > 0).sum()), dtype=torch.float32)


def _not_finite(epoch: int, number: int, tracks: np.ndarray, state: _State) -> TonearmError:
    shown = ", ".join(map(str, tracks[:5]))
    where = state.last if state.last.exists() else None
    return TonearmError(
        f"the loss is not a number in epoch {epoch + 1}, batch {number + 1} (tracks {shown}, …)",
        hint=f"the last good checkpoint is {where}" if where else "try a lower learning_rate or a gradient_clip",
        code="not-finite",
    )


class _State:
    """Where training stands: the curves, the best so far, and the two files that keep them."""

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
        return [-row["valid_loss"] for row in self.outcome.history]

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
