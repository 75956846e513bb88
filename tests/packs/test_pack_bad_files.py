"""Twenty kinds of broken files beside two hundred good ones: every good one is in the pack, every bad one is named."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pack_helpers import hashes, small_plan, tone, tracks_of

from tonearm import audio
from tonearm.packs import Track, build, open_pack, verify

GOOD = 200
KINDS = {"wav": "WAV", "flac": "FLAC", "ogg": "OGG", "mp3": "MP3", "aiff": "AIFF"}


def sound(container: str, seconds: float = 1.0, **keywords) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, tone(seconds, seed=3), 22050, format=container, **keywords)
    return out.getvalue()


def float_wav(value: float) -> bytes:
    samples = tone(1.0, seed=4)
    samples[500] = value
    out = io.BytesIO()
    soundfile.write(out, samples, 22050, format="WAV", subtype="FLOAT")
    return out.getvalue()


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("song.wav", sound("WAV"))
    return out.getvalue()


def saved_array() -> bytes:
    out = io.BytesIO()
    np.save(out, tone(1.0))
    return out.getvalue()


def noise() -> bytes:
    return np.random.default_rng(5).integers(0, 256, 20000, dtype=np.uint8).tobytes()


# What is written into each file, and the code it must get.
CONTENT: dict[str, tuple[object, str]] = {
    "nothing.wav": (lambda: b"", "empty"),
    "nothing.mp3": (lambda: b"", "empty"),
    "header-only.wav": (lambda: sound("WAV", 0.0), "empty"),
    "half-a-header.flac": (lambda: sound("FLAC")[:60], "not-audio"),
    "half-a-header.wav": (lambda: sound("WAV")[:20], "not-audio"),
    "cut-early.ogg": (lambda: sound("OGG")[:300], "not-audio"),
    "text.wav": (lambda: b"I am a text, not a song.\n" * 40, "not-audio"),
    "picture.mp3": (lambda: b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + noise(), "not-audio"),
    "array.wav": (saved_array, "not-audio"),
    "archive.flac": (zipped, "not-audio"),
    "noise.mp3": (noise, "not-audio"),
    "noise.wav": (noise, "not-audio"),
    "zeros.flac": (lambda: bytes(20000), "not-audio"),
    "page.ogg": (lambda: b"<!DOCTYPE html><html><body>404 Not found</body></html>" * 20, "not-audio"),
    "nan.wav": (lambda: float_wav(float("nan")), "not-finite"),
    "infinite.wav": (lambda: float_wav(float("inf")), "not-finite"),
    "short.wav": (lambda: sound("WAV", 0.05), "too-short"),
    "short.mp3": (lambda: sound("MP3", 0.1), "too-short"),
    "no-samples.aiff": (lambda: sound("AIFF", 0.0), "empty"),
    "two-samples.wav": (lambda: sound("WAV", 2 / 22050), "too-short"),
}
# Damaged, but what is there can be used.
USABLE = {
    "cut.wav": lambda: sound("WAV", 2.0)[:60000],
    "cut.flac": lambda: sound("FLAC", 2.0)[:-9000],
    "cut.mp3": lambda: sound("MP3", 2.0)[:-3001],
    "wrong-ending.mp3": lambda: sound("WAV"),
    "flac-inside.wav": lambda: sound("FLAC"),
    "wild-size.wav": lambda: sound("WAV")[:4] + struct.pack("<I", 0xFFFFFFFF) + sound("WAV")[8:],
}


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("library")
    for genre in ("rock", "jazz"):
        (root / genre).mkdir()
    endings = list(KINDS)
    for number in range(GOOD):
        ending = endings[number % len(endings)]
        path = root / ("rock", "jazz")[number % 2] / f"good{number:03}.{ending}"
        soundfile.write(path, tone(1 + number % 5 * 0.2, seed=number), 22050, format=KINDS[ending])
    broken = root / "rock"
    for name, (content, _) in CONTENT.items():
        (broken / name).write_bytes(content())
    for name, content in USABLE.items():
        (broken / name).write_bytes(content())
    soundfile.write(broken / "silent.wav", np.zeros(22050, np.float32), 22050)
    (broken / "folder.wav").mkdir()
    return root


def special_files(folder: Path) -> dict[str, str]:
    """What only a Unix has: links to nowhere, pipes, and (not for root, who may read all) closed files."""
    (folder / "dangling.wav").symlink_to("nowhere.wav")
    (folder / "loop.flac").symlink_to("loop.flac")
    os.mkfifo(folder / "pipe.wav")
    expected = {"dangling.wav": "missing", "loop.flac": "missing", "pipe.wav": "not-audio"}
    if os.geteuid() != 0:
        (folder / "closed.wav").write_bytes(sound("WAV"))
        (folder / "closed.wav").chmod(0)
        expected["closed.wav"] = "unreadable"
    return expected


@pytest.mark.skipif(os.name == "nt", reason="links and pipes of a Unix")
def test_every_good_file_is_in_and_every_bad_one_is_named(library, tmp_path, tonearm):
    special = special_files(library / "rock")
    out = tmp_path / "pack"
    options = ("--clip-seconds", 1, "--set", "n_mels=16", "-o", out)
    done = tonearm("pack", "build", f"folder:{library}", *options, "--json", "--timeout", 60)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    codes = {Path(entry["path"]).name: entry["code"] for entry in report["failed"]}
    expected = {name: code for name, (_, code) in CONTENT.items()} | special | {"folder.wav": "not-audio"}
    assert codes == expected
    assert all(entry["path"].startswith("rock/") and entry["message"] for entry in report["failed"])

    pack = open_pack(out)
    assert verify(out) == []
    assert pack.meta["failed"] == report["failed"]
    names = {Path(path).name for path in pack.column("path")}
    assert {n for n in names if n.startswith("good")} == {p.name for p in library.rglob("good*")}
    assert names - {n for n in names if n.startswith("good")} == {*USABLE, "silent.wav"}
    assert report["built"] == len(pack) == GOOD + len(USABLE) + 1
    row = dict(zip(pack.column("path").tolist(), range(len(pack)), strict=True))
    assert [path for path, silent in zip(row, pack.column("silent"), strict=True) if silent] == ["rock/silent.wav"]
    for name in ("cut.wav", "cut.flac", "cut.mp3"):
        warned = pack.column("warning")[row[f"rock/{name}"]]
        assert warned.startswith("truncated") or float(pack.column("seconds")[row[f"rock/{name}"]]) == 1.0

    again = tonearm("pack", "build", f"folder:{library}", *options, "--strict")
    assert again.returncode == 1
    assert "no pack was written (--strict)" in again.stderr
    assert all(code in again.stderr for code in set(expected.values()))


def test_what_needs_an_extra_is_named_and_read_once_the_extra_is_there(tmp_path, monkeypatch):
    av = pytest.importorskip("av", reason="needs the extra av to make its file")
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=22050, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(2.0)[None, :], format="fltp", layout="mono")
        frame.sample_rate = 22050
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    soundfile.write(tmp_path / "other.wav", tone(1.0), 22050)
    tracks = [Track(id=p.stem, genre="rock", path=str(p)) for p in (path, tmp_path / "other.wav")]
    plan = small_plan()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "av", None)
        report = build(tracks, tmp_path / "pack", plan, root=tmp_path, workers=0)
    assert [(entry["path"], entry["code"]) for entry in report.failed] == [("song.m4a", "needs-extra")]
    assert "tonearm[av]" in report.failed[0]["message"]
    report = build(tracks, tmp_path / "pack", plan, root=tmp_path, workers=0)
    assert (report.built, report.reused, report.failed) == (1, 1, [])
    assert open_pack(tmp_path / "pack").ids.tolist() == ["song", "other"]


@pytest.mark.parametrize("how", ["exit", "segfault", "hang"])
def test_a_worker_that_dies_costs_its_file_alone(tmp_path, music, monkeypatch, how):
    def deadly(path, **keywords):
        if path.endswith("song07.wav"):
            if how == "hang":
                time.sleep(60)
            os._exit(3) if how == "exit" else os.kill(os.getpid(), signal.SIGSEGV)
        return load(path, **keywords)

    load = audio.load
    monkeypatch.setattr(audio, "load", deadly)
    tracks = tracks_of(music)
    plan = small_plan()
    report = build(tracks, tmp_path / "pack", plan, root=music, workers=2, timeout_seconds=2.0)
    code = "timeout" if how == "hang" else "crashed"
    assert [(entry["path"], entry["code"]) for entry in report.failed] == [("blues/song07.wav", code)]
    assert len(open_pack(tmp_path / "pack")) == report.built == 23
    monkeypatch.undo()
    # The file did not change, but what killed its worker may have been something else: it is tried again.
    report = build(tracks, tmp_path / "pack", plan, root=music, workers=2)
    assert (report.built, report.reused, report.failed) == (1, 23, [])
    whole = build(tracks, tmp_path / "whole", plan, root=music, workers=1)
    assert whole.built == 24
    assert hashes(tmp_path / "pack") == hashes(tmp_path / "whole")
