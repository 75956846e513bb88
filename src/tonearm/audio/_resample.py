"""Resampling by soxr, at once and in blocks."""

from __future__ import annotations

import numpy as np

# LQ and QQ save nothing that can be measured and damage the top bands by 40 dB.
QUALITY = "HQ"


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """Samples (n,) or (n, channels) at `from_rate` as float32 at `to_rate`."""
    samples = np.asarray(samples, np.float32)
    if from_rate == to_rate or not len(samples):
        return samples
    import soxr

    return soxr.resample(samples, from_rate, to_rate, quality=QUALITY)


class StreamResampler:
    """Blocks in, blocks of another rate and size out; the first `skip` samples of the result are dropped."""

    def __init__(self, from_rate: int, to_rate: int, *, skip: int = 0) -> None:
        self._resampler = None
        if from_rate != to_rate:
            import soxr

            self._resampler = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality=QUALITY)
        self._kept: list[np.ndarray] = []
        self._size = 0
        self._skip = skip
        self._last = False

    @property
    def ended(self) -> bool:
        """Whether everything was pushed and taken."""
        return self._last and self._size == 0

    def push(self, samples: np.ndarray, *, last: bool) -> None:
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=last)
        dropped = min(self._skip, len(samples))
        self._skip -= dropped
        self._last = last
        if len(samples) > dropped:
            self._kept.append(samples[dropped:])
            self._size += len(samples) - dropped

    def take(self, count: int) -> np.ndarray | None:
        """`count` samples; fewer only after the last push; None when more must be pushed first."""
        if (self._size < count and not self._last) or self._size == 0:
            return None
        together = self._kept[0] if len(self._kept) == 1 else np.concatenate(self._kept)
        rest = together[count:]
        self._kept = [rest] if len(rest) else []
        self._size = len(rest)
        return together[:count]
