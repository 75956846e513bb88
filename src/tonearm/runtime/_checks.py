"""Sound that is no music, told apart before a model is asked: it would name a genre for anything."""

from __future__ import annotations

import numpy as np

from tonearm.audio import Waveform
from tonearm.runtime._prediction import Problem

# There is nothing to name a genre of.
NO_MUSIC = ("silent", "steady-tone", "noise")
# The answer is never "sure".
DOUBTFUL = (*NO_MUSIC, "short")

# Below this level (root of the mean square, 1 is full scale) a stretch counts as silence: -70 dB, under the noise of
# a quiet record and over that of a converter.
SILENCE = 10 ** (-70 / 20)
# Three seconds are the least that anybody has published figures for.
SHORT_SECONDS = 2.9


def examine(excerpts: list[Waveform], seconds: float) -> tuple[list[Waveform], tuple[Problem, ...]]:
    """The excerpts with sound in them (all, if none has), and what speaks against a genre."""
    sounding = [excerpt for excerpt in excerpts if level(excerpt.samples) > SILENCE]
    found = []
    if not sounding:
        found.append(Problem("silent", "there is nothing to hear in it"))
    if seconds < SHORT_SECONDS:
        found.append(Problem("short", f"{seconds:.1f} s are too little to be sure of a genre"))
    return sounding or excerpts, tuple(found)


def level(samples: np.ndarray) -> float:
    """Root of the mean square about the mean: an offset is no sound."""
    return float(samples.std()) if len(samples) else 0.0
