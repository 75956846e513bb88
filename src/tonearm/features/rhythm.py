"""How fast the music goes."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from tonearm.features import _fields, _ops, _tempo
from tonearm.features._grid import Grid
from tonearm.features._mel import Mel
from tonearm.features._spectra import Spectra
from tonearm.features.base import Feature, feature


def tempo_of(spectra: Spectra, grid: Grid, *, aggregate: str = "mean", **prior: Any) -> float:
    """Beats per minute of one numpy clip, from the onsets in its mel bands."""
    decibels = _ops.power_to_db(spectra.mel(grid, Mel()))
    envelope = _tempo.onset_strength(decibels.T, n_fft=grid.n_fft, hop_length=grid.hop_length, aggregate=aggregate)
    return _tempo.tempo_bpm(envelope, spectra.sample_rate / grid.hop_length, **prior)


@feature("tempo")
class Tempo(Feature):
    """Beats per minute of the whole clip, shape (1,).

    Of a clip without beats (silence, a click) it is the tempo nearest to `start_bpm` that a whole number of frames
    makes.
    """

    axes = ("statistic",)
    has_batch = False

    n_fft: int = _fields.whole(2048, "samples in a window", least=2)
    hop_length: int = _fields.whole(512, "samples from one window to the next")
    aggregate: str = _fields.choice("mean", "how the onsets of the mel bands become one", ("mean", "median"))
    start_bpm: float = _fields.real(120.0, "the tempo that is most likely before anything is heard", above=0)
    std_bpm: float = _fields.real(1.0, "octaves of tempo around start_bpm that are likely", above=0)
    max_bpm: float = _fields.real(320.0, "a tempo that is too fast", above=0)
    window_seconds: float = _fields.real(8.0, "length of the windows that a beat is looked for in", above=0)

    @cached_property
    def grid(self) -> Grid:
        return Grid(self.n_fft, self.hop_length)

    def compute(self, spectra: Spectra) -> np.ndarray:
        bpm = tempo_of(
            spectra,
            self.grid,
            aggregate=self.aggregate,
            start_bpm=self.start_bpm,
            std_bpm=self.std_bpm,
            max_bpm=self.max_bpm,
            window_seconds=self.window_seconds,
        )
        return np.array([bpm], np.float32)

    def columns(self) -> list[str]:
        return ["tempo"]
