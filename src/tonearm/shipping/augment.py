"""What training does to crops of the shipped models: chances drawn from one generator, then applied to a batch."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from tonearm.shipping.recipe import Augmentation


def crops(stored: torch.Tensor, rows: np.ndarray, frames: int, setting: Augmentation, draw: np.random.Generator):
    """(rows, bands, frames), 0 to 1: a stretch of each row from anywhere, a little faster or slower than it was."""
    whole, found = stored.shape[2], []
    for row in rows:
        share = draw.uniform(1 / (1 + setting.tempo), 1 + setting.tempo)
        length = min(whole, max(2, round(frames * share)))
        start = int(draw.integers(0, whole - length + 1))
        places = start + np.linspace(0, length - 1, frames).round().astype(np.int64)
        found.append(stored[int(row)][:, torch.from_numpy(places)])
    return torch.stack(found).float() / 255


def changed(batch: torch.Tensor, fill: torch.Tensor, setting: Augmentation, draw: np.random.Generator) -> torch.Tensor:
    """A batch as other recordings of the same music might sound; `fill` (bands, 1) stands where something is masked.

    A smooth random equaliser over the bands is what helps most: a record's own sound is what a net learns by heart.
    """
    n, bands, frames = batch.shape
    gains = torch.from_numpy(draw.normal(0, setting.equaliser, (n, 1, 8)).astype(np.float32))
    batch = batch + functional.interpolate(gains, bands, mode="linear", align_corners=True).transpose(1, 2)
    shift = int(draw.integers(-setting.band_shift, setting.band_shift + 1))
    if shift:
        batch = torch.roll(batch, shift, 1)
    batch = batch.clone()
    for i in range(n):
        if draw.random() < setting.mask_share:
            width = int(draw.integers(1, setting.mask_bands + 1))
            at = int(draw.integers(0, bands - width + 1))
            batch[i, at : at + width] = fill[at : at + width]
        if draw.random() < setting.mask_share:
            width = min(frames, int(draw.integers(1, setting.mask_frames + 1)))
            at = int(draw.integers(0, frames - width + 1))
            batch[i, :, at : at + width] = fill
    scale = torch.from_numpy(draw.normal(1, setting.contrast, (n, 1, 1)).astype(np.float32))
    level = torch.from_numpy(draw.normal(0, setting.level, (n, 1, 1)).astype(np.float32))
    return batch * scale + level


def mixed(
    batch: torch.Tensor, targets: list[torch.Tensor], alpha: float, draw: np.random.Generator
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Mixup (Zhang et al. 2018): each crop over another, and what is wanted of them in the same shares."""
    if alpha <= 0:
        return batch, targets
    share = float(draw.beta(alpha, alpha))
    other = torch.from_numpy(draw.permutation(len(batch)))
    return share * batch + (1 - share) * batch[other], [share * t + (1 - share) * t[other] for t in targets]
