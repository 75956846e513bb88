"""MP3: what is recognised as one, files without a count, exact excerpts, against whole decoding."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
import soundfile
from audio_samples import encode, encode_av, music

from tonearm import audio
from tonearm.audio import _mp3

RATE = 44100


@pytest.fixture(scope="module")
def constant() -> bytes:
    return encode(music(6, RATE), RATE, "MP3", "MPEG_LAYER_III", bitrate_mode="CONSTANT")


@pytest.fixture(scope="module")
def variable() -> bytes:
    """20 s whose first part is simple, so that its frames are small and borrow from many before them."""
    sound = music(20, RATE, seed=4)
    sound[: 8 * RATE] = (0.3 * np.sin(2 * np.pi * 440 * np.arange(8 * RATE) / RATE))[:, None]
    return encode(sound, RATE, "MP3", "MPEG_LAYER_III", bitrate_mode="VARIABLE", compression_level=0.5)


def without_count(data: bytes) -> bytes:
    """The same stream without its first frame, which holds the Xing header."""
    return data[_mp3.parse_frame(data).size :]


def id3(size: int) -> bytes:
    """An ID3v2 tag with a picture in it that is full of what looks like the start of a frame."""
    body = (b"APIC" + b"\xff\xfb\x90\x64" * (size // 4))[:size].ljust(size, b"\0")
    return b"ID3\x03\0\0" + bytes((size >> shift) & 127 for shift in (21, 14, 7, 0)) + body


def test_blocks_are_decoded_as_the_whole_is(variable):
    """soundfile's own blocks differ here: after each read it seeks, and loses what the next frames borrow."""
    whole = soundfile.read(io.BytesIO(variable), dtype="float32")[0].mean(axis=1)
    np.testing.assert_allclose(audio.load(variable).samples, whole, atol=1e-6)
    streamed = np.concatenate([block.samples for block in audio.stream(variable, block_seconds=0.3)])
    np.testing.assert_allclose(streamed, whole, atol=1e-6)


@pytest.mark.parametrize("counted", [True, False])
def test_excerpts_of_variable_rate_are_exact(variable, counted):
    data = variable if counted else without_count(variable)
    whole = audio.load(data).samples
    for start in np.random.default_rng(0).uniform(0, 19, 25):
        begin = round(start * RATE)
        found = audio.load(data, start_seconds=start, clip_seconds=0.8).samples
        np.testing.assert_allclose(found, whole[begin : begin + len(found)], atol=1e-6)


def test_without_a_count_all_of_it_is_read(variable, constant):
    """libsndfile guesses the length from the first frame, here 8 of 20 s, and stops there."""
    assert soundfile.info(io.BytesIO(without_count(variable))).duration < 10
    for data, seconds in ((variable, 20), (constant, 6)):
        bare = without_count(data)
        wave = audio.load(bare)
        assert wave.warnings == ()
        assert wave.seconds == pytest.approx(seconds, abs=0.06)
        assert audio.info(bare).seconds == pytest.approx(wave.seconds, abs=0.03)
        expected = audio.load(data).samples
        lag = int(np.argmax([np.dot(wave.samples[k : k + 60000], expected[:60000]) for k in range(1300)]))
        assert np.corrcoef(wave.samples[lag : lag + 5 * RATE], expected[: 5 * RATE])[0, 1] > 0.9999


def test_files_put_together_are_read_to_the_end(constant, variable):
    wave = audio.load(constant + variable + constant)
    assert wave.seconds == pytest.approx(32, abs=0.3)
    assert wave.warnings == ()


@pytest.mark.parametrize("front", ["junk", "tag", "large tag", "two tags", "tag and padding", "junk and tag"])
def test_what_stands_in_front_is_passed_over(front, constant, tmp_path):
    in_front = {
        "junk": np.random.default_rng(0).bytes(3000).replace(b"\xff", b"\0"),
        "tag": id3(900),
        "large tag": id3(1_500_000),
        "two tags": id3(5000) + id3(7000),
        "tag and padding": id3(900) + bytes(3000),
        "junk and tag": bytes(500) + id3(900),
    }[front]
    path = tmp_path / "song"
    path.write_bytes(in_front + constant)
    assert audio.info(path).container == "mp3"
    assert audio.info(path).seconds == pytest.approx(6, abs=0.05)
    expected = audio.load(constant).samples
    np.testing.assert_allclose(audio.load(path).samples, expected, atol=1e-6)
    found = audio.load(path, start_seconds=3, clip_seconds=1).samples
    np.testing.assert_allclose(found, expected[3 * RATE : 4 * RATE], atol=1e-6)
    assert audio.load(path).warnings == ()


def test_what_stands_behind_is_no_damage(constant):
    tag = b"TAG" + b"Title".ljust(125, b"\0")
    ape = b"APETAGEX" + bytes(200)
    for behind in (tag, ape + tag, bytes(5000), b"LYRICSBEGIN" + b"la " * 300 + b"LYRICSEND"):
        for data in (constant, without_count(constant)):
            wave = audio.load(data + behind)
            assert wave.warnings == ()
            assert wave.seconds == pytest.approx(6, abs=0.06)


def test_a_cut_without_a_count_shows_in_the_last_frame(constant):
    bare = without_count(constant)
    frames = _mp3.scan(io.BytesIO(bare), 0)
    assert frames.size == len(bare)
    cut = audio.load(bare[: len(bare) // 2 + 100])
    assert cut.warnings == ("truncated: the file ends inside a frame",)


def test_scan_counts_what_a_plain_walk_counts(constant, variable):
    for data in (constant, variable, constant + variable):
        at, count = 0, 0
        while frame := _mp3.parse_frame(data, at):
            at, count = at + frame.size, count + 1
        assert _mp3.scan(io.BytesIO(data), 0) == (count, at, False)
    # Frames that lie across the ends of the blocks that are read.
    many = constant * (3_000_000 // len(constant))
    single = _mp3.scan(io.BytesIO(constant), 0)
    assert _mp3.scan(io.BytesIO(many), 0).frames == single.frames * (3_000_000 // len(constant))


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (11025, 2), (16000, 1), (22050, 2), (32000, 2), (48000, 1)])
def test_every_version_of_mpeg(rate, channels):
    data = encode(music(3, rate, channels), rate, "MP3")
    frame = _mp3.parse_frame(data)
    assert frame.sample_rate == rate
    assert frame.samples == (1152 if rate >= 32000 else 576)
    for source in (data, without_count(data)):
        wave = audio.load(source)
        assert wave.sample_rate == rate
        assert wave.warnings == ()
        found = audio.load(source, start_seconds=1.3, clip_seconds=1).samples
        np.testing.assert_allclose(found, wave.samples[round(1.3 * rate) :][:rate], atol=1e-6)


def test_layer_two_is_read():
    data = encode_av(music(3, RATE), RATE, "mp2", "mp2")
    assert (audio.info(data).container, audio.info(data).codec) == ("mp3", "mp2")
    wave = audio.load(data)
    assert wave.seconds == pytest.approx(3, abs=0.05)
    assert np.corrcoef(wave.samples[481 : 481 + 2 * RATE], music(3, RATE).mean(axis=1)[: 2 * RATE])[0, 1] > 0.98


def test_aac_is_not_taken_for_mp3():
    data = encode_av(music(3, RATE), RATE, "aac", "adts")
    assert data[0] == 0xFF
    assert audio.info(data).container == audio.info(data).codec == "aac"
    assert audio.info(id3(500) + data).container == "aac"
    assert audio.load(id3(500) + data).seconds == pytest.approx(3, abs=0.1)


def test_ten_seconds_from_an_hour_cost_at_most_a_tenth(constant):
    frames = without_count(constant)
    head = _mp3.parse_frame(frames)
    times = -(-3600 * RATE // (_mp3.scan(io.BytesIO(frames), 0).frames * head.samples))
    count = _mp3.scan(io.BytesIO(frames), 0).frames * times
    counted = _mp3.write_count(frames[:4], count, len(frames) * times) + frames * times
    start = time.process_time()
    assert audio.load(counted, start_seconds=1800, clip_seconds=60).seconds == 60
    whole = (time.process_time() - start) * 60  # a sixtieth of the hour, so more than it would cost
    for data in (counted, frames * times):  # with a count and without
        assert audio.info(data).seconds == pytest.approx(3600, abs=7)
        costs = []
        for _ in range(3):
            start = time.process_time()
            assert audio.load(data, start_seconds=1800, clip_seconds=10).seconds == 10
            costs.append(time.process_time() - start)
        assert min(costs) < 0.1 * whole
