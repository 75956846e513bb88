"""Plans from what a library knows: by query, without listening again."""

from __future__ import annotations

import json
import os

import pytest
from tag_files import band, sha

from tonearm import library, tags
from tonearm.cli._root import run
from tonearm.errors import UsageError
from tonearm.tags import from_library


@pytest.fixture
def scanned(collection, model_path, tmp_path):
    """The library of the collection, scanned in this process."""
    path = tmp_path / "library.sqlite"
    library.scan([collection], library=path, model=model_path, workers=1)
    return path


def planned(path, query="", files=None, threshold=None, **settings):
    with library.open(path) as mine:
        found = from_library.predictions(mine, query, threshold=threshold)
        return tags.plan(found, files, threshold=threshold, **settings)


def outcome(plan):
    return {os.path.basename(entry["path"]): entry["after"] for entry in plan.entries}


def test_a_library_says_what_listening_says(scanned, collection, model_path):
    heard = tags.plan(files=[collection], model=model_path, policy="add")
    known = planned(scanned, policy="add")
    assert outcome(known) == outcome(heard)
    for one, other in zip(known.entries, heard.entries, strict=True):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)
        assert {k: v for k, v in one.items() if k != "probabilities"} == {
            k: v for k, v in other.items() if k != "probabilities"
        }
    assert {(s["path"], s["code"]) for s in known.skipped} == {(s["path"], s["code"]) for s in heard.skipped}
    assert sorted(u["path"] for u in known.unchanged) == sorted(u["path"] for u in heard.unchanged)


def test_a_query_and_files(scanned, collection):
    assert outcome(planned(scanned, "genre:treble")) == {"b.mp3": ["treble"]}
    assert outcome(planned(scanned, ["not", "genre:treble", "confidence:0.9.."])) == {
        "a.flac": ["bass"], "c.ogg": ["middle"],
    }  # fmt: skip
    assert outcome(planned(scanned, "", [collection / "c.ogg"])) == {"c.ogg": ["middle"]}
    (collection / "new.flac").write_bytes((collection / "a.flac").read_bytes())
    plan = planned(scanned, "", [collection])
    assert [item["code"] for item in plan.skipped if "new" in item["path"]] == ["no-prediction"]


def test_what_changed_since_the_scan_is_named(scanned, collection, model_path):
    import soundfile

    soundfile.write(collection / "a.flac", band("treble"), 22050)
    os.unlink(collection / "b.mp3")
    plan = planned(scanned)
    assert outcome(plan) == {"c.ogg": ["middle"]}
    found = {os.path.basename(item["path"]): item["code"] for item in plan.skipped}
    assert (found["a.flac"], found["b.mp3"]) == ("changed", "missing")
    library.scan([collection], library=scanned, model=model_path, workers=1)
    assert outcome(planned(scanned)) == {"a.flac": ["treble"], "c.ogg": ["middle"]}


def test_a_threshold_of_ones_own(scanned, collection):
    from tonearm.tags import Prediction

    with library.open(scanned) as mine:
        rows = {os.path.basename(p.path): p for p in from_library.predictions(mine, threshold=0.999999)}
    best = rows["a.flac"].genres[0][1]
    assert rows["a.flac"].sure is (best >= 0.999999)
    assert rows["silent.wav"] == Prediction(str(collection / "silent.wav"), [], False)


def test_the_command(scanned, collection, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TONEARM_LIBRARY", str(scanned))
    first = sha(collection / "b.mp3")
    assert run(["tag", "plan", "genre:treble", "is:untagged", "-o", "plan.json", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert [entry["after"] for entry in read["entries"]] == [["treble"]]
    assert tags.read_plan("plan.json").settings["library"] == str(scanned)
    assert run(["tag", "apply", "plan.json"]) == 0
    assert tags.describe(collection / "b.mp3")["genres"] == ["treble"]
    assert run(["tag", "undo"]) == 0
    assert sha(collection / "b.mp3") == first
    monkeypatch.delenv("TONEARM_LIBRARY")
    capsys.readouterr()
    assert run(["tag", "plan", "--library", str(scanned), "-o", "plan.json"]) == 1
    assert "3 files would change" in capsys.readouterr().err


def test_used_wrongly(scanned, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TONEARM_LIBRARY", str(scanned))
    for words, told in (
        (["genre:treble", "."], "one or the other"),
        (["genre:treble", "--from", "p.jsonl"], "--from brings predictions"),
        (["gerne:treble"], "unknown key"),
        (["genre:jazz"], "unknown genre"),
        (["genre:treble", "--model", "other"], "nothing here is predicted by"),
    ):
        assert run(["tag", "plan", *words, "-o", "plan.json"]) == 2
        assert told in capsys.readouterr().err
    assert not os.path.exists("plan.json")


def test_no_library(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TONEARM_LIBRARY", str(tmp_path / "none.sqlite"))
    assert run(["tag", "plan", "genre:jazz", "-o", "plan.json"]) in (1, 2)
    assert "none.sqlite" in capsys.readouterr().err


def test_what_is_a_query(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert from_library.is_query(["genre:jazz", "not", "artist:Miles Davis"])
    assert not from_library.is_query(["C:\\Music", "song.mp3"])
    assert not from_library.is_query([])
    (tmp_path / "live: at home").mkdir()
    assert not from_library.is_query(["live: at home"]), "a folder of that name is a folder"
    with pytest.raises(UsageError):
        from_library.is_query(["genre:jazz", "live: at home"])
