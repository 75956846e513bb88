"""What PyAV reads: M4A, AAC, films and the like, by content, mixed by the mean, excerpts on the sample."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from audio_samples import encode, encode_av, music

from tonearm import audio

pytest.importorskip("av")
RATE = 44100

# codec, container as PyAV calls it, what we call it, whether excerpts are exact (AC-3 adds noise of its own, which
# depends on what was decoded before)
KINDS = [
    ("aac", "ipod", "mp4", True),
    ("aac", "mp4", "mp4", True),
    ("alac", "ipod", "mp4", True),
    ("aac", "adts", "aac", True),
    ("aac", "matroska", "matroska", True),
    ("aac", "mpegts", "mpegts", True),
    ("flac", "matroska", "matroska", True),
    ("pcm_s16le", "matroska", "matroska", True),
    ("pcm_s16le", "avi", "avi", True),
    ("libopus", "webm", "matroska", True),
    ("ac3", "ac3", "ac3", False),
    ("wmav2", "asf", "asf", True),
    ("wavpack", "wv", "wavpack", True),
    ("tta", "tta", "tta", True),
]


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: f"{kind[0]} in {kind[1]}")
def kind(request):
    codec, container, named, exact = request.param
    rate = 48000 if codec == "libopus" else RATE
    sound = music(8, rate)
    options = {"movflags": "faststart"} if named == "mp4" else {}
    return encode_av(sound, rate, codec, container, **options), sound.mean(axis=1), rate, codec, named, exact


def test_each_kind_is_the_mean_of_its_channels(kind):
    data, mean, rate, codec, named, _ = kind
    info = audio.info(data)
    assert (info.container, info.sample_rate, info.channels) == (named, rate, 2)
    assert info.codec == codec.removeprefix("lib")
    assert info.seconds == pytest.approx(8, abs=0.06)
    wave = audio.load(data)
    assert wave.warnings == ()
    assert wave.seconds == pytest.approx(8, abs=0.06)
    lags = range(-2100, 2100)  # priming that bare streams do not mark, and that WMA's decoder drops
    part = mean[rate : rate + 8192]
    lag = max(lags, key=lambda k: float(np.dot(wave.samples[rate + k : rate + k + 8192], part)))
    found = wave.samples[rate + lag : 7 * rate + lag]
    expected = mean[rate : rate + len(found)]
    assert np.corrcoef(found, expected)[0, 1] > 0.97
    # Not 3 dB louder, as ffmpeg's own mix would be.
    assert abs(20 * np.log10(np.std(found) / np.std(expected))) < 0.5
    if named in ("mp4", "matroska", "wavpack", "tta"):
        assert abs(lag) <= 1


@pytest.mark.parametrize("to_rate", [None, 22050])
def test_an_excerpt_is_that_part_of_the_whole(kind, to_rate):
    data, _, _, _, _, exact = kind
    whole = audio.load(data, sample_rate=to_rate)
    rate = whole.sample_rate
    for start, length in ((0, 1), (0.01, 1), (1.2345, 2), (3.3333, 0.5), (5, 1), (6.5, 10)):
        begin = round(start * rate)
        expected = whole.samples[begin : begin + round(length * rate)]
        found = audio.load(data, sample_rate=to_rate, start_seconds=start, clip_seconds=length).samples
        assert len(found) == len(expected)
        if exact:
            np.testing.assert_allclose(found, expected, atol=1e-4)
        else:
            assert np.corrcoef(found, expected)[0, 1] > 0.99


def test_a_stream_put_together_is_the_whole(kind):
    data = kind[0]
    blocks = list(audio.stream(data, block_seconds=1.5, sample_rate=16000))
    together = np.concatenate([block.samples for block in blocks])
    np.testing.assert_allclose(together, audio.load(data, sample_rate=16000).samples, atol=1e-4)


def test_half_a_file_is_half_the_sound(kind, capfd):
    data, _, _, _, named, _ = kind
    wave = audio.load(data[: len(data) // 2])
    assert 2.5 < wave.seconds < 6
    if named not in ("ac3", "avi", "asf", "mpegts"):  # these say nowhere how long they are meant to be, or it is lost
        assert wave.warnings
        assert wave.warnings[0].startswith("truncated: ")
    assert capfd.readouterr() == ("", "")


def test_m4a_without_its_index_is_truncated():
    data = encode_av(music(3, RATE), RATE, "aac", "ipod")
    with pytest.raises(audio.AudioError) as caught:
        audio.load(data[: len(data) // 2])
    assert caught.value.code == "truncated"


def test_m4a_under_the_name_of_a_wav(tmp_path):
    path = tmp_path / "song.wav"
    path.write_bytes(encode_av(music(2, RATE), RATE, "aac", "ipod"))
    assert audio.info(path).container == "mp4"
    assert audio.load(path, sample_rate=16000).seconds == pytest.approx(2, abs=0.06)


def test_protected_music_is_called_so():
    data = encode_av(music(2, RATE), RATE, "aac", "ipod").replace(b"mp4a", b"drms")
    with pytest.raises(audio.AudioError) as caught:
        audio.load(data)
    assert caught.value.code == "unreadable"
    assert "DRM" in str(caught.value)


def test_a_film_without_sound_is_no_audio():
    import io

    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        for at in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), at * 40, np.uint8), format="rgb24")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(audio.AudioError) as caught:
        audio.load(file.getvalue())
    assert caught.value.code == "not-audio"
    assert "no sound" in str(caught.value)


def test_six_channels_are_their_mean():
    sound = music(3, 48000, 6)
    wave = audio.load(encode_av(sound, 48000, "flac", "matroska"))
    np.testing.assert_allclose(wave.samples, sound.mean(axis=1), atol=1e-4)


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_sample_formats_have_the_right_scale(codec):
    sound = music(1, 8000)
    wave = audio.load(encode_av(sound, 8000, codec, "matroska"))
    np.testing.assert_allclose(wave.samples, sound.mean(axis=1), atol=0.01 if codec == "pcm_u8" else 1e-4)


def test_junk_with_a_known_beginning_is_no_audio(capfd):
    rng = np.random.default_rng(0)
    for magic in (
        b"\0\0\0\x20ftypM4A ",
        bytes.fromhex("3026b2758e66cf11"),
        bytes.fromhex("1a45dfa3"),
        b"wvpk",
        b"MAC ",
    ):
        with pytest.raises(audio.AudioError) as caught:
            audio.load(magic + rng.bytes(20000))
        assert caught.value.code in ("not-audio", "truncated", "empty")
    assert capfd.readouterr() == ("", "")


def test_every_flipped_byte_is_survived(capfd):
    rng = np.random.default_rng(0)
    for codec, container in (("aac", "ipod"), ("aac", "adts"), ("flac", "matroska"), ("pcm_s16le", "avi")):
        data = encode_av(music(0.5, 22050), 22050, codec, container)
        for _ in range(20):
            bad = bytearray(data[: rng.integers(len(data) // 4, len(data) + 1)])
            for _ in range(rng.integers(0, 20)):
                bad[rng.integers(0, len(bad))] = rng.integers(0, 256)
            try:
                assert np.isfinite(audio.load(bytes(bad), sample_rate=8000).samples).all()
            except audio.AudioError:
                continue
    assert capfd.readouterr() == ("", "")


def test_what_libsndfile_reads_needs_no_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    for container in ("WAV", "FLAC", "OGG", "MP3"):
        assert audio.load(encode(music(1, RATE), RATE, container)).seconds == pytest.approx(1, abs=0.1)


def test_a_codec_that_libsndfile_does_not_know_is_tried_by_pyav(monkeypatch):
    data = encode_av(music(3, RATE), RATE, "ac3", "wav")
    assert data[:4] == b"RIFF"
    assert audio.info(data).container == "wav"
    assert audio.load(data).seconds == pytest.approx(3, abs=0.1)
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(audio.AudioError, match=r"tonearm\[av\]"):
        audio.load(data)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_wav_of_64_bit_integers_is_read(channels):
    wave = np.sin(np.arange(8000 * channels) * 0.1).reshape(-1, channels) * 0.5
    data = (wave * 2.0**63).astype("<i8").tobytes()
    header = struct.pack("<IHHIIHH", 16, 1, channels, 8000, 64000 * channels, 8 * channels, 64)
    file = (
        b"RIFF"
        + struct.pack("<I", 36 + len(data))
        + b"WAVEfmt "
        + header
        + b"data"
        + struct.pack("<I", len(data))
        + data
    )
    found = audio.load(file)
    assert found.sample_rate == 8000
    np.testing.assert_allclose(found.samples, wave.mean(axis=1), atol=1e-6)
