"""The plugin in real beets, on real files: what a person types, and what other programs then read."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import mutagen
import numpy as np
import pytest

pytest.importorskip("beets", reason="beets is not installed")
pytest.importorskip("onnx", reason="onnx, which makes the tests' model, is not installed")
import soundfile

ROOT = Path(__file__).parents[2]
# The tiny model hears which third of 24 mel bands is the loudest.
BANDS = {"bass": (60, 400), "middle": (1500, 2500), "treble": (6000, 10000)}
SONGS = (("a.flac", "bass"), ("b.mp3", "treble"), ("c.ogg", "bass"), ("d – ü.flac", "middle"))


def band(kind: str, seconds: float = 7.0, rate: int = 22050) -> np.ndarray:
    """A tune of plucked notes in one band, with a little noise everywhere: music enough for a model."""
    random = np.random.default_rng(8)
    low, high = BANDS[kind]
    n, step = int(seconds * rate), rate // 5
    samples = random.standard_normal(n) * 0.002
    time = np.arange(step * 2) / rate
    for begin in range(0, n - len(time), step):
        for hz in random.uniform(low, high, 3):
            samples[begin : begin + len(time)] += np.sin(2 * np.pi * hz * time) * np.exp(-6 * time)
    return (samples / np.abs(samples).max() * 0.5).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The model, and an album of four songs, of which the last one has a genre; and a single song."""
    sys.path.append(str(ROOT / "tests" / "runtime"))
    from tiny_model import write_tiny

    folder = tmp_path_factory.mktemp("made")
    write_tiny(folder / "tiny.onnx")
    for n, (name, kind) in enumerate((*SONGS, ("single.flac", "treble"))):
        path = folder / ("single" if name.startswith("single") else "album") / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, band(kind), 22050)
        file = mutagen.File(path, easy=True)
        if file.tags is None:
            file.add_tags()
        file["title"], file["artist"], file["album"] = f"T{n}", "Ünï", "Ålbum 🎶"
        if n == 3:
            file["genre"] = ["Zydeco"]
        file.save()
    return folder


@pytest.fixture
def beet(made, tmp_path):
    """`beet("ls")` gives exit code, standard output and standard error; a library of its own, songs where they are."""
    music = tmp_path / "music"
    for source in sorted(made.glob("*/*")):
        target = music / source.parent.name / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    (tmp_path / "home").mkdir()

    def configure(**settings) -> None:
        lines = [f"  {key}: {value}" for key, value in {"model": made / "tiny.onnx", **settings}.items()]
        text = (
            f"directory: {music}\nlibrary: {tmp_path / 'home' / 'library.db'}\nplugins: tonearm\n"
            "import: {copy: no, write: yes, timid: no}\ntonearm:\n"
        )
        (tmp_path / "home" / "config.yaml").write_text(text + "\n".join(lines) + "\n", encoding="utf-8")

    def call(*arguments: str) -> tuple[int, str, str]:
        environment = {**os.environ, "BEETSDIR": str(tmp_path / "home"), "PYTHONPATH": str(ROOT / "src")}
        done = subprocess.run(
            [sys.executable, "-m", "beets", *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr

    call.configure, call.music = configure, music
    configure()
    return call


FORMAT = "$title|$genres|$tonearm_genre|$tonearm_probability|$tonearm_model"


def listed(beet, *query) -> dict[str, list[str]]:
    rows = [line.split("|") for line in beet("ls", "-f", FORMAT, *query)[1].splitlines()]
    return {row[0]: row[1:] for row in rows}


def in_files(beet) -> dict[str, list[str]]:
    """The genres as another program reads them from the files."""
    files = [mutagen.File(path, easy=True) for path in beet.music.rglob("*.*")]
    return {file["title"][0]: file.get("genre", []) for file in files}


def test_on_import_and_by_command(beet, tmp_path):
    code, out, err = beet("import", "-A", "-q", str(beet.music / "album"))
    assert code == 0, out + err
    found = listed(beet)
    assert {title: row[0] for title, row in found.items()} == {
        "T0": "bass", "T1": "treble", "T2": "bass", "T3": "Zydeco",
    }  # fmt: skip
    assert found["T1"][1:3] == ["treble", "1.0"]
    assert found["T1"][3].startswith("tiny ")
    assert found["T3"][1] == "$tonearm_genre", "a song that keeps its genre is not heard"
    assert beet("ls", "-a", "-f", "$genres")[1] == "bass\n", "the album has what at least half of its songs have"
    assert list(listed(beet, "tonearm_probability:0.9..", "tonearm_genre:treble")) == ["T1"]
    # beets imports as-is without writing; its own command writes.
    assert in_files(beet)["T0"] == []
    assert beet("write")[0] == 0
    assert {t: g for t, g in in_files(beet).items() if t != "T4"} == {
        "T0": ["bass"], "T1": ["treble"], "T2": ["bass"], "T3": ["Zydeco"],
    }  # fmt: skip

    states = {path: path.read_bytes() for path in beet.music.rglob("*.*")}
    (tmp_path / "map.yaml").write_text("bass: [Low, Deep]\nmiddle: Mid\n", encoding="utf-8")
    code, out, err = beet("tonearm", "--pretend", "-P", "replace", "-M", "map.yaml", "title:T0")
    assert code == 0, err
    assert "Low" in out
    assert "T1" not in out
    assert listed(beet)["T0"][0] == "bass"
    assert {path: path.read_bytes() for path in beet.music.rglob("*.*")} == states
    code, _, err = beet("tonearm", "-P", "replace", "-M", "map.yaml")
    assert code == 0, err
    assert {title: row[0] for title, row in listed(beet).items()} == {
        "T0": "Low; Deep", "T1": "treble", "T2": "Low; Deep", "T3": "Mid",
    }  # fmt: skip
    assert in_files(beet)["T2"] == ["Low", "Deep"]
    assert in_files(beet)["T3"] == ["Mid"]


def test_albums_as_one_and_files_that_are_broken(beet):
    beet.configure(auto="no", source="album")
    assert beet("import", "-A", "-q", str(beet.music / "album"))[0] == 0
    code, out, _ = beet("import", "-A", "-q", "-s", str(beet.music / "single"))
    assert (code, "genres" in out) == (0, False), "auto: no"
    path = beet.music / "album" / "b.mp3"
    path.write_bytes(b"no music any more" * 50)
    (beet.music / "album" / "c.ogg").unlink()
    code, _, err = beet("tonearm", "-P", "add", "-t", "0.4", "-j", "2")
    assert code == 0, err
    assert "b.mp3: " in err
    assert "[not-audio]" in err
    assert "c.ogg: there is no such file [missing]" in err
    found = {title: row[0] for title, row in listed(beet).items()}
    # bass and middle, half each; the single song, which is no part of the album, is by itself.
    both = found["T0"].split("; ")
    assert sorted(both) == ["bass", "middle"]
    assert found == {"T0": "; ".join(both), "T1": "", "T2": "", "T3": "; ".join(["Zydeco", *both]), "T4": "treble"}


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"policy": "fil"}, "did you mean 'fill'?"),
        ({"model": "nonesuch"}, "no model is called 'nonesuch'"),
        ({"map": "none.yaml"}, "the map cannot be read"),
        ({"threshold": "2"}, "from 0 to 1"),
        ({"source": "disc"}, "must be one of"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_slip_in_the_settings_is_told_before_anything_is_imported(beet, settings, word):
    beet.configure(**settings)
    code, out, err = beet("import", "-A", "-q", str(beet.music / "single"))
    assert code != 0
    assert word in err
    assert "genres:" not in out
