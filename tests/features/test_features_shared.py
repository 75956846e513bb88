"""Stacks and deltas, and that all of them share one STFT."""

from __future__ import annotations

import numpy as np
import pytest

from tonearm import audio, features
from tonearm.errors import TonearmError, UsageError
from tonearm.features import _stft

RATE = 22050


@pytest.fixture
def waveform() -> audio.Waveform:
    return audio.Waveform(np.random.default_rng(0).uniform(-1, 1, 2 * RATE).astype(np.float32), RATE)


def test_a_stack_is_its_features_one_above_the_other(waveform):
    parts = ["mfcc", {"kind": "centroid"}, {"kind": "delta", "of": {"kind": "mfcc", "n_mfcc": 5}}, "zcr"]
    stack = features.create("stack", features=parts)
    expected = np.concatenate(
        [
            features.create("mfcc")(waveform),
            features.create("centroid")(waveform),
            features.create("delta", of={"kind": "mfcc", "n_mfcc": 5})(waveform),
            features.create("zcr")(waveform),
        ]
    )
    np.testing.assert_allclose(stack(waveform), expected, rtol=1e-5, atol=1e-4)
    assert stack.columns()[:2] == ["mfcc1", "mfcc2"]
    assert stack.columns()[20:22] == ["centroid", "mfcc1_delta"]
    assert len(stack.columns()) == len(set(stack.columns())) == stack.rows == len(expected)


def test_one_stft_serves_all(waveform, monkeypatch):
    calls = []
    compute = _stft.numpy_magnitude
    monkeypatch.setattr(_stft, "numpy_magnitude", lambda *arguments: calls.append(arguments) or compute(*arguments))
    mel = []
    monkeypatch.setattr(_stft, "numpy_mel", lambda *arguments: mel.append(arguments))
    features.create("stack", features=["centroid", "bandwidth", "mfcc", "contrast", "logmel", "rolloff"])(waveform)
    assert len(calls) == 1
    assert mel == []


def test_the_same_names_get_numbers():
    stack = features.create("stack", features=["rms", {"kind": "rms"}, "zcr"])
    assert stack.columns() == ["rms", "rms_2", "zcr"]


def test_a_stack_gives_its_rate_to_what_names_none():
    stack = features.create("stack", sample_rate=44100, features=["rms", {"kind": "mfcc", "n_mfcc": 13}])
    assert [item.sample_rate for item in stack.features] == [44100, 44100]
    assert features.from_config(stack.config()) == stack


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (["rms", {"kind": "zcr", "hop_length": 256}], "different frames"),
        (["rms", {"kind": "logmel", "frames": 20}], "different frames"),
        (["rms", {"kind": "logmel", "sample_rate": 44100}], "44100"),
        (["rms", "statistics"], "no frames"),
        ([], "at least one"),
        ("rms", "list"),
        (["rms", 5], "feature"),
        (["rsm"], "rsm"),
        ([{"kind": "rms", "n_ftt": 5}], "n_ftt"),
    ],
)
def test_what_cannot_be_stacked_is_refused(parts, message):
    with pytest.raises(UsageError, match=message):
        features.create("stack", features=parts)


@pytest.mark.parametrize(("width", "order"), [(9, 1), (9, 2), (5, 1), (3, 2), (21, 3)])
def test_slopes_equal_those_of_savitzky_and_golay(width, order):
    signal = pytest.importorskip("scipy.signal")
    from tonearm.features.delta import slopes

    expected = signal.savgol_coeffs(width, order, deriv=order, use="dot")
    np.testing.assert_allclose(slopes(width, order), expected, atol=1e-12)


def test_the_delta_of_a_ramp_is_its_slope_even_where_the_clip_is_short():
    ramp = np.repeat(np.arange(40, dtype=np.float32) / 100, 512)
    feature = features.create("delta", of={"kind": "rms", "n_fft": 512, "center": False})
    np.testing.assert_allclose(feature(audio.Waveform(ramp, RATE)), 0.01, rtol=1e-4)
    short = feature(audio.Waveform(ramp[: 5 * 512], RATE))
    assert short.shape == (1, 5)
    # In the middle of five frames that are continued by their ends: 2 * (1*1 + 2*2 + 3*2 + 4*2) / 60 slopes.
    np.testing.assert_allclose(short[0, 2], 0.01 * 2 * (1 + 4 + 6 + 8) / 60, rtol=1e-4)


def test_zero_crossings_per_time_step():
    samples = np.concatenate([np.ones(3000), np.tile([1, -1], 1500), np.ones(3000)]).astype(np.float32)
    rate = features.create("zcr", time_steps=3)(audio.Waveform(samples, RATE))
    np.testing.assert_allclose(rate, [[0, 2999 / 3000, 0]], atol=1e-6)
    assert features.create("zcr", time_steps=30).shape(12345, RATE) == (1, 30)
    with pytest.raises(UsageError, match="exclude"):
        features.create("zcr", time_steps=30, frames=30)


def test_raw_whole_and_framed(waveform):
    np.testing.assert_array_equal(features.create("raw")(waveform), waveform.samples[None])
    framed = features.create("raw", frame_length=1000, hop_length=400)(waveform)
    for number in (0, 1, framed.shape[1] - 1):
        np.testing.assert_array_equal(framed[:, number], waveform.samples[number * 400 :][:1000])
    assert framed.shape[1] == 1 + (len(waveform.samples) - 1000) // 400
    with pytest.raises(UsageError, match="frame_length"):
        features.create("raw", hop_length=5)


def test_a_waveform_of_another_rate_is_resampled(waveform):
    feature = features.create("logmel", sample_rate=16000)
    resampled = audio.Waveform(audio.resample(waveform.samples, RATE, 16000), 16000)
    np.testing.assert_array_equal(feature(waveform), feature(resampled))
    native = features.create("logmel", sample_rate=None)
    np.testing.assert_array_equal(native(resampled), feature(resampled))


@pytest.mark.parametrize(
    ("samples", "code"),
    [
        (np.zeros(0, np.float32), "empty"),
        (np.array([0, np.nan], np.float32), "not-finite"),
        (np.array([np.inf, -np.inf, 0], np.float32), "not-finite"),
        (np.zeros((2, 100), np.float32), "shape"),
    ],
)
def test_a_waveform_that_is_none_is_refused(samples, code):
    with pytest.raises(TonearmError) as refused:
        features.create("logmel")(audio.Waveform(samples, RATE))
    assert refused.value.code == code


def test_loud_samples_are_no_infinite_ones():
    loud = np.full(3000, 3e38, np.float32)
    assert np.isfinite(features.create("zcr")(audio.Waveform(loud, RATE))).all()


def test_a_batch_of_another_rate_is_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(UsageError, match="44100"):
        features.create("logmel").batch(torch.zeros(1, 1000), 44100)
    with pytest.raises(UsageError, match="shape"):
        features.create("logmel").batch(torch.zeros(1000), RATE)


def test_threads_do_not_share_buffers(waveform):
    from concurrent.futures import ThreadPoolExecutor

    feature = features.create("logmel")
    others = [audio.Waveform(np.roll(waveform.samples, shift) * 0.5, RATE) for shift in range(12)]
    expected = [feature(other) for other in others]
    with ThreadPoolExecutor(4) as pool:
        for got, wanted in zip(pool.map(feature, others), expected, strict=True):
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("kind", "keywords", "message"),
    [
        ("logmel", {"n_mels": 0}, "n_mels"),
        ("logmel", {"n_mels": 2.5}, "n_mels"),
        ("logmel", {"n_mels": True}, "n_mels"),
        ("logmel", {"hop_length": "512"}, "hop_length"),
        ("logmel", {"sample_rate": 0}, "sample_rate"),
        ("logmel", {"top_db": -1}, "top_db"),
        ("logmel", {"ref": "min"}, "ref"),
        ("logmel", {"fmin": 9000, "fmax": 8000}, "upper end"),
        ("logmel", {"fmin": 12000}, "upper end"),
        ("logmel", {"window": "han"}, "window"),
        ("logmel", {"center": 1}, "center"),
        ("logmel", {"win_length": 4096}, "win_length"),
        ("logmel", {"power": float("nan")}, "power"),
        ("mfcc", {"n_mfcc": 200}, "n_mfcc"),
        ("contrast", {"sample_rate": 8000}, "octave"),
        ("contrast", {"n_fft": 64}, "too few bins"),
        ("rolloff", {"roll_percent": 1.0}, "roll_percent"),
        ("delta", {"width": 4}, "odd"),
        ("delta", {"order": 9}, "order"),
    ],
)
def test_values_that_make_no_sense_are_refused(kind, keywords, message):
    with pytest.raises(UsageError, match=message):
        features.create(kind, **keywords)


def test_whole_numbers_may_come_as_floats():
    assert features.create("logmel", n_mels=64.0) == features.create("logmel", n_mels=64)


def test_the_table_of_a_pack_is_the_statistics_with_its_columns():
    columns = features.create("statistics", table="gtzan").columns()
    described = {"kind": "table", "columns": columns, "library": "librosa statistics"}
    assert features.from_config(described) == features.create("statistics", table="gtzan")
    with pytest.raises(UsageError, match="cannot be computed"):
        features.from_config({"kind": "table", "columns": columns[1:]})


@pytest.mark.parametrize("config", [None, "mfcc", {}, {"kind": 5}, {"n_mels": 3}])
def test_what_describes_no_feature_is_refused(config):
    with pytest.raises(UsageError, match="kind"):
        features.from_config(config)


def test_half_precision_around_the_torch_way_changes_nothing(waveform):
    torch = pytest.importorskip("torch")
    clips = torch.from_numpy(waveform.samples)[None]
    feature = features.create("logmel")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = feature.batch(clips, RATE)
    assert torch.equal(got, feature.batch(clips, RATE))


def test_very_long_windows(waveform):
    librosa = pytest.importorskip("librosa")
    feature = features.create("stft", n_fft=1 << 15, hop_length=1 << 9)
    expected = np.abs(librosa.stft(waveform.samples, n_fft=1 << 15, hop_length=1 << 9))
    np.testing.assert_allclose(feature(waveform), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "keywords", [{"n_fft": 10**11}, {"n_mels": 10**9}, {"n_mels": 9999, "n_fft": 1 << 20}, {"sample_rate": 10**9}]
)
def test_what_no_memory_holds_is_refused(keywords):
    with pytest.raises(UsageError):
        features.create("logmel", **keywords)
