"""The changes of `changes` as far as they can be made to mel spectra in a pack: the sound is not there any more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tonearm import features
from tonearm.features._mel import to_hertz, to_mel
from tonearm.judging.changes import CHANGES
from tonearm.packs import Pack

NATIVE_RATE = 44100.0
# A band that reaches no higher is what is left below 20 Hz; mel bands are wider than that.
DEEP_HZ = 25.0


@dataclass(frozen=True, slots=True)
class Bands:
    """What is known of a pack of mel spectra: hertz of each band, lower, middle, upper (bands, 3), and its scale."""

    hertz: np.ndarray
    seconds: float
    low: float
    high: float
    decibels_per_step: float

    @property
    def centres(self) -> np.ndarray:
        return self.hertz[:, 1]


def bands_of(pack: Pack) -> Bands | None:
    """None where the rows of the pack are not mel bands in decibels."""
    if pack.features.ndim != 3 or pack.feature_config.get("kind") != "logmel":
        return None
    feature = features.from_config(pack.feature_config)
    top_db = feature.top_db or 80.0
    low, high, step = -top_db, 0.0, 1.0
    if pack.features.dtype == np.uint8:
        scale = pack.meta.get("scale")
        # Bytes between the lowest and the highest value of a clip: nearly always all of top_db.
        span = top_db
        if isinstance(scale, dict) and scale.get("kind") == "range":
            span = float(scale["high"]) - float(scale["low"])
        low, high, step = 0.0, 255.0, span / 255.0
    seconds = feature.clip_seconds or pack.features.shape[2] * feature.hop_length / (feature.sample_rate or NATIVE_RATE)
    return Bands(hertz_of(feature), float(seconds), low, high, step)


def hertz_of(feature: Any) -> np.ndarray:
    """Lower end, middle and upper end of every mel band in hertz, (n_mels, 3)."""
    top = feature.fmax or (feature.sample_rate or NATIVE_RATE) / 2
    ends = to_mel(np.array([feature.fmin, top]), feature.mel_scale)
    edges = to_hertz(np.linspace(ends[0], ends[1], feature.n_mels + 2), feature.mel_scale)
    return np.stack([edges[:-2], edges[1:-1], edges[2:]], axis=1)


def changes_of(bands: Bands) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """By the names of `changes.CHANGES`: functions from a block (n, bands, frames), as stored, to a changed one."""
    made: dict[str, Callable[[np.ndarray], np.ndarray]] = {"start": _start(bands)}
    if (bands.hertz[:, 2] <= DEEP_HZ).any():
        made["below-20-hz"] = _without(bands.hertz[:, 2] <= DEEP_HZ)
    for name, hertz in (("low-pass-8000", 8000), ("low-pass-4000", 4000)):
        if (bands.centres > hertz).any():
            made[name] = _without(bands.centres > hertz)
    made |= {"tempo+5": _tempo(1.05), "tempo-5": _tempo(1 / 1.05)}
    made |= {"pitch+1": _pitch(bands, 1), "pitch-1": _pitch(bands, -1)}
    made |= {f"noise-{snr_db}": _noise(bands, snr_db) for snr_db in (30, 20, 10)}
    return {name: made[name] for name in CHANGES if name in made}


def _start(bands: Bands) -> Callable:
    def change(block: np.ndarray) -> np.ndarray:
        late = max(1, round(0.5 * block.shape[2] / bands.seconds))
        return np.concatenate([block[:, :, late:], block[:, :, -late:]], axis=2)

    return change


def _without(which: np.ndarray) -> Callable:
    def change(block: np.ndarray) -> np.ndarray:
        block = block.copy()
        block[:, which] = block.min(axis=(1, 2), keepdims=True)
        return block

    return change


def _tempo(factor: float) -> Callable:
    """The frames of a clip that is played faster; what is missing at its end is the end once more."""

    def change(block: np.ndarray) -> np.ndarray:
        frames = block.shape[2]
        at = np.arange(frames) * factor
        at = np.where(at > frames - 1, 2 * (frames - 1) - at, at)  # mirrored
        return block[:, :, np.clip(np.rint(at).astype(int), 0, frames - 1)]

    return change


def _pitch(bands: Bands, semitones: float) -> Callable:
    """Each band as the one that lies so many semitones below it (or above): read off between two bands."""
    at = np.interp(bands.centres * 2 ** (-semitones / 12), bands.centres, np.arange(len(bands.centres)))
    left = np.minimum(at.astype(int), len(at) - 2)
    share = (at - left).astype(np.float32)[:, None]

    def change(block: np.ndarray) -> np.ndarray:
        mixed = (1 - share) * block[:, left].astype(np.float32) + share * block[:, left + 1].astype(np.float32)
        return _as(block, mixed)

    return change


def _noise(bands: Bands, snr_db: float) -> Callable:
    """White noise, so many dB below the clip as far as its bands tell: the same power in every hertz."""
    width = (bands.hertz[:, 2] - bands.hertz[:, 0]) / 2

    def change(block: np.ndarray) -> np.ndarray:
        decibels = (block.astype(np.float32) - bands.high) * np.float32(bands.decibels_per_step)
        density = 10 ** (decibels / 10)  # bands of equal area hold power per hertz
        total = np.einsum("nbt,b->n", density, width) / block.shape[2]
        floor = total * 10 ** (-snr_db / 10) / width.sum()
        louder = 10 * np.log10(density + floor[:, None, None])
        louder -= louder.max(axis=(1, 2), keepdims=True)
        return _as(block, np.maximum(louder / bands.decibels_per_step + bands.high, bands.low))

    return change


def _as(block: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values in the type of the pack."""
    if block.dtype == np.uint8:
        return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
    return values.astype(block.dtype)
