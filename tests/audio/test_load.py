"""Reading: every format, rate and number of channels, against soundfile, numpy and soxr used directly."""

from __future__ import annotations

import io
import os
import shutil
import sys
import time

import numpy as np
import pytest
import soundfile
import soxr
from audio_samples import encode, music
from hypothesis import given, settings
from hypothesis import strategies as st

from tonearm import audio
from tonearm.errors import UsageError

FORMATS = [
    ("WAV", "PCM_U8", "wav"),
    ("WAV", "PCM_16", "wav"),
    ("WAV", "PCM_24", "wav"),
    ("WAV", "PCM_32", "wav"),
    ("WAV", "FLOAT", "wav"),
    ("WAV", "DOUBLE", "wav"),
    ("WAV", "ULAW", "wav"),
    ("WAV", "MS_ADPCM", "wav"),
    ("WAVEX", "PCM_16", "wav"),
    ("WAVEX", "PCM_24", "wav"),
    ("WAVEX", "FLOAT", "wav"),
    ("RF64", "PCM_16", "wav"),
    ("W64", "PCM_16", "w64"),
    ("AIFF", "PCM_S8", "aiff"),
    ("AIFF", "PCM_16", "aiff"),
    ("AIFF", "PCM_24", "aiff"),
    ("AIFF", "FLOAT", "aiff"),
    ("AU", "PCM_16", "au"),
    ("AU", "FLOAT", "au"),
    ("AU", "ALAW", "au"),
    ("CAF", "PCM_24", "caf"),
    ("CAF", "ALAC_16", "caf"),
    ("VOC", "PCM_16", "voc"),
    ("NIST", "PCM_16", "nist"),
    ("FLAC", "PCM_16", "flac"),
    ("FLAC", "PCM_24", "flac"),
    ("OGG", "VORBIS", "ogg"),
    ("OGG", "OPUS", "ogg"),
    ("MP3", "MPEG_LAYER_III", "mp3"),
]


@pytest.mark.parametrize(("container", "subtype", "named"), FORMATS)
def test_each_format_is_the_mean_of_its_channels(container, subtype, named):
    rate = 48000 if subtype == "OPUS" else 44100
    data = encode(music(3, rate), rate, container, subtype)
    expected = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0].mean(axis=1, dtype=np.float64)
    wave = audio.load(data)
    assert wave.sample_rate == rate
    assert wave.samples.dtype == np.float32
    assert wave.warnings == ()
    assert not wave.silent
    np.testing.assert_allclose(wave.samples, expected, atol=1e-6)
    info = audio.info(data)
    assert (info.container, info.sample_rate, info.channels) == (named, rate, 2)
    assert info.seconds == pytest.approx(wave.seconds, abs=1e-9)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 32])
def test_any_number_of_channels(channels):
    data = encode(music(2, 22050, channels), 22050, "WAV", "FLOAT")
    expected = soundfile.read(io.BytesIO(data), always_2d=True)[0].mean(axis=1)
    np.testing.assert_allclose(audio.load(data).samples, expected, atol=1e-6)


@pytest.mark.parametrize("rate", [8000, 11025, 12000, 16000, 22050, 32000, 37800, 44100, 48000, 96000, 192000])
@pytest.mark.parametrize("to_rate", [8000, 22050, 44100, 192000])
def test_any_rate_is_soxr_of_the_mean(rate, to_rate):
    data = encode(music(1.5, rate), rate, "WAV", "PCM_24")
    mean = soundfile.read(io.BytesIO(data), dtype="float32")[0].mean(axis=1)
    expected = soxr.resample(mean, rate, to_rate, quality="HQ")
    wave = audio.load(data, sample_rate=to_rate)
    assert wave.sample_rate == to_rate
    assert len(wave.samples) == len(expected)
    np.testing.assert_allclose(wave.samples, expected, atol=1e-6)
    np.testing.assert_array_equal(audio.resample(mean, rate, to_rate), expected)


def test_real_mp3s_are_soxr_of_soundfile(shared_data):
    for path in sorted((shared_data / "audio" / "fma").glob("*.mp3"))[:2]:
        samples, rate = soundfile.read(path, dtype="float32")
        expected = soxr.resample(samples.mean(axis=1), rate, 22050, quality="HQ")
        np.testing.assert_allclose(audio.load(path, sample_rate=22050).samples, expected, atol=1e-6)


def test_reading_costs_little_more_than_soundfile_and_soxr_alone(tmp_path):
    """Within a tenth when measured in peace; the limit leaves room for a busy machine."""
    path = tmp_path / "a.mp3"
    path.write_bytes(encode(music(30, 44100), 44100, "MP3"))

    def plain() -> np.ndarray:
        samples, rate = soundfile.read(path, dtype="float32")
        return soxr.resample((samples[:, 0] + samples[:, 1]) * np.float32(0.5), rate, 22050, quality="HQ")

    costs: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(6):
        for ours in (True, False):
            start = time.process_time()
            audio.load(path, sample_rate=22050) if ours else plain()
            costs[ours].append(time.process_time() - start)
    assert min(costs[True]) < 1.25 * min(costs[False])


# --- sources


class Plain:
    """A binary file object that cannot seek, such as a socket's."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seekable(self) -> bool:
        return False


def test_paths_bytes_and_files_are_the_same_sound(tmp_path):
    for container in ("WAV", "FLAC", "OGG", "MP3"):
        data = encode(music(2, 44100), 44100, container)
        path = tmp_path / "sound.bin"
        path.write_bytes(data)
        expected = audio.load(path, sample_rate=16000).samples
        with open(path, "rb") as file:
            sources = (str(path), data, bytearray(data), memoryview(data), io.BytesIO(data), file, Plain(data))
            for source in sources:
                found = audio.load(source, sample_rate=16000, start_seconds=0.0).samples
                np.testing.assert_array_equal(found, expected)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="names of bytes")
def test_names_of_every_kind(tmp_path):
    data = encode(music(0.5, 8000), 8000, "FLAC")
    for name in (
        b"Ver\xc3\xa4nderung \xe2\x80\x93 01.flac",
        b"not utf-8 \xff\xe4.mp3",
        b"new\nline",
        b"-rf",
        b"%s%n.wav",
    ):
        path = os.fsdecode(os.path.join(os.fsencode(tmp_path), name))
        with open(path, "wb") as file:
            file.write(data)
        assert audio.load(path).seconds == 0.5
        with open(path, "wb") as file:
            file.write(b"nothing")
        with pytest.raises(audio.AudioError) as caught:
            audio.load(path)
        str(caught.value).encode("utf-8")  # can be printed


def test_content_counts_not_the_ending(tmp_path):
    for container, ending in (("WAV", ".mp3"), ("MP3", ".wav"), ("FLAC", ".ogg"), ("OGG", ""), ("AIFF", ".txt")):
        path = tmp_path / f"sound{ending}"
        path.write_bytes(encode(music(1, 22050), 22050, container))
        assert audio.info(path).container == container.lower()
        assert audio.load(path).seconds == pytest.approx(1, abs=0.1)


# --- excerpts


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("to_rate", [None, 22050, 16000, 22049, 48000])
def test_an_excerpt_is_that_part_of_the_whole(container, to_rate):
    data = encode(music(8, 44100), 44100, container)
    whole = audio.load(data, sample_rate=to_rate)
    rate = whole.sample_rate
    for start, length in ((0, 1), (0.0123, 2), (1.5, 0.05), (3.33333, 2), (6.9, 1), (7.5, 30), (7.9999, 1)):
        begin = round(start * rate)
        expected = whole.samples[begin : begin + round(length * rate)]
        found = audio.load(data, sample_rate=to_rate, start_seconds=start, clip_seconds=length)
        assert len(found.samples) == len(expected), (start, length)
        np.testing.assert_allclose(found.samples, expected, atol=1e-4)
        assert found.warnings == ()


@settings(max_examples=40, deadline=None)
@given(
    rate=st.sampled_from([8000, 22050, 44100, 48000, 96000]),
    to_rate=st.sampled_from([8000, 11025, 22050, 32000, 44100]),
    start=st.floats(0, 2.9),
    length=st.floats(0.001, 4),
)
def test_excerpts_stand_on_the_grid_of_the_whole(rate, to_rate, start, length):
    data = encode(music(3, rate, 1), rate, "WAV", "FLOAT")
    whole = audio.load(data, sample_rate=to_rate).samples
    begin, count = round(start * to_rate), round(length * to_rate)
    if count == 0:
        return
    found = audio.load(data, sample_rate=to_rate, start_seconds=start, clip_seconds=length).samples
    assert len(found) == len(whole[begin : begin + count])
    np.testing.assert_allclose(found, whole[begin : begin + count], atol=1e-4)


def test_too_short_is_said():
    data = encode(music(2, 8000, 1), 8000, "WAV")
    assert audio.load(data, min_seconds=2).seconds == 2
    for keywords in ({"min_seconds": 2.1}, {"start_seconds": 2.0}, {"start_seconds": 1.5, "min_seconds": 1}):
        with pytest.raises(audio.AudioError) as caught:
            audio.load(data, **keywords)
        assert caught.value.code == "too-short"


@pytest.mark.parametrize(
    "keywords",
    [
        {"sample_rate": 0},
        {"sample_rate": -8000},
        {"sample_rate": 22050.5},
        {"start_seconds": -1},
        {"start_seconds": float("nan")},
        {"clip_seconds": 0},
        {"clip_seconds": float("inf")},
    ],
)
def test_wrong_arguments_are_usage_errors(keywords):
    with pytest.raises(UsageError):
        audio.load(encode(music(1, 8000), 8000, "WAV"), **keywords)


def test_wrong_sources_are_usage_errors():
    for source in (5, None, ["a.wav"], io.StringIO("text")):
        with pytest.raises(UsageError):
            audio.load(source)


# --- streams


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("to_rate", [None, 22050, 16000, 48000])
@pytest.mark.parametrize("block_seconds", [0.01, 0.7, 3, 100])
def test_a_stream_put_together_is_the_whole(container, to_rate, block_seconds):
    data = encode(music(4, 44100), 44100, container)
    for start in (0.0, 1.2345):
        expected = audio.load(data, sample_rate=to_rate, start_seconds=start)
        blocks = list(audio.stream(data, block_seconds=block_seconds, sample_rate=to_rate, start_seconds=start))
        rate = expected.sample_rate
        assert {block.sample_rate for block in blocks} == {rate}
        assert {len(block.samples) for block in blocks[:-1]} <= {round(block_seconds * rate)}
        assert 0 < len(blocks[-1].samples) <= round(block_seconds * rate)
        together = np.concatenate([block.samples for block in blocks])
        assert len(together) == len(expected.samples)
        np.testing.assert_allclose(together, expected.samples, atol=1e-4)


def test_blocks_of_a_stream_stay_as_they_were():
    """Buffers are used again inside; what was given out is not."""
    data = encode(music(4, 22050), 22050, "FLAC")
    blocks = audio.stream(data, block_seconds=1)
    first = next(blocks)
    copy = first.samples.copy()
    list(blocks)
    np.testing.assert_array_equal(first.samples, copy)


def test_a_stream_can_be_left(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(encode(music(4, 22050), 22050, "WAV"))
    blocks = audio.stream(path, block_seconds=1)
    assert next(blocks).seconds == 1
    blocks.close()
    shutil.rmtree(tmp_path)
    assert list(blocks) == []


def test_a_stream_behind_the_end_is_too_short():
    data = encode(music(1, 8000), 8000, "WAV")
    with pytest.raises(audio.AudioError) as caught:
        list(audio.stream(data, start_seconds=2))
    assert caught.value.code == "too-short"


# --- flags


def test_silence_is_read_and_flagged():
    for level in (0.0, 0.25):
        data = encode(np.full((8000, 2), level, np.float32), 8000, "WAV", "FLOAT")
        wave = audio.load(data)
        assert wave.silent
        assert wave.seconds == 1
        assert audio.load(data, sample_rate=22050).seconds == pytest.approx(1, abs=1e-3)
    assert not audio.load(encode(np.array([0, 0, 0.001, 0], np.float32), 8000, "WAV", "FLOAT")).silent
    # Out of phase channels cancel: that is what the mean of them is.
    left = music(1, 8000, 1)
    assert audio.load(encode(np.concatenate([left, -left], axis=1), 8000, "WAV", "FLOAT")).silent


def test_loud_but_finite_samples_are_no_error():
    data = encode(np.array([3e38, -3e38, 1], np.float32), 8000, "WAV", "FLOAT")
    assert audio.load(data).samples[0] == np.float32(3e38)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_is_an_error(bad):
    samples = music(2, 8000, 2)
    samples[12000, 1] = bad
    data = encode(samples, 8000, "WAV", "FLOAT")
    for keywords in ({}, {"sample_rate": 22050}):
        with pytest.raises(audio.AudioError) as caught:
            audio.load(data, **keywords)
        assert caught.value.code == "not-finite"
    assert audio.load(data, clip_seconds=1).seconds == 1
    with pytest.raises(audio.AudioError):
        list(audio.stream(data, block_seconds=0.5))


@pytest.mark.parametrize(("container", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("OGG", "VORBIS"),
                                                    ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])  # fmt: skip
def test_excerpts_of_a_file_that_stays_open_are_those_of_one_opened_for_each(container, subtype):
    rate = 48000 if subtype == "OPUS" else 44100
    data = encode(music(8, rate), rate, container, subtype)
    with audio.reading(data) as sound:
        assert sound.info == audio.info(data)
        for start, to_rate in ((2.0, None), (5.5, 22050), (0.0, None), (3.0, 22050), (6.9, None)):
            asked = {"sample_rate": to_rate, "start_seconds": start, "clip_seconds": 1.0}
            np.testing.assert_array_equal(sound.load(**asked).samples, audio.load(data, **asked).samples)
        with pytest.raises(audio.AudioError, match="ends before"):
            sound.load(start_seconds=9.0)
        np.testing.assert_array_equal(sound.load(clip_seconds=1.0).samples, audio.load(data, clip_seconds=1.0).samples)
