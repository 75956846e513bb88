"""Onsets and the tempo, against librosa."""

from __future__ import annotations

import warnings

import librosa
import numpy as np
import pytest

from tonearm import audio, features
from tonearm.audio import Waveform
from tonearm.errors import UsageError
from tonearm.features._tempo import mean_autocorrelation, onset_strength

RNG = np.random.default_rng(7)
AGGREGATES = {"mean": np.mean, "median": np.median}


def clicks(bpm: float, sample_rate: int = 22050, seconds: float = 12.0) -> np.ndarray:
    samples = 0.001 * RNG.standard_normal(int(seconds * sample_rate)).astype(np.float32)
    for beat in np.arange(0.1, seconds - 0.1, 60 / bpm):
        start = int(beat * sample_rate)
        samples[start : start + 400] += RNG.uniform(-0.5, 0.5, 400).astype(np.float32)
    return samples


def librosa_tempo(samples: np.ndarray, sample_rate: int, aggregate: str = "mean", **keywords: object) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        envelope = librosa.onset.onset_strength(y=samples, sr=sample_rate, aggregate=AGGREGATES[aggregate])
        return librosa.feature.tempo(onset_envelope=envelope, sr=sample_rate, **keywords)[0]


@pytest.mark.parametrize("aggregate", AGGREGATES)
@pytest.mark.parametrize("shape", [(128, 300), (128, 4), (128, 3), (128, 1), (40, 100)])
def test_onsets_equal_librosa(aggregate, shape):
    decibels = RNG.uniform(-80, 0, shape).astype(np.float32)
    expected = librosa.onset.onset_strength(S=decibels, sr=22050, aggregate=AGGREGATES[aggregate])
    ours = onset_strength(decibels, n_fft=2048, hop_length=512, aggregate=aggregate)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)


@pytest.mark.parametrize(("n_frames", "n_lags"), [(700, 344), (700, 689), (100, 344), (1, 344), (3, 5)])
def test_autocorrelation_equals_the_mean_tempogram(n_frames, n_lags):
    envelope = RNG.random(n_frames).astype(np.float32)
    envelope[: n_frames // 3] = 0
    expected = librosa.feature.tempogram(onset_envelope=envelope, win_length=n_lags).mean(axis=-1)
    np.testing.assert_allclose(mean_autocorrelation(envelope, n_lags), expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("sample_rate", [22050, 44100])
@pytest.mark.parametrize("aggregate", AGGREGATES)
def test_equals_librosa_on_real_clips(aggregate, sample_rate, shared_data):
    feature = features.create("tempo", sample_rate=None, aggregate=aggregate)
    for path in ("gtzan/disco/disco.00000.flac", "gtzan/country/country.00000.flac", "fma/000459.mp3"):
        wave = audio.load(shared_data / "audio" / path, sample_rate=sample_rate, clip_seconds=15.0)
        expected = librosa_tempo(wave.samples, sample_rate, aggregate)
        assert feature(wave)[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("bpm", [75, 100, 128, 170])
def test_hears_the_beat(bpm):
    feature = features.create("tempo")
    found = feature(Waveform(clicks(bpm), 22050))
    assert found.shape == feature.shape(22050, 22050) == (1,)
    assert found[0] == pytest.approx(bpm, rel=0.03)


def test_keywords_equal_librosa():
    samples = clicks(90)
    for keywords in ({"start_bpm": 60.0}, {"std_bpm": 0.1}, {"start_bpm": 200.0, "std_bpm": 2.0}):
        feature = features.create("tempo", **keywords)
        expected = librosa_tempo(samples, 22050, **keywords)
        assert feature(Waveform(samples, 22050))[0] == pytest.approx(expected, rel=1e-6)
    longer = features.create("tempo", window_seconds=4.0, max_bpm=150.0)(Waveform(samples, 22050))
    assert longer[0] == pytest.approx(librosa_tempo(samples, 22050, ac_size=4.0, max_tempo=150.0), rel=1e-6)


def test_without_beats():
    click = np.zeros(22050, np.float32)
    click[7000] = 1
    noise = RNG.uniform(-1, 1, 22050).astype(np.float32)
    for samples in (np.zeros(22050, np.float32), click, noise, noise[:1000], noise[:1]):
        for sample_rate in (22050, 44100):
            found = features.create("tempo", sample_rate=None)(Waveform(samples, sample_rate))[0]
            assert found == pytest.approx(librosa_tempo(samples, sample_rate), rel=1e-6)


def test_config_and_refusals():
    feature = features.create("tempo", aggregate="median", start_bpm=100)
    assert features.from_config(feature.config()) == feature
    assert feature.columns() == ["tempo"]
    assert not feature.has_batch
    with pytest.raises(UsageError, match="mean, median"):
        features.create("tempo", aggregate="max")
    with pytest.raises(UsageError, match="start_bpm"):
        features.create("tempo", start_bpm=0)
    with pytest.raises(UsageError, match="within 2 s"):
        features.create("tempo", max_bpm=20, window_seconds=2)(Waveform(np.zeros(22050, np.float32), 22050))
