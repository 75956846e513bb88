"""How loud each frame is."""

from __future__ import annotations

from typing import Any

import numpy as np

from tonearm.features import _ops
from tonearm.features._spectra import Spectra
from tonearm.features.base import Framed, feature


@feature("rms")
class Rms(Framed):
    """Root of the mean square of the samples of each frame, shape (1, frames)."""

    @property
    def rows(self) -> int:
        return 1

    def columns(self) -> list[str]:
        return ["rms"]

    def compute(self, spectra: Spectra) -> Any:
        windows = spectra.windows(self.grid)
        if spectra.numpy:
            # Products and their sum in one go: the windows overlap, and squares of them all would be four times a clip.
            squares = np.einsum("...i,...i->...", windows, windows)
        else:
            squares = _ops.per_frame(windows, lambda part: (part * part).sum(-1))
        return _ops.float32((squares / self.n_fft) ** 0.5)[..., None, :]
