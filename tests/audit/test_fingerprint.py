"""The acoustic fingerprint survives what files go through, and tells unrelated music apart."""

import numpy as np
import pytest

from tonearm import audio
from tonearm.audio import Waveform
from tonearm.audit import fingerprint, horse


def played(seed, seconds=12, rate=22050):
    """A melody of decaying notes with overtones and a little noise: something with peaks."""
    random = np.random.default_rng(seed)
    sound = np.zeros(int(seconds * rate))
    time = np.arange(int(0.5 * rate)) / rate
    for start in np.arange(0, seconds - 0.5, 0.18):
        pitch = 110 * 2 ** (random.integers(0, 40) / 12)
        note = sum(np.sin(2 * np.pi * k * pitch * time) / k for k in (1, 2, 3)) * np.exp(-6 * time)
        at = int((start + random.uniform(0, 0.05)) * rate)
        sound[at : at + len(note)] += random.uniform(0.1, 0.3) * note[: len(sound) - at]
    sound += random.normal(0, 0.002, len(sound))
    return Waveform((0.5 * sound / np.abs(sound).max()).astype(np.float32), rate)


def mp3(wave, kbit):
    import io

    import soundfile

    buffer = io.BytesIO()
    most, least = (320, 32) if wave.sample_rate >= 32000 else (160, 8)
    level = (most - kbit) / (most - least)
    soundfile.write(
        buffer,
        wave.samples,
        wave.sample_rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=level,
    )
    assert len(buffer.getvalue()) * 8 / wave.seconds / 1000 < kbit * 1.1
    samples, rate = soundfile.read(buffer := io.BytesIO(buffer.getvalue()), dtype="float32")
    return Waveform(samples, rate)


CHANGES = {
    "mp3 at 96 kbit/s": lambda w: mp3(w, 96),
    "gain": lambda w: Waveform(w.samples * np.float32(0.2), w.sample_rate),
    "resampled to 16 kHz": lambda w: Waveform(audio.resample(w.samples, w.sample_rate, 16000), 16000),
    "resampled to 48 kHz": lambda w: Waveform(audio.resample(w.samples, w.sample_rate, 48000), 48000),
    "3 s cut from the start": lambda w: Waveform(w.samples[3 * w.sample_rate + 123 :], w.sample_rate),
    "cut, quieter, at 32 kHz, as MP3": lambda w: mp3(
        Waveform(0.5 * audio.resample(w.samples[3 * w.sample_rate + 77 :], w.sample_rate, 32000), 32000), 96
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_found_and_nothing_else(change):
    waves = [played(seed) for seed in range(8)]
    prints = [fingerprint.landmarks(wave) for wave in waves]
    prints += [fingerprint.landmarks(CHANGES[change](wave)) for wave in waves[:3]]
    found = fingerprint.find(prints, [f"t{i}" for i in range(len(prints))])
    assert {frozenset(d.ids) for d in found} == {frozenset((f"t{i}", f"t{8 + i}")) for i in range(3)}
    if "cut" in change:
        assert all(d.offset_seconds == pytest.approx(-3.0, abs=0.07) for d in found)


def test_real_clips(shared_data):
    files = sorted((shared_data / "audio" / "gtzan").rglob("*.flac"))[::5]
    waves = [audio.load(path) for path in files]
    prints = [fingerprint.landmarks(wave) for wave in waves]
    changed = []
    for wave in waves:
        cut = Waveform(wave.samples[3 * wave.sample_rate :], wave.sample_rate)
        changed.append(fingerprint.landmarks(mp3(cut, 96)))
    found = fingerprint.find([*prints, *changed], [f"t{i}" for i in range(2 * len(files))])
    assert {frozenset(d.ids) for d in found} == {frozenset((f"t{i}", f"t{i + len(files)}")) for i in range(len(files))}


def test_nothing_in_nothing():
    silence = fingerprint.landmarks(Waveform(np.zeros(22050, np.float32), 22050))
    short = fingerprint.landmarks(Waveform(np.ones(10, np.float32), 22050))
    assert len(silence.codes) == len(short.codes) == 0
    assert fingerprint.find([silence, short, silence], ["a", "b", "c"]) == []
    assert fingerprint.find([], []) == []


def test_time_grows_with_files_and_not_with_their_square():
    """Unrelated landmarks: four times as many files must not take sixteen times as long."""
    import time

    random = np.random.default_rng(0)

    def prints(n):
        return [
            fingerprint.Landmarks(
                random.integers(0, 1 << 23, 1500).astype(np.uint32),
                np.sort(random.integers(0, 900, 1500)).astype(np.int32),
            )
            for _ in range(n)
        ]

    def cost(n):
        given = prints(n)
        start = time.process_time()
        assert list(fingerprint.matches(given)) == []
        return time.process_time() - start

    cost(100)
    assert cost(1600) < 11 * cost(400)


def test_the_mp3_of_the_horse_test_has_64_kbit():
    wave = played(1, seconds=6)
    decoded = horse._mp3(wave, np.random.default_rng(0))
    assert decoded.sample_rate == wave.sample_rate
    assert fingerprint.find([fingerprint.landmarks(wave), fingerprint.landmarks(decoded)], ["a", "b"])
