"""The training loop, on one page.

All chance of an epoch (the order, the crops, the augmentation, dropout) comes from the seed and the number of the
epoch alone. So a run that was killed goes on from the end of its last whole epoch with exactly the curves that it
would have had, and no state of a random generator needs to be kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from tonearm.errors import TonearmError
from tonearm.training import _machine
from tonearm.training._rate import set_rate
from tonearm.training._state import Outcome, State
from tonearm.training.clips import Clips, Scale
from tonearm.training.settings import Settings

Batch = tuple[torch.Tensor, torch.Tensor]
Augment = Callable[[torch.Tensor, torch.Tensor, np.random.Generator], Batch]
Report = Callable[[dict[str, float]], None]
Step = Callable[[int, int, float], None]


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
    report: Report = lambda row: None,
    step: Step = lambda number, of, loss: None,
    accelerator: str = "auto",
    devices: int | str = 1,
    machines: int = 1,
) -> Outcome:
    """Train `net` on `train`, keep what is best on `valid`; go on where `folder` says an earlier run stopped.

    `report` is told a row after each epoch, `step` after each batch how far the epoch is.
    """
    for part, clips in (("training", train), ("validation", valid)):
        if not len(clips):
            raise TonearmError(f"the {part} part is empty", hint="choose another split", code="empty-part")
    fabric = _fabric(settings, accelerator, devices, machines)
    torch.manual_seed(seed)
    # Convolutions on a CPU are a third faster with the channel last; on a GPU it is what tensor cores want.
    net = net.to(memory_format=torch.channels_last)
    model, optimizer = fabric.setup(net, _optimizer(net, settings))
    ema = None
    if settings.ema_decay is not None:
        ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(settings.ema_decay), use_buffers=True)
    state = State(folder, Outcome(net))
    state.resume(net, ema, optimizer)
    weights = _class_weights(train.labels, n_classes, settings).to(fabric.device)
    learner = _Learner(fabric, net, model, optimizer, ema, weights, settings, state, augment)

    for epoch in range(state.next_epoch, settings.epochs):
        if state.outcome.stopped:
            break
        began = time.monotonic()
        loss, accuracy = learner.epoch(train, scale, seed, epoch, step)
        judged = ema.module if ema is not None else net
        row = {"epoch": epoch + 1, "train_loss": loss, "train_accuracy": accuracy}
        row["learning_rate"] = optimizer.param_groups[0]["lr"]
        row |= _judge(judged, valid, scale, settings, fabric)
        row["seconds"] = time.monotonic() - began
        if fabric.world_size > 1:  # each process has its own running means: the first one's figures decide for all
            row = fabric.broadcast(row)
        state.add(row, settings)
        if fabric.is_global_zero:
            state.save(net, judged, ema, optimizer)
            report(row)
        fabric.barrier()
    outcome = state.finish()
    outcome.rank = fabric.global_rank
    fabric.barrier()  # the first process may tidy up what the others still read
    return outcome


def _fabric(settings: Settings, accelerator: str, devices: int | str, machines: int) -> Fabric:
    """Fabric, launched, in the precision that its device multiplies fast."""
    there = {"cuda": torch.cuda.is_available, "mps": torch.backends.mps.is_available}
    if accelerator in there and not there[accelerator]():
        raise TonearmError(f"torch finds no {accelerator} here", hint="without --device it takes what is there")
    where = {"accelerator": accelerator, "devices": devices, "num_nodes": machines}
    fabric = Fabric(**where)
    fabric = Fabric(**where, precision=precision_of(settings, fabric.device))
    fabric.launch()
    if fabric.device.type == "cpu":
        _machine.keep_memory()
    return fabric


@dataclass(frozen=True)
class _Learner:
    """What one epoch of learning takes."""

    fabric: Fabric
    net: torch.nn.Module
    model: Any
    optimizer: Any
    ema: AveragedModel | None
    weights: torch.Tensor
    settings: Settings
    state: State
    augment: Augment | None

    def epoch(self, train: Clips, scale: Scale, seed: int, epoch: int, step: Step) -> tuple[float, float]:
        """Mean loss and accuracy of an epoch, over the clips that were learnt from."""
        fabric, settings = self.fabric, self.settings
        torch.manual_seed(seed * 1_000_003 + epoch + 7_919 * fabric.global_rank)
        draw = np.random.default_rng([seed, epoch])
        self.model.train()
        total, hits, seen = 0.0, 0, 0
        batches = list(train.epoch(settings.batch_size, settings.clips_per_track, draw))
        mine = _share(batches, fabric.global_rank, fabric.world_size)
        for number, (positions, starts) in enumerate(mine):
            set_rate(self.optimizer, settings, self.state, epoch + number / len(mine))
            x = torch.from_numpy(train.cut(positions, starts, scale)).to(fabric.device)
            y = functional.one_hot(torch.from_numpy(train.labels[positions]), len(self.weights)).float()
            y = y.to(fabric.device)
            if self.augment is not None:
                x, y = self.augment(x, y, draw)
            loss, right = self._learn(x, y)
            if not math.isfinite(loss):
                raise _not_finite(epoch, number, train.tracks[positions], self.state)
            total, hits, seen = total + loss * len(y), hits + right, seen + len(y)
            if fabric.is_global_zero:
                step(number + 1, len(mine), loss)
        return total / seen, hits / seen

    def _learn(self, x: torch.Tensor, y: torch.Tensor) -> tuple[float, int]:
        """One step down; returns loss and hits before it. Nothing is learnt from a loss that is no number."""
        settings = self.settings
        with self.fabric.autocast():
            scores = self.model(x).float()
        loss = functional.cross_entropy(scores, y, weight=self.weights, label_smoothing=settings.label_smoothing)
        value = loss.item()
        if not math.isfinite(value):
            return value, 0
        self.optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        if settings.gradient_clip is not None:
            self.fabric.clip_gradients(
                self.model, self.optimizer, max_norm=settings.gradient_clip, error_if_nonfinite=False
            )  # fmt: skip
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update_parameters(self.net)
        return value, int((scores.argmax(dim=1) == y.argmax(dim=1)).sum())


def _share(batches: list, rank: int, world_size: int) -> list:
    """The batches of one of several processes: as many for each, because they wait for each other after every one."""
    missing = -len(batches) % world_size
    return (batches + batches[:missing])[rank::world_size]


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
    """Loss per clip and per track, and accuracy per track, on the validation part."""
    with fabric.autocast():
        scores, positions = predict(net, valid, scale, batch_size=max(64, settings.batch_size), device=fabric.device)
    shifted = scores - scores.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    truth = valid.labels[positions]
    joined = join(np.exp(logs), positions, len(valid), settings.join)
    return {
        "valid_loss": float(-logs[np.arange(len(truth)), truth].mean()),
        "valid_accuracy": float((joined.argmax(axis=1) == valid.labels).mean()),
        "valid_track_loss": float(-np.log(np.maximum(joined[np.arange(len(valid)), valid.labels], 1e-12)).mean()),
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


def _class_weights(labels: np.ndarray, n_classes: int, settings: Settings) -> torch.Tensor:
    counts = np.bincount(labels, minlength=n_classes)
    if settings.class_weights == "none":
        return torch.ones(n_classes)
    return torch.tensor(len(labels) / np.maximum(counts, 1) / max(1, (counts > 0).sum()), dtype=torch.float32)


def _not_finite(epoch: int, number: int, tracks: np.ndarray, state: State) -> TonearmError:
    shown = ", ".join(map(str, tracks[:5]))
    where = state.last if state.last.exists() else None
    return TonearmError(
        f"the loss is not a number in epoch {epoch + 1}, batch {number + 1} (tracks {shown}, …)",
        hint=f"the last good checkpoint is {where}" if where else "try a lower learning_rate or a gradient_clip",
        code="not-finite",
    )
