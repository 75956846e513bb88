"""`tonearm learn` as a person uses it: what it prints and writes, going on after a kill, and rubbish of every kind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from conftest import RATE, song, write_song

import tonearm
from tonearm.cli._root import run
from tonearm.learning import hearing
from tonearm.learning.cache import Cache

pytest.importorskip("sklearn")
posix = pytest.mark.skipif(os.name == "nt", reason="needs signals and fork")


def learn(*arguments, code: int = 0) -> int:
    found = run(["learn", *map(str, arguments)])
    assert found == code
    return found


def report(capsys, *arguments) -> dict:
    learn(*arguments, "--json")
    return json.loads(capsys.readouterr().out)


def not_again(*_):
    raise AssertionError("it was heard already")


@pytest.fixture(scope="module")
def by_folder(tmp_path_factory) -> Path:
    """Two genres by folder, six songs each, untagged."""
    root = tmp_path_factory.mktemp("folders") / "music"
    for genre in ("Bass", "Treble"):
        for number in range(6):
            write_song(root / genre / f"{number}.wav", genre, 50 + number)
    return root


def test_a_model_of_ones_own_from_tags(own, collection, capsys):
    found = report(capsys, collection, "-o", own / "mine.npz", "--min-tracks", 5)
    assert set(found["per_genre"]) == {"Bass", "Größe/Mitte", "Treble"}
    assert (found["n"], found["interval_over"], found["interval_groups"], found["labels"]) == (27, "artists", 9, "tags")
    assert found["accuracy"] > 0.9
    assert found["interval"][0] <= found["accuracy"] <= found["interval"][1]
    assert (found["skipped"], found["unlabelled"]) == ([], [])
    assert any("several genres" in note for note in found["notes"])
    assert any("only in case" in note for note in found["notes"])
    assert [point["share"] for point in found["curve"]] == [0.25, 0.5, 0.75, 1.0]
    assert found["more_music"]["verdict"] in ("more", "enough", "unclear")
    assert {row["genre"] for row in found["scarce"]} == set(found["per_genre"])
    model = tonearm.load(own / "mine.npz")
    assert model.version == found["version"]
    heard = [model.predict(song(genre, 99), sample_rate=RATE).genres[0].genre for genre in ("Bass", "Middle", "Treble")]
    assert heard == ["Bass", "Größe/Mitte", "Treble"]
    assert model.info["figures"][0]["n"] == 27
    assert "artist 0" not in (own / "mine.npz").read_bytes().decode("latin-1"), "no name of anybody's songs is in it"


def test_the_same_music_gives_the_same_file_and_is_not_heard_again(own, collection, capsys, monkeypatch):
    learn(collection, "-o", own / "one.npz", "--min-tracks", 5, "--workers", 1, "--html", own / "one.html")
    assert "one.npz: a model of your own genres" in (own / "one.html").read_text(encoding="utf-8")
    monkeypatch.setattr(hearing, "_hear", not_again)
    monkeypatch.setattr(hearing, "_look", not_again)
    os.mkdir(own / "again")
    learn(collection, "-o", own / "again" / "one.npz", "--min-tracks", 5)
    assert (own / "one.npz").read_bytes() == (own / "again" / "one.npz").read_bytes()
    text = capsys.readouterr().out
    assert "3 genres from 27 songs by 9 artists, heard by fma" in text
    assert "learnt, but from too few to trust its figure" in text


def test_what_was_learnt_needs_no_scikit_learn(own, collection):
    learn(collection, "-o", own / "mine.npz", "--min-tracks", 5, "--quiet")
    path = next(collection.glob("Bass artist 1/*.flac"))
    code = (
        "import sys; sys.modules.update(dict.fromkeys(('sklearn', 'scipy', 'torch', 'librosa', 'onnx')));"
        "import tonearm; print(tonearm.load(sys.argv[1]).predict(sys.argv[2]).genres[0].genre)"
    )
    done = subprocess.run([sys.executable, "-c", code, own / "mine.npz", path], capture_output=True, text=True)
    assert done.stdout.strip() == "Bass", done.stderr


def test_it_works_in_every_command(own, collection, capsys):
    learn(collection, "-o", own / "mine.npz", "--min-tracks", 5, "--quiet")
    some = next(collection.glob("Treble artist 0/*.flac"))
    capsys.readouterr()
    assert run(["predict", str(some), "--model", str(own / "mine.npz"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["genres"][0]["genre"] == "Treble"
    assert run(["timeline", str(some), "--model", str(own / "mine.npz"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["genres"] == ["Bass", "Größe/Mitte", "Treble"]
    assert run(["models", str(own / "mine.npz")]) == 0
    assert "your own" not in capsys.readouterr().out
    (own / ".data" / "models").mkdir(parents=True)
    shutil.copy(own / "mine.npz", own / ".data" / "models")
    assert run(["models", "--json"]) == 0
    named = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert named["mine"]["classes"] == ["Bass", "Größe/Mitte", "Treble"]
    assert tonearm.load("mine").genres == ("Bass", "Größe/Mitte", "Treble")
    table = own / "t.csv"
    rows = [f"{path},{path.stem.split()[0]}" for path in collection.rglob("*.flac") if path.stem[0] != "M"]
    table.write_text("\n".join(["path,genre", *rows, ""]), encoding="utf-8")
    assert run(["evaluate", "mine", "--data", str(table), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == 1.0


def test_labels_by_folder_and_by_table(own, by_folder, capsys):
    found = report(capsys, by_folder, "-o", own / "f.npz", "--min-tracks", 3)
    assert found["protocol"] == "track", "no artist is known, so none is kept apart"
    assert (found["labels"], set(found["per_genre"]), found["interval_over"]) == (
        "folders",
        {"Bass", "Treble"},
        "songs",
    )
    assert any("figures may flatter" in note for note in found["notes"])
    table = own / "labels.csv"
    rows = [f"{path},{'lo' if path.parent.name == 'Bass' else 'hi'},{path.stem}" for path in by_folder.rglob("*.wav")]
    table.write_text("\n".join(["path,genre,artist", *rows, f"{own}/gone.wav,lo,nobody", ""]), encoding="utf-8")
    found = report(capsys, by_folder, "-o", own / "t.npz", "--labels", table, "--min-tracks", 3)
    assert (found["labels"], set(found["per_genre"]), found["interval_groups"]) == ("table", {"hi", "lo"}, 6)
    assert any("gone.wav" in note for note in found["notes"])
    found = report(capsys, table, "-o", own / "c.npz", "--min-tracks", 3)
    assert (found["n"], set(found["per_genre"])) == (12, {"hi", "lo"})
    assert [(row["code"], os.path.basename(row["path"])) for row in found["skipped"]] == [("missing", "gone.wav")]


def test_broken_silent_and_unlabelled_files_are_named_and_left_out(own, by_folder, capsys):
    import soundfile

    music = own / "music"
    shutil.copytree(by_folder, music)
    (music / "Bass" / "text.mp3").write_bytes(b"no music at all")
    (music / "Bass" / "empty.mp3").write_bytes(b"")
    (music / "Treble" / "cut.wav").write_bytes((music / "Treble" / "0.wav").read_bytes()[:60])
    soundfile.write(music / "Treble" / "silence.wav", np.zeros(RATE * 3), RATE)
    shutil.copy(music / "Bass" / "0.wav", music / "Bass" / "copy.wav")
    write_song(music / "stray.wav", "Bass", 1)
    found = report(capsys, music, "-o", own / "m.npz", "--min-tracks", 3, "--labels", "folders")
    codes = {os.path.basename(row["path"]): row["code"] for row in found["skipped"]}
    assert set(codes) == {"text.mp3", "empty.mp3", "cut.wav", "silence.wav"}
    assert (codes["empty.mp3"], codes["silence.wav"]) == ("empty", "silent")
    assert [os.path.basename(path) for path in found["unlabelled"]] == ["stray.wav"]
    assert (found["n"], found["interval_groups"]) == (13, 12), "the copy stays with its original"


def test_from_a_library_nothing_is_heard_again(own, collection, capsys, monkeypatch):
    assert run(["scan", str(collection), "--workers", "1"]) == 0
    monkeypatch.setattr(hearing, "_hear", not_again)
    capsys.readouterr()
    found = report(capsys, "library", "-o", own / "l.npz", "--min-tracks", 5)
    assert (found["n"], found["interval_groups"], found["labels"]) == (27, 9, "tags")
    from_files = tonearm.load(own / "l.npz")
    assert from_files.predict(song("Bass", 77), sample_rate=RATE).genres[0].genre == "Bass"
    named = report(capsys, f"library:{own / '.data' / 'library.sqlite'}", "-o", own / "n.npz", "--min-tracks", 5)
    assert named["accuracy"] == found["accuracy"]
    assert report(capsys, own / ".data" / "library.sqlite", "-o", own / "p.npz", "--min-tracks", 5)["n"] == 27


def test_a_library_that_this_model_did_not_hear_is_heard_now(own, collection, capsys):
    from tonearm import library

    library.scan([collection], model=None, workers=1)
    found = report(capsys, "library", "-o", own / "l.npz", "--min-tracks", 5)
    assert any("27 songs were not heard by fma" in note for note in found["notes"])
    assert (found["n"], found["skipped"]) == (27, [])


def test_a_pack_of_the_model_s_feature(own, capsys):
    from tonearm.packs import write_pack

    model = tonearm.load("fma")
    genres = [genre for genre in ("Bass", "Middle", "Treble") for _ in range(8)]
    rows = [model.features(song(genre, i, 6.0), sample_rate=RATE)[0] for i, genre in enumerate(genres)]
    columns = {
        "id": [f"{i:02}" for i in range(24)],
        "genre": genres,
        "artist": [f"{g}{i % 4}" for i, g in enumerate(genres)],
    }
    feature = model.info["feature"]
    pack = write_pack(own / "pack", np.stack(rows).astype(np.uint8), columns, feature=feature, scale="clip-minmax")
    found = report(capsys, own / "pack", "-o", own / "k.npz", "--min-tracks", 5)
    assert (found["n"], found["interval_groups"]) == (24, 12)
    shares, _ = tonearm.load(own / "k.npz").from_features(pack.features)
    assert (np.array(sorted(set(genres)))[shares.argmax(axis=1)] == genres).mean() > 0.9
    assert tonearm.load(own / "k.npz").info["training"]["ids"] == columns["id"]
    write_pack(own / "other", np.stack(rows).astype(np.uint8), columns, feature={**feature, "n_mels": 24, "fmin": 50.0})
    learn(own / "other", "-o", own / "o.npz", code=2)
    assert "fmin is 50, not 0" in capsys.readouterr().err


def test_an_encoder_of_ones_own(own, collection, capsys):
    from tiny_encoder import write_encoder

    # Energy in eight bands, as far as a matrix and no square can tell it: random projections of a log-mel do as well.
    weights = np.random.default_rng(0).normal(size=(16 * 41, 12)) / 200
    described = {"kind": "logmel", "n_mels": 16, "n_fft": 512, "hop_length": 200, "ref": 1.0, "top_db": None}
    yaml = write_encoder(own, (None, 16, 41), weights=weights, sample_rate=16000, window_seconds=0.5, input=described)
    found = report(capsys, collection, "-o", own / "e.npz", "--encoder", yaml, "--min-tracks", 5)
    assert (found["ear"]["kind"], found["ear"]["name"], found["n"]) == ("encoder", "encoder", 27)
    assert found["accuracy"] > 0.8
    os.remove(yaml)
    os.remove(yaml.with_suffix(".onnx"))
    assert (
        run(["predict", str(collection / "Bass artist 0" / "Bass 0.flac"), "--model", str(own / "e.npz"), "--json"])
        == 0
    )
    assert json.loads(capsys.readouterr().out)["genres"][0]["genre"] == "Bass"


def test_an_encoder_that_does_not_run_stops_before_any_music_is_heard(own, collection, capsys):
    from tiny_encoder import write_encoder

    yaml = write_encoder(own, (None, 100), weights=np.ones((100, 3)))
    learn(collection, "-o", own / "e.npz", "--encoder", yaml, code=1)
    assert "the graph does not run" in capsys.readouterr().err
    assert not (own / ".cache").exists()


@posix
def test_names_that_are_not_utf_8_and_newlines(own, by_folder, capsys):
    music = os.fsencode(own / "music")
    for number, path in enumerate(sorted(by_folder.rglob("*.wav"))):
        folder = os.path.join(music, os.fsencode(path.parent.name) + b" \xff\n")
        os.makedirs(folder, exist_ok=True)
        shutil.copy(path, os.path.join(folder, b"\xfe so\nng %d.wav" % number))
    with open(os.path.join(music, b"Bass \xff\n", b"\xfd.mp3"), "wb"):
        pass
    arguments = [own / "music", "-o", own / "\udcfem.npz", "--min-tracks", 3, "--html", own / "m.html"]
    found = report(capsys, *arguments)
    assert (found["n"], sorted(found["per_genre"])) == (12, [r"Bass \xff", r"Treble \xff"])
    assert found["skipped"][0]["path"].endswith("\udcfd.mp3")
    assert tonearm.load(own / "\udcfem.npz").predict(song("Bass", 3), sample_rate=RATE).genres[0].genre == r"Bass \xff"


REFUSED = {
    "nowhere": (2, "there is no such file or folder"),
    "no_music": (1, "there is no music in it"),
    "one_genre": (1, "a model tells at least two genres apart"),
    "two_songs": (1, "enough songs and artists"),
    "one_artist": (1, "it cannot be told from the artist"),
    "all_broken": (1, "none of the 3 files can be read"),
    "no_labels": (1, "none of the 3 songs has a genre by tags"),
    "no_columns": (2, "the column genre is missing"),
    "no_genres": (1, "none of its 2 rows has a genre"),
    "no_rows": (1, "it has no rows"),
    "no_genres_beside": (2, "none of its 2 rows has a genre"),
    "not_npz": (2, "an .npz file"),
    "there": (2, "is there already"),
    "no_folder": (2, "there is no such folder"),
    "no_model": (2, "no model is called 'fmaa'"),
    "labels": (2, "neither tags nor folders, nor a file"),
}


def refused(own: Path, name: str, by_folder: Path) -> list:
    """What is named and how it is asked for, by the name of the case."""
    music, out = own / "music", ["-o", own / "m.npz"]
    music.mkdir()
    if name == "one_genre":
        shutil.copytree(by_folder / "Bass", music / "Bass")
    elif name == "two_songs":
        for genre in ("Bass", "Treble"):
            write_song(music / genre / "one.wav", genre, 1)
    elif name == "one_artist":
        for number in range(8):
            genre = ("Bass", "Treble")[number % 2]
            write_song(music / f"{number}.flac", genre, number, tag=genre, artist="Solo")
        out += ["--min-tracks", 3]
    elif name == "all_broken":
        for number in range(3):
            (music / f"{number}.mp3").write_bytes(b"")
    elif name == "no_labels":
        for number in range(3):
            write_song(music / f"{number}.wav", "Bass", number)
    elif name == "no_columns":
        (own / "t.csv").write_text("path,style\na.mp3,Jazz\n")
        music = own / "t.csv"
    elif name in ("no_genres", "no_rows", "no_genres_beside"):
        (own / "t.csv").write_text("path,genre\n" + ("" if name == "no_rows" else "music/0.wav,\nmusic/1.wav, \n"))
        for number in range(2):
            write_song(music / f"{number}.wav", "Bass", number)
        if name == "no_genres_beside":
            out += ["--labels", own / "t.csv"]
        else:
            music = own / "t.csv"
    elif name == "nowhere":
        music = own / "nowhere"
    elif name == "not_npz":
        out = ["-o", own / "m.onnx"]
    elif name == "there":
        (own / "m.npz").write_bytes(b"something of mine")
    elif name == "no_folder":
        out = ["-o", own / "no" / "m.npz"]
    elif name == "no_model":
        out += ["--model", "fmaa"]
    elif name == "labels":
        out += ["--labels", "tag"]
    return [music, *out]


@pytest.mark.parametrize("name", REFUSED)
def test_too_little_and_rubbish_is_one_sentence(name, own, by_folder, capsys):
    code, words = REFUSED[name]
    learn(*refused(own, name, by_folder), code=code)
    said = capsys.readouterr()
    assert words in said.err
    assert "Traceback" not in said.err
    assert said.out == ""
    assert not (own / "m.npz").exists() or (own / "m.npz").read_bytes() == b"something of mine"


def test_without_scikit_learn_the_extra_is_named_and_nothing_is_heard(own, collection, capsys, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name == "sklearn" else find(name, *rest)
    )
    learn(collection, "-o", own / "m.npz", code=1)
    assert 'pip install "tonearm[audit]"' in capsys.readouterr().err
    assert not (own / ".cache").exists()


def test_a_full_disk_leaves_no_half_model_and_says_so(own, by_folder, capsys, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    learn(by_folder, "-o", own / "m.npz", "--min-tracks", 3, code=1)
    assert "No space left on device" in capsys.readouterr().err
    assert [path for path in own.iterdir() if path.name != ".cache"] == []


@pytest.mark.parametrize("how", ["a file in its place", "damaged", "read-only"])
def test_a_cache_that_cannot_be_kept_stops_nobody(how, own, by_folder, capsys):
    cache = own / ".cache"
    if how == "a file in its place":
        cache.write_text("no folder")
    else:
        cache.mkdir()
        (cache / "heard.sqlite").write_bytes(b"SQLite format 3\0" + os.urandom(3000))
        if how == "read-only":
            if os.name == "nt" or os.geteuid() == 0:
                pytest.skip("nothing is read-only to root")
            os.chmod(cache, 0o500)
    found = report(capsys, by_folder, "-o", own / "m.npz", "--min-tracks", 3)
    assert found["n"] == 12
    assert any("could not be kept" in note for note in found["notes"]) is (how != "damaged")


def test_a_cache_that_fills_the_disk_stops_nobody(own, by_folder, monkeypatch, capsys):
    import sqlite3

    def full(self, sql, values):
        self.broken = str(sqlite3.OperationalError("database or disk is full"))

    monkeypatch.setattr(Cache, "_write", full)
    found = report(capsys, by_folder, "-o", own / "m.npz", "--min-tracks", 3)
    assert found["n"] == 12
    assert any("disk is full" in note for note in found["notes"])


def heard(own: Path) -> int:
    import sqlite3

    path = own / ".cache" / "heard.sqlite"
    if not path.exists():
        return 0
    with sqlite3.connect(path) as connection:
        try:
            return connection.execute("SELECT count(*) FROM vectors").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


@posix
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT], ids=["kill", "interrupt"])
def test_stopped_in_the_middle_it_goes_on_with_what_was_heard(sent, own, collection, capsys):
    command = [sys.executable, "-m", "tonearm", "learn", str(collection), "-o", str(own / "m.npz"), "--min-tracks", "5",
               "--workers", "1"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while heard(own) < 4 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(sent)
    _, said = process.communicate(timeout=30)
    kept = heard(own)
    if process.returncode == 0:
        pytest.skip("it was done before it could be stopped")
    assert process.returncode == (130 if sent == signal.SIGINT else -9), said
    assert 4 <= kept <= 27
    assert not (own / "m.npz").exists()
    if sent == signal.SIGINT:
        assert "what was heard is kept" in said
        assert "Traceback" not in said
    calls = []
    with pytest.MonkeyPatch.context() as patch:
        spread = hearing._spread
        patch.setattr(
            hearing,
            "_spread",
            lambda work, songs, places, *rest: calls.append(places) or spread(work, songs, places, *rest),
        )
        learn(collection, "-o", own / "m.npz", "--min-tracks", "5", "--workers", "1")
    assert len(calls[1]) == 27 - kept
    assert heard(own) == 27
