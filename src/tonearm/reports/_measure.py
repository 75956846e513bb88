"""Numbers of every track for a page of a dataset: low-level features to compare genres by, and vectors for a map."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from tonearm import audio
from tonearm.audio import Waveform
from tonearm.packs import Pack
from tonearm.reports._tracks import levels_of, rate_of, seconds_of

SECONDS = 10.0  # of the middle of what a model hears: a look at a dataset must not take as long as building it
RATE = 22050


class Measure(NamedTuple):
    """One number of a track: its short name, its unit (or what the axis says), and what it tells."""

    name: str
    unit: str
    tells: str


# What is measured of sound; the order of the columns.
OF_SOUND = (
    Measure("ZCR", "crossings a second", "how often the waveform crosses zero: noise and cymbals high, bass low"),
    Measure("centroid", "Hz", "mean frequency of the spectrum: bright or dark"),
    Measure("bandwidth", "Hz", "how wide the spectrum lies around its centroid"),
    Measure("rolloff", "Hz", "below which 85 % of the magnitudes lie"),
    Measure("contrast", "dB", "peaks over valleys in octaves: tones high, noise low"),
    Measure("RMS", "dB", "how loud the recording is; 0 dB is a full-scale square wave"),
    Measure("tempo", "beats a minute", "the tempo that repeats most; half and double are often taken for it"),
    Measure("fifths", "0 to 1", "tonnetz: how plainly the harmony stays in one place on the circle of fifths"),
    Measure("minor thirds", "0 to 1", "tonnetz: the same on the circle of minor thirds"),
    Measure("major thirds", "0 to 1", "tonnetz: the same on the circle of major thirds"),
)
# Of bands in dB: what they still tell. Level, and with it RMS, is lost where each clip has its own scale.
OF_BANDS = (
    Measure("centroid", "Hz", "mean frequency of the bands: bright or dark"),
    Measure("bandwidth", "Hz", "how wide the bands lie around their centroid"),
    Measure("rolloff", "Hz", "below which 85 % of the energy lies"),
    Measure("contrast", "dB", "peaks over valleys in groups of bands: tones high, noise low"),
    Measure("dynamics", "dB", "how much the level changes from frame to frame"),
    Measure("flatness", "dB", "how near to noise: 0 dB is flat"),
)
# Columns of published tables that are low-level features, by the beginning of their names.
_COLUMNS = {
    "ZCR": ("zero_crossing_rate_mean", "zcr_mean_01", "zcr"),
    "centroid": ("spectral_centroid_mean", "spectral_centroid_mean_01", "centroid"),
    "bandwidth": ("spectral_bandwidth_mean", "spectral_bandwidth_mean_01", "bandwidth"),
    "rolloff": ("rolloff_mean", "spectral_rolloff_mean_01", "rolloff"),
    "contrast": ("spectral_contrast_mean_04", "contrast3"),
    "RMS": ("rms_mean", "rmse_mean_01", "rms"),
    "tempo": ("tempo",),
    "fifths": ("tonnetz_mean_01",),
    "chroma": ("chroma_stft_mean", "chroma_stft_mean_01"),
    "harmony": ("harmony_var",),
    "percussion": ("perceptr_var",),
}
_SHOWN = 10


@dataclass(frozen=True)
class Measured:
    """`rows` (n,) say which tracks of the table were measured; `values` (n, measures); `vectors` (n, d) for the map."""

    rows: np.ndarray
    measures: tuple[Measure, ...]
    values: np.ndarray
    vectors: np.ndarray
    note: str = ""
    failed: tuple[tuple[str, str], ...] = ()
    lengths: dict[int, tuple[float, int]] = field(default_factory=dict)


def of_sound(paths: Sequence[str], chosen: np.ndarray, *, workers: int | None = None,
             progress: Callable[[str], None] = lambda words: None) -> Measured:  # fmt: skip
    """Measure tracks by their files; of the files that are not `chosen` only header and length are read."""
    from tonearm.engines import local

    wanted = set(chosen.tolist())
    items = [(row, path, row in wanted) for row, path in enumerate(paths) if path]
    lengths: dict[int, tuple[float, int]] = {}
    rows, values, failed = [], [], []
    for done, outcome in enumerate(local.run(_measure, items, workers=workers)):
        row, path, _ = items[outcome.index]
        if done % 50 == 0:
            progress(f"listening: {done:,} of {len(items):,} files")
        if outcome.error is not None:
            failed.append((path, outcome.error.message))
            continue
        seconds, rate, found = outcome.value
        lengths[row] = (seconds, rate)
        if found is not None:
            rows.append(row)
            values.append(found)
    order = np.argsort(rows)
    array = np.array(values, np.float64)[order] if rows else np.empty((0, len(OF_SOUND) + 40))
    note = f"Measured on the middle {SECONDS:g} s of the first 30 s, at {RATE:,} Hz."
    return Measured(
        np.array(rows, int)[order], OF_SOUND, array[:, : len(OF_SOUND)], array, note, tuple(failed), lengths
    )


def _measure(item: tuple[int, str, bool]) -> tuple[float, int, np.ndarray | None]:
    _, path, wanted = item
    info = audio.info(path)
    if not wanted:
        return info.seconds, info.sample_rate, None
    start = max(0.0, (min(30.0, info.seconds) - SECONDS) / 2)
    waveform = audio.load(path, sample_rate=RATE, start_seconds=start, clip_seconds=SECONDS, min_seconds=0.5)
    return info.seconds, info.sample_rate, sound_numbers(waveform)


def sound_numbers(waveform: Waveform) -> np.ndarray:
    """The measures of `OF_SOUND`, then mean and deviation of 20 MFCC: (50,). One STFT serves all."""
    from tonearm.features import Spectra

    spectra = Spectra(np.ascontiguousarray(waveform.samples, np.float32), waveform.sample_rate)
    found = {kind: _feature(kind).compute(spectra) for kind in ("zcr", "centroid", "bandwidth", "rolloff", "contrast",
                                                                 "rms", "tempo", "tonnetz", "mfcc")}  # fmt: skip
    power = float(np.mean(np.square(waveform.samples, dtype=np.float64)))
    centre = found["tonnetz"].mean(axis=1).reshape(3, 2)
    # The circle of major thirds has half the radius of the others.
    around = np.hypot(centre[:, 0], centre[:, 1]) / (1.0, 1.0, 0.5)
    numbers = [
        found["zcr"].mean() * waveform.sample_rate, found["centroid"].mean(), found["bandwidth"].mean(),
        found["rolloff"].mean(), found["contrast"].mean(), 10 * np.log10(max(power, 1e-10)), float(found["tempo"][0]),
        *around, *found["mfcc"].mean(axis=1), *found["mfcc"].std(axis=1),
    ]  # fmt: skip
    return np.array(numbers, np.float64)


@lru_cache(maxsize=16)
def _feature(kind: str) -> Any:
    from tonearm import features

    # Tonnetz of the STFT's pitch classes: of a constant-Q spectrum it would take longer than all the rest together.
    return features.create(kind, sample_rate=None, **({"source": "stft"} if kind == "tonnetz" else {}))


def of_pack(pack: Pack, rows: np.ndarray, *, progress: Callable[[str], None] = lambda words: None) -> Measured:
    """Measure rows of a pack by what its feature allows."""
    if pack.features.ndim == 3 and pack.feature_config.get("kind") in ("logmel", "mel") and pack.features.shape[2] > 1:
        return _of_bands(pack, rows, progress)
    return _of_columns(pack, rows)


def _of_bands(pack: Pack, rows: np.ndarray, progress: Callable[[str], None]) -> Measured:
    """Each row once, some at a time: centre, width, contrast and movement of its bands, and the map's vector."""
    from tonearm.audit.listen import statistics
    from tonearm.features._mel import to_hertz, to_mel

    config, bands = pack.feature_config, pack.features.shape[1]
    rate = rate_of(pack, int(rows[0]))
    scale = config.get("mel_scale") or "slaney"
    measures = OF_BANDS
    if rate is None:
        centres = np.arange(bands) + 0.5
        measures = tuple(one._replace(unit="mel band") if one.unit == "Hz" else one for one in measures)
    else:
        ends = to_mel(np.array([config.get("fmin") or 0.0, config.get("fmax") or rate / 2]), scale)
        centres = to_hertz(np.linspace(ends[0], ends[1], bands + 2), scale)[1:-1]
    seconds = seconds_of(pack, int(rows[0]))
    frame_rate = pack.features.shape[2] / seconds if seconds else 10.0
    weights = np.stack([np.ones(bands), centres, centres**2]).astype(np.float32)
    numbers, vectors, step = [], [], max(1, (32 << 20) // (4 * bands * pack.features.shape[2]))
    for start in range(0, len(rows), step):
        progress(f"measuring: {start:,} of {len(rows):,} rows")
        level = levels_of(pack, rows[start : start + step])
        if config.get("kind") == "mel":
            level = 10 * np.log10(np.maximum(level, 1e-10))
        numbers.append(_band_numbers(level, weights, centres))
        vectors.append(statistics(level, frame_rate))
    note = "Measured on the bands of the pack"
    note += ", whose level is lost: 80 dB are taken for the range of each clip." if _level_is_lost(pack) else "."
    return Measured(rows, measures, np.concatenate(numbers), np.concatenate(vectors).astype(np.float64), note)


def _level_is_lost(pack: Pack) -> bool:
    return pack.features.dtype == np.uint8 and "min" in str(pack.meta.get("scale"))


def _band_numbers(level: np.ndarray, weights: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The measures of `OF_BANDS` of dB (n, bands, frames): (n, 6). Means over frames of the clip's mean spectrum."""
    n, bands, _ = level.shape
    magnitude = np.exp(level * np.float32(np.log(10) / 20)).mean(axis=2)
    total, first, second = (magnitude @ row for row in weights)
    total = np.maximum(total, 1e-9)
    centroid = first / total
    width = np.sqrt(np.maximum(second / total - centroid**2, 0))
    sums = np.cumsum(magnitude, axis=1)
    rolloff = centres[(sums >= 0.85 * sums[:, -1:]).argmax(axis=1)]
    mean = level.mean(axis=2)
    edges = np.linspace(0, bands, 7).astype(int)
    groups = [mean[:, a:b] for a, b in pairwise(edges.tolist()) if b > a]
    contrast = np.mean([np.ptp(group, axis=1) for group in groups], axis=0)
    loud = level.mean(axis=1)
    dynamics = np.abs(np.diff(loud, axis=1)).mean(axis=1) if loud.shape[1] > 1 else np.zeros(n)
    flatness = mean.mean(axis=1) - 20 * np.log10(total / bands)
    return np.stack([centroid, width, rolloff, contrast, dynamics, flatness], axis=1)


def _of_columns(pack: Pack, rows: np.ndarray) -> Measured:
    """Columns that are low-level features by their names; else those that differ most between genres."""
    values = pack.decoded(rows)
    flat = values.reshape(len(values), -1) if values.ndim != 3 else np.concatenate([values.mean(2), values.std(2)], 1)
    flat = np.nan_to_num(flat.astype(np.float64), posinf=0.0, neginf=0.0)
    names = pack.feature_columns
    if names is None or len(names) not in (flat.shape[1], values.shape[1]):
        names = [f"column {number + 1}" for number in range(flat.shape[1])]
    elif len(names) * 2 == flat.shape[1]:
        names = [f"{name}, mean" for name in names] + [f"{name}, deviation" for name in names]
    known = {
        word: next(names.index(name) for name in spelt if name in names)
        for word, spelt in _COLUMNS.items()
        if any(name in names for name in spelt)
    }
    if len(known) >= 3:
        at = list(known.values())
        measures = tuple(Measure(word, names[i], f"the column {names[i]}") for word, i in known.items())
        note = "Measured by whoever made the pack; the columns are named on the axes."
    else:
        at = np.argsort(-_separation(flat, pack.column("genre")[rows]), kind="stable")[:_SHOWN].tolist()
        measures = tuple(Measure(names[i], "", "") for i in at)
        note = f"Of {flat.shape[1]:,} columns, those that differ most between genres."
    return Measured(rows, measures, flat[:, at], flat, note)


def _separation(values: np.ndarray, genres: np.ndarray) -> np.ndarray:
    """Variance of the means of genres over that within them, per column."""
    overall, between, within = values.mean(axis=0), np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for genre in np.unique(genres):
        some = values[genres == genre]
        between += len(some) * (some.mean(axis=0) - overall) ** 2
        within += ((some - some.mean(axis=0)) ** 2).sum(axis=0)
    return between / np.maximum(within, 1e-12)


def sampled(genres: np.ndarray, most: int, *, seed: int = 0) -> np.ndarray:
    """Rows (sorted) of at most so many tracks, as even over the genres as they allow; the same for the same seed."""
    if len(genres) <= most:
        return np.arange(len(genres))
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(genres))
    turn = np.empty(len(genres), int)
    for genre in np.unique(genres):
        own = order[genres[order] == genre]
        turn[own] = np.arange(len(own))
    return np.sort(order[np.argsort(turn[order], kind="stable")][:most])
