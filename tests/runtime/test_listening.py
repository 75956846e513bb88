"""What is heard of a sound: where the excerpts lie, that they are that stretch, and how many frames they give."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
from tiny_model import write_tiny

import tonearm
from tonearm import audio
from tonearm.audio import Waveform
from tonearm.runtime import _listen
from tonearm.runtime._listen import Plan

RATE = 22050
PLAN = Plan(RATE, 3, 30.0, 30.0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tonearm.load(write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.onnx"))


def ramp(seconds: float, rate: int = RATE) -> np.ndarray:
    """Samples that tell where they are."""
    return np.linspace(0, 1, round(seconds * rate), dtype=np.float32)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.5, [0.0]),
        (30.0, [0.0]),
        (31.4, [0.0]),  # a clip of 30 s that is somewhat long is heard whole
        (45.0, [0.0, 15.0]),  # two fill it
        (60.0, [0.0, 30.0]),
        (90.0, [0.0, 30.0, 60.0]),
        (240.0, [25.0, 105.0, 185.0]),
        (3600.0, [585.0, 1785.0, 2985.0]),
    ],
)
def test_excerpts_lie_in_the_middle_of_their_share_of_the_song(seconds, expected):
    assert _listen.starts(seconds, PLAN) == pytest.approx(expected)


def test_no_excerpt_leaves_the_song():
    for seconds in np.linspace(31.6, 400, 97):
        for count in (1, 2, 5, 9):
            found = _listen.starts(float(seconds), PLAN._replace(excerpts=count))
            assert min(found) >= 0
            assert max(found) <= seconds - 30 + 1e-9
            assert found == sorted(found)


def test_the_excerpts_of_a_file_are_those_stretches_of_it(tmp_path):
    path = tmp_path / "ramp.wav"
    soundfile.write(path, ramp(100.0), RATE, subtype="FLOAT")
    of_file = _listen.listen(path, PLAN)
    of_array = _listen.listen(ramp(100.0), PLAN, RATE)
    whole = audio.load(path).samples
    for one, other, start in zip(of_file.excerpts, of_array.excerpts, _listen.starts(100.0, PLAN), strict=True):
        first = round(start * RATE)
        np.testing.assert_array_equal(one.samples, whole[first : first + 30 * RATE])
        np.testing.assert_array_equal(other.samples, one.samples)


def test_only_the_excerpts_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / "long.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 300 * 8000).astype(np.float32), 8000)
    from tonearm.audio._sound import SoundReader

    read = []
    into = SoundReader.read_into
    monkeypatch.setattr(SoundReader, "read_into", lambda self, out: read.append(len(out)) or into(self, out))
    _listen.listen(path, PLAN._replace(sample_rate=8000))
    assert sum(read) < 100 * 8000


@pytest.mark.parametrize("there", [0.9, 0.5, 0.1, 0.01])
def test_a_file_that_ends_before_its_header_says_so_is_heard_as_far_as_it_goes(there, tmp_path, monkeypatch):
    path = tmp_path / "cut.wav"
    soundfile.write(path, ramp(200.0 * there), RATE, subtype="PCM_16")
    told = audio.AudioInfo("wav", "pcm_16", RATE, 1, 200.0)
    monkeypatch.setattr(audio.Sound, "info", told)
    heard = _listen.listen(path, PLAN)
    assert heard.excerpts
    assert all(excerpt.seconds >= min(15.0, 200 * there - 1e-3) for excerpt in heard.excerpts)
    if there < 0.9:
        assert "truncated" in [warning.code for warning in heard.warnings]


def test_a_whole_clip_has_all_frames_and_a_shorter_one_its_share(tiny):
    for seconds, frames in ((6.0, 60), (5.9, 60), (6.2, 60), (3.0, 30), (2.0, 20), (1.0, 20), (0.02, 20)):
        found = tiny.features(np.random.default_rng(0).normal(size=round(seconds * RATE)), sample_rate=RATE)
        assert found.shape == (1, 24, frames), seconds
    assert tiny.features(np.random.default_rng(0).normal(size=60 * RATE), sample_rate=RATE).shape == (3, 24, 60)


def test_the_frames_of_a_shorter_clip_lie_as_close_as_those_of_a_whole_one(tiny):
    # Noise whose level rises: the levels of the frames tell where they are.
    rng = np.random.default_rng(1)
    sound = rng.normal(size=6 * RATE) * np.linspace(0.01, 1, 6 * RATE)
    whole = tiny._feature_of(Waveform(sound.astype(np.float32), RATE))
    half = tiny._feature_of(Waveform(sound[: 3 * RATE].astype(np.float32), RATE))
    slope = [np.polyfit(np.arange(30), 10 ** (some[:, :30].mean(axis=0) / 255 * 4), 1)[0] for some in (whole, half)]
    assert half.shape[1] == 30
    assert all(value > 0 for value in slope)


def test_of_a_short_sound_the_moments_between_the_frames_are_looked_at_too(tmp_path):
    feature = {"kind": "logmel", "sample_rate": RATE, "n_mels": 24, "frames": 12, "clip_seconds": 6.0}
    model = tonearm.load(write_tiny(tmp_path / "sparse.onnx", feature=feature))  # half a second apart, 93 ms each
    rising = np.random.default_rng(1).normal(size=3 * RATE) * np.geomspace(1e-3, 1, 3 * RATE)
    half = Waveform(rising.astype(np.float32), RATE)
    # Alone: six frames, then four times the six between them. Beside others: as many as the graph takes (20) anyway.
    alone = model.features(half.samples, sample_rate=RATE)[0].mean(axis=0)
    beside = model._feature_of(half).mean(axis=0)
    assert alone.shape == (30,)
    turns = alone.reshape(5, 6)
    assert (np.diff(turns, axis=1) > 0).all()
    assert (np.diff(turns, axis=0) > 0).all()
    assert (turns[-1, :-1] < turns[0, 1:]).all()
    assert beside.shape == (20,)
    assert (np.diff(beside[:18].reshape(3, 6), axis=0) > 0).all()
    np.testing.assert_array_equal(beside[18:], beside[:2])


def test_too_few_frames_are_repeated():
    from tonearm.runtime._model import tiled

    array = np.arange(6.0).reshape(1, 2, 3)
    assert tiled(array, 5)[0].tolist() == [[0, 1, 2, 0, 1], [3, 4, 5, 3, 4]]
    assert tiled(array, 2) is array


@pytest.mark.parametrize("seconds", [1.0, 30.0, 35.2, 61.0, 90.0])
@pytest.mark.parametrize("step", [10.0, 7.0, 30.0])
def test_windows_are_the_stretches_they_say_and_cover_the_sound(seconds, step, tmp_path):
    path = tmp_path / "ramp.wav"
    soundfile.write(path, ramp(seconds), RATE, subtype="FLOAT")
    whole = ramp(seconds)
    for source, rate in ((path, None), (whole, RATE)):
        found = list(_listen.windows(source, PLAN, step, rate))
        for start, window in found:
            first = round(start * RATE)
            np.testing.assert_array_equal(window.samples, whole[first : first + len(window.samples)])
            assert window.seconds == pytest.approx(min(30.0, seconds))
        starts = [start for start, _ in found]
        assert starts[0] == 0
        assert starts[:-1] == pytest.approx([i * step for i in range(len(starts) - 1)])
        assert seconds - (starts[-1] + 30) <= step / 4 + 1e-6


def test_samples_that_are_finite_but_far_too_large_are_an_error(tmp_path, recwarn):
    model = tonearm.load(write_tiny(tmp_path / "tiny.onnx"))
    huge = np.random.default_rng(0).normal(0, 1e30, 8 * RATE).astype(np.float32)
    path = tmp_path / "huge.wav"
    soundfile.write(path, huge, RATE, subtype="FLOAT")
    for ask in (
        lambda: model.predict(path), lambda: model.ask(path), lambda: model.timeline(path),
        lambda: model.predict(huge, sample_rate=RATE), lambda: model.timeline(huge, sample_rate=RATE),
    ):  # fmt: skip
        with pytest.raises(audio.AudioError, match="times full scale") as caught:
            ask()
        assert caught.value.code == "not-finite"
    assert [str(warning.message) for warning in recwarn if issubclass(warning.category, RuntimeWarning)] == []
    # Whole numbers that were written as floats are loud, and heard as what they are.
    quiet = (huge / 1e31).astype(np.float32)
    np.testing.assert_allclose(
        model.predict(quiet * 32768, sample_rate=RATE).probabilities,
        model.predict(quiet, sample_rate=RATE).probabilities,
        atol=1e-3,
    )


def test_places_in_doubt_that_are_no_sound_are_left_out(tmp_path, recwarn):
    doubts = [{"margin": 1.0, "places": [0.5]}]
    listen = {"excerpts": 2, "clip_seconds": 6.0, "doubts": doubts}
    model = tonearm.load(write_tiny(tmp_path / "tiny.onnx", listen=listen))
    samples = np.random.default_rng(0).normal(0, 0.1, 48 * RATE).astype(np.float32)
    soundfile.write(tmp_path / "whole.wav", samples, RATE, subtype="FLOAT")
    samples[23 * RATE : 25 * RATE] *= 1e30
    soundfile.write(tmp_path / "huge.wav", samples, RATE, subtype="FLOAT")
    heard = _listen.listen(tmp_path / "whole.wav", model.plan).excerpts
    expected, _ = model.from_waveforms(heard)
    np.testing.assert_allclose(model.ask(tmp_path / "huge.wav")[0], expected, atol=1e-9)
    assert np.abs(model.ask(tmp_path / "whole.wav")[0] - expected).max() > 1e-6
    assert [str(warning.message) for warning in recwarn if issubclass(warning.category, RuntimeWarning)] == []
