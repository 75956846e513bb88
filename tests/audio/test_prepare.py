"""Preparation steps against scipy, librosa and the reference signals of EBU Tech 3341."""

from __future__ import annotations

import json
import math

import librosa
import numpy as np
import pytest
import scipy.signal

from tonearm.audio import AudioError, Waveform, prepare
from tonearm.errors import UsageError

RATES = [8000, 11025, 22050, 44100, 48000, 96000]


def sine(hertz: float, seconds: float, rate: int, level_dbfs: float = 0.0) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return (10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hertz * t)).astype(np.float32)


def noise(seconds: float, rate: int, level: float = 0.1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, level, round(seconds * rate)).astype(np.float32)


def db(ratio: float) -> float:
    return 20 * math.log10(max(ratio, 1e-12))


# --- loudness

# ITU-R BS.1770-4, tables 1 and 2, for 48 kHz.
SHELF = ([1.53512485958697, -2.69169618940638, 1.19839281085285], [1.0, -1.69065929318241, 0.73248077421585])
RLB = ([1.0, -2.0, 1.0], [1.0, -1.99004745483398, 0.99007225036621])


def reference_loudness(channels: np.ndarray, rate: int = 48000) -> float:
    """Integrated loudness by the letter of the recommendation: its tables, scipy's lfilter, loops."""
    assert rate == 48000
    weighted = [scipy.signal.lfilter(*RLB, scipy.signal.lfilter(*SHELF, c.astype(float))) for c in channels.T]
    block, hop = round(0.4 * rate), round(0.1 * rate)
    powers = [
        sum(np.mean(w[begin : begin + block] ** 2) for w in weighted)
        for begin in range(0, len(channels) - block + 1, hop)
    ]
    loud = [p for p in powers if -0.691 + 10 * np.log10(p) > -70]
    relative = -0.691 + 10 * np.log10(np.mean(loud)) - 10
    return -0.691 + 10 * np.log10(np.mean([p for p in loud if -0.691 + 10 * np.log10(p) > relative]))


@pytest.mark.parametrize("rate", [16000, *RATES[2:]])
def test_a_sine_reads_what_the_reference_says(rate):
    """EBU Tech 3341, case 1: stereo 1 kHz at -23 dBFS reads -23 LUFS; one channel alone 3.01 less."""
    tone = sine(1000, 20, rate, -23)
    assert prepare.loudness_lufs(np.stack([tone, tone], axis=1), rate) == pytest.approx(-23.0, abs=0.1)
    assert prepare.loudness_lufs(tone, rate) == pytest.approx(-26.01, abs=0.1)


def test_the_gates_follow_the_reference():
    """EBU Tech 3341, cases 3 to 5: quiet parts before and after do not count."""
    for levels in ([(-36, 10), (-23, 60), (-36, 10)], [(-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)]):
        tone = np.concatenate([sine(1000, seconds, 48000, level) for level, seconds in levels])
        assert prepare.loudness_lufs(np.stack([tone, tone], axis=1), 48000) == pytest.approx(-23.0, abs=0.1)
    tone = np.concatenate([sine(1000, s, 48000, level) for level, s in ((-26, 20), (-20, 20.1), (-26, 20))])
    assert prepare.loudness_lufs(np.stack([tone, tone], axis=1), 48000) == pytest.approx(-23.0, abs=0.1)


def test_loudness_equals_the_recommendation_computed_with_scipy():
    rng = np.random.default_rng(3)
    envelope = np.repeat(rng.uniform(0.001, 1, 24), 24000)[:, None]
    for channels in (1, 2):
        signal = (rng.normal(0, 0.2, (24 * 24000, channels)) * envelope).astype(np.float32)
        assert prepare.loudness_lufs(signal, 48000) == pytest.approx(reference_loudness(signal), abs=0.01)


@pytest.mark.parametrize("rate", RATES[2:])
def test_loudness_does_not_depend_on_the_rate(rate):
    low = scipy.signal.sosfilt(scipy.signal.butter(8, 4000, fs=22050, output="sos"), noise(12, 22050, seed=5))
    signal = scipy.signal.resample_poly(low, rate // 150, 147)
    assert prepare.loudness_lufs(signal, rate) == pytest.approx(prepare.loudness_lufs(low, 22050), abs=0.1)


def test_loudness_step_reaches_its_target_and_leaves_silence():
    step = prepare.create([{"step": "loudness", "target_lufs": -18}])
    done = step(Waveform(noise(5, 22050), 22050))
    assert prepare.loudness_lufs(done.samples, 22050) == pytest.approx(-18, abs=1e-3)
    quiet = step(Waveform(np.zeros(22050, np.float32), 22050))
    assert not quiet.samples.any()
    assert "too quiet" in quiet.warnings[0]
    short = step(Waveform(noise(0.1, 22050), 22050))
    assert prepare.loudness_lufs(short.samples, 22050) == pytest.approx(-18, abs=1e-3)


def test_rms_step_reaches_its_target():
    done = prepare.create([{"step": "rms", "target_dbfs": -20}])(Waveform(noise(3, 22050), 22050))
    assert db(float(np.sqrt(np.mean(done.samples**2)))) == pytest.approx(-20, abs=1e-3)


# --- trim


@pytest.mark.parametrize("top_db", [10, 30, 60])
@pytest.mark.parametrize("keywords", [{}, {"frame_length": 1024, "hop_length": 300}])
def test_trim_takes_the_same_samples_as_librosa(top_db, keywords):
    rng = np.random.default_rng(top_db)
    fade = np.concatenate([np.geomspace(1e-5, 1, 30000), np.geomspace(1, 1e-6, 40000)])
    samples = (rng.normal(0, 0.3, 70000) * fade).astype(np.float32)
    expected, _ = librosa.effects.trim(samples, top_db=top_db, **keywords)
    step = prepare.create([{"step": "trim", "top_db": top_db, **keywords}])
    np.testing.assert_array_equal(step(Waveform(samples, 22050)).samples, expected)


def test_trim_on_real_music_and_on_silence(shared_data):
    step = prepare.create(["trim"])
    for path in sorted((shared_data / "audio" / "gtzan").glob("*/*.00000.flac"))[:3]:
        samples, rate = librosa.load(path, sr=None)
        np.testing.assert_array_equal(step(Waveform(samples, rate)).samples, librosa.effects.trim(samples)[0])
    zeros = np.zeros(5000, np.float32)
    assert len(step(Waveform(zeros, 22050)).samples) == len(librosa.effects.trim(zeros)[0]) == 5000


# --- high-pass


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_highpass_in_decibels(rate):
    step = prepare.create(["highpass"])
    seconds = 12  # longer than one block of the filter
    for hertz, lowest, highest in (
        (5, -999, -80),
        (10, -999, -45),
        (20, -3.2, -2.8),
        (30, -0.3, 0.0),
        (100, -0.01, 0.01),
    ):
        tone = sine(hertz, seconds, rate)
        done = step(Waveform(tone, rate)).samples
        middle = slice(2 * rate, -2 * rate)
        gain_db = db(np.sqrt(np.mean(done[middle] ** 2.0) / np.mean(tone[middle] ** 2.0)))
        assert lowest <= gain_db <= highest, (hertz, gain_db)


def test_highpass_removes_an_offset_without_a_click_and_shifts_nothing():
    rate = 22050
    tone = sine(440, 5, rate, -12)
    done = prepare.create(["highpass"])(Waveform(tone + np.float32(0.5), rate)).samples
    assert np.abs(done - tone).max() < 0.01
    assert np.abs((done - tone)[rate:-rate]).max() < 1e-4


def test_highpass_has_the_magnitude_of_butterworth():
    """The magnitude of scipy's filter, applied without its phase to the whole signal at once."""
    rate = 22050
    signal = noise(8, rate)
    sos = scipy.signal.butter(8, 20, "highpass", fs=rate, output="sos")
    hertz = np.fft.rfftfreq(len(signal), 1 / rate)
    _, response = scipy.signal.sosfreqz(sos, worN=hertz, fs=rate)
    expected = np.fft.irfft(np.fft.rfft(signal) * np.abs(response), len(signal))
    done = prepare.create(["highpass"])(Waveform(signal, rate)).samples
    assert np.abs(done - expected)[rate:-rate].max() < 1e-3


def test_highpass_of_very_short_clips():
    for n in (1, 2, 3, 100):
        done = prepare.create(["highpass"])(Waveform(np.ones(n, np.float32), 22050)).samples
        assert done.shape == (n,)
        assert np.isfinite(done).all()
    with pytest.raises(UsageError, match="cutoff_hz"):
        prepare.create([{"step": "highpass", "cutoff_hz": 5000}])(Waveform(np.ones(9, np.float32), 8000))


# --- noise


def test_denoise_lifts_music_out_of_noise():
    rate = 22050
    gaps = np.repeat(np.tile([1, 0], 11), rate // 4)
    music = sine(440, 5, rate, -6) * gaps[: 5 * rate]
    noisy = music + noise(5, rate, 0.02)[: len(music)]
    done = prepare.create([{"step": "denoise", "reduction_db": 20}])(Waveform(noisy, rate)).samples
    before, after = np.mean((noisy - music) ** 2), np.mean((done - music) ** 2)
    assert 10 * math.log10(before / after) > 8
    assert len(done) == len(noisy)


def test_denoise_by_nothing_changes_nothing():
    """The way into the spectrum and back loses nothing, also at the edges."""
    for n in (1, 100, 2047, 50000, 70001):
        signal = noise(n / 1000, 1000)
        done = prepare.create([{"step": "denoise", "reduction_db": 0}])(Waveform(signal, 22050)).samples
        assert np.abs(done - signal).max() < 1e-5


def test_denoise_turns_pure_noise_down_by_what_was_asked():
    signal = noise(4, 22050)
    done = prepare.create([{"step": "denoise", "reduction_db": 12, "threshold_db": 30}])(Waveform(signal, 22050))
    assert db(float(np.std(done.samples) / np.std(signal))) == pytest.approx(-12, abs=0.1)


# --- drop and configuration


def test_drop_refuses_what_it_names():
    step = prepare.create(["drop"])
    with pytest.raises(AudioError) as caught:
        step(Waveform(np.array([0, np.nan], np.float32), 8000), "a.wav")
    assert (caught.value.code, caught.value.path) == ("not-finite", "a.wav")
    with pytest.raises(AudioError) as caught:
        step(Waveform(np.full(9, 0.5, np.float32), 8000))
    assert caught.value.code == "empty"
    assert prepare.create([{"step": "drop", "constant": False}])(Waveform(np.zeros(9, np.float32), 8000)).silent


def test_configuration_goes_round():
    given = ["drop", {"step": "highpass", "cutoff_hz": 25}, {"step": "trim"}, "denoise", "loudness", "rms"]
    step = prepare.create(given)
    config = json.loads(json.dumps(step.config()))
    assert prepare.create(config) == step
    assert config[1] == {"step": "highpass", "cutoff_hz": 25.0, "order": 8}
    assert {entry["step"] for entry in config} == set(prepare.STEPS)
    wave = Waveform(noise(1, 22050) + np.float32(0.1), 22050, warnings=("w",))
    np.testing.assert_array_equal(prepare.create(config)(wave).samples, step(wave).samples)
    assert step(wave).warnings == ("w",)


def test_no_preparation_is_off():
    wave = Waveform(noise(1, 8000), 8000)
    for empty in (None, [], ()):
        assert not prepare.create(empty)
        assert prepare.create(empty)(wave) is wave
        assert prepare.create(empty).config() == []


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ([{"step": "loudnes"}], "did you mean 'loudness'"),
        ([{"step": "loudness", "target": -23}], "valid: target_lufs"),
        ([{"step": "loudness", "target_lufs": "loud"}], "must be a number"),
        ([{"step": "trim", "hop_length": 0}], "at least 1"),
        ([{"step": "trim", "hop_length": 1.5}], "whole number"),
        ([{"step": "drop", "constant": 1}], "true or false"),
        ([{"target_lufs": -23}], "unknown preparation step None"),
        ({"step": "loudness"}, "list of steps"),
        ("loudness", "list of steps"),
    ],
)
def test_mistakes_in_the_configuration_are_named(config, says):
    with pytest.raises(UsageError, match=says):
        prepare.create(config)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("step", [step for step in prepare.STEPS if step != "drop"])
def test_a_clip_without_samples_stays_one(step):
    prepared = prepare.create([step])(Waveform(np.zeros(0, np.float32), 22050))
    assert prepared.samples.shape == (0,)
    assert prepared.silent


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_trim_names_a_clip_that_is_not_finite(value):
    samples = noise(1.0, 22050)
    samples[5000] = value
    with pytest.raises(AudioError) as caught:
        prepare.create(["trim"])(Waveform(samples, 22050), name="song.wav")
    assert (caught.value.code, caught.value.path) == ("not-finite", "song.wav")
