"""Which windows of a clip are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

WINDOWS = ("hann", "hamming", "blackman", "rectangular")


@dataclass(frozen=True, slots=True)
class Grid:
    """Windows of `n_fft` samples every `hop_length`, with a taper; all of them, or `frames` spread over the clip.

    With `center`, frame t is centred on sample t * hop_length and the clip is extended at both ends. With `frames`,
    column i is frame floor((i + 0.5) / frame_divisor * T) of the T frames that the clip has.
    """

    n_fft: int = 2048
    hop_length: int = 512
    win_length: int | None = None
    window: str = "hann"
    center: bool = True
    frames: int | None = None
    frame_divisor: float | None = None

    @property
    def pad(self) -> int:
        """Samples that the clip is extended by at either end."""
        return self.n_fft // 2 if self.center else 0

    @property
    def bins(self) -> int:
        return self.n_fft // 2 + 1

    def total(self, n_samples: int) -> int:
        """How many frames a clip of so many samples has; one that is shorter than a window has one."""
        return 1 + max(0, n_samples + 2 * self.pad - self.n_fft) // self.hop_length

    def count(self, n_samples: int) -> int:
        """How many frames are looked at."""
        return self.total(n_samples) if self.frames is None else self.frames

    def indices(self, n_samples: int) -> np.ndarray | None:
        """Numbers of the frames that are looked at, shape (frames,), or None for all of them."""
        if self.frames is None:
            return None
        total = self.total(n_samples)
        chosen = np.floor((np.arange(self.frames) + 0.5) / (self.frame_divisor or self.frames) * total)
        return np.minimum(chosen.astype(np.int64), total - 1)

    def covered(self, n_samples: int, total_samples: int) -> np.ndarray:
        """Which columns of a clip of `total_samples` look at nothing behind sample `n_samples`, shape (frames,)."""
        indices = self.indices(total_samples)
        if indices is None:
            indices = np.arange(self.total(total_samples))
        return indices * self.hop_length - self.pad + self.n_fft <= n_samples


@lru_cache(maxsize=32)
def taper(window: str, length: int, n_fft: int) -> np.ndarray:
    """A periodic window in the middle of n_fft samples, float64, shape (n_fft,)."""
    phase = 2 * np.pi * np.arange(length) / length
    shape = {
        "hann": lambda: 0.5 - 0.5 * np.cos(phase),
        "hamming": lambda: 0.54 - 0.46 * np.cos(phase),
        "blackman": lambda: 0.42 - 0.5 * np.cos(phase) + 0.08 * np.cos(2 * phase),
        "rectangular": lambda: np.ones(length),
    }[window]()
    left = (n_fft - length) // 2
    result = np.pad(shape, (left, n_fft - length - left))
    result.setflags(write=False)
    return result
