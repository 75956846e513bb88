"""Rows of a pack as clips: random ones to learn from, fixed ones that overlap to be judged by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from tonearm.errors import UsageError

# Enough to know a mean and a deviation to three digits; all of a large pack would take as long as an epoch.
_SAMPLE_ROWS = 2000


@dataclass(frozen=True)
class Scale:
    """What is subtracted and divided by, learnt on the training part: arrays (rows, 1), one value or one per band."""

    mean: np.ndarray
    deviation: np.ndarray


@dataclass(frozen=True)
class Clips:
    """Clips of `frames` frames from the rows `rows` of `features` (tracks, bands, frames), a memory-mapped array.

    `labels` and `tracks` belong to `rows`. A row shorter than a clip is refused: pads would be learnt from.
    """

    features: np.ndarray
    rows: np.ndarray
    labels: np.ndarray
    tracks: np.ndarray
    frames: int

    def __post_init__(self) -> None:
        if self.features.ndim != 3:
            raise UsageError(f"clips are cut from arrays of (track, row, frame), not of shape {self.features.shape}")
        if not 1 <= self.frames <= self.features.shape[2]:
            raise UsageError(
                f"a clip of {self.frames} frames does not fit into the {self.features.shape[2]} of a row",
                hint="ask for shorter clips",
            )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, int]:
        return self.features.shape[1], self.frames

    def scale(self, how: str = "global") -> Scale:
        """Mean and deviation over the rows ("global"), per band ("band"), or none ("none")."""
        bands = self.features.shape[1]
        if how == "none":
            return Scale(np.zeros((bands, 1), np.float32), np.ones((bands, 1), np.float32))
        if how not in ("global", "band"):
            raise UsageError(f"scale is global, band or none, not {how!r}")
        step = max(1, len(self.rows) // _SAMPLE_ROWS)
        total, squares, count = np.zeros(bands), np.zeros(bands), 0
        for row in self.rows[::step]:
            values = self.features[row].astype(np.float64)
            total += values.sum(axis=1)
            squares += (values * values).sum(axis=1)
            count += values.shape[1]
        if how == "global":
            total[:], squares[:] = total.mean(), squares.mean()
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean * mean, 0))
        deviation[deviation == 0] = 1.0
        return Scale(mean[:, None].astype(np.float32), deviation[:, None].astype(np.float32))

    def cut(self, positions: Sequence[int], starts: Sequence[int], scale: Scale) -> np.ndarray:
        """Clips (n, bands, frames), float32 and scaled; `positions` are places in `rows`."""
        out = np.empty((len(positions), *self.shape), np.float32)
        for clip, position, start in zip(out, positions, starts, strict=True):
            clip[:] = self.features[self.rows[position], :, start : start + self.frames]
        out -= scale.mean
        out /= scale.deviation
        return out

    def epoch(self, batch_size: int, clips_per_track: int, draw: np.random.Generator) -> Iterator[tuple]:
        """Batches of random clips, each row `clips_per_track` times: (positions, starts)."""
        order = np.concatenate([draw.permutation(len(self.rows)) for _ in range(clips_per_track)])
        starts = draw.integers(0, self.features.shape[2] - self.frames + 1, len(order))
        for at in range(0, len(order), batch_size):
            batch = slice(at, at + batch_size)
            # Batch normalisation cannot take one clip; that one comes again in another epoch.
            if len(order[batch]) > 1 or len(order) == 1:
                yield order[batch], starts[batch]

    def fixed(self, overlap: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
        """All clips that are judged: positions and starts, evenly spread from the first frame to the last."""
        if not 0 <= overlap < 1:
            raise UsageError(f"overlap is a share from 0 to below 1, not {overlap}")
        room = self.features.shape[2] - self.frames
        count = 1 + int(np.ceil(room / (self.frames * (1 - overlap)))) if room else 1
        starts = np.unique(np.linspace(0, room, count).round().astype(int))
        return np.repeat(np.arange(len(self.rows)), len(starts)), np.tile(starts, len(self.rows))
