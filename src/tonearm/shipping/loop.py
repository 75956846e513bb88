"""Training of one net of a shipped model, on one page.

Not the loop of `tonearm train`, which knows one target: here a net may learn the vectors of a teacher beside the
genre, and the number of steps is fixed, so that nothing has to be held back to stop by. All chance of a step comes from
the seed and the number of the step, so that a run which was killed goes on as if it had not been.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from tonearm.errors import TonearmError
from tonearm.shipping import augment, opinions
from tonearm.shipping.net import BandNet
from tonearm.shipping.recipe import Recipe
from tonearm.training import _machine, checkpoint

SAVE_EVERY = 100


@dataclass(frozen=True)
class Material:
    """A pack as training wants it: `stored` (rows, bands, frames) uint8, `labels` (rows,), `vectors` of a teacher."""

    stored: torch.Tensor
    labels: np.ndarray
    n_classes: int
    vectors: np.ndarray | None = None
    artists: np.ndarray | None = None


def train(
    recipe: Recipe,
    material: Material,
    rows: np.ndarray,
    seed: int,
    path: Path,
    *,
    trunk: BandNet | None = None,
    begin: BandNet | None = None,
    report: Callable[[int, float], None] = lambda step, loss: None,
) -> BandNet:
    """Train a net on `rows`; `path` holds its weights when done, and how far it is until then.

    The convolutions of `trunk`, which learnt something else, are where it begins; or the whole of `begin`, a net of the
    same kind, with its scale.
    """
    _machine.keep_memory()
    heads = {"genre": material.n_classes}
    if recipe.training.teacher and material.vectors is not None:
        heads["teacher"] = material.vectors.shape[1]
    torch.manual_seed(seed)
    net = BandNet(material.stored.shape[1], heads, **recipe.net.model_dump())
    identity = {"recipe": recipe.model_dump_json(include={"net", "training", "augmentation"}), "seed": seed,
                "rows": len(rows), "sum": int(rows.sum())}  # fmt: skip
    if trunk is not None:
        for name in ("body", "mix"):
            getattr(net, name).load_state_dict(getattr(trunk, name).state_dict())
        identity["trunk"] = _sum(trunk.body)
    if begin is not None:
        net.load_state_dict(begin.state_dict())
        identity["trunk"] = _sum(begin)
    if path.is_file():
        groups, about = checkpoint.load(path)
        if not _same(identity, about):
            raise TonearmError(f"{path}: it is of another training", hint="give another folder, or remove it")
        net.load_state_dict(groups["net"])
        return net.eval()
    if begin is None:
        _scale(net, material, rows)
    _fit(recipe, net, material, rows, seed, path.with_suffix(".unfinished"), identity, report)
    checkpoint.save(path, {"net": net.state_dict()}, identity)
    path.with_suffix(".unfinished").unlink(missing_ok=True)
    return net.eval()


def _same(identity: dict, about: dict) -> bool:
    """Is what lies there of this training? A trunk is known by a sum, whose last digits hang on the order of memory."""
    plain = {key: about.get(key) for key in identity if key != "trunk"}
    close = abs(identity.get("trunk", 0.0) - (about.get("trunk") or 0.0)) <= 1e-6 * abs(identity.get("trunk", 0.0))
    return close and plain == {key: value for key, value in identity.items() if key != "trunk"}


def _fit(recipe, net, material, rows, seed, unfinished, identity, report) -> None:
    setting, fill = recipe.training, net.mean.clone()
    genres = _wanted(setting, material, rows)
    vectors = None
    if "teacher" in net.heads:
        of_rows = material.vectors[rows]
        vectors = torch.from_numpy((material.vectors - of_rows.mean(0)) / (of_rows.std(0) + 1e-6)).float()
    net.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=setting.learning_rate, weight_decay=setting.weight_decay)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, setting.learning_rate, total_steps=setting.steps, pct_start=setting.warm_share
    )
    average = AveragedModel(net, avg_fn=_averaging(setting.ema_decay), use_buffers=True)
    begin = _resume(unfinished, identity, net, average, optimizer, rates)
    for step in range(begin, setting.steps):
        draw = np.random.default_rng([seed, step])
        torch.manual_seed(seed * 1_000_003 + step)  # dropout
        some = _batch(rows, step, setting.batch_size, seed)
        batch = augment.crops(material.stored, some, setting.crop_frames, recipe.augmentation, draw)
        batch = augment.changed(batch, fill, recipe.augmentation, draw)
        targets = [genres[some]] + ([vectors[some]] if vectors is not None else [])
        batch, targets = augment.mixed(batch, targets, recipe.augmentation.mixup, draw)
        net.train()
        with torch.autocast("cpu", torch.bfloat16):
            told = net(batch)
        loss = -(targets[0] * told["genre"].float().log_softmax(1)).sum(1).mean()
        if vectors is not None:
            loss = loss + setting.teacher * functional.mse_loss(told["teacher"].float(), targets[1])
        if not torch.isfinite(loss):
            raise TonearmError(f"the loss is not a number at step {step}", hint="a lower training.learning_rate")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimizer.step()
        rates.step()
        average.update_parameters(net)
        report(step + 1, float(loss.detach()))
        if (step + 1) % SAVE_EVERY == 0 and step + 1 < setting.steps:
            _save(unfinished, identity, step + 1, net, average, optimizer)
    net.load_state_dict(average.module.state_dict())


def _scale(net: BandNet, material: Material, rows: np.ndarray) -> None:
    sample = material.stored[torch.from_numpy(rows[::7] if len(rows) > 2000 else rows)].float() / 255
    net.mean.copy_(sample.mean((0, 2))[:, None])
    net.deviation.copy_(sample.std((0, 2))[:, None])


def _wanted(setting, material: Material, rows: np.ndarray) -> torch.Tensor:
    """(tracks, classes): the label, smoothed, and the teacher's opinion in the share that the recipe gives it."""
    hard = np.eye(material.n_classes, dtype=np.float32)[material.labels]
    wanted = hard * (1 - setting.smoothing) + setting.smoothing / material.n_classes
    if setting.opinions and material.vectors is not None:
        told = opinions.out_of_fold(material.vectors, material.labels, material.artists, rows)
        wanted = wanted * (1 - setting.opinions) + told * setting.opinions
    return torch.from_numpy(wanted.astype(np.float32))


def _sum(module: nn.Module) -> float:
    with torch.no_grad():
        return float(sum(p.double().abs().sum() for p in module.parameters()))


def _averaging(decay: float):
    """An exponential mean that forgets its beginning sooner: the first steps know nothing worth keeping."""

    def average(kept: torch.Tensor, new: torch.Tensor, updates: torch.Tensor | int) -> torch.Tensor:
        share = min(decay, (1 + int(updates)) / (10 + int(updates)))
        return kept * share + new * (1 - share) if kept.is_floating_point() else new

    return average


def _batch(rows: np.ndarray, step: int, size: int, seed: int) -> np.ndarray:
    """The rows of one step: each epoch is a shuffle of its own, whole batches only."""
    size = min(size, len(rows))
    per_epoch = len(rows) // size
    epoch, place = divmod(step, per_epoch)
    order = np.random.default_rng([seed, epoch, 1]).permutation(rows)
    return order[place * size : (place + 1) * size]


def _save(path: Path, identity: dict, step: int, net, average, optimizer) -> None:
    tensors, plain = checkpoint.optimizer_tensors(optimizer)
    groups = {"net": net.state_dict(), "average": average.module.state_dict(), "optimizer": tensors}
    count = int(average.n_averaged)
    checkpoint.save(path, groups, {**identity, "step": step, "plain": plain, "averaged": count})


def _resume(path: Path, identity: dict, net, average, optimizer, rates) -> int:
    """The step to go on from; 0 where nothing usable was kept."""
    if not path.is_file():
        return 0
    groups, about = checkpoint.load(path)
    if not _same(identity, about):
        os.unlink(path)
        return 0
    net.load_state_dict(groups["net"])
    average.module.load_state_dict(groups["average"])
    average.n_averaged.fill_(about["averaged"])
    checkpoint.restore_optimizer(optimizer, groups.get("optimizer", {}), about["plain"])
    rates.last_epoch = about["step"]  # the rate of a step is a formula of its number
    return about["step"]
