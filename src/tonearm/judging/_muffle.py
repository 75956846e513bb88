"""A sound with parts of it turned down: some bands for some seconds, the rest as it was."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tonearm.audio import Waveform
from tonearm.features._mel import to_hertz, to_mel

DROP_DB = 30.0


@dataclass(frozen=True, eq=False)
class Grid:
    """Cells of a sound: edges in seconds (columns + 1,) and in hertz (bands + 1,), lowest band first."""

    seconds: np.ndarray
    hertz: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.hertz) - 1, len(self.seconds) - 1


def grid_over(waveform: Waveform, step_seconds: float, bands: int) -> Grid:
    """Cells of about `step_seconds`, and bands that are equally wide to the ear (on the mel scale)."""
    columns = max(1, round(waveform.seconds / step_seconds))
    mels = np.linspace(0.0, float(to_mel(np.array(waveform.sample_rate / 2), "slaney")), bands + 1)
    hertz = to_hertz(mels, "slaney")
    hertz[-1] = waveform.sample_rate / 2
    return Grid(np.linspace(0.0, waveform.seconds, columns + 1), hertz)


class Muffled:
    """A sound as its short-time spectrum, of which parts can be turned down again and again.

    Windows of 93 ms at 22,050 Hz, tapered before and after, so that nothing is heard of where a cell begins.
    """

    def __init__(self, waveform: Waveform, drop_db: float = DROP_DB) -> None:
        self.waveform = waveform
        self.size = 1 << round(np.log2(waveform.sample_rate * 0.093))
        self.hop = self.size // 4
        self.loss = np.float32(1 - 10 ** (-drop_db / 20))
        self.window = np.sqrt(np.hanning(self.size + 1)[:-1]).astype(np.float32)
        padded = np.pad(np.asarray(waveform.samples, np.float32), (self.size, 2 * self.size))
        count = 1 + (len(waveform.samples) + self.size) // self.hop
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.size)[:: self.hop][:count]
        self.spectrum = np.fft.rfft(frames * self.window).astype(np.complex64)
        # The middle of each frame, in seconds of the sound.
        self.seconds = (np.arange(count) * self.hop - self.size / 2) / waveform.sample_rate
        self.hertz = np.fft.rfftfreq(self.size, 1 / waveform.sample_rate)

    def cell_of(self, grid: Grid) -> tuple[np.ndarray, np.ndarray]:
        """The band of each bin and the column of each frame."""
        bands, columns = grid.shape
        band = np.clip(np.searchsorted(grid.hertz, self.hertz, side="right") - 1, 0, bands - 1)
        column = np.clip(np.searchsorted(grid.seconds, self.seconds, side="right") - 1, 0, columns - 1)
        return band, column

    def without(self, grid: Grid, mask: np.ndarray) -> Waveform:
        """The sound with the cells of `mask` (bands, columns) turned down."""
        band, column = self.cell_of(grid)
        samples = self.waveform.samples - self.loss * self._only(mask[:, column][band].T)
        return Waveform(samples.astype(np.float32), self.waveform.sample_rate)

    def energies(self, grid: Grid) -> np.ndarray:
        """The energy in each cell, (bands, columns)."""
        band, column = self.cell_of(grid)
        power = np.abs(self.spectrum) ** 2
        per_band = np.stack([power[:, band == i].sum(axis=1) for i in range(grid.shape[0])])
        return np.stack([per_band[:, column == j].sum(axis=1) for j in range(grid.shape[1])], axis=1)

    def _only(self, chosen: np.ndarray) -> np.ndarray:
        """What is in the chosen bins of the frames, (frames, bins) of bool, as sound."""
        used = np.flatnonzero(chosen.any(axis=1))
        out = np.zeros(len(self.spectrum) * self.hop + self.size, np.float32)
        pieces = np.fft.irfft(np.where(chosen[used], self.spectrum[used], 0), self.size).astype(np.float32)
        # Frames that are four hops apart do not overlap: each of the four layers is laid down at once.
        for layer in range(4):
            rows = used % 4 == layer
            places = used[rows, None] * self.hop + np.arange(self.size)
            out[places] += pieces[rows] * self.window
        # Four squared windows (Hann again) at a time add up to 2.
        return out[self.size : self.size + len(self.waveform.samples)] / 2
