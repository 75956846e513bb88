"""How often the waveform crosses zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from tonearm.errors import UsageError
from tonearm.features import _fields, _ops
from tonearm.features._spectra import Spectra
from tonearm.features.base import Framed, feature

# What is nearer to zero counts as zero, and zero counts as positive.
THRESHOLD = np.float32(1e-10)


@feature("zcr")
class ZeroCrossingRate(Framed):
    """Share of the samples that have another sign than the one before, per frame or time step, shape (1, frames)."""

    time_steps: int | None = _fields.whole(
        None, "cut the clip into so many equal steps, instead of frames of n_fft samples", optional=True
    )

    def check(self) -> None:
        super().check()
        if self.time_steps is not None and self.frames is not None:
            raise UsageError("time_steps and frames exclude each other", hint="give one of them")

    @property
    def rows(self) -> int:
        return 1

    def columns(self) -> list[str]:
        return ["zcr"]

    def frame_count(self, n_samples: int) -> int:
        return self.time_steps or super().frame_count(n_samples)

    @property
    def value_range(self) -> tuple[float, float]:
        return 0.0, 1.0

    def _ends(self, n_samples: int) -> tuple[np.ndarray, np.ndarray]:
        """The first sample of each stretch and the one behind its last."""
        if self.time_steps is not None:
            edges = np.arange(self.time_steps + 1) * n_samples // self.time_steps
            return edges[:-1], edges[1:]
        indices = self.grid.indices(n_samples)
        indices = np.arange(self.grid.total(n_samples)) if indices is None else indices
        starts = indices * self.hop_length - self.grid.pad
        return starts, starts + self.n_fft

    def compute(self, spectra: Spectra) -> Any:
        starts, stops = self._ends(spectra.n_samples)
        # Sums up to a sample instead of a sum per frame: every sample lies in four frames. Outside the clip its ends
        # go on, so nothing is crossed there.
        sums = spectra.share("zero crossings", lambda: crossings_so_far(spectra.samples))
        last = sums.shape[-1] - 1
        before, after = (
            sums[..., _ops.constant(np.clip(ends, 0, last), sums)] for ends in (starts, np.maximum(stops - 1, starts))
        )
        lengths = _ops.constant(np.maximum(stops - starts, 1), sums)
        return _ops.float32((after - before) / lengths)[..., None, :]


def crossings_so_far(samples: Any) -> Any:
    """How many crossings lie between the first sample and each, whole numbers, shape (..., n)."""
    negative = samples <= -float(THRESHOLD)
    crossed = negative ^ _ops.concat([negative[..., :1], negative[..., :-1]], -1)
    return crossed.cumsum(-1, dtype=np.int32) if _ops.is_numpy(samples) else crossed.cumsum(-1)
