"""The whole of a shipped model as one module: nets on crops, statistics on the clip, their votes joined."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from tonearm.shipping.kernel import KernelRidge
from tonearm.shipping.net import BandNet
from tonearm.shipping.statistics import Statistics


class Whole(nn.Module):
    """Features (batch, bands, frames) as packs store them (0 to 255) to logits (batch, classes) and an embedding.

    The logits are a weighted mean of log-probabilities: of each net over evenly spread crops, and of the kernel
    machine over statistics of the clip. What a net's convolutions make of a crop is pooled as a whole and, for each
    number in `stretches`, in so many parts, of which each answers too: that costs next to nothing. The embedding is
    what the nets embed of whole crops, a mean over them, side by side.
    """

    def __init__(
        self,
        nets: Sequence[BandNet],
        *,
        frames: int,
        crops: int,
        crop_frames: int,
        bands: np.ndarray | None = None,
        stretches: Sequence[int] = (),
        kernel: tuple[Statistics, KernelRidge] | None = None,
        share: float = 0.0,
        sharpness: float = 1.0,
    ) -> None:
        super().__init__()
        self.nets = nn.ModuleList(nets)
        self.places = np.linspace(0, frames - crop_frames, crops).round().astype(int).tolist()
        self.stretches = tuple(stretches)
        self.crop_frames, self.share, self.sharpness = crop_frames, share if kernel else 0.0, sharpness
        self.statistics, self.kernel = kernel if kernel else (None, None)
        self.register_buffer("bands", None if bands is None else torch.from_numpy(bands.astype(np.float32)))

    def forward(self, stored: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = stored / 255
        if self.bands is not None:
            x = torch.matmul(self.bands, x)
        count = len(self.places)
        pieces = torch.cat([x[:, :, at : at + self.crop_frames] for at in self.places], 0)
        logits, embeddings = 0.0, []
        for net in self.nets:
            maps = net.maps(pieces)
            embedded = net.pooled(maps)
            parts = [embedded]
            for number in self.stretches:
                edges = [maps.shape[2] * i // number for i in range(number + 1)]
                parts += [net.pooled(maps[:, :, a:b]) for a, b in itertools.pairwise(edges)]
            told = sum(net.heads["genre"](part).log_softmax(1) for part in parts) / len(parts)
            logits = logits + told.reshape(count, -1, told.shape[1]).mean(0) / len(self.nets)
            embeddings.append(embedded.reshape(count, -1, embedded.shape[1]).mean(0))
        if self.kernel is not None:
            scores = (self.kernel(self.statistics(x)) * self.sharpness).log_softmax(1)
            logits = logits * (1 - self.share) + scores * self.share
        return logits, torch.cat(embeddings, 1)


def lower_bands(bands: int, sample_rate: int, top_hz: float) -> np.ndarray:
    """(bands, bands): as many mel bands up to `top_hz`, read off between the bands up to half the sample rate.

    So a pack at 44,100 Hz looks as one at 22,050 Hz would, and what MP3 encoders cut off at the top is not learnt.
    """
    there = (np.arange(bands) + 1) / (bands + 1) * _mel(sample_rate / 2)
    wanted = (np.arange(bands) + 1) / (bands + 1) * _mel(top_hz)
    above = np.clip(np.searchsorted(there, wanted), 1, bands - 1)
    share = np.clip((wanted - there[above - 1]) / (there[above] - there[above - 1]), 0, 1)
    matrix = np.zeros((bands, bands), np.float32)
    matrix[np.arange(bands), above - 1] = 1 - share
    matrix[np.arange(bands), above] = share
    return matrix


def _mel(hz: float) -> float:
    """Slaney's scale, as the packs have it: linear to 1 kHz, logarithmic above."""
    return hz * 3 / 200 if hz < 1000 else 15 + np.log(hz / 1000) / (np.log(6.4) / 27)
