"""The 57 columns of the GTZAN table that most tutorials use."""

from __future__ import annotations

import numpy as np

from tonearm.features._grid import Grid
from tonearm.features._hpss import harmonic_percussive
from tonearm.features._spectra import Spectra
from tonearm.features.mfcc import Mfcc
from tonearm.features.rhythm import tempo_of
from tonearm.features.rms import Rms
from tonearm.features.spectral import Bandwidth, Centroid, Rolloff
from tonearm.features.tonal import Chroma
from tonearm.features.zcr import ZeroCrossingRate

_N_FFT, _N_MFCC = 2048, 20
_BEFORE_TEMPO = (
    "chroma_stft",
    "rms",
    "spectral_centroid",
    "spectral_bandwidth",
    "rolloff",
    "zero_crossing_rate",
    "harmony",
    "perceptr",
)


def columns() -> list[str]:
    """The names and the order of the published table; the percussive part is called "perceptr" there."""
    mfccs = [f"mfcc{number + 1}" for number in range(_N_MFCC)]
    before, after = (
        [f"{name}_{what}" for name in names for what in ("mean", "var")] for names in (_BEFORE_TEMPO, mfccs)
    )
    return [*before, "tempo", *after]


def compute(spectra: Spectra, *, padding: str) -> np.ndarray:
    """The row of one clip, float32, shape (57,).

    The published table was made by librosa 0.7, which mirrored the clip at its ends for every STFT. Its harmonic and
    percussive parts ended with the last whole hop and were filled up with zeros. `padding` "reflect" does both;
    "zero" does as librosa does today.
    """
    samples = np.pad(spectra.samples, (0, spectra.n_samples - spectra.samples.shape[-1]))
    half = _N_FFT // 2
    padded = Spectra(np.pad(samples, half, mode="reflect" if padding == "reflect" else "constant"), spectra.sample_rate)
    # The padding is there already, so the windows begin with it.
    whole = {"sample_rate": None, "center": False}
    framed = {
        "chroma_stft": Chroma(**whole),
        "rms": Rms(**whole),
        "spectral_centroid": Centroid(**whole),
        "spectral_bandwidth": Bandwidth(**whole),
        "rolloff": Rolloff(**whole),
    }
    padded.magnitude(Grid(center=False))
    values = {name: feature.compute(padded) for name, feature in framed.items()}
    values["zero_crossing_rate"] = ZeroCrossingRate(sample_rate=None).compute(spectra)
    harmonic, percussive = harmonic_percussive(samples, pad_mode="reflect" if padding == "reflect" else "constant")
    if padding == "reflect":
        end = len(samples) // (_N_FFT // 4) * (_N_FFT // 4)
        harmonic[end:] = 0
        percussive[end:] = 0
    values["harmony"], values["perceptr"] = harmonic, percussive
    row = [statistic for name in _BEFORE_TEMPO for statistic in _mean_and_variance(values[name])]
    # By the median over the bands, as librosa's beat tracker does, whose tempo the table has.
    row.append(tempo_of(padded, Grid(center=False), aggregate="median"))
    for coefficient in Mfcc(n_mfcc=_N_MFCC, **whole).compute(padded):
        row += _mean_and_variance(coefficient)
    return np.array(row, np.float32)


def _mean_and_variance(values: np.ndarray) -> tuple[float, float]:
    values = np.asarray(values, np.float64)
    return float(values.mean()), float(values.var())
