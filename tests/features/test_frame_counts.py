"""How many frames there are, for any window, hop and length: as librosa counts them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tonearm import audio, features

librosa = pytest.importorskip("librosa")


@settings(max_examples=150, deadline=None)
@given(
    n_samples=st.integers(1, 3000),
    n_fft=st.integers(2, 300),
    hop_length=st.integers(1, 400),
    center=st.booleans(),
)
@pytest.mark.filterwarnings("ignore:n_fft")
def test_magnitudes_for_any_window_and_length(n_samples, n_fft, hop_length, center):
    samples = np.random.default_rng(n_samples).uniform(-1, 1, n_samples).astype(np.float32)
    feature = features.create("stft", n_fft=n_fft, hop_length=hop_length, center=center)
    got = feature(audio.Waveform(samples, 22050))
    assert got.shape == feature.shape(n_samples, 22050)
    if center or n_samples >= n_fft:
        expected = np.abs(librosa.stft(samples, n_fft=n_fft, hop_length=hop_length, center=center))
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    else:
        assert got.shape[1] == 1, "a clip shorter than a window is one frame, filled up with zeros"


@settings(max_examples=60, deadline=None)
@given(
    n_samples=st.integers(1, 2000),
    n_fft=st.integers(2, 200),
    hop_length=st.integers(1, 300),
    center=st.booleans(),
    frames=st.integers(1, 50),
)
def test_sparse_frames_of_any_clip_lie_inside_it(n_samples, n_fft, hop_length, center, frames):
    samples = np.random.default_rng(n_samples).uniform(-1, 1, n_samples).astype(np.float32)
    sparse = features.create("stft", n_fft=n_fft, hop_length=hop_length, center=center, frames=frames)
    whole = features.create("stft", n_fft=n_fft, hop_length=hop_length, center=center)
    waveform = audio.Waveform(samples, 22050)
    indices = sparse.grid.indices(n_samples)
    assert (np.diff(indices) >= 0).all()
    assert 0 <= indices[0] <= indices[-1] < whole.frame_count(n_samples)
    np.testing.assert_array_equal(sparse(waveform), whole(waveform)[:, indices])


@settings(max_examples=40, deadline=None)
@given(
    n_samples=st.integers(20, 5000), rates=st.tuples(*[st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000])] * 2)
)
def test_the_shape_of_a_resampled_clip(n_samples, rates):
    samples = np.random.default_rng(n_samples).uniform(-1, 1, n_samples).astype(np.float32)
    feature = features.create("raw", sample_rate=rates[1])
    assert feature(audio.Waveform(samples, rates[0])).shape == feature.shape(n_samples, rates[0])
