"""What hardly is music is told apart, and real music never is."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from tiny_model import write_tiny

import tonearm
from tonearm import audio
from tonearm.audio import Waveform
from tonearm.runtime import _checks

RATE = 22050
T = np.arange(10 * RATE) / RATE


def noise(shape=lambda hertz: np.ones_like(hertz), seed: int = 0) -> np.ndarray:
    spectrum = np.fft.rfft(np.random.default_rng(seed).normal(size=len(T)))
    return np.fft.irfft(spectrum * shape(np.fft.rfftfreq(len(T), 1 / RATE)), len(T))


def speech_shape(hertz: np.ndarray) -> np.ndarray:
    return (hertz > 80) / (1 + (hertz / 500) ** 2) ** 0.6


TONES = {
    "sine": np.sin(2 * np.pi * 440 * T),
    "square": np.sign(np.sin(2 * np.pi * 220 * T)),
    "chord": sum(np.sin(2 * np.pi * hertz * T) for hertz in (220, 277, 330)),
    "dial": np.sin(2 * np.pi * 350 * T) + np.sin(2 * np.pi * 440 * T),
    "sweep": np.sin(2 * np.pi * (100 * T + 100 * T * T)),
    "tremolo": np.sin(2 * np.pi * 440 * T) * (1 + 0.8 * np.sin(2 * np.pi * 3 * T)),
    "hum": sum(np.sin(2 * np.pi * 50 * k * T) / k for k in range(1, 9)) + 0.01 * noise(),
}
NOISES = {
    "white": noise(),
    "pink": noise(lambda hertz: 1 / np.sqrt(np.maximum(hertz, 20))),
    "brown": noise(lambda hertz: 1 / np.maximum(hertz, 20)),
    "speech-shaped": noise(speech_shape),
    "speech-shaped, four times a second": noise(speech_shape) * (1 + 0.9 * np.sin(2 * np.pi * 4 * T)),
    "telephone": noise(lambda hertz: ((hertz > 300) & (hertz < 3400)) * 1.0),
    "bursts": noise() * ((2 * T) % 1 < 0.2),
}


def codes(samples: np.ndarray, rate: int = RATE) -> list[str]:
    waveform = Waveform(samples.astype(np.float32), rate)
    return [problem.code for problem in _checks.examine([waveform], waveform.seconds)[1]]


@pytest.mark.parametrize(("name", "code"), [*((n, "steady-tone") for n in TONES), *((n, "noise") for n in NOISES)])
def test_made_signals_are_told_apart_whole_short_at_other_rates_and_from_mp3(name, code):
    signal = {**TONES, **NOISES}[name]
    signal = 0.5 * signal / np.abs(signal).max()
    file = io.BytesIO()
    soundfile.write(file, signal, RATE, format="MP3", bitrate_mode="CONSTANT", compression_level=0.9)
    assert codes(signal) == [code]
    assert codes(audio.resample(signal, RATE, 44100), 44100) == [code]
    assert codes(audio.load(file.getvalue()).samples) == [code]
    assert set(codes(signal[: 3 * RATE])) == {code}
    assert "short" in codes(signal[:RATE])


@pytest.mark.parametrize("name", [*TONES, *NOISES])
def test_few_frames_never_take_what_is_made_for_plain_music(name):
    signal = {**TONES, **NOISES}[name]
    waveform = Waveform((0.5 * signal / np.abs(signal).max()).astype(np.float32), RATE)
    short = Waveform(waveform.samples[: 3 * RATE], RATE)
    for excerpts in ([waveform], [waveform, waveform], [short]):
        assert not _checks.is_plain(excerpts)
        spectra = _checks._spectra(excerpts, _checks.FEW)
        steady, one_tone = _checks._steady(spectra), _checks._one_tone(spectra)
        assert max(steady - _checks.PLAIN_STEADY, one_tone - _checks.PLAIN_TONE) > 0.1


@pytest.mark.parametrize("level", [0.0, 1e-5, 1e-4])
def test_silence_and_what_cannot_be_told_from_it(level):
    assert codes(level * noise() / np.abs(noise()).max()) == ["silent"]
    assert codes(0.5 + level * T / T.max()) == ["silent"]  # an offset is no sound


def test_a_low_rate_and_little_sound_are_no_error():
    assert codes(noise()[:8000], 8000) == ["noise", "short"]
    assert codes(np.ones(10) * 0.5, 8000) == ["silent", "short"]
    assert "short" in codes(np.array([0.5, -0.5]), 44100)


def test_silent_excerpts_are_not_heard_where_others_are_not():
    quiet, loud = Waveform(np.zeros(RATE, np.float32), RATE), Waveform(noise()[:RATE].astype(np.float32), RATE)
    assert _checks.examine([quiet, loud, quiet], 100.0)[0] == [loud]
    assert _checks.examine([quiet, quiet], 100.0)[0] == [quiet, quiet]


def test_no_real_music_is_called_noise_tone_or_silence(shared_data):
    clips = sorted((shared_data / "audio" / "gtzan").glob("*/*.flac"))
    clips += sorted((shared_data / "audio" / "fma").glob("*.mp3"))
    assert len(clips) >= 55
    for path in clips:
        # The middle is enough for a test; all of each, at two rates and in pieces, was measured for the limits.
        waveform = audio.load(path, sample_rate=RATE, start_seconds=4, clip_seconds=5)
        assert _checks.examine([waveform], 30.0)[1] == (), path.name


def test_an_answer_on_what_is_no_music_is_never_sure(tmp_path):
    model = tonearm.load(write_tiny(tmp_path / "tiny.onnx", threshold=0.0))
    for signal in (TONES["sine"], NOISES["white"], NOISES["speech-shaped"], 0 * T):
        found = model.predict(signal, sample_rate=RATE)
        assert not found.sure
        assert found.warnings
        assert found.probabilities.sum() == pytest.approx(1.0)
    assert found.genres == ()
    assert found.probabilities.tolist() == pytest.approx([1 / 3] * 3)
    short = model.predict(noise()[: RATE // 2] * (T[: RATE // 2] > 0.1), sample_rate=RATE)
    assert not short.sure
    assert "short" in [warning.code for warning in short.warnings]
    assert len(short.genres) >= 1


def test_of_a_cut_file_what_is_left_decides_whether_it_is_too_short(tmp_path):
    """Its header still tells the length of the song."""
    model = tonearm.load(write_tiny(tmp_path / "tiny.onnx", threshold=0.0))
    path = tmp_path / "cut.wav"
    soundfile.write(path, noise()[: RATE * 10] * (T[: RATE * 10] > 0.1), RATE, subtype="PCM_16")
    whole = path.read_bytes()
    for seconds, short in ((2, True), (5, False)):
        path.write_bytes(whole[: 44 + 2 * RATE * seconds])
        codes = [warning.code for warning in model.predict(path).warnings]
        assert "truncated" in codes
        assert ("short" in codes) is short
