"""Sound as numbers that know their rate."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True)
class Waveform:
    """Mono samples, float32, shape (n,), with the rate they were taken at.

    `silent` is true for digital silence (every sample the same value); `warnings` holds a sentence for each thing
    that was wrong with the file but did not stop the reading, such as a truncated end; `power` is the sum of their
    squares where it is known, infinite where samples are finite but far too large.
    """

    samples: np.ndarray
    sample_rate: int
    silent: bool = False
    warnings: tuple[str, ...] = ()
    power: float | None = field(default=None, repr=False, compare=False)

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.sample_rate
