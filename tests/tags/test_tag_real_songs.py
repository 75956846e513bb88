"""A listener's folder: real songs in every format, odd names, some broken; read back with other programs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tag_files import decorate, encode, opened, predicted, sha

from tonearm import audio, tags

pytest.importorskip("av", reason="PyAV, which makes most kinds of file, is not installed")

SECONDS = 6.0
# Kind, how it is made, and a name as they are found in the world.
KINDS = {
    "mp3": ("Veränderung – doromusis.mp3", None),
    "flac": ("日本 🎶.flac", None),
    "ogg": ("new\nline.ogg", None),
    "opus": (os.fsdecode(b"caf\xe9.opus"), None),
    "wav": ("e\u0301 decomposed.wav", None),
    "aiff": ("spaces  and 'quotes\".aiff", None),
    "m4a": ("[brackets] 100%.m4a", ("aac", "ipod")),
    "wma": ("-dash.wma", ("wmav2", "asf")),
    "wv": ("UPPER.WV", ("wavpack", "wv")),
    "ape.mp3": ("both tags.mp3", None),
}
WRITTEN = ["Électronique", "Hip-Hop"]


@pytest.fixture(scope="module")
def originals(shared_data, tmp_path_factory) -> Path:
    """An excerpt of a real song in each format, tagged with care; and files that are broken."""
    songs = sorted((shared_data / "audio" / "songs").glob("*.mp3"))
    if not songs:
        pytest.skip("there are no real songs")
    folder = tmp_path_factory.mktemp("real")
    for n, (kind, (name, codec)) in enumerate(KINDS.items()):
        rate = 48000 if kind == "opus" else 44100
        samples = audio.load(songs[n % len(songs)], sample_rate=rate, start_seconds=20, clip_seconds=SECONDS).samples
        stereo = np.stack([samples, np.roll(samples, 40)], axis=1)
        path = folder / f"made.{kind}"
        if codec:
            encode(path, codec[0], stereo, codec[1])
        else:
            more = {"format": "OGG", "subtype": "OPUS"} if kind == "opus" else {}
            soundfile.write(path, stereo, rate, **more)
        decorate(str(path))
        if kind == "ape.mp3":
            from mutagen.apev2 import APEv2

            tag = APEv2()
            tag["Genre"], tag["Replaygain_Track_Gain"] = "Old", "-6.1 dB"
            tag.save(path)
        os.rename(path, folder / name)
    whole = (folder / "日本 🎶.flac").read_bytes()
    (folder / "empty.mp3").write_bytes(b"")
    (folder / "page.m4a").write_bytes(b"<html>not found</html>" * 30)
    (folder / "half a header.flac").write_bytes(whole[:60])
    return folder


@pytest.fixture
def folder(originals, tmp_path) -> Path:
    shutil.copytree(originals, tmp_path / "music")
    return tmp_path / "music"


def frames(path: Path) -> str:
    """The coded sound, packet by packet, as PyAV takes it out of the container."""
    import av

    digest = hashlib.sha256()
    with open(path, "rb") as raw, av.open(raw) as file:
        for packet in file.demux(file.streams.audio[0]):
            digest.update(bytes(packet))
    return digest.hexdigest()


def ffprobe(path: Path) -> tuple[dict[str, str], list]:
    """The genre, and everything else that ffprobe shows but sizes and places."""
    call = ["ffprobe", "-v", "error", "-show_entries", "format=duration:format_tags:stream=codec_name:stream_tags"]
    done = subprocess.run([*call, "-of", "json", "file:" + str(path)], capture_output=True, check=True)
    read = json.loads(done.stdout.decode("utf-8", "replace"))
    every = [read["format"].pop("tags", {}), *(stream.pop("tags", {}) for stream in read["streams"])]
    genre = {key.lower(): value for tag in every for key, value in tag.items() if key.lower() == "genre"}
    rest = [{key: value for key, value in tag.items() if key.lower() != "genre"} for tag in every]
    return genre, [rest, read]


def others(path: Path) -> dict[str, str]:
    file = opened(str(path))
    shown = {key: repr(value) for key, value in dict(file.tags).items()}
    pictures = [picture.data for picture in getattr(file, "pictures", [])]
    return {k: v for k, v in shown.items() if k.lower() not in ("genre", "tcon", "\xa9gen", "wm/genre")} | {
        "pictures": repr(pictures)
    }


def test_written_read_by_others_and_taken_back(folder):
    songs = [folder / name for name, _ in KINDS.values()]
    first = {path: sha(path) for path in folder.iterdir()}
    sound, seen = {p: frames(p) for p in songs}, {p: others(p) for p in songs}
    probed = {p: ffprobe(p) for p in songs} if shutil.which("ffprobe") else {}
    plan = tags.plan(predicted(*folder.iterdir()), [folder], policy="replace")
    assert {Path(entry["path"]) for entry in plan.entries} == set(songs)
    assert sorted((Path(item["path"]).name, item["code"]) for item in plan.skipped) == [
        ("empty.mp3", "not-audio"),
        ("half a header.flac", "damaged"),
        ("page.m4a", "not-audio"),
    ]
    report = tags.apply(plan)
    assert (report.count, report.skipped) == (len(songs), [])
    for path in songs:
        assert sha(path) != first[path]
        assert tags.describe(path)["genres"] == WRITTEN
        assert frames(path) == sound[path]
        assert others(path) == seen[path]
        if probed:
            genre, rest = ffprobe(path)
            assert rest == probed[path][1]
            # It shows the first of several values in some formats; of an ID3 tag in a WAV no text at all.
            shown = () if path.suffix == ".wav" else ("Électronique;Hip-Hop", "Électronique")
            assert genre.get("genre") in (shown or (None,)), path
    report = tags.undo()
    assert (report.count, report.skipped) == (len(songs), [])
    assert {path: sha(path) for path in folder.iterdir()} == first


def test_beets_reads_what_was_written(folder):
    """beets reads tags by mediafile: it sees both genres in every format that it knows."""
    mediafile = pytest.importorskip("mediafile", reason="beets is not installed")
    tags.apply(tags.plan(predicted(*folder.iterdir()), policy="replace"))
    for name, _ in KINDS.values():
        file = mediafile.MediaFile(os.fsencode(folder / name))
        assert (name, file.genres, file.title) == (name, WRITTEN, "Tïtle ♫")


def test_the_shipped_model_hears_them(folder):
    """The whole way: heard, planned, written, taken back. What the answers are is not held against the model here."""
    from tonearm import runtime

    if not any(model["name"] == "fma" and not model["error"] for model in runtime.shipped()):
        pytest.skip("no model is shipped")
    first = {path: sha(path) for path in folder.iterdir()}
    plan = tags.plan(files=[folder], policy="replace", unsure=True)
    assert {Path(entry["path"]).name for entry in plan.entries} == {name for name, _ in KINDS.values()}
    genres = runtime.load("fma").genres
    assert all(set(entry["after"]) <= set(genres) for entry in plan.entries)
    assert tags.apply(plan).count == len(KINDS)
    assert tags.undo().count == len(KINDS)
    assert {path: sha(path) for path in folder.iterdir()} == first
