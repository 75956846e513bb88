"""When a model hears more of a sound than its excerpts: in doubt, and again where its feature looks at little."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
from tiny_model import write_tiny

import tonearm
from tonearm.audio import Waveform
from tonearm.runtime import _listen

RATE = 22050
TWO = {"excerpts": 2, "clip_seconds": 6.0}
ENDS = [1 / 8, 7 / 8]


def below(margin: float, *places: float) -> dict:
    return {"margin": margin, "places": list(places) or ENDS}


def song(seconds: float) -> np.ndarray:
    """Noise whose brightness changes along the song, so that each place says something else."""
    draw = np.random.default_rng(3)
    samples = draw.normal(0, 0.1, round(seconds * RATE))
    slow = np.convolve(samples, np.ones(24) / 6, mode="same")
    share = np.linspace(0, 1, len(samples)) ** 2
    return (share * samples + (1 - share) * slow).astype(np.float32)


@pytest.fixture
def model(tmp_path):
    def make(**listen):
        return tonearm.load(write_tiny(tmp_path / f"{len(listen)}.onnx", listen={**TWO, **listen}, temperature=6.0))

    return make


def stretch(samples: np.ndarray, start_seconds: float) -> Waveform:
    first = round(start_seconds * RATE)
    return Waveform(samples[first : first + 6 * RATE], RATE)


def test_a_song_in_doubt_is_heard_nearer_to_its_ends_too(model):
    samples, places = song(48.0), (12, 36, 6, 42)
    calm, doubting = model(), model(doubts=[below(1.0)])
    pieces = [stretch(samples, place - 3) for place in places]
    of_two = calm.from_waveforms(pieces[:2])[0]
    of_four, embedding = calm.from_waveforms(pieces)
    assert np.abs(of_two - of_four).max() > 1e-3
    np.testing.assert_allclose(calm.ask(samples, sample_rate=RATE)[0], of_two, atol=1e-9)
    asked = doubting.ask(samples, sample_rate=RATE)
    np.testing.assert_allclose(asked[0], of_four, atol=1e-9)
    np.testing.assert_allclose(asked[1], embedding, rtol=1e-6)  # all that was heard counts
    kept = []
    doubting.predict(samples, sample_rate=RATE, features_to=kept.append)
    np.testing.assert_array_equal(kept[0], calm.features_of(pieces))


def test_it_hears_on_for_as_long_as_it_is_in_doubt(model):
    samples = song(48.0)
    pieces = {place: stretch(samples, 48 * place - 3) for place in (1 / 8, 1 / 4, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8)}

    def answer(*places: float) -> np.ndarray:
        return model().from_waveforms([pieces[place] for place in places])[0]

    def margin(shares: np.ndarray) -> float:
        second, first = np.sort(shares)[-2:]
        return first - second

    steps = [(1 / 4, 3 / 4), (3 / 8, 5 / 8), (1 / 2,), ENDS]
    heard = [answer(*sum(map(tuple, steps[: count + 1]), ())) for count in range(4)]
    assert len({round(margin(shares), 6) for shares in heard}) == 4
    for last in range(4):
        # In doubt before each step but the last: with all of them, it has to stop there.
        doubts = [below(margin(heard[i]) * (1.01 if i < last else 0.99), *steps[i + 1]) for i in range(3)]
        told = model(doubts=doubts).ask(samples, sample_rate=RATE)[0]
        np.testing.assert_allclose(told, heard[last], atol=1e-9)


def test_short_excerpts_stand_side_by_side_and_more_places_too(tmp_path):
    samples = song(48.0)
    clips = {"frames": 60, "overlap": 0.5, "join": "log-mean"}  # the graph takes a clip of 6 s
    listen = {"excerpts": 2, "clip_seconds": 3.0}
    calm, doubting = (
        tonearm.load(write_tiny(tmp_path / f"{margin}.onnx", listen={**listen, "doubts": [doubt]}, clips=clips))
        for margin in (0.0, 1.0)
        for doubt in [below(margin, 1 / 8, 3 / 8, 5 / 8, 7 / 8)]
    )

    def beside(*places: float) -> Waveform:
        parts = [samples[round((place - 1.5) * RATE) : round((place + 1.5) * RATE)] for place in places]
        return Waveform(np.concatenate(parts), RATE)

    assert calm.features(samples, sample_rate=RATE).shape == (1, 24, 60)
    first, embedding = calm.from_waveforms([beside(12, 36)])
    told = calm.ask(samples, sample_rate=RATE)
    np.testing.assert_allclose(told[0], first, atol=1e-12)
    np.testing.assert_allclose(told[1], embedding, atol=1e-12)
    others = [calm.from_waveforms([beside(*places)])[0] for places in ((6, 18), (30, 42))]
    joined = np.exp(np.log([first, *others]).mean(axis=0))  # two places each, so an equal say
    np.testing.assert_allclose(doubting.ask(samples, sample_rate=RATE)[0], joined / joined.sum(), rtol=1e-9)
    # Windows are sounds of their own, and never joined.
    windows = [Waveform(samples[at * RATE : (at + 3) * RATE], RATE) for at in (0, 40)]
    alone = [calm.from_waveforms([window])[0] for window in windows]
    np.testing.assert_allclose(calm.from_windows(windows), alone, atol=1e-12)


def test_who_is_not_in_doubt_hears_no_more(model, monkeypatch):
    samples = song(48.0)
    first = np.sort(model().ask(samples, sample_rate=RATE)[0])
    margin = first[-1] - first[-2]
    monkeypatch.setattr(_listen.Hearing, "more", lambda *given, heard: pytest.fail("it was sure enough"))
    model(doubts=[below(margin * 0.99)]).ask(samples, sample_rate=RATE)
    with pytest.raises(pytest.fail.Exception):
        model(doubts=[below(margin * 1.01)]).ask(samples, sample_rate=RATE)


def test_a_file_and_its_samples_are_heard_alike_and_predict_says_what_ask_says(model, tmp_path):
    samples, doubting = song(48.0), model(doubts=[below(1.0)])
    soundfile.write(tmp_path / "song.wav", samples, RATE, subtype="FLOAT")
    of_array = doubting.ask(samples, sample_rate=RATE)[0]
    content = (tmp_path / "song.wav").read_bytes()
    once = io.BytesIO(content)
    once.seekable = lambda: False  # such as a socket: read as a whole, and only once
    for source in (tmp_path / "song.wav", content, io.BytesIO(content), once):
        np.testing.assert_allclose(doubting.ask(source)[0], of_array, atol=1e-9)
    music = 0.1 * np.sin(
        2 * np.pi * 220 * 2 ** (np.arange(48 * RATE) // (RATE // 3) % 12 / 12) * np.arange(48 * RATE) / RATE
    )
    told = doubting.predict(music, sample_rate=RATE)
    np.testing.assert_allclose(told.probabilities, doubting.ask(music, sample_rate=RATE)[0], atol=1e-12)


def test_a_song_of_which_hardly_more_is_there_or_silent_at_its_ends_keeps_its_answer(model):
    calm, doubting = model(), model(doubts=[below(1.0)])
    short = song(11.5)
    np.testing.assert_array_equal(doubting.ask(short, sample_rate=RATE)[0], calm.ask(short, sample_rate=RATE)[0])
    quiet = song(48.0)
    quiet[: 9 * RATE] = quiet[39 * RATE :] = 0
    np.testing.assert_array_equal(doubting.ask(quiet, sample_rate=RATE)[0], calm.ask(quiet, sample_rate=RATE)[0])


def test_one_excerpt_is_heard_again_a_little_later_with_its_share_of_the_say(model):
    samples, share = song(6.0), 0.3
    calm, again = model(), model(again_seconds=0.2, again_share=share)
    own, embedding = calm.from_waveforms([Waveform(samples, RATE)])
    later = calm.from_waveforms([Waveform(samples[round(0.2 * RATE) :], RATE)])[0]
    expected = np.exp((1 - share) * np.log(own) + share * np.log(later))
    asked = again.ask(samples, sample_rate=RATE)
    np.testing.assert_allclose(asked[0], expected / expected.sum(), rtol=1e-9)
    np.testing.assert_allclose(asked[1], embedding, rtol=1e-6)
    # Of so little there is nothing to leave out, and of a song there are two excerpts anyway.
    for seconds in (1.5, 48.0):
        some = song(seconds)
        np.testing.assert_array_equal(again.ask(some, sample_rate=RATE)[0], calm.ask(some, sample_rate=RATE)[0])


def test_nothing_is_heard_more_than_twice_and_nothing_outside_of_the_song(model):
    """Two places of 6 s and two more are twice a song of 12 s."""
    doubting = model(doubts=[below(1.0, 0.01, 0.99)])
    heard = []
    features_of = doubting.features_of
    doubting.features_of = lambda waveforms: heard.append(waveforms) or features_of(waveforms)
    doubting.ask(song(11.9), sample_rate=RATE)
    assert [len(waveforms) for waveforms in heard] == [2]
    heard.clear()
    samples = song(12.1)
    doubting.ask(samples, sample_rate=RATE)
    assert [len(waveforms) for waveforms in heard] == [2, 2]
    np.testing.assert_array_equal(heard[1][0].samples, samples[: 6 * RATE])
    np.testing.assert_array_equal(heard[1][1].samples, samples[-6 * RATE :])


def test_places_that_are_silent_do_not_stand_in_the_way(tmp_path):
    """The one of them that sounds has another number of frames than two that stand side by side."""
    clips = {"frames": None, "least_frames": 60, "overlap": 0.5, "join": "log-mean"}
    feature = {"kind": "logmel", "sample_rate": RATE, "n_mels": 24, "n_fft": 1024, "hop_length": 1024}
    listen = {"excerpts": 2, "clip_seconds": 3.0, "doubts": [below(1.0, 0.58, 0.6, 0.62, 0.9)]}
    doubting = tonearm.load(write_tiny(tmp_path / "half.onnx", listen=listen, clips=clips, feature=feature))
    samples = song(48.0)
    samples[26 * RATE : 32 * RATE] = 0
    kept, heard = [], []
    features_of = doubting.features_of
    doubting.features_of = lambda waveforms: heard.append(len(waveforms)) or features_of(waveforms)
    told = doubting.predict(samples, sample_rate=RATE, features_to=kept.append)
    assert heard == [2, 1]
    assert kept[0].shape[0] in (2, 3)
    assert told.probabilities.sum() == pytest.approx(1.0)
    assert np.isfinite(told.embedding).all()


def test_learning_hears_as_a_scan_does_doubt_and_all(model):
    """So that a model learnt from a library is the one that its files give."""
    from tonearm.learning import hearing
    from tonearm.runtime import statistics

    samples, doubting = song(48.0), model(doubts=[below(1.0)])
    # Notes and not noise, which nobody learns from.
    t = np.arange(len(samples)) / RATE
    pitch = 2 ** (np.random.default_rng(0).integers(0, 24, (3, 1 + int(t[-1] * 3)))[:, (t * 3).astype(int)] / 12)
    music = (0.1 * np.sin(2 * np.pi * 110 * pitch * t).sum(axis=0) * np.exp(-4 * (t * 3 % 1))).astype(np.float32)
    kept = []
    said = doubting.predict(music, sample_rate=RATE, features_to=kept.append)
    assert kept[0].shape[0] == model().features(music, sample_rate=RATE).shape[0] * 2
    learnt = hearing.listen(doubting, music, sample_rate=RATE)
    expected = np.concatenate([said.embedding, statistics.statistics(kept[0])])
    np.testing.assert_allclose(learnt, expected, rtol=1e-5, atol=1e-5)
