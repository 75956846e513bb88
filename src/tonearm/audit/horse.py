"""The horse test: does accuracy survive a change that no listener would call another genre?

Named after the horse that counted by watching its audience (Sturm 2014, A simple method to determine if a music
information retrieval system is a "horse"). A classifier is trained on the files as they are, artists apart, and tested
on held-out files as they are and changed.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tonearm.audio import Waveform
from tonearm.audit import quick as q
from tonearm.audit.listen import DEEP_EDGES, LEAST_SECONDS, excerpt, listen
from tonearm.packs import Pack
from tonearm.protocols import TrackTable, make_split

DEEP_COLUMNS = len(DEEP_EDGES) - 1
FOLDS = 5
WORDS = {
    "below-20-hz": "everything below 20 Hz is taken away: nobody hears it",
    "gain": "each track is made louder or softer, by up to 10 dB",
    "channel": "each track gets another tone control, up to 3 dB",
    "mp3-64k": "each track is turned into an MP3 of 64 kbit/s",
    "resampled": "everything above 8 kHz is taken away, as in a file at 16 kHz",
    "start": "each track begins half a second later",
    "only-below-20-hz": "the classifier gets nothing but what is below 20 Hz, which nobody hears",
}
# Those that no listener would notice: what falls with them is learned from something that is not music. The others
# change the sound a little, and a small fall is the classifier's own weakness.
INAUDIBLE = ("below-20-hz", "gain", "start", "only-below-20-hz")
FALL_POINTS = 5.0


def _without_deep(wave: Waveform, draw: np.random.Generator) -> Waveform:
    spectrum = np.fft.rfft(wave.samples)
    hertz = np.fft.rfftfreq(len(wave.samples), 1 / wave.sample_rate)
    spectrum *= np.clip((hertz - 20) / 4, 0, 1)
    return Waveform(np.fft.irfft(spectrum, len(wave.samples)).astype(np.float32), wave.sample_rate)


def _gain(wave: Waveform, draw: np.random.Generator) -> Waveform:
    return Waveform(wave.samples * np.float32(10 ** (draw.uniform(-10, 10) / 20)), wave.sample_rate)


def _channel(wave: Waveform, draw: np.random.Generator) -> Waveform:
    """A smooth response of up to 3 dB, another one for each file."""
    spectrum = np.fft.rfft(wave.samples)
    octave = np.log2(np.maximum(np.fft.rfftfreq(len(wave.samples), 1 / wave.sample_rate), 20) / 20)
    points = np.arange(11)
    spectrum *= 10 ** (np.interp(octave, points, draw.uniform(-3, 3, len(points))) / 20)
    return Waveform(np.fft.irfft(spectrum, len(wave.samples)).astype(np.float32), wave.sample_rate)


def _mp3(wave: Waveform, draw: np.random.Generator) -> Waveform:
    import soundfile

    from tonearm import audio

    rate = wave.sample_rate
    if rate not in (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000):
        rate = 44100
        wave = Waveform(audio.resample(wave.samples, wave.sample_rate, rate), rate)
    # Of a constant bit rate libsndfile wants the place between the highest and the lowest that the rate allows.
    most, least = (320, 32) if rate >= 32000 else (160, 8) if rate >= 16000 else (64, 8)
    buffer = io.BytesIO()
    samples = np.clip(wave.samples, -1, 1)
    soundfile.write(
        buffer,
        samples,
        rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=(most - 64) / (most - least),
    )
    decoded, rate = soundfile.read(io.BytesIO(buffer.getvalue()), dtype="float32")
    return Waveform(decoded, rate)


def _resampled(wave: Waveform, draw: np.random.Generator) -> Waveform:
    from tonearm import audio

    if wave.sample_rate <= 16000:
        return wave
    return Waveform(audio.resample(wave.samples, wave.sample_rate, 16000), 16000)


def _later(wave: Waveform, draw: np.random.Generator) -> Waveform:
    return Waveform(wave.samples[wave.sample_rate // 2 :], wave.sample_rate)


CHANGES: dict[str, Callable[[Waveform, np.random.Generator], Waveform]] = {
    "below-20-hz": _without_deep,
    "gain": _gain,
    "channel": _channel,
    "mp3-64k": _mp3,
    "resampled": _resampled,
    "start": _later,
}


def changed(path: str) -> dict[str, np.ndarray]:
    """What the quick classifier hears of a file after each change: (segments, columns) by name. Runs in a worker."""
    from tonearm import audio
    from tonearm.audio import AudioError

    info = audio.info(path)
    start = max(0.0, (min(info.seconds, 600.0) - 30.0) / 2)
    wave = excerpt(audio.load(path, start_seconds=start, clip_seconds=30.0))
    if wave.seconds < LEAST_SECONDS + 0.5:
        raise AudioError(path, "too-short", f"{wave.seconds:.1f} s are too short for changes")
    heard = {}
    for name, change in CHANGES.items():
        # Drawn from the name of the file, so that the same file is changed in the same way wherever it lies.
        draw = np.random.default_rng(zlib.crc32(f"{name}:{path.rsplit('/', 1)[-1]}".encode()))
        heard[name] = listen(change(wave, draw))
    return heard


def from_audio(
    quick: q.Quick,
    after: dict[str, np.ndarray],
    *,
    duplicates: Sequence[Sequence[str]] = (),
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The test on sound: `after` holds values by change, rows as in `quick`; artists apart, five folds."""
    rows = _compare(quick, after, duplicates, seed)
    deep = q.Quick(quick.table, quick.values[:, -DEEP_COLUMNS:], "below 20 Hz")
    rows.append(_deep_alone(deep, duplicates, seed))
    return rows


def from_pack(pack: Pack, table: TrackTable, keep: Callable[[q.Quick], q.Quick], **keywords) -> list[dict[str, Any]]:
    """Those changes that can be made to spectra in a pack: a later start, the highest bands away, the lowest."""
    features = pack.features
    config = pack.feature_config
    if features.ndim != 3 or config.get("kind") not in ("logmel", "mel") or features.shape[2] < q.LEAST_FRAMES:
        return []
    frames = features.shape[2]
    seconds = float(config.get("clip_seconds") or 30.0)
    rate = config.get("sample_rate")
    edges = _band_edges(config, features.shape[1], rate if isinstance(rate, int) else 44100)
    late = max(1, round(0.5 * frames / seconds))

    def start(block: np.ndarray) -> np.ndarray:
        return np.concatenate([block[:, :, late:], block[:, :, -late:]], axis=2)

    def bands(which: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
        def change(block: np.ndarray) -> np.ndarray:
            block = block.copy()
            block[:, which] = block.min(axis=(1, 2), keepdims=True)
            return block

        return change

    # A mel band reaches from 0 to some 50 Hz: what is below 20 Hz cannot be taken away without what is above.
    changes = {"start": start}
    if (edges[2:] <= 25.0).any():
        changes["below-20-hz"] = bands(edges[2:] <= 25.0)
    if (edges[2:] > 8000).any():
        changes["resampled"] = bands(edges[2:] > 8000.0)
    quick = keep(q.from_pack(pack, table))
    after = {name: keep(q.from_pack(pack, table, change)).values for name, change in changes.items()}
    return _compare(quick, after, keywords.get("duplicates", ()), keywords.get("seed", 0))


def _band_edges(config: dict[str, Any], n_mels: int, rate: int) -> np.ndarray:
    """Lower, middle and upper hertz of the mel bands: band i is from edge i to edge i + 2."""
    from tonearm.features._mel import to_hertz, to_mel

    scale = str(config.get("mel_scale") or "slaney")
    low, high = float(config.get("fmin") or 0.0), float(config.get("fmax") or rate / 2)
    ends = to_mel(np.array([low, high]), scale)
    return to_hertz(np.linspace(ends[0], ends[1], n_mels + 2), scale)


def _compare(
    quick: q.Quick, after: dict[str, np.ndarray], duplicates: Sequence[Sequence[str]], seed: int
) -> list[dict[str, Any]]:
    table, labels = quick.table, quick.labels
    parts = list(make_split(table, "artist", folds=FOLDS, seed=seed, duplicates=duplicates).rows(table).values())
    everything = np.arange(len(labels))

    def fold(i: int) -> dict[str, np.ndarray]:
        test = parts[i]
        train = np.setdiff1d(everything, test)
        model = q.make_svm().fit(quick.values[train], labels[train])
        right = {name: model.predict(values[test]) == labels[test] for name, values in after.items()}
        return {"as-is": model.predict(quick.values[test]) == labels[test], **right}

    correct = {name: np.zeros(len(labels)) for name in ("as-is", *after)}
    for test, found in zip(parts, q.over_folds(fold, len(parts)), strict=True):
        for name, right in found.items():
            correct[name][test] = right
    per_track = np.bincount(table.row_track, minlength=len(table)).astype(float)

    def score(name: str) -> tuple[float, list[float], np.ndarray]:
        sums = np.bincount(table.row_track, weights=correct[name], minlength=len(table))
        return q.share_interval(sums, per_track, seed=seed)

    before, _, before_draws = score("as-is")
    rows = []
    for name in after:
        accuracy, interval, draws = score(name)
        low, high = np.quantile(before_draws - draws, [0.025, 0.975])
        points = 100 * (before - accuracy)
        rows.append(
            {
                "change": name,
                "words": WORDS[name],
                "accuracy_before": before,
                "accuracy": accuracy,
                "interval": interval,
                "n": len(table),
                "fall": {"points": points, "interval": [float(100 * low), float(100 * high)]},
                "survives": bool(points < FALL_POINTS or low <= 0),
                "inaudible": name in INAUDIBLE,
                "protocol": "artist",
            }
        )
    return rows


def _deep_alone(quick: q.Quick, duplicates: Sequence[Sequence[str]], seed: int) -> dict[str, Any]:
    """How well the genre is told from what is below 20 Hz alone, against always saying the commonest genre."""
    table, labels = quick.table, quick.labels
    parts = list(make_split(table, "artist", folds=FOLDS, seed=seed, duplicates=duplicates).rows(table).values())
    correct = np.zeros(len(labels))
    for test in parts:
        train = np.setdiff1d(np.arange(len(labels)), test)
        correct[test] = q.make_svm().fit(quick.values[train], labels[train]).predict(quick.values[test]) == labels[test]
    per_track = np.bincount(table.row_track, minlength=len(table)).astype(float)
    sums = np.bincount(table.row_track, weights=correct, minlength=len(table))
    accuracy, interval, _ = q.share_interval(sums, per_track, seed=seed)
    commonest = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
    return {
        "change": "only-below-20-hz",
        "words": WORDS["only-below-20-hz"],
        "accuracy": accuracy,
        "interval": interval,
        "chance": commonest,
        "n": len(table),
        # Ten points: on little data a lucky classifier is a few points above chance.
        "survives": bool(interval[0] < commonest + 0.1),
        "inaudible": True,
        "protocol": "artist",
    }
