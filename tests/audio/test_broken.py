"""Whatever is given as a file: one AudioError with its code, or what can be read with a warning; never noise."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import sys
import threading

import numpy as np
import pytest
import soundfile
from audio_samples import encode, music

from tonearm import audio


def code_of(source, **keywords) -> str:
    with pytest.raises(audio.AudioError) as caught:
        audio.load(source, **keywords)
    error = caught.value
    assert error.reason
    assert str(error).startswith(error.path)
    for again in (audio.info, lambda source: list(audio.stream(source))):
        if error.code in ("missing", "not-audio", "unreadable", "needs-extra"):
            with pytest.raises(audio.AudioError) as caught:
                again(source)
            assert caught.value.code == error.code
    return error.code


def png() -> bytes:
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(200) + os.urandom(3000)


def jpeg() -> bytes:
    # Full of 0xFF bytes that begin no frame of sound.
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(50) + np.random.default_rng(0).bytes(50000) + b"\xff\xd9"


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.random.default_rng(0).normal(size=4000))
    return file.getvalue()


NOT_AUDIO = {
    "text": b"This is not a song.\n" * 500,
    "html": b"<!DOCTYPE html><html><body>404 Not Found</body></html>",
    "png": png(),
    "jpeg": jpeg(),
    "pdf": b"%PDF-1.7\n" + np.random.default_rng(1).bytes(9000),
    "npy": npy(),
    "zip": b"PK\x03\x04" + np.random.default_rng(2).bytes(9000),
    "gzip": b"\x1f\x8b\x08" + np.random.default_rng(3).bytes(9000),
    "elf": b"\x7fELF\x02\x01\x01" + np.random.default_rng(4).bytes(9000),
    "sqlite": b"SQLite format 3\x00" + bytes(4000),
    "midi": b"MThd\x00\x00\x00\x06\x00\x01\x00\x01\x00\x60MTrk" + bytes(200),
    "zeros": bytes(100_000),
    "ones": b"\xff" * 100_000,
    "random": np.random.default_rng(5).bytes(1_000_000),
    "one byte": b"R",
    "three bytes": b"ID3",
    "riff alone": b"RIFF",
    "wave without chunks": b"RIFF\x04\x00\x00\x00WAVE",
    "webp": b"RIFF\x10\x00\x00\x00WEBPVP8 " + bytes(100),
    "a form that is no sound": b"FORM\x00\x00\x00\x10ILBM" + bytes(100),
    "id3 tag alone": b"ID3\x03\x00\x00\x00\x00\x07\x76" + bytes(1014),
    "a frame of mp3 alone": b"\xff\xfb\x90\x64",
    "m3u": b"#EXTM3U\n#EXTINF:10,Song\nsong.mp3\n",
}


@pytest.mark.parametrize("name", NOT_AUDIO)
def test_what_is_no_audio_is_called_so(name, tmp_path, capfd):
    path = tmp_path / "song.mp3"
    path.write_bytes(NOT_AUDIO[name])
    assert code_of(path) == "not-audio"
    assert code_of(NOT_AUDIO[name]) == "not-audio"
    assert capfd.readouterr() == ("", "")


def test_missing(tmp_path):
    assert code_of(tmp_path / "none.wav") == "missing"
    assert code_of(str(tmp_path / "no folder" / "none.wav")) == "missing"
    (tmp_path / "file").write_bytes(b"x")
    assert code_of(tmp_path / "file" / "below.wav") == "missing"
    assert code_of("a\0b.wav") == "missing"
    assert code_of("x" * 5000) == "missing"
    if hasattr(os, "symlink"):
        os.symlink(tmp_path / "nowhere", tmp_path / "dangling.wav")
        os.symlink(tmp_path / "circle.wav", tmp_path / "circle.wav")
        assert code_of(tmp_path / "dangling.wav") == "missing"
        assert code_of(tmp_path / "circle.wav") == "missing"


def test_empty(tmp_path):
    (tmp_path / "a.mp3").touch()
    assert code_of(tmp_path / "a.mp3") == "empty"
    assert code_of(b"") == "empty"
    assert code_of(io.BytesIO()) == "empty"
    for container in ("WAV", "AIFF", "AU", "FLAC"):
        assert code_of(encode(np.zeros((0, 2), np.float32), 44100, container)) == "empty", container


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_devices_and_folders_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    done = []
    thread = threading.Thread(target=lambda: done.append(code_of(tmp_path / "pipe.wav")), daemon=True)
    thread.start()
    thread.join(5)
    assert done == ["not-audio"]
    for device in ("/dev/zero", "/dev/null", "/dev/urandom"):
        assert code_of(device) == "not-audio"
    assert code_of(tmp_path) == "not-audio"


def test_unreadable(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(encode(music(1, 8000), 8000, "WAV"))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything

        def refuse(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", refuse)
    assert code_of(path) == "unreadable"
    monkeypatch.undo()
    path.chmod(stat.S_IRUSR)


class Failing(io.BytesIO):
    """A file on a disk that breaks after 100,000 bytes."""

    def read(self, size: int = -1) -> bytes:
        if self.tell() + max(size, 0) > 100_000:
            raise OSError(5, "Input/output error")
        return super().read(size)


@pytest.mark.parametrize("container", ["WAV", "FLAC", "MP3"])
def test_a_disk_that_breaks_is_unreadable(container, capfd):
    data = encode(music(30, 44100), 44100, container)
    with pytest.raises(audio.AudioError) as caught:
        audio.load(Failing(data))
    assert caught.value.code == "unreadable"
    assert capfd.readouterr() == ("", "")


def test_a_library_that_is_missing_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)  # import av then fails
    mp4 = struct.pack(">I", 24) + b"ftypM4A \x00\x00\x00\x00M4A mp42" + bytes(5000)
    with pytest.raises(audio.AudioError) as caught:
        audio.load(mp4)
    assert caught.value.code == "needs-extra"
    assert 'pip install "tonearm[av]"' in str(caught.value)


# --- the end is missing


@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAVEX", "PCM_24"),
        ("AIFF", "PCM_16"),
        ("AU", "FLOAT"),
        ("FLAC", "PCM_16"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
@pytest.mark.parametrize("part", [0.5, 0.9])
def test_of_a_cut_file_what_is_there_is_used(container, subtype, part, capfd):
    rate = 48000
    data = encode(music(12, rate), rate, container, subtype)
    whole = audio.load(data).samples
    cut = data[: int(len(data) * part)]
    wave = audio.load(cut)
    assert 0.75 * part * 12 < wave.seconds < min(12, 1.25 * part * 12 + 0.5)
    n = len(wave.samples) - 4096
    np.testing.assert_allclose(wave.samples[:n], whole[:n], atol=1e-4)
    assert len(wave.warnings) == 1
    assert wave.warnings[0].startswith("truncated: ")
    # An excerpt that is there is no cause for alarm; one that is not says it; a stream says it at its end.
    assert audio.load(cut, clip_seconds=2).warnings == ()
    assert audio.load(cut, start_seconds=2, clip_seconds=100).warnings != ()
    blocks = list(audio.stream(cut, block_seconds=2))
    assert [bool(block.warnings) for block in blocks] == [False] * (len(blocks) - 1) + [True]
    assert sum(len(block.samples) for block in blocks) == len(wave.samples)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("container", ["FLAC", "OGG", "MP3"])
def test_damage_in_the_middle_is_said_and_quiet(container, capfd):
    rate = 44100
    data = bytearray(encode(music(12, rate), rate, container))
    middle = len(data) // 2
    data[middle : middle + 20_000] = np.random.default_rng(0).bytes(20_000)
    wave = audio.load(bytes(data))
    assert 4 < wave.seconds < 12.2
    assert wave.warnings
    assert wave.warnings[0].startswith("truncated: ")
    assert capfd.readouterr() == ("", "")


def test_an_excerpt_of_a_flac_that_cannot_be_seeked_in(capfd):
    """FLAC seeks by its frames: of broken ones, an excerpt before is read through to, one behind is not there."""
    data = encode(music(12, 44100), 44100, "FLAC")
    broken = data[: len(data) // 2] + bytes(len(data) // 2)
    begin = audio.load(broken, start_seconds=1, clip_seconds=2)
    np.testing.assert_array_equal(begin.samples, audio.load(data, start_seconds=1, clip_seconds=2).samples)
    assert code_of(broken, start_seconds=9, clip_seconds=2) == "too-short"
    hollow = data[: data.index(b"\xff\xf8")] + bytes(5000)
    assert code_of(hollow, start_seconds=3, clip_seconds=2) in ("too-short", "not-audio")
    assert capfd.readouterr() == ("", "")


def test_mp3_with_a_hole_of_zeros_keeps_what_is_before(capfd):
    data = encode(music(12, 44100), 44100, "MP3")
    middle = len(data) // 2
    holed = data[:middle] + bytes(100_000) + data[middle:]
    wave = audio.load(holed)
    assert wave.seconds > 5.8
    n = int(5.8 * 44100)
    np.testing.assert_allclose(wave.samples[:n], audio.load(data).samples[:n], atol=1e-4)
    assert wave.warnings
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("container", ["WAV", "AIFF", "AU", "FLAC", "OGG"])
def test_a_tag_behind_the_sound_is_no_damage(container):
    data = encode(music(2, 22050), 22050, container)
    tag = b"TAG" + b"Title".ljust(125, b"\0")
    wave = audio.load(data + tag)
    assert wave.warnings == ()
    n = len(audio.load(data).samples)
    assert n <= len(wave.samples) <= n + (len(tag) if container == "AU" else 0)


def test_a_stream_chained_behind_is_mentioned():
    data = encode(music(2, 22050), 22050, "OGG")
    wave = audio.load(data + encode(music(1, 22050, seed=1), 22050, "OGG"))
    assert wave.seconds == 2
    assert "chained" in wave.warnings[0]


@pytest.mark.parametrize("claimed", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_wav_from_a_pipe_has_no_length_and_is_not_cut(claimed):
    """Programs that cannot go back to the header leave a size in it that means nothing."""
    data = bytearray(encode(music(2, 8000, 1), 8000, "WAV", "PCM_16"))
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", claimed)
    data[4:8] = struct.pack("<I", min(claimed + 36, 0xFFFFFFFF))
    expected = np.frombuffer(bytes(data[at + 4 :]), "<i2") / np.float32(32768)
    wave = audio.load(bytes(data))
    np.testing.assert_array_equal(wave.samples, expected)
    assert wave.warnings == ()


def test_flac_without_a_length_is_read_whole():
    """Encoders that write to a pipe leave the count of samples 0: unknown."""
    data = bytearray(encode(music(3, 44100), 44100, "FLAC"))
    expected = audio.load(bytes(data)).samples
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    wave = audio.load(bytes(data))
    np.testing.assert_array_equal(wave.samples, expected)
    assert wave.warnings == ()
    assert audio.info(bytes(data)).seconds == 3
    found = audio.load(bytes(data), start_seconds=1, clip_seconds=1).samples
    np.testing.assert_array_equal(found, expected[44100:88200])


def test_a_header_that_lies_takes_no_memory():
    """A FLAC of a second that claims 2^36 samples, 256 GB."""
    data = bytearray(encode(music(1, 44100), 44100, "FLAC"))
    data[21] |= 0x0F
    data[22:26] = b"\xff" * 4
    wave = audio.load(bytes(data))
    assert wave.seconds == pytest.approx(1, abs=0.2)
    assert wave.warnings


@pytest.mark.parametrize("rate", [1, 7, 999, 2_000_000, 2**31 - 1])
def test_a_rate_that_no_sound_has_is_refused(rate):
    data = bytearray(encode(music(1, 8000, 1), 8000, "WAV"))
    data[24:28] = struct.pack("<I", rate)
    assert code_of(bytes(data), sample_rate=22050) == "not-audio"


def test_every_cut_and_every_flipped_byte_is_survived(capfd):
    """Whatever comes in: a waveform or an AudioError, nothing else, nothing printed."""
    rng = np.random.default_rng(0)
    for container in ("WAV", "AIFF", "AU", "CAF", "FLAC", "OGG", "MP3", "VOC", "W64", "NIST"):
        data = encode(music(0.4, 22050), 22050, container)
        for _ in range(25):
            bad = bytearray(data[: rng.integers(1, len(data))])
            for _ in range(rng.integers(0, 4)):
                bad[rng.integers(0, min(len(bad), 200))] = rng.integers(0, 256)
            try:
                wave = audio.load(bytes(bad), sample_rate=8000)
            except audio.AudioError:
                continue
            assert np.isfinite(wave.samples).all()
            assert len(wave.samples)
    assert capfd.readouterr() == ("", "")


def test_python_still_prints_while_decoders_are_quiet(capfd):
    from tonearm.audio._quiet import quiet

    with quiet(), quiet():
        print("hello", file=sys.stderr)
    assert capfd.readouterr().err == "hello\n"


def test_decoders_are_quiet_in_threads(capfd):
    data = encode(music(6, 44100), 44100, "MP3")
    bad = data[:20000] + np.random.default_rng(0).bytes(3000) + data[20000:]

    def noise_of_soundfile() -> str:
        with contextlib.suppress(soundfile.LibsndfileError):
            soundfile.SoundFile(io.BytesIO(bad)).read()
        return capfd.readouterr().err

    noise = noise_of_soundfile()
    threads = [threading.Thread(target=audio.load, args=(bad,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert capfd.readouterr().err == ""
    assert noise_of_soundfile() == noise  # and others' noise is theirs again
