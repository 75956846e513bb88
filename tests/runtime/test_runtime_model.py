"""A model as it is used: what comes in, what is said, and that it says the same on every way."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
import soundfile
from tiny_model import CLASSES, write_tiny

import tonearm
from tonearm import audio, runtime
from tonearm.audio import AudioError
from tonearm.errors import UsageError
from tonearm.recipes._prepare import starts_of
from tonearm.runtime import _model

RATE = 22050


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="module")
def tiny(folder):
    return tonearm.load(write_tiny(folder / "tiny.onnx"))


def sound(seconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """Something that changes: notes of random pitch, twice a second."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * rate)) / rate
    pitch = rng.uniform(100, 3000, int(seconds * 2) + 1)[(t * 2).astype(int)]
    return (0.3 * np.sin(2 * np.pi * pitch * t) * np.exp(-4 * (t * 2 % 1)) + 0.01 * rng.normal(size=len(t))).astype(
        "f4"
    )


@pytest.fixture(scope="module")
def song(folder):
    path = folder / "söng.wav"
    soundfile.write(path, sound(40.0), RATE, subtype="PCM_16")
    return path


def test_the_answer_is_what_the_graph_says_worked_out_by_hand(tiny):
    rows = np.random.default_rng(1).uniform(0, 255, (2, 24, 50)).astype(np.float32)
    shares, embeddings = tiny.from_features(rows)
    # Crops of 20 frames, half over each other, from the first frame to the last: 0, 10, 20, 30.
    bands = np.stack([[row[:, at : at + 20].mean(axis=1) for at in (0, 10, 20, 30)] for row in rows.astype(float)])
    logits = bands.reshape(2, 4, 3, 8).mean(axis=3) / 10
    logs = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
    expected = np.exp(logs.mean(axis=1))
    np.testing.assert_allclose(shares, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_allclose(embeddings, bands.mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize("join", ["mean", "log-mean"])
def test_votes_are_joined_and_the_temperature_is_applied_to_what_they_say_together(join, folder):
    clips = {"frames": 20, "overlap": 0.5, "join": join}
    plain = tonearm.load(write_tiny(folder / "plain.onnx", clips=clips))
    warm = tonearm.load(write_tiny(folder / "warm.onnx", clips=clips, temperature=3.0))
    rows = np.random.default_rng(2).uniform(0, 255, (3, 24, 60)).astype(np.float32)
    from tonearm.evaluation import apply_temperature

    expected = apply_temperature(plain.from_features(rows)[0], 3.0)
    np.testing.assert_allclose(warm.from_features(rows)[0], expected, atol=1e-9)
    if join == "mean":
        single = [plain.from_features(rows[:1, :, at : at + 20])[0][0] for at in (0, 10, 20, 30, 40)]
        np.testing.assert_allclose(plain.from_features(rows)[0][0], np.mean(single, axis=0), atol=1e-6)


def test_excerpts_of_one_sound_are_one_answer_of_all_their_crops(tiny):
    rows = np.random.default_rng(3).uniform(0, 255, (3, 24, 20)).astype(np.float32)
    together, vector = tiny.from_excerpts(rows)
    logs = np.log(tiny.from_features(rows)[0]).mean(axis=0)
    np.testing.assert_allclose(together, np.exp(logs) / np.exp(logs).sum(), atol=1e-6)
    np.testing.assert_allclose(vector, rows.mean(axis=(0, 2)), rtol=1e-5)


def test_many_rows_at_once_are_the_same_as_one_by_one(tiny):
    rows = np.random.default_rng(4).uniform(0, 255, (70, 24, 33)).astype(np.float32)
    shares, embeddings = tiny.from_features(rows)
    for i in (0, 63, 64, 69):
        one, vector = tiny.from_features(rows[i : i + 1])
        np.testing.assert_allclose(one[0], shares[i], atol=1e-6)
        np.testing.assert_allclose(vector[0], embeddings[i], rtol=1e-5)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)


def test_a_row_of_a_pack_in_bytes_is_taken_as_it_is(tiny):
    rows = np.random.default_rng(5).integers(0, 256, (2, 24, 60), dtype=np.uint8)
    np.testing.assert_array_equal(tiny.from_features(rows)[0], tiny.from_features(rows.astype(np.float32))[0])


def test_crops_are_those_that_runs_are_judged_by():
    for length, frames, overlap in ((387, 128, 0.5), (128, 128, 0.5), (130, 128, 0.0), (60, 20, 0.75), (61, 20, 0.3)):
        assert _model.crops(length, frames, overlap).tolist() == starts_of(length, frames, overlap).tolist()
    assert _model.crops(100, None, 0.5).tolist() == [0]


def test_path_bytes_file_and_array_are_one_sound(tiny, song):
    samples, _ = soundfile.read(song, dtype="float32")
    expected = tiny.predict(song)
    with open(song, "rb") as file:
        answers = [
            tiny.predict(str(song)),
            tiny.predict(song.read_bytes()),
            tiny.predict(file),
            tiny.predict(samples, sample_rate=RATE),
            tiny.predict(np.stack([samples, samples], axis=1), sample_rate=RATE),
            tiny.predict(np.stack([samples, samples]), sample_rate=RATE),
            tiny.predict((samples * 32768).astype(np.int16), sample_rate=RATE),
            tiny.predict(audio.load(song)),
        ]
    for answer in answers:
        np.testing.assert_allclose(answer.probabilities, expected.probabilities, atol=2e-3)
        assert answer.seconds == pytest.approx(40.0)
        assert answer.sure == expected.sure
    assert expected.path == str(song)
    assert answers[1].path is None


def test_a_stream_that_cannot_go_back_is_heard_too(tiny, song):
    class Pipe(io.RawIOBase):
        def __init__(self, data):
            self.rest = io.BytesIO(data)

        def readable(self):
            return True

        def readinto(self, buffer):
            return self.rest.readinto(buffer)

    found = tiny.predict(io.BufferedReader(Pipe(song.read_bytes())))
    np.testing.assert_allclose(found.probabilities, tiny.predict(song).probabilities)


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros((2, 3, 4)), RATE), (np.zeros(10), None), (np.zeros(10), 3), (np.array(["a"]), RATE),
        (np.zeros(10, complex), RATE),
    ],
)  # fmt: skip
def test_what_is_no_sound_is_the_callers_mistake(tiny, samples, rate):
    with pytest.raises(UsageError):
        tiny.predict(samples, sample_rate=rate)


def test_bad_samples_and_bad_files_say_so(tiny, tmp_path):
    with pytest.raises(AudioError, match="no sound"):
        tiny.predict(np.zeros(0), sample_rate=RATE)
    with pytest.raises(AudioError, match="NaN"):
        tiny.predict(np.array([0.0, np.nan]), sample_rate=RATE)
    with pytest.raises(AudioError, match="no such file"):
        tiny.predict(tmp_path / "none.mp3")
    with pytest.raises(UsageError, match="sample rate"):
        tiny.predict(tmp_path / "none.mp3", sample_rate=RATE)


def test_genres_are_those_worth_naming(tiny):
    from tonearm.runtime._prediction import SHARE, listed

    shares = np.array([0.1, 0.5, 0.25, 0.15])
    assert [g.genre for g in listed(("a", "b", "c", "d"), shares, 3)] == ["b", "c", "d"]
    assert [g.genre for g in listed(("a", "b", "c", "d"), shares, 1)] == ["b"]
    even = np.full(10, 0.1)
    assert even[0] < SHARE
    assert len(listed(tuple("abcdefghij"), even, 5)) == 1


def test_sure_is_a_matter_of_the_threshold(tiny, song):
    best = tiny.predict(song).genres[0].probability
    assert tiny.predict(song, threshold=best - 0.01).sure
    unsure = tiny.predict(song, threshold=min(1.0, best + 1e-4))
    assert not unsure.sure
    assert unsure.genre is None
    assert unsure.genres[0].probability == pytest.approx(best)
    with pytest.raises(UsageError):
        tiny.predict(song, threshold=1.5)


def test_many_in_order_with_bad_ones_among_them(tiny, song, tmp_path):
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"\0" * 5000)
    sources = [song, broken, tmp_path / "none.flac", song]
    for workers in (1, 2):
        found = list(tiny.predict_many(sources, workers=workers))
        assert [p.path for p in found] == [str(s) for s in sources]
        assert [p.error and p.error.code for p in found] == [None, "not-audio", "missing", None]
        assert found[0].to_json() == found[3].to_json()
        assert found[1].genres == ()
        assert found[0].probabilities.tolist() == tiny.predict(song).probabilities.tolist()
    with pytest.raises(UsageError):
        list(tiny.predict_many([song], workers=0))
    with pytest.raises(UsageError):
        list(tiny.predict_many([song, song], workers=2, threshold=7))


def test_what_json_says(tiny, song):
    told = tiny.predict(song).to_json()
    assert list(told) == ["path", "model", "version", "sure", "genres", "seconds", "error", "warnings"]
    assert told["model"] == "tiny"
    assert told["version"] == tiny.version
    assert len(tiny.version) == 12
    assert told["genres"][0] == {"genre": told["genres"][0]["genre"], "probability": told["genres"][0]["probability"]}
    assert told["genres"][0]["genre"] in CLASSES
    assert told["error"] is None


def test_a_prediction_travels_without_its_model(tiny, song):
    found = tiny.predict(song)
    back = pickle.loads(pickle.dumps(found))
    assert back.to_json() == found.to_json()
    np.testing.assert_array_equal(back.embedding, found.embedding)
    with pytest.raises(UsageError, match="does not know its sound"):
        back.timeline()
    assert pickle.loads(pickle.dumps(tiny)).version == tiny.version


def test_the_low_rate_of_a_file_is_told(folder):
    native = {"kind": "logmel", "sample_rate": "native (44100 for nearly all)", "n_mels": 24, "frames": 60,
              "clip_seconds": 6.0}  # fmt: skip
    model = tonearm.load(write_tiny(folder / "native.onnx", feature=native))
    assert model.feature.sample_rate == 44100
    assert [w.code for w in model.predict(sound(8.0), sample_rate=22050).warnings] == ["low-sample-rate"]
    assert model.predict(sound(8.0, rate=32000), sample_rate=32000).warnings == ()
    listen = {"excerpts": 1, "clip_seconds": 6.0, "top_hz": 11025}
    modest = tonearm.load(write_tiny(folder / "modest.onnx", feature=native, listen=listen))
    assert modest.predict(sound(8.0), sample_rate=22050).warnings == ()


def test_the_same_music_at_another_rate_is_nearly_the_same(tiny):
    at_22 = sound(12.0)
    at_48 = audio.resample(at_22, RATE, 48000)
    a, b = tiny.predict(at_22, sample_rate=RATE), tiny.predict(at_48, sample_rate=48000)
    np.testing.assert_allclose(a.probabilities, b.probabilities, atol=0.02)


def test_loading_by_name_path_and_environment(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("TONEARM_MODELS", str(folder))
    monkeypatch.setenv("TONEARM_DATA", str(tmp_path))
    assert tonearm.load("tiny").name == "tiny"
    assert "tiny" in [row["name"] for row in runtime.shipped()]
    with pytest.raises(UsageError, match="no model is called 'tyni'") as caught:
        tonearm.load("tyni")
    assert "tiny" in caught.value.hint
    own = tmp_path / "models"
    own.mkdir()
    write_tiny(own / "mine.onnx", name="mine")
    assert tonearm.load("mine").name == "mine"
    (own / "broken.onnx").write_bytes(b"no model")
    told = {row["name"]: row for row in runtime.shipped()}
    assert told["broken"]["error"]["code"] == "not-a-model"
    assert told["mine"]["error"] is None
    assert told["mine"]["bytes"] == (own / "mine.onnx").stat().st_size
