"""The running median against scipy, and the two parts of a recording against librosa."""

from __future__ import annotations

import warnings

import librosa
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tonearm import audio
from tonearm.features._hpss import harmonic_percussive
from tonearm.features._median import running_median


def windows_sorted(values: np.ndarray, size: int) -> np.ndarray:
    padded = np.pad(values, ((size // 2, size // 2), (0, 0)), mode="symmetric")
    return np.median(np.lib.stride_tricks.sliding_window_view(padded, size, axis=0), axis=-1)


@settings(max_examples=60, deadline=None)
@given(
    size=st.sampled_from([1, 3, 5, 7, 9, 13, 15, 17, 31, 33]),
    n=st.integers(1, 120),
    width=st.integers(1, 9),
    levels=st.sampled_from([2, 5, 1000]),
    seed=st.integers(0, 99),
)
def test_median_of_every_window(size, n, width, levels, seed):
    # Few levels make many ties; zeros and the smallest numbers are ordered like the others.
    values = np.random.default_rng(seed).integers(0, levels, (n, width)).astype(np.float32) * np.float32(1e-42)
    np.testing.assert_array_equal(running_median(values, size), windows_sorted(values, size))


@pytest.mark.parametrize("n", [16, 31, 300])
def test_median_equals_scipy(n):
    ndimage = pytest.importorskip("scipy.ndimage")
    values = np.random.default_rng(1).random((n, 40), np.float32)
    expected = ndimage.median_filter(values, size=(31, 1), mode="reflect")
    np.testing.assert_array_equal(running_median(values, 31), expected)


def compare(samples: np.ndarray) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = librosa.effects.hpss(samples)
    for ours, theirs in zip(harmonic_percussive(samples), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6 * max(1.0, abs(samples).max()))
        assert ours.var() == pytest.approx(theirs.var(), rel=1e-4, abs=1e-12)


def test_equals_librosa_on_made_clips():
    rng = np.random.default_rng(2)
    click = np.zeros(22050, np.float32)
    click[7000] = 1
    noise = rng.uniform(-1, 1, 30000).astype(np.float32)
    for samples in (np.zeros(22050, np.float32), click, noise, noise[:2100], noise[:5000], noise[:1]):
        compare(samples)


def test_shorter_than_a_window_is_finite():
    # librosa's own answer is undefined here: scipy 1.17 reads past the two frames.
    samples = np.random.default_rng(3).uniform(-1, 1, 1000).astype(np.float32)
    harmonic, percussive = harmonic_percussive(samples)
    assert np.isfinite(harmonic).all()
    np.testing.assert_allclose(harmonic + percussive, samples, atol=1e-6)


@pytest.mark.parametrize("path", ["gtzan/rock/rock.00001.flac", "fma/000690.mp3"])
def test_equals_librosa_on_real_clips(path, shared_data):
    compare(audio.load(shared_data / "audio" / path, clip_seconds=5.0).samples)


def test_a_tone_is_harmonic_and_a_stroke_percussive():
    t = np.arange(3 * 22050) / 22050
    tone = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    strokes = np.zeros_like(tone)
    strokes[::11025] = 1
    harmonic, percussive = harmonic_percussive(tone + strokes)
    assert np.corrcoef(harmonic, tone)[0, 1] > 0.99
    assert np.corrcoef(percussive, strokes)[0, 1] > 0.8
