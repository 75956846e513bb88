"""Sound that hardly is music, told apart before a model is believed: it would name a genre for anything.

Each limit lies between what real music measures (50 clips of ten genres, 5 clips of the web and 5 whole songs) and what
made signals do (tones, chords, hum, sweeps; white, pink, brown and speech-shaped noise, steady or in bursts; also after
MP3 at 64 kbit/s). The figures stand beside it, and tests hold them.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np

from tonearm.audio import Waveform
from tonearm.runtime._prediction import Problem

# There is nothing to name a genre of.
NO_MUSIC = ("silent",)
# An answer is given, but never a sure one: there is music of noise and of drones, and no model here knows it well.
DOUBTFUL = ("silent", "steady-tone", "noise", "short")

# Below this level (root of the mean square, 1 is full scale) a stretch counts as silence: -70 dB, under the noise of
# a quiet record and over that of a converter.
SILENCE = 10 ** (-70 / 20)
# Three seconds are the least that anybody has published figures for.
SHORT_SECONDS = 2.9

# Frames that are looked at in all, long enough (0.19 s) to tell the partials of a tone from each other.
FRAMES, FRAME_SECONDS = 48, 0.19
# The spectra of nine in ten frames are at least so much like their mean (cosine): music 0.80 at most, 3 s of dense
# metal 0.82; noise 0.846 and more, what stays as it is 0.958 and more.
STEADY, NOISE_STEADY = 0.93, 0.835
# In small, over 16 bins, a spectrum is so flat in nine of ten frames: music 0.55 at most, 3 s of dense metal 0.557;
# noise of any colour 0.557 and more. Theory says exp(-0.577) = 0.56 of one frame, so only both limits together decide.
NOISE_FLAT = 0.55
# Nine in ten frames have so much of their energy around one frequency: music 0.43 at most, a whistle or a sweep 0.99.
ONE_TONE = 0.95
# What the flatness looks at: there is music everywhere between, and no encoder cuts it away.
BAND_HZ = (100.0, 5000.0)
# A third of the frames tells most music: of 121 songs and clips 110 are below both limits by these few, and what is no
# music stays above one of them.
FEW, PLAIN_STEADY, PLAIN_TONE = FRAMES // 3, 0.7, 0.6
TOP_HZ = 11025.0  # nothing is looked at above, so that files of all rates measure alike
GROUP = 16  # bins that are compared with each other


def examine(excerpts: list[Waveform], seconds: float) -> tuple[list[Waveform], tuple[Problem, ...]]:
    """The excerpts with sound in them (all, if none has), and what speaks against a genre."""
    loud = sounding(excerpts)
    found = []
    if not loud:
        found.append(Problem("silent", "there is nothing to hear in it"))
    elif problem := _unmusical(loud):
        found.append(problem)
    if seconds < SHORT_SECONDS:
        found.append(Problem("short", f"{seconds:.1f} s are too little to be sure of a genre"))
    return loud or excerpts, tuple(found)


def sounding(excerpts: list[Waveform]) -> list[Waveform]:
    """Those with sound in them."""
    return [excerpt for excerpt in excerpts if _is_loud(excerpt.samples)]


def _is_loud(samples: np.ndarray) -> bool:
    """Whether its level is above silence; mostly a second from the middle has power enough for all of it."""
    middle = len(samples) // 2
    part = samples[middle : middle + 44100]
    # The power of a part about its own mean is never more than what it has in the power of the whole.
    return level(part) ** 2 * len(part) > SILENCE**2 * len(samples) or level(samples) > SILENCE


def level(samples: np.ndarray) -> float:
    """Root of the mean square about the mean: an offset is no sound."""
    if not len(samples):
        return 0.0
    middle, power = float(samples.mean()), float(np.dot(samples, samples)) / len(samples)
    # A third of the time of numpy's deviation, but of no use where most of the power is offset.
    return math.sqrt(power - middle**2) if middle**2 < power / 100 else float(samples.std())


def _unmusical(excerpts: list[Waveform]) -> Problem | None:
    if is_plain(excerpts):
        return None
    steady, flat, one_tone = measures(excerpts)
    if steady >= STEADY or one_tone >= ONE_TONE:
        return Problem("steady-tone", "it is one tone or one sound from beginning to end")
    if flat >= NOISE_FLAT and steady >= NOISE_STEADY:
        return Problem("noise", "it is noise from beginning to end")
    return None


def is_plain(excerpts: list[Waveform]) -> bool:
    """Whether a few frames are enough to tell that it is neither noise nor one tone."""
    spectra = _spectra(excerpts, FEW)
    return _steady(spectra) < PLAIN_STEADY and _one_tone(spectra) < PLAIN_TONE


def measures(excerpts: list[Waveform]) -> tuple[float, float, float]:
    """How steady the spectra are, how flat in small, and how much of them is one tone; each of nine in ten frames."""
    spectra, rate = _spectra(excerpts, FRAMES), min(excerpts[0].sample_rate, 2 * TOP_HZ)
    return _steady(spectra), _low(_flatness(spectra, rate)), _one_tone(spectra)


def _steady(spectra: np.ndarray) -> float:
    shapes = np.sqrt(spectra)
    mean = shapes.mean(axis=0)
    return _low(shapes @ mean / (np.linalg.norm(shapes, axis=1) * np.linalg.norm(mean)))


def _one_tone(spectra: np.ndarray) -> float:
    places = spectra.argmax(axis=1)[:, None] + np.arange(-4, 5)
    around = np.take_along_axis(spectra, places.clip(0, spectra.shape[1] - 1), axis=1).sum(axis=1)
    return _low(around / spectra.sum(axis=1))


def _spectra(excerpts: list[Waveform], count: int) -> np.ndarray:
    """Powers of `count` frames spread over the excerpts, (frames, bins); frames of near silence are left out."""
    size = 1 << round(np.log2(FRAME_SECONDS * excerpts[0].sample_rate))
    each = max(8, count // len(excerpts))
    frames = []
    for excerpt in excerpts:
        samples = excerpt.samples
        if len(samples) < size:
            samples = np.pad(samples, (0, size - len(samples)))
        starts = np.linspace(0, len(samples) - size, each).astype(int)
        frames += [samples[start : start + size] for start in starts]
    bins = 1 + int(min(0.5, TOP_HZ / excerpts[0].sample_rate) * size)
    # In double precision, of which numpy's transform is three times as fast as of single.
    found = np.fft.rfft(np.stack(frames) * _taper(size))[:, :bins]
    spectra = found.real**2 + found.imag**2
    power = spectra.sum(axis=1)
    return spectra[power > power.max() * 1e-6]


@cache
def _taper(size: int) -> np.ndarray:
    return np.hanning(size)


def _low(values: np.ndarray) -> float:
    """The tenth part from below, as numpy.quantile gives it (which imports masked arrays, as its median does)."""
    ranked = np.sort(values)
    place = 0.1 * (len(ranked) - 1)
    return float(np.interp(place, np.arange(len(ranked)), ranked))


def _flatness(spectra: np.ndarray, rate: int) -> np.ndarray:
    """Geometric over arithmetic mean within groups of bins, the median over the groups of each frame."""
    per_bin = rate / 2 / (spectra.shape[1] - 1)
    first = int(BAND_HZ[0] / per_bin)
    count = int((min(BAND_HZ[1], rate / 2) - BAND_HZ[0]) / per_bin) // GROUP  # an encoder may want 8,000 Hz
    groups = spectra[:, first : first + count * GROUP].reshape(len(spectra), count, GROUP) + 1e-20
    levels = groups.mean(axis=2)
    flat = np.exp(np.log(groups).mean(axis=2)) / levels
    # Groups 60 dB below the loudest hold what a window or an encoder leaks.
    loud = levels > levels.max(axis=1, keepdims=True) * 1e-6
    # Not by numpy.nanmedian, which imports masked arrays: a twelfth of the time to a first answer.
    ranked, row, last = np.sort(np.where(loud, flat, np.inf), axis=1), np.arange(len(flat)), loud.sum(axis=1) - 1
    return (ranked[row, last // 2] + ranked[row, (last + 1) // 2]) / 2
