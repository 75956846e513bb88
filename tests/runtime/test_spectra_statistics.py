"""Statistics of spectra, held against scipy and numpy worked out another way."""

from __future__ import annotations

import numpy as np
import pytest

from tonearm.runtime import statistics as s


@pytest.fixture(scope="module")
def spectra() -> np.ndarray:
    draw = np.random.default_rng(0)
    return draw.integers(0, 256, (3, 128, 200)).astype(np.float32)


def parts(row: np.ndarray) -> list[np.ndarray]:
    """profile means, deviations, moves; swing; spread and moves of cepstra; correlations."""
    widths = [64, 64, 64, 16 * 8, 16, 16, 120]
    return np.split(row, np.cumsum(widths)[:-1])


def test_every_column_is_what_it_is_called(spectra):
    found = s.statistics_of_rows(spectra)
    assert found.shape == (3, s.count(128)) == (3, 472)
    assert found.dtype == np.float32
    x = spectra[1].astype(np.float64) / 255
    means, deviations, moves, _, spread, cepstral_moves, together = parts(found[1])
    pairs = x.reshape(64, 2, 200)
    np.testing.assert_allclose(means, pairs.mean(axis=(1, 2)), rtol=1e-5)
    np.testing.assert_allclose(deviations, np.log(x.std(axis=1) + 0.01).reshape(64, 2).mean(axis=1), rtol=1e-4)
    flux = np.abs(np.diff(x, axis=1)).mean(axis=1)
    np.testing.assert_allclose(moves, np.log(flux + 0.01).reshape(64, 2).mean(axis=1), rtol=1e-4)
    fft = pytest.importorskip("scipy.fft")
    cepstra = fft.dct(x, axis=0, type=2)[:16] / 2 * np.sqrt(2 / 128)
    np.testing.assert_allclose(spread, np.log(cepstra.std(axis=1) + 0.01), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(
        cepstral_moves, np.log(np.diff(cepstra, axis=1).std(axis=1) + 0.01), rtol=1e-3, atol=1e-4
    )
    upper = np.triu_indices(16, 1)
    # The constant below the fraction takes a little off: a hundredth where cepstra spread little.
    np.testing.assert_allclose(together, np.corrcoef(cepstra)[upper], atol=0.02)


def test_swing_is_the_power_of_welch_in_bands(spectra):
    signal = pytest.importorskip("scipy.signal")
    found = parts(s.statistics_of_rows(spectra)[0])[3].reshape(16, 8)
    bands = spectra[0].astype(np.float64).reshape(16, 8, 200).mean(axis=1) / 255
    window = np.hanning(65)[:-1]
    _, power = signal.welch(bands, window=window, nperseg=64, noverlap=32, detrend="constant", scaling="spectrum")
    power = power * window.sum() ** 2 / 64  # to the plain power of the transform
    power[:, 1:-1] /= 2  # both sides are one there
    for number, (low, high) in enumerate(zip(s.SWINGS, s.SWINGS[1:], strict=False)):
        np.testing.assert_allclose(
            found[:, number], np.log(power[:, low:high].mean(axis=1) + 1e-4), rtol=2e-3, atol=2e-3
        )


def test_excerpts_of_one_track_are_averaged(spectra):
    np.testing.assert_allclose(s.statistics(spectra), s.statistics_of_rows(spectra).mean(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 16, 63, 64, 65, 500])
@pytest.mark.parametrize("rows", [1, 3, 24, 128, 200])
def test_any_size_gives_finite_numbers_of_one_length(rows, frames):
    draw = np.random.default_rng(1)
    found = s.statistics(draw.integers(0, 256, (2, rows, frames)).astype(np.float32))
    assert found.shape == (s.count(rows),)
    assert np.isfinite(found).all()


def test_silence_is_finite_and_has_no_correlations():
    found = s.statistics_of_rows(np.zeros((1, 128, 100), np.float32))[0]
    assert np.isfinite(found).all()
    assert (parts(found)[6] == 0).all()


def test_the_span_takes_any_scale_to_one():
    x = np.random.default_rng(2).random((1, 32, 90)).astype(np.float32)
    np.testing.assert_allclose(s.statistics(x, span=1.0), s.statistics(x * 255), rtol=1e-4, atol=1e-5)


def test_blocks_change_nothing(spectra):
    np.testing.assert_array_equal(s.statistics_of_rows(spectra, block=1), s.statistics_of_rows(spectra, block=64))
