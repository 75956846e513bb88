"""The two tables: against librosa called the authors' way, and against the published rows."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import librosa
import numpy as np
import pytest
from scipy import stats

from tonearm import audio, features
from tonearm.audio import Waveform
from tonearm.errors import UsageError
from tonearm.features._moments import seven_statistics

RNG = np.random.default_rng(8)


def librosa_rows(samples: np.ndarray, sample_rate: int, *, forgotten: bool = False) -> dict[str, np.ndarray]:
    """The eleven features as FMA's authors compute them, one STFT and one constant-Q transform shared."""
    told = {} if forgotten else {"sr": sample_rate}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = {"zcr": librosa.feature.zero_crossing_rate(samples, frame_length=2048, hop_length=512)}
        bins = np.abs(librosa.cqt(samples, sr=sample_rate, bins_per_octave=12, n_bins=84, tuning=None))
        rows["chroma_cqt"] = librosa.feature.chroma_cqt(C=bins, bins_per_octave=12)
        rows["chroma_cens"] = librosa.feature.chroma_cens(C=bins, bins_per_octave=12)
        rows["tonnetz"] = librosa.feature.tonnetz(chroma=rows["chroma_cens"])
        magnitude = np.abs(librosa.stft(samples, n_fft=2048, hop_length=512))
        rows["chroma_stft"] = librosa.feature.chroma_stft(S=magnitude**2, n_chroma=12, **told)
        rows["rmse"] = librosa.feature.rms(S=magnitude)
        rows["spectral_centroid"] = librosa.feature.spectral_centroid(S=magnitude, **told)
        rows["spectral_bandwidth"] = librosa.feature.spectral_bandwidth(S=magnitude, **told)
        rows["spectral_contrast"] = librosa.feature.spectral_contrast(S=magnitude, n_bands=6, **told)
        rows["spectral_rolloff"] = librosa.feature.spectral_rolloff(S=magnitude, **told)
        mel = librosa.feature.melspectrogram(sr=sample_rate, S=magnitude**2)
        rows["mfcc"] = librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=20)
    return rows


def scipy_statistics(rows: np.ndarray) -> dict[str, np.ndarray]:
    # In double: of single precision scipy makes single precision, and a skew near zero keeps three digits of it.
    rows = np.asarray(rows, np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "mean": np.mean(rows, axis=1),
            "std": np.std(rows, axis=1),
            "skew": np.nan_to_num(stats.skew(rows, axis=1), nan=0.0),
            "kurtosis": np.nan_to_num(stats.kurtosis(rows, axis=1), nan=-3.0),
            "median": np.median(rows, axis=1),
            "min": np.min(rows, axis=1),
            "max": np.max(rows, axis=1),
        }


def fma_table(samples: np.ndarray, sample_rate: int, **keywords: bool) -> dict[str, float]:
    return {
        f"{name}_{statistic}_{number:02d}": value
        for name, rows in librosa_rows(samples, sample_rate, **keywords).items()
        for statistic, values in scipy_statistics(rows).items()
        for number, value in enumerate(values, 1)
    }


def music(sample_rate: int, seconds: float = 4.0) -> np.ndarray:
    t = np.arange(int(seconds * sample_rate)) / sample_rate
    chord = np.array([[0, 4, 7], [5, 9, 12], [7, 11, 14]])[(t // 0.7).astype(int) % 3]
    wave = np.sin(2 * np.pi * 262.5 * 2.0 ** (chord / 12) * t[:, None]).sum(axis=1) * np.exp(-2 * (t % 0.35))
    return (0.2 * wave + 0.02 * RNG.standard_normal(len(t))).astype(np.float32)


def assert_equals_table(samples: np.ndarray, sample_rate: int, *, forgotten: bool = False) -> None:
    feature = features.create("statistics", sample_rate=None, sample_rate_forgotten=forgotten)
    table = fma_table(samples, sample_rate, forgotten=forgotten)
    # Sorted by feature, statistic and number, as pandas sorted the columns of features.csv.
    assert feature.columns() == sorted(table)
    expected = np.array([table[name] for name in feature.columns()])
    ours = feature(Waveform(samples, sample_rate))
    # Where a value is near zero beside what others of its kind are, the last digits are rounding.
    np.testing.assert_allclose(ours, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sample_rate", [22050, 44100])
def test_fma_equals_librosa(sample_rate):
    noise = RNG.uniform(-1, 1, sample_rate).astype(np.float32)
    for samples in (music(sample_rate), noise, np.zeros(sample_rate, np.float32), noise[:3]):
        assert_equals_table(samples, sample_rate)


@pytest.mark.parametrize("path", ["gtzan/blues/blues.00000.flac", "gtzan/pop/pop.00001.flac", "fma/000368.mp3"])
def test_fma_equals_librosa_on_real_clips(path, shared_data):
    wave = audio.load(shared_data / "audio" / path, clip_seconds=12.0)
    assert_equals_table(wave.samples, wave.sample_rate)


def test_fma_with_the_sample_rate_forgotten(shared_data):
    wave = audio.load(shared_data / "audio/fma/000002.mp3", clip_seconds=12.0)
    assert wave.sample_rate == 44100
    assert_equals_table(wave.samples, 44100, forgotten=True)
    told, forgotten = (
        dict(zip(feature.columns(), feature(wave), strict=True))
        for feature in (
            features.create("statistics", sample_rate=None, sample_rate_forgotten=flag) for flag in (False, True)
        )
    )
    # Half the rate halves what is in Hz; what never asked for the rate, or was told it, stays.
    assert forgotten["spectral_centroid_mean_01"] == pytest.approx(told["spectral_centroid_mean_01"] / 2, rel=1e-5)
    for name in ("mfcc_mean_01", "chroma_cqt_mean_05", "zcr_max_01", "rmse_std_01"):
        assert forgotten[name] == told[name]


def test_fma_at_its_own_rate_has_nothing_to_forget():
    wave = Waveform(music(22050), 22050)
    told, forgotten = (features.create("statistics", sample_rate_forgotten=flag)(wave) for flag in (False, True))
    np.testing.assert_array_equal(told, forgotten)


def published(shared_data, pack: str) -> tuple[list[str], dict[str, np.ndarray], np.ndarray]:
    folder = shared_data / pack
    columns = json.loads((folder / "pack.json").read_text())["feature"]["columns"]
    table = np.load(folder / "features.npy").astype(np.float64)
    with open(folder / "tracks.csv", newline="", encoding="utf-8") as file:
        ids = [row["id"] for row in csv.DictReader(file)]
    return columns, dict(zip(ids, table, strict=True)), table.std(axis=0)


def assert_equals_published(ours: np.ndarray, row: np.ndarray, columns: list[str], spread: np.ndarray) -> None:
    for name, value, expected, width in zip(columns, ours, row, spread, strict=True):
        # The table was written with few digits, and its means of the two parts were summed in single precision:
        # means that are 1e-5 of the samples have lost most of theirs.
        tolerance = 1e-3 if name in ("harmony_mean", "perceptr_mean") else 1e-5
        assert value == pytest.approx(expected, rel=2e-6, abs=tolerance * width), name


@pytest.mark.parametrize(
    "genre", ["blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae"]
)
def test_gtzan_equals_the_published_rows(genre, shared_data):
    columns, rows, spread = published(shared_data, "gtzan-stats")
    feature = features.create("statistics", table="gtzan")
    assert feature.columns() == columns
    wave = audio.load(shared_data / f"audio/gtzan/{genre}/{genre}.00000.flac")
    assert_equals_published(feature(wave), rows[f"{genre}.00000"], columns, spread)


def test_gtzan_of_segments_was_made_by_the_librosa_of_today(shared_data):
    columns, rows, spread = published(shared_data, "gtzan-stats-10s")
    feature = features.create("statistics", table="gtzan", padding="zero")
    wave = audio.load(shared_data / "audio/gtzan/rock/rock.00000.flac")
    for number in (0, 2):
        segment = Waveform(wave.samples[number * 220500 : (number + 1) * 220500], 22050)
        assert_equals_published(feature(segment), rows[f"rock.00000#{number}"], columns, spread)


@pytest.mark.parametrize("sample_rate", [22050, 44100])
def test_gtzan_equals_librosa(sample_rate):
    samples = music(sample_rate, 3.0)
    harmonic, percussive = librosa.effects.hpss(samples)
    envelope = librosa.onset.onset_strength(y=samples, sr=sample_rate, aggregate=np.median)
    sound = {"y": samples, "sr": sample_rate}
    expected = {
        "chroma_stft": librosa.feature.chroma_stft(**sound),
        "rms": librosa.feature.rms(y=samples),
        "spectral_centroid": librosa.feature.spectral_centroid(**sound),
        "spectral_bandwidth": librosa.feature.spectral_bandwidth(**sound),
        "rolloff": librosa.feature.spectral_rolloff(**sound),
        "zero_crossing_rate": librosa.feature.zero_crossing_rate(samples),
        "harmony": harmonic,
        "perceptr": percussive,
        **{f"mfcc{k}": row for k, row in enumerate(librosa.feature.mfcc(**sound, n_mfcc=20), 1)},
    }
    feature = features.create("statistics", table="gtzan", padding="zero", sample_rate=None)
    ours = dict(zip(feature.columns(), feature(Waveform(samples, sample_rate)), strict=True))
    assert ours["tempo"] == pytest.approx(librosa.feature.tempo(onset_envelope=envelope, sr=sample_rate)[0], rel=1e-6)
    for name, rows in expected.items():
        rows = rows.astype(np.float64)
        assert ours[f"{name}_mean"] == pytest.approx(rows.mean(), rel=1e-4, abs=1e-7), name
        assert ours[f"{name}_var"] == pytest.approx(rows.var(), rel=1e-4, abs=1e-12), name


@pytest.mark.parametrize("table", ["fma", "gtzan"])
def test_odd_clips_give_finite_numbers(table):
    click = np.zeros(22050, np.float32)
    click[7000] = 1
    noise = RNG.uniform(-1, 1, 22050).astype(np.float32)
    feature = features.create("statistics", table=table, sample_rate=None)
    for samples in (np.zeros(22050, np.float32), click, noise, noise[:1000], noise[:2], noise[:1], np.zeros(1, "f4")):
        for sample_rate in (22050, 44100):
            row = feature(Waveform(samples, sample_rate))
            assert row.dtype == np.float32
            assert row.shape == feature.shape(len(samples), sample_rate) == (len(feature.columns()),)
            assert np.isfinite(row).all()


def test_moments_equal_scipy():
    rows = np.stack([RNG.standard_normal(500), RNG.exponential(size=500), 1e4 + RNG.random(500), np.full(500, 0.3)])
    expected = scipy_statistics(rows)
    for name, values in seven_statistics(rows).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-6, err_msg=name)


def test_shape_names_and_config():
    for table, width in (("fma", 518), ("gtzan", 57)):
        feature = features.create("statistics", table=table)
        assert feature.axes == ("statistic",)
        assert feature.shape(661500, 22050) == (width,)
        assert len(set(feature.columns())) == width
        assert features.from_config(feature.config()) == feature
        assert not feature.has_batch


@pytest.mark.parametrize(
    "keywords",
    [
        {"table": "msd"},
        {"table": "gtzan", "sample_rate_forgotten": True},
        {"table": "fma", "padding": "zero"},
        {"table": "gtzan", "padding": "edge"},
        {"sample_rate_forgotten": 1},
        {"sample_rate": 11025},
    ],
)
def test_refuses(keywords):
    with pytest.raises(UsageError):
        features.create("statistics", **keywords)


def test_rate_too_low():
    feature = features.create("statistics", sample_rate=None)
    with pytest.raises(UsageError, match="6,400 Hz") as caught:
        feature(Waveform(np.ones(11025, np.float32), 11025))
    assert caught.value.code == "too-low-rate"
    # GTZAN's table has nothing above 4 kHz.
    assert features.create("statistics", table="gtzan", sample_rate=8000)(Waveform(music(8000), 8000)).shape == (57,)


# One thread, or BLAS's waiting threads are counted as work. Interleaved, so that both meet the same machine.
RATIO = """
import sys, time
sys.path.insert(0, sys.argv[1])
import numpy as np
from test_statistics import fma_script
from tonearm import audio, features

wave = audio.load(sys.argv[2])
feature = features.create("statistics", sample_rate=None)
spent = {"ours": [], "theirs": []}
for _ in range(4):
    for name, work in (("ours", lambda: feature(wave)), ("theirs", lambda: fma_script(wave.samples, wave.sample_rate))):
        start = time.process_time()
        work()
        spent[name].append(time.process_time() - start)
print(np.median(spent["ours"][1:]) / np.median(spent["theirs"][1:]))
"""


def fma_script(samples: np.ndarray, sample_rate: int) -> None:
    """The authors' structure, with the statistics computed as they do."""
    for rows in librosa_rows(samples, sample_rate).values():
        for statistic in (np.mean, np.std, stats.skew, stats.kurtosis, np.median, np.min, np.max):
            statistic(rows, axis=1)


@pytest.mark.slow
def test_fma_takes_less_than_two_fifths_of_the_time(shared_data):
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [sys.executable, "-c", RATIO, str(Path(__file__).parent), str(shared_data / "audio/fma/000002.mp3")]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads}, timeout=120)
    assert done.returncode == 0, done.stderr
    # Measured: 0.2, at 44,100 Hz and at 22,050.
    assert float(done.stdout) < 0.4
