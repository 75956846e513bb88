"""The constant-Q transform and the tuning below it, against librosa."""

from __future__ import annotations

import warnings

import librosa
import numpy as np
import pytest

from tonearm import audio, features
from tonearm.audio import Waveform
from tonearm.errors import UsageError
from tonearm.features._cqt import cqt_magnitude
from tonearm.features._tuning import estimate_tuning

RNG = np.random.default_rng(5)


def tones(sample_rate: int, seconds: float = 3.0, cents: float = 0.0) -> np.ndarray:
    """A chord with overtones that starts anew every half second, in float32."""
    t = np.arange(int(seconds * sample_rate)) / sample_rate
    hertz = 440.0 * 2 ** (cents / 1200) * 2.0 ** (np.array([-21, -9, -5, -2, 3]) / 12)
    wave = sum(np.sin(2 * np.pi * f * k * t) / k for f in hertz for k in (1, 2, 3))
    return (0.05 * wave * np.exp(-3 * (t % 0.5))).astype(np.float32)


def librosa_cqt(samples: np.ndarray, sample_rate: int, **keywords: object) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.abs(librosa.cqt(samples, sr=sample_rate, **keywords))


def real_clips(shared_data) -> list[tuple[np.ndarray, int]]:
    paths = ["gtzan/classical/classical.00000.flac", "gtzan/metal/metal.00000.flac", "fma/000002.mp3"]
    loaded = [audio.load(shared_data / "audio" / path, clip_seconds=10.0) for path in paths]
    return [(wave.samples, wave.sample_rate) for wave in loaded]


@pytest.mark.parametrize("sample_rate", [22050, 44100, 48000, 16000])
@pytest.mark.parametrize(("bins_per_octave", "tuning"), [(12, 0.0), (12, -0.31), (36, 0.27)])
def test_equals_librosa(sample_rate, bins_per_octave, tuning):
    samples = tones(sample_rate) + 0.01 * RNG.standard_normal(3 * sample_rate).astype(np.float32)
    ours = cqt_magnitude(
        samples, sample_rate, tuning=tuning, n_bins=7 * bins_per_octave, bins_per_octave=bins_per_octave
    )
    theirs = librosa_cqt(
        samples, sample_rate, n_bins=7 * bins_per_octave, bins_per_octave=bins_per_octave, tuning=tuning
    )
    assert ours.shape == theirs.T.shape
    np.testing.assert_allclose(ours.T, theirs, rtol=1e-4, atol=1e-6 * theirs.max())


def test_equals_librosa_on_real_clips(shared_data):
    for samples, sample_rate in real_clips(shared_data):
        theirs = librosa_cqt(samples, sample_rate)
        ours = features.create("cqt", sample_rate=None)(Waveform(samples, sample_rate))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6 * theirs.max())


@pytest.mark.parametrize("hop_length", [1024, 256, 300, 441])
def test_any_hop_length(hop_length):
    # 300 can be halved twice and 441 never: then the octaves below stay at the rate of the one above.
    samples = tones(22050, 1.0)
    theirs = librosa_cqt(samples, 22050, hop_length=hop_length)
    ours = cqt_magnitude(samples, 22050, hop_length=hop_length).T
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6 * theirs.max())


@pytest.mark.parametrize("n_samples", [2, 5, 100, 2047, 512 * 40 - 1, 512 * 40, 512 * 40 + 1])
def test_any_length(n_samples):
    samples = tones(44100, 1.0)[:n_samples]
    theirs = librosa_cqt(samples, 44100)
    ours = cqt_magnitude(samples, 44100).T
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6 * max(theirs.max(), 1e-9))
    # The feature keeps to the frames that all others have.
    feature = features.create("cqt", sample_rate=None)
    array = feature(Waveform(samples, 44100))
    assert array.shape == feature.shape(n_samples, 44100) == (84, 1 + n_samples // 512)
    np.testing.assert_array_equal(array, ours[:, : array.shape[1]])


def test_silence_click_and_noise():
    click = np.zeros(22050, np.float32)
    click[7000] = 1
    noise = RNG.uniform(-1, 1, 22050).astype(np.float32)
    for samples in (np.zeros(22050, np.float32), click, noise):
        theirs = librosa_cqt(samples, 22050)
        np.testing.assert_allclose(cqt_magnitude(samples, 22050).T, theirs, rtol=1e-4, atol=1e-6 * theirs.max())


def test_rate_too_low_says_which_is_enough():
    for kind, keywords in (("cqt", {}), ("chroma", {"source": "cqt"}), ("tonnetz", {})):
        # Where the rate is known the feature is refused, where it is the clip's own the clip is.
        feature = features.create(kind, sample_rate=None, **keywords)
        for refuse in (
            lambda kind=kind, keywords=keywords: features.create(kind, sample_rate=8000, **keywords),
            lambda feature=feature: feature(Waveform(np.ones(8000, np.float32), 8000)),
        ):
            with pytest.raises(UsageError, match="constant-Q") as caught:
                refuse()
            assert caught.value.code == "too-low-rate"
            assert "22050" in caught.value.hint


def test_columns_are_notes():
    names = features.create("cqt").columns()
    assert len(names) == 84
    assert (names[0], names[9], names[12], names[-1]) == ("C1", "A1", "C2", "B7")
    fine = features.create("cqt", bins_per_octave=36).columns()
    assert len(set(fine)) == 252
    assert fine[:4] == ["C1", "C1+1/3", "C1+2/3", "C#1"]


@pytest.mark.parametrize("bins_per_octave", [0, 13, 12.5, True, "12"])
def test_bins_per_octave_are_whole_semitones(bins_per_octave):
    with pytest.raises(UsageError, match="multiple of 12"):
        features.create("cqt", bins_per_octave=bins_per_octave)


@pytest.mark.parametrize("cents", [-40, -17, 0, 23, 38])
def test_tuning_of_a_chord(cents):
    samples = tones(22050, 3.0, cents)
    magnitude = np.abs(librosa.stft(samples)).T
    assert estimate_tuning(magnitude, 22050, 2048) == pytest.approx(cents / 100, abs=0.03)


@pytest.mark.parametrize("sample_rate", [22050, 44100])
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("bins_per_octave", [12, 36])
def test_tuning_equals_librosa(sample_rate, power, bins_per_octave):
    # The fullest bin of a histogram: equal or a bin apart, so equality is exact. (Of a lone click all bins are equally
    # loud, its peaks are rounding, and no two implementations agree.)
    samples = tones(sample_rate, 3.0, 12.0) + 0.02 * RNG.standard_normal(3 * sample_rate).astype(np.float32)
    magnitude = np.abs(librosa.stft(samples))
    theirs = librosa.estimate_tuning(S=magnitude**power, sr=sample_rate, bins_per_octave=bins_per_octave)
    ours = estimate_tuning(
        np.ascontiguousarray(magnitude.T), sample_rate, 2048, power=power, bins_per_octave=bins_per_octave
    )
    assert ours == theirs


def test_tuning_equals_librosa_on_real_clips(shared_data):
    for samples, sample_rate in real_clips(shared_data):
        magnitude = np.abs(librosa.stft(samples))
        for power in (1, 2):
            theirs = librosa.estimate_tuning(S=magnitude**power, sr=sample_rate)
            assert estimate_tuning(np.ascontiguousarray(magnitude.T), sample_rate, 2048, power=power) == theirs


def test_silence_has_no_tuning():
    assert estimate_tuning(np.zeros((5, 1025), np.float32), 22050, 2048) == 0.0
    assert estimate_tuning(np.zeros((5, 9), np.float32), 250, 16) == 0.0
