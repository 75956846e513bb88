"""Two clips at once."""

from __future__ import annotations

import numpy as np
import torch

from tonearm.training.augment._augmentation import Augmentation, Batch, Drawn, augmentation, column


@augmentation("mixup", on="spectrogram", bounds={"alpha": (1e-3, 100)})
class Mixup(Augmentation):
    """Each clip with a share of another of the batch, and so its genre; shares from a Beta distribution.

    Zhang et al. 2018, mixup: Beyond empirical risk minimization.
    """

    alpha: float = 0.3

    def draw(self, draw: np.random.Generator, n: int, shape: tuple[int, ...]) -> Drawn:
        return {"share": draw.beta(self.alpha, self.alpha, n), "other": draw.permutation(n)}

    def apply(self, x: torch.Tensor, y: torch.Tensor, drawn: Drawn) -> Batch:
        share, other = column(drawn["share"], x), torch.from_numpy(drawn["other"]).to(x.device)
        return torch.lerp(x[other], x, share), torch.lerp(y[other], y, share[:, :, 0])
