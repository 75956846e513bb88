"""Pitch classes and tonal centroids, against librosa."""

from __future__ import annotations

import warnings

import librosa
import numpy as np
import pytest

from tonearm import audio, features
from tonearm.audio import Waveform
from tonearm.errors import UsageError

RNG = np.random.default_rng(6)
CASES = {
    "stft": ({"kind": "chroma"}, librosa.feature.chroma_stft),
    "cqt": ({"kind": "chroma", "source": "cqt"}, librosa.feature.chroma_cqt),
    "cqt-12": (
        {"kind": "chroma", "source": "cqt", "bins_per_octave": 12},
        lambda **k: librosa.feature.chroma_cqt(bins_per_octave=12, **k),
    ),
    "cens": ({"kind": "chroma", "source": "cens"}, librosa.feature.chroma_cens),
    "tonnetz": ({"kind": "tonnetz"}, librosa.feature.tonnetz),
    "tonnetz-stft": (
        {"kind": "tonnetz", "source": "stft"},
        lambda **k: librosa.feature.tonnetz(chroma=librosa.feature.chroma_stft(**k)),
    ),
}
# The FFT of the two sides rounds alike, what is made of it does to 1e-6; CENS has steps, where a share that is a
# threshold but for its last bit may fall on either side: none does here.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def music(sample_rate: int, seconds: float = 3.0) -> np.ndarray:
    """Three chords, slightly out of tune, with noise."""
    t = np.arange(int(seconds * sample_rate)) / sample_rate
    chord = np.array([[0, 4, 7], [5, 9, 12], [7, 11, 14]])[(t // 1.0).astype(int) % 3]
    wave = np.sin(2 * np.pi * 261.63 * 1.01 * 2.0 ** (chord / 12) * t[:, None]).sum(axis=1)
    return (0.1 * wave + 0.01 * RNG.standard_normal(len(t))).astype(np.float32)


def theirs(function, samples: np.ndarray, sample_rate: int) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(y=samples, sr=sample_rate)


def ours(config: dict, samples: np.ndarray, sample_rate: int, **keywords: object) -> np.ndarray:
    return features.from_config({**config, "sample_rate": None, **keywords})(Waveform(samples, sample_rate))


@pytest.mark.parametrize("sample_rate", [22050, 44100])
@pytest.mark.parametrize("case", CASES)
def test_equals_librosa(case, sample_rate):
    config, function = CASES[case]
    clips = [
        music(sample_rate),
        RNG.uniform(-1, 1, sample_rate).astype(np.float32),
        np.zeros(sample_rate, np.float32),
        music(sample_rate)[:1000],
        music(sample_rate)[:3],
    ]
    for samples in clips:
        array = ours(config, samples, sample_rate)
        np.testing.assert_allclose(array, theirs(function, samples, sample_rate), **TOLERANCE)
        assert np.isfinite(array).all()


@pytest.mark.parametrize("case", ["stft", "cqt-12", "cens", "tonnetz"])
def test_equals_librosa_on_real_clips(case, shared_data):
    config, function = CASES[case]
    for path in ("gtzan/jazz/jazz.00000.flac", "gtzan/hiphop/hiphop.00000.flac", "fma/000255.mp3"):
        wave = audio.load(shared_data / "audio" / path, clip_seconds=10.0)
        expected = theirs(function, wave.samples, wave.sample_rate)
        np.testing.assert_allclose(ours(config, wave.samples, wave.sample_rate), expected, **TOLERANCE)


@pytest.mark.parametrize("rate", [22050, 44100])
def test_torch_finds_the_tuning_that_numpy_finds_even_in_a_click(rate):
    torch = pytest.importorskip("torch")
    clips = np.zeros((2, rate), np.float32)
    clips[0, 7000] = 1
    clips[1] = np.random.default_rng(0).uniform(-1, 1, rate)
    chroma = features.create("chroma", sample_rate=rate)
    found = chroma.batch(torch.from_numpy(clips), rate).numpy()
    for clip, array in zip(clips, found, strict=True):
        np.testing.assert_allclose(array, chroma(Waveform(clip, rate)), atol=1e-5)
        np.testing.assert_allclose(array, librosa.feature.chroma_stft(y=clip, sr=rate), atol=1e-4)


def test_click():
    # Its spectrum is flat, so the peaks that give the tuning are rounding: equal only with the tuning given. The
    # constant-Q frames around it hold nothing but rounding, relative to their maximum.
    click = np.zeros(22050, np.float32)
    click[7000] = 1
    expected = librosa.feature.chroma_stft(y=click, sr=22050, tuning=0.1)
    np.testing.assert_allclose(ours({"kind": "chroma"}, click, 22050, tuning=0.1), expected, **TOLERANCE)
    bins = np.abs(librosa.cqt(click, sr=22050))
    loud = bins.max(axis=0) > 1e-2 * bins.max()
    expected = librosa.feature.chroma_cqt(y=click, sr=22050, bins_per_octave=12, tuning=0.0)
    array = ours(CASES["cqt-12"][0], click, 22050, tuning=0.0)
    np.testing.assert_allclose(array[:, loud], expected[:, loud], **TOLERANCE)


@pytest.mark.parametrize(("n_fft", "hop_length"), [(4096, 1024), (1024, 512)])
def test_other_windows(n_fft, hop_length):
    samples = music(22050)
    expected = librosa.feature.chroma_stft(y=samples, sr=22050, n_fft=n_fft, hop_length=hop_length)
    array = ours({"kind": "chroma"}, samples, 22050, n_fft=n_fft, hop_length=hop_length)
    np.testing.assert_allclose(array, expected, **TOLERANCE)


@pytest.mark.parametrize("n_fft", [2, 3, 7, 64, 2047, 16384])
@pytest.mark.parametrize("source", ["stft", "cqt"])
def test_odd_windows_give_finite_numbers(n_fft, source):
    for sample_rate in (9000, 22050):
        feature = features.create("chroma", source=source, n_fft=n_fft, sample_rate=sample_rate)
        array = feature(Waveform(music(sample_rate, 1.0), sample_rate))
        assert array.shape == feature.shape(sample_rate, sample_rate)
        assert np.isfinite(array).all()


def test_a_chord_is_heard_as_its_notes():
    t = np.arange(3 * 22050) / 22050
    samples = sum(np.sin(2 * np.pi * 440 * 2 ** (note / 12) * t) for note in (-9, -5, -2)).astype(np.float32)  # C E G
    for source in ("stft", "cqt", "cens"):
        feature = features.create("chroma", source=source)
        strong = feature(Waveform(samples, 22050)).mean(axis=1).argsort()[-3:]
        assert {feature.columns()[row] for row in strong} == {"C", "E", "G"}


def test_sparse_frames_are_those_of_all():
    samples = music(22050)
    for config in ({"kind": "chroma", "source": "cqt"}, {"kind": "chroma", "tuning": 0.0}, {"kind": "tonnetz"}):
        every = ours(config, samples, 22050)
        feature = features.from_config({**config, "frames": 10})
        chosen = feature.grid.indices(len(samples))
        np.testing.assert_allclose(feature(Waveform(samples, 22050)), every[:, chosen], atol=1e-6)


@pytest.mark.parametrize("kind", ["chroma", "tonnetz"])
@pytest.mark.parametrize("tuning", [None, 0.2])
def test_torch_way(kind, tuning):
    torch = pytest.importorskip("torch")
    samples = np.stack([music(22050), 0.3 * music(22050)[::-1]])
    feature = features.create(kind, source="stft", tuning=tuning)
    expected = [feature(Waveform(clip, 22050)) for clip in samples]
    np.testing.assert_allclose(feature.batch(torch.tensor(samples), 22050).numpy(), expected, atol=1e-5)


def test_constant_q_has_no_torch_way():
    torch = pytest.importorskip("torch")
    feature = features.create("chroma", source="cqt")
    assert not feature.has_batch
    with pytest.raises(UsageError, match="no torch way"):
        feature.batch(torch.zeros(2, 22050), 22050)


def test_shapes_and_names():
    wave = Waveform(music(44100), 44100)
    for config, _ in CASES.values():
        feature = features.from_config({**config, "sample_rate": None})
        assert features.from_config(feature.config()) == feature
        array = feature(wave)
        assert array.dtype == np.float32
        assert array.shape == feature.shape(len(wave.samples), 44100)
        assert feature.axes == ("row", "frame")
        assert len(feature.columns()) == len(array)


@pytest.mark.parametrize(
    "keywords",
    [
        {"source": "sftf"},
        {"bins_per_octave": 36.5},
        {"source": "stft", "bins_per_octave": 24},
        {"tuning": 2},
        {"source": "cqt", "center": False},
    ],
)
def test_refuses(keywords):
    with pytest.raises(UsageError):
        features.create("chroma", **keywords)
