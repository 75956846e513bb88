"""Stretches of time or of bands that are hidden."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from tonearm.training.augment._augmentation import Augmentation, Batch, Drawn, augmentation


class _Mask(Augmentation):
    axis: ClassVar[int]

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        size = shape[self.axis - 1]
        widths = draw.integers(0, int(self.longest * size) + 1, (self.masks, n))
        return {"width": widths, "start": draw.integers(0, size - widths + 1)}

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        places = np.arange(x.shape[self.axis])
        begin = drawn["start"][..., None]
        hidden = ((places >= begin) & (places < begin + drawn["width"][..., None])).any(axis=0)
        mask = torch.from_numpy(hidden).to(x.device).unsqueeze(3 - self.axis)
        return x.masked_fill(mask, 0.0), y


@augmentation("time-mask", on="spectrogram", bounds={"masks": (1, 100), "longest": (0, 1)})
class TimeMask(_Mask):
    """Hide `masks` stretches of time, each up to a share `longest` of the clip, behind the mean.

    Park et al. 2019, SpecAugment.
    """

    axis = 2

    masks: int = 2
    longest: float = 0.1


@augmentation("frequency-mask", on="spectrogram", bounds={"masks": (1, 100), "longest": (0, 1)})
class FrequencyMask(_Mask):
    """Hide `masks` stretches of bands, each up to a share `longest` of them, behind the mean.

    Park et al. 2019, SpecAugment.
    """

    axis = 1

    masks: int = 2
    longest: float = 0.1
