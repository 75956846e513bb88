"""The spectral features equal librosa's, by numpy and by torch, on synthetic sound of many rates and on real clips."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from tonearm import audio, features

librosa = pytest.importorskip("librosa")
F = librosa.feature


class Case(NamedTuple):
    """One configuration and the same in librosa's words. `atol` is in the feature's own unit, `rtol` is relative."""

    kind: str
    keywords: dict[str, Any]
    reference: Callable[[np.ndarray, int], np.ndarray]
    rtol: float = 1e-4
    atol: float = 0.0


def db(y, sr, *, ref=np.max, top_db=80.0, **keywords):
    return librosa.power_to_db(F.melspectrogram(y=y, sr=sr, **keywords), ref=ref, top_db=top_db)


# The promised tolerances: 1e-3 dB for log-mel, 1e-3 for MFCC, 1e-4 relative for the rest. What passes through zero by
# its nature (decibels of contrast, deltas) and what is rounding noise where it should be zero (bins of a constant)
# cannot be held to a relative bound alone.
DEFAULTS = [
    Case("logmel", {}, lambda y, sr: db(y, sr), rtol=0, atol=1e-3),
    Case("mel", {}, lambda y, sr: F.melspectrogram(y=y, sr=sr), atol=1e-8),
    Case("mfcc", {}, lambda y, sr: F.mfcc(y=y, sr=sr), rtol=0, atol=1e-3),
    Case("stft", {}, lambda y, sr: np.abs(librosa.stft(y)), atol=1e-8),
    Case("zcr", {}, lambda y, sr: F.zero_crossing_rate(y), rtol=0, atol=1e-7),
    Case("rms", {}, lambda y, sr: F.rms(y=y)),
    Case("centroid", {}, lambda y, sr: F.spectral_centroid(y=y, sr=sr)),
    Case("bandwidth", {}, lambda y, sr: F.spectral_bandwidth(y=y, sr=sr)),
    Case("rolloff", {}, lambda y, sr: F.spectral_rolloff(y=y, sr=sr)),
    Case("contrast", {}, lambda y, sr: F.spectral_contrast(y=y, sr=sr), atol=1e-4),
    Case("flatness", {}, lambda y, sr: F.spectral_flatness(y=y)),
]

OPTIONS = [
    Case(
        "logmel",
        {"n_mels": 64, "fmin": 50, "fmax": 7000},
        lambda y, sr: db(y, sr, n_mels=64, fmin=50, fmax=7000),
        0,
        1e-3,
    ),
    Case("logmel", {"mel_scale": "htk", "mel_norm": None}, lambda y, sr: db(y, sr, htk=True, norm=None), 0, 1e-3),
    Case("logmel", {"ref": 0.5, "top_db": None}, lambda y, sr: db(y, sr, ref=0.5, top_db=None), 0, 1e-3),
    Case("logmel", {"power": 1.0, "top_db": 60}, lambda y, sr: db(y, sr, power=1.0, top_db=60), 0, 1e-3),
    Case("logmel", {"power": 1.5}, lambda y, sr: db(y, sr, power=1.5), 0, 1e-3),
    Case("logmel", {"n_fft": 1023, "hop_length": 200}, lambda y, sr: db(y, sr, n_fft=1023, hop_length=200), 0, 1e-3),
    Case("logmel", {"center": False}, lambda y, sr: db(y, sr, center=False), 0, 1e-3),
    Case(
        "logmel",
        {"win_length": 551, "n_fft": 1024, "hop_length": 220},
        lambda y, sr: db(y, sr, win_length=551, n_fft=1024, hop_length=220),
        0,
        1e-3,
    ),
    Case("mel", {"window": "hamming"}, lambda y, sr: F.melspectrogram(y=y, sr=sr, window="hamming"), atol=1e-8),
    Case("stft", {"window": "blackman"}, lambda y, sr: np.abs(librosa.stft(y, window="blackman")), atol=1e-8),
    Case("stft", {"window": "rectangular"}, lambda y, sr: np.abs(librosa.stft(y, window="boxcar")), atol=1e-8),
    Case("stft", {"scale": "power"}, lambda y, sr: np.abs(librosa.stft(y)) ** 2, atol=1e-8),
    Case(
        "stft",
        {"scale": "db", "top_db": 70},
        lambda y, sr: librosa.amplitude_to_db(np.abs(librosa.stft(y)), ref=np.max, top_db=70),
        0,
        1e-3,
    ),
    Case(
        "stft",
        {"scale": "db", "ref": 3.0},
        lambda y, sr: librosa.amplitude_to_db(np.abs(librosa.stft(y)), ref=3.0),
        0,
        1e-3,
    ),
    Case("mfcc", {"n_mfcc": 30, "lifter": 22}, lambda y, sr: F.mfcc(y=y, sr=sr, n_mfcc=30, lifter=22), 0, 1e-2),
    Case("mfcc", {"n_mfcc": 13, "n_mels": 40}, lambda y, sr: F.mfcc(y=y, sr=sr, n_mfcc=13, n_mels=40), 0, 1e-3),
    Case(
        "zcr",
        {"n_fft": 1000, "hop_length": 300, "center": False},
        lambda y, sr: F.zero_crossing_rate(y, frame_length=1000, hop_length=300, center=False),
        0,
        1e-7,
    ),
    Case("rms", {"n_fft": 500, "hop_length": 70}, lambda y, sr: F.rms(y=y, frame_length=500, hop_length=70)),
    Case("rolloff", {"roll_percent": 0.95}, lambda y, sr: F.spectral_rolloff(y=y, sr=sr, roll_percent=0.95)),
    Case("contrast", {"linear": True}, lambda y, sr: F.spectral_contrast(y=y, sr=sr, linear=True), atol=1e-6),
    Case(
        "contrast",
        {"n_bands": 4, "fmin": 150, "quantile": 0.1},
        lambda y, sr: F.spectral_contrast(y=y, sr=sr, n_bands=4, fmin=150, quantile=0.1),
        atol=1e-4,
    ),
    Case("flatness", {"power": 1.0}, lambda y, sr: F.spectral_flatness(y=y, power=1.0)),
    Case("delta", {}, lambda y, sr: F.delta(F.mfcc(y=y, sr=sr)), 0, 1e-3),
    Case("delta", {"order": 2}, lambda y, sr: F.delta(F.mfcc(y=y, sr=sr), order=2), 0, 1e-3),
    Case("delta", {"of": "rms", "width": 5}, lambda y, sr: F.delta(F.rms(y=y), width=5), atol=1e-6),
]


def signals(rate: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(rate)
    n = rate * 3 // 2
    seconds = np.arange(n) / rate
    click = np.zeros(n)
    click[n // 3] = 1.0
    sounds = {
        "noise at full scale": rng.uniform(-1, 1, n),
        "quiet noise": rng.standard_normal(n) * 1e-4,
        "tones": 0.5 * np.sin(2 * np.pi * 440 * seconds) + 0.2 * np.sin(2 * np.pi * 3000.7 * seconds),
        "silence": np.zeros(n),
        "a click": click,
        "a constant": np.full(n, 0.25),
        "half silence": np.where(seconds < 0.7, rng.uniform(-1, 1, n), 0.0),
        "clipped": np.clip(3 * np.sin(2 * np.pi * 100 * seconds), -1, 1),
        "shorter than a window": rng.uniform(-1, 1, 700),
        "one sample": np.array([0.5]),
    }
    return {name: sound.astype(np.float32) for name, sound in sounds.items()}


def numpy_way(feature, samples, rate):
    before = samples.copy()
    result = feature(audio.Waveform(samples, rate))
    assert np.array_equal(samples, before)
    return result


def torch_way(feature, samples, rate, device="cpu"):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)  # the tests of other processes want the cores too
    # Two clips that differ, so that what belongs to one clip (its peak) must not reach the other.
    batch = torch.from_numpy(np.stack([samples * np.float32(0.1), samples])).to(device)
    return feature.batch(batch, rate)[1].cpu().numpy()


WAYS = {"numpy": numpy_way, "torch": torch_way}


def assert_equal(case: Case, got: np.ndarray, expected: np.ndarray, exact_bins: bool) -> None:
    assert got.dtype == np.float32
    assert got.shape == expected.shape
    if case.kind == "rolloff" and not exact_bins:
        # A threshold on a sum: another order of adding may move it by a bin, in one frame of a thousand.
        assert np.mean(~np.isclose(got, expected, rtol=1e-4)) <= 1e-3
        return
    np.testing.assert_allclose(got, expected, rtol=case.rtol, atol=case.atol)


def librosa_of(case: Case, samples: np.ndarray, rate: int) -> np.ndarray | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of windows longer than the clip
        try:
            return case.reference(samples, rate)
        except librosa.util.exceptions.ParameterError:
            return None  # it refuses clips that are too short where tonearm does not


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rate", [22050, 44100])
@pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.kind)
def test_every_kind_of_sound(case, rate, way):
    feature = features.create(case.kind, sample_rate=rate, **case.keywords)
    for name, samples in signals(rate).items():
        expected = librosa_of(case, samples, rate)
        assert expected is not None, name
        assert_equal(case, WAYS[way](feature, samples, rate), expected, exact_bins=way == "numpy")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("rate", [16000, 48000])
@pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.kind)
def test_other_rates(case, rate, way):
    samples = signals(rate)["noise at full scale"]
    feature = features.create(case.kind, sample_rate=rate, **case.keywords)
    assert_equal(case, WAYS[way](feature, samples, rate), librosa_of(case, samples, rate), exact_bins=way == "numpy")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", OPTIONS, ids=lambda case: f"{case.kind} {case.keywords}")
def test_options(case, way):
    rate = 22050
    feature = features.create(case.kind, sample_rate=rate, **case.keywords)
    for name in ("noise at full scale", "tones", "half silence"):
        samples = signals(rate)[name]
        assert_equal(
            case, WAYS[way](feature, samples, rate), librosa_of(case, samples, rate), exact_bins=way == "numpy"
        )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", DEFAULTS, ids=lambda case: case.kind)
def test_real_clips(case, way, shared_data):
    clips = [("gtzan/jazz/jazz.00000.flac", 22050), ("gtzan/metal/metal.00001.flac", 22050)]
    clips += [("fma/000002.mp3", 44100), ("fma/000459.mp3", 22050)]
    for name, rate in clips:
        waveform = audio.load(shared_data / "audio" / name, sample_rate=rate, clip_seconds=5.0)
        feature = features.create(case.kind, sample_rate=rate, **case.keywords)
        expected = librosa_of(case, waveform.samples, rate)
        assert_equal(case, WAYS[way](feature, waveform.samples, rate), expected, exact_bins=way == "numpy")


def test_on_a_gpu():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no GPU here")
    rate = 22050
    for case in [*DEFAULTS, *OPTIONS]:
        feature = features.create(case.kind, sample_rate=rate, **case.keywords)
        for samples in signals(rate).values():
            expected = librosa_of(case, samples, rate)
            if expected is not None:
                assert_equal(case, torch_way(feature, samples, rate, device="cuda"), expected, exact_bins=False)
