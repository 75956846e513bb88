"""Excerpts of MP3 by the quick way: as by the slow one, and the slow one wherever anything is unusual."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from tonearm import audio
from tonearm.audio import _mp3, _mp3_excerpt

pytestmark = pytest.mark.skipif(not _mp3_excerpt.HERE, reason="there are no files in memory on this system")

SECONDS = 24


def encoded(rate: int, channels: int, mode: str, level: float) -> bytes:
    """Noise that swells, with silence in it: the smallest frames, and behind them those that borrow most."""
    draw = np.random.default_rng(rate + channels)
    t = np.arange(SECONDS * rate) / rate
    loud = 0.3 * np.abs(np.sin(2 * np.pi * 0.31 * t)) * ((t % 7) > 1.5)
    samples = draw.normal(size=(len(t), channels)) * loud[:, None] * 0.3
    samples += 0.2 * np.sin(2 * np.pi * 440 * t)[:, None]
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="MP3", bitrate_mode=mode, compression_level=level)
    return file.getvalue()


def quickly(data: bytes, start_seconds: float, seconds: float = 1.5) -> np.ndarray | None:
    with audio.reading(data) as sound:
        reader = sound._reader
        return reader.excerpt(round(start_seconds * reader.sample_rate), round(seconds * reader.sample_rate))


def without_count(data: bytes) -> bytes:
    return data[_mp3.parse_frame(data).size :]


@pytest.fixture(scope="module")
def song() -> bytes:
    return encoded(44100, 2, "VARIABLE", 0.5)


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [32000, 44100, 48000])
@pytest.mark.parametrize(("mode", "level"), [("CONSTANT", 0.8), ("CONSTANT", 0.0), ("VARIABLE", 0.99), ("VARIABLE", 0)])
def test_it_is_that_stretch_of_the_whole(rate, channels, mode, level, counted):
    data = encoded(rate, channels, mode, level)
    data = data if counted else without_count(data)
    whole = audio.load(data).samples
    for start in np.random.default_rng(0).uniform(7, SECONDS - 2, 6):
        begin = round(start * rate)
        found = quickly(data, start)
        if counted or mode == "VARIABLE":  # of a constant rate libsndfile's own guess is right
            assert found is not None
        if found is not None:
            np.testing.assert_allclose(found, whole[begin : begin + len(found)], atol=1e-6)
        loaded = audio.load(data, start_seconds=start, clip_seconds=1.5).samples
        np.testing.assert_allclose(loaded, whole[begin : begin + len(loaded)], atol=1e-6)


def test_excerpts_in_any_order_are_those_in_order(song):
    whole = audio.load(song).samples
    with audio.reading(song) as sound:
        for start in (9.0, 20.0, 9.5, 1.0, 14.0, 9.0):
            found = sound.load(start_seconds=start, clip_seconds=1.0).samples
            np.testing.assert_allclose(found, whole[round(start * 44100) :][:44100], atol=1e-6)
        np.testing.assert_allclose(sound.load().samples, whole, atol=1e-6)


def test_tags_in_front_and_behind_do_not_move_it(song, tmp_path):
    tag = b"ID3\x03\0\0" + bytes((0, 0, 40, 0)) + bytes(40 << 7)
    path = tmp_path / "song.mp3"
    path.write_bytes(tag + song + b"TAG" + bytes(125))
    whole = audio.load(song).samples
    with audio.reading(path) as sound:
        found = sound._reader.excerpt(44100 * 12, 44100)
    np.testing.assert_allclose(found, whole[44100 * 12 :][:44100], atol=1e-6)


@pytest.mark.parametrize("start_seconds", [0.0, 2.0, SECONDS - 1.52])
def test_near_the_beginning_and_the_end_it_is_left_to_the_reader(song, start_seconds):
    assert quickly(song, start_seconds) is None


def test_at_low_rates_it_is_left_to_the_reader():
    data = encoded(22050, 1, "CONSTANT", 0.5)
    assert quickly(data, 12.0) is None


@pytest.mark.parametrize("kind", ["zeros", "gap", "cut"])
def test_damage_is_met_as_by_the_slow_way(song, kind, monkeypatch):
    at = len(song) // 4
    broken = {
        "zeros": song[:at] + bytes(5000) + song[at + 5000 :],
        "gap": song[:at] + song[at + 777 :],
        "cut": song[: len(song) // 2],
    }[kind]

    def loaded(start: float) -> tuple:
        try:
            wave = audio.load(broken, start_seconds=start, clip_seconds=1.5)
        except audio.AudioError as error:
            return error.code, np.zeros(1), ()
        return "", wave.samples, wave.warnings

    places = (3.0, 8.0, 11.0, 15.0, 20.0)
    found = [loaded(start) for start in places]
    monkeypatch.setattr(_mp3_excerpt, "HERE", False)
    for one, start in zip(found, places, strict=True):
        other = loaded(start)
        assert (one[0], one[2]) == (other[0], other[2])
        np.testing.assert_allclose(one[1], other[1], atol=1e-6)


def test_no_descriptor_is_left_open(song):
    import os

    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        assert quickly(song, 12.0) is not None
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_full_memory_is_no_error(song, monkeypatch):
    def full(*given):
        raise OSError(28, "No space left on device")

    whole = audio.load(song).samples
    monkeypatch.setattr("os.memfd_create", full)
    found = audio.load(song, start_seconds=12.0, clip_seconds=1.0).samples
    np.testing.assert_allclose(found, whole[44100 * 12 :][: len(found)], atol=1e-6)
