"""Real files of every container, with tags, pictures and frames that nobody knows, made once."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import mutagen
import numpy as np
import pytest
import soundfile
from tag_files import RATE, band, decorate, encode

# The tiny model whose answers can be worked out by hand.
sys.path.append(str(Path(__file__).parents[1] / "runtime"))


@pytest.fixture(scope="session")
def _made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("songs")
    noise = (np.random.default_rng(3).standard_normal((RATE // 2, 2)) * 0.1).astype(np.float32)
    for name in ("mp3", "flac", "ogg", "wav", "aiff"):
        soundfile.write(folder / f"song.{name}", noise, RATE)
    soundfile.write(folder / "song.opus", noise, 48000, format="OGG", subtype="OPUS")
    try:
        import av  # noqa: F401
    except ImportError:
        return folder
    for name, codec, container, options in (
        ("m4a", "aac", "ipod", {}),
        ("fast.m4a", "aac", "ipod", {"movflags": "faststart"}),
        ("wma", "wmav2", "asf", {}),
        ("wv", "wavpack", "wv", {}),
        ("tta", "tta", "tta", {}),
        ("aac", "aac", "adts", {}),
    ):
        encode(folder / f"song.{name}", codec, noise, container, **options)
    return folder


@pytest.fixture
def song(_made, tmp_path):
    """`song("mp3")`: the path of a fresh, untagged file of that kind."""

    def copy(kind: str, name: str = "") -> str:
        source = _made / f"song.{kind}"
        if not source.exists():
            pytest.skip("PyAV, which makes this kind of file, is not installed")
        target = tmp_path / (name or f"song.{kind}")
        shutil.copy(source, target)
        return str(target)

    return copy


@pytest.fixture
def music(song):
    """`music("mp3")`: the same with title, artist, a picture and something unknown, and no genre."""

    def copy(kind: str, name: str = "") -> str:
        path = song(kind, name)
        decorate(path)
        return path

    return copy


@pytest.fixture(scope="session")
def model_path(tmp_path_factory):
    pytest.importorskip("onnx", reason="onnx, which makes the tests' model, is not installed")
    from tiny_model import write_tiny

    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture
def collection(tmp_path):
    """A song of each kind in another format, one that has a genre, one that is broken, one that is silent."""
    folder = tmp_path / "müsic 🎶"
    folder.mkdir()
    for name, kind in (("a.flac", "bass"), ("b.mp3", "treble"), ("c.ogg", "middle"), ("tagged.flac", "bass")):
        soundfile.write(folder / name, band(kind), 22050)
    file = mutagen.File(folder / "tagged.flac")
    file["genre"] = ["Zydeco"]
    file.save()
    (folder / "broken.mp3").write_bytes(b"no music" * 100)
    # Tags that can be read around sound that cannot.
    whole = (folder / "a.flac").read_bytes()
    (folder / "hollow.flac").write_bytes(whole[: whole.index(b"\xff\xf8")] + b"\xff\xf8" + bytes(3000))
    soundfile.write(folder / "silent.wav", np.zeros(22050 * 7, np.float32), 22050)
    return folder


@pytest.fixture(autouse=True)
def _own_folder(tmp_path_factory, monkeypatch):
    """Journals go into the test's folder, not into the person's own."""
    monkeypatch.setenv("TONEARM_DATA", str(tmp_path_factory.mktemp("data")))
