"""The genre over time: it changes where the sound changes, and memory does not grow with the sound."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import soundfile
from tiny_model import write_tiny

import tonearm
from tonearm.errors import UsageError

RATE = 22050


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tonearm.load(write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.onnx", temperature=2.0))


def band(low: float, high: float, seconds: float) -> np.ndarray:
    """Plucked chords between two frequencies, four a second, so that it is not taken for noise."""
    t = np.arange(round(seconds * RATE)) / RATE
    draw, note = np.random.default_rng(0), (t * 4).astype(int)
    pitches = draw.uniform(low, high, (4, note[-1] + 1))[:, note]
    return np.sin(2 * np.pi * pitches * t).sum(axis=0) * np.exp(-6 * (t * 4 % 1))


@pytest.fixture(scope="module")
def mix(tmp_path_factory):
    """20 s of bass, 10 s of nothing, 20 s of treble."""
    sound = np.concatenate([band(50, 700, 20), np.zeros(10 * RATE), band(5000, 10000, 20)])
    path = tmp_path_factory.mktemp("mix") / "mix.flac"
    soundfile.write(path, 0.5 * sound / np.abs(sound).max(), RATE)
    return path


def test_the_answer_changes_where_the_sound_does(tiny, mix):
    found = tiny.timeline(mix, clip_seconds=4.0, step_seconds=2.0)
    assert found.seconds == pytest.approx(50.0)
    assert found.start_seconds.tolist() == [2.0 * i for i in range(24)]
    best = [found.genres[i] for i in found.probabilities.argmax(axis=1)]
    assert best[:8] == ["bass"] * 8
    assert best[-8:] == ["treble"] * 8
    assert found.music.tolist() == [True] * 10 + [False] * 4 + [True] * 10
    assert not found.sure[10:14].any()
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1.0)
    stretches = found.stretches()
    assert [stretch.genre for stretch in stretches] == ["bass", None, "treble"]
    assert stretches[0].start_seconds == 0
    assert stretches[-1].stop_seconds == pytest.approx(50.0)
    assert all(a.stop_seconds == b.start_seconds for a, b in pairwise(stretches))
    assert abs(stretches[0].stop_seconds - 20) <= 2


def test_a_window_says_what_the_model_says_of_that_stretch(tiny, mix):
    found = tiny.timeline(mix, clip_seconds=4.0, step_seconds=2.0)
    samples, _ = soundfile.read(mix, dtype="float32")
    for i in (0, 3, 17):
        first = round(found.start_seconds[i] * RATE)
        alone = tiny.predict(samples[first : first + 4 * RATE], sample_rate=RATE)
        np.testing.assert_allclose(found.probabilities[i], alone.probabilities, atol=1e-3)


def test_the_same_from_a_prediction_bytes_and_an_array(tiny, mix):
    samples, _ = soundfile.read(mix, dtype="float32")
    expected = tiny.timeline(mix).probabilities
    for found in (
        tiny.predict(mix).timeline(), tiny.timeline(mix.read_bytes()), tiny.timeline(samples, sample_rate=RATE),
        tiny.predict(samples, sample_rate=RATE).timeline(),
    ):  # fmt: skip
        np.testing.assert_allclose(found.probabilities, expected, atol=1e-3)


def test_a_sound_that_is_shorter_than_a_window_is_one(tiny):
    found = tiny.timeline(band(50, 700, 1.0), sample_rate=RATE)
    assert found.start_seconds.tolist() == [0.0]
    assert found.seconds == pytest.approx(1.0)
    assert len(found.stretches()) == 1


def test_which_window_belongs_to_a_moment(tiny, mix):
    found = tiny.timeline(mix, clip_seconds=4.0, step_seconds=2.0)
    assert found.at([0.0, 2.9, 3.1, 5.1, 50.0]).tolist() == [0, 0, 1, 2, 23]


def test_json_is_plain_and_whole(tiny, mix):
    told = json.loads(json.dumps(tiny.timeline(mix, clip_seconds=5.0, step_seconds=5.0).to_json()))
    assert told["genres"] == ["bass", "middle", "treble"]
    assert len(told["windows"]) == 10
    assert told["windows"][5]["genre"] is None
    assert set(told["windows"][0]) == {"start_seconds", "genre", "sure", "probabilities"}
    assert told["stretches"][0]["genre"] == "bass"


@pytest.mark.parametrize(
    "keywords", [{"clip_seconds": 0.1}, {"clip_seconds": 5, "step_seconds": 6}, {"step_seconds": 0.01}]
)
def test_windows_that_cannot_be_are_refused(tiny, mix, keywords):
    with pytest.raises(UsageError, match="cannot be"):
        tiny.timeline(mix, **keywords)


GROWTH = """
import resource, sys
import tonearm
model = tonearm.load(sys.argv[1])
peaks = []
for path in sys.argv[2:]:
    found = model.timeline(path, clip_seconds=10.0, step_seconds=10.0)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print(*peaks, len(found.start_seconds))
"""


def test_an_hour_takes_no_more_memory_than_two_minutes(tmp_path):
    rate = 8000
    feature = {"kind": "logmel", "sample_rate": rate, "n_mels": 24, "frames": 20, "clip_seconds": 10.0}
    model = write_tiny(tmp_path / "tiny.onnx", feature=feature)
    minute = np.random.default_rng(0).integers(-99, 99, 60 * rate, dtype=np.int16)
    for name, minutes in (("short.wav", 2), ("hour.wav", 60)):
        with soundfile.SoundFile(tmp_path / name, "w", rate, 1, "PCM_U8") as file:
            for _ in range(minutes):
                file.write(minute * 256)
    call = [sys.executable, "-c", GROWTH, str(model), str(tmp_path / "short.wav"), str(tmp_path / "hour.wav")]
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    short, hour, windows = map(float, done.stdout.split())
    assert windows == 360
    # An hour of samples is 115 MB in float32.
    assert hour - short < 15


def test_what_hardly_is_music_is_never_sure_as_in_predict(tiny):
    t = np.arange(12 * RATE) / RATE
    noise = np.random.default_rng(0).normal(0, 0.1, len(t))
    for sound in (0.3 * np.sin(2 * np.pi * 440 * t), noise, band(50, 700, 2.0)):
        found = tiny.timeline(sound.astype(np.float32), sample_rate=RATE)
        assert found.music.all()
        assert not found.sure.any()
    # Windows that are short because they were asked for are not held against the sound.
    assert tiny.timeline(band(50, 700, 12.0), sample_rate=RATE, clip_seconds=2.0, step_seconds=1.0).sure.any()
