"""`tonearm tag` as a person and as a program uses it."""

from __future__ import annotations

import csv
import io
import json
import os

import pytest
from tag_files import predicted, sha

from tonearm import tags
from tonearm.cli import COMMANDS, Entry
from tonearm.cli._root import run
from tonearm.tags.journal import Journal, JournalError


@pytest.fixture
def tonearm(monkeypatch, capsys):
    """`tonearm("tag", …)` gives exit code, standard output and standard error."""
    monkeypatch.setitem(COMMANDS, "tag", COMMANDS.get("tag") or Entry("tag", "Music", "", ""))

    def call(*arguments):
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, told.out, told.err

    return call


def put(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_whole_way_for_a_program(tonearm, tmp_path, music):
    good, gone = music("mp3"), tmp_path / "gone.flac"
    source, plan = put(tmp_path / "p.jsonl", predicted(good, gone)), tmp_path / "plan.json"
    first = sha(good)
    code, out, _ = tonearm("tag", "plan", "--from", source, "-o", plan, "--json")
    read = json.loads(out)
    assert code == 1
    assert (read["planned"], read["journal"], read["plan"]) == (1, None, str(plan))
    assert [(item["path"], item["code"]) for item in read["skipped"]] == [(str(gone), "missing")]
    assert set(read["skipped"][0]) == {"path", "code", "message"}
    assert read["entries"] == [{"path": good, "before": [], "after": ["Électronique", "Hip-Hop"]}]

    code, out, _ = tonearm("tag", "apply", plan, "--dry-run", "--json")
    assert (code, json.loads(out)) == (
        0,
        {"written": 0, "skipped": [], "journal": None, "dry_run": True, "would_write": 1},
    )
    assert sha(good) == first

    code, out, _ = tonearm("tag", "apply", plan, "--json")
    read = json.loads(out)
    assert (code, read["written"], read["skipped"]) == (0, 1, [])
    assert os.path.exists(read["journal"])

    code, out, _ = tonearm("tag", "show", good, "--json")
    assert (code, json.loads(out)["files"][0]["genres"]) == (0, ["Électronique", "Hip-Hop"])

    code, out, _ = tonearm("tag", "apply", plan, "--json")
    read = json.loads(out)
    assert (code, read["written"], [item["code"] for item in read["skipped"]]) == (1, 0, ["changed"])

    code, out, _ = tonearm("tag", "history", "--json")
    assert [(item["written"], item["state"]) for item in json.loads(out)][-1] == (1, "applied")
    journal = json.loads(out)[-1]["journal"]

    code, out, _ = tonearm("tag", "undo", journal, "--json")
    read = json.loads(out)
    assert (code, read["restored"], read["skipped"]) == (0, 1, [])
    assert sha(good) == first


def test_the_whole_way_for_a_person(tonearm, tmp_path, music, monkeypatch):
    monkeypatch.chdir(tmp_path)
    music("mp3", "[red]new\nline\x1b[31m.mp3"), music("flac", "b.flac")
    (tmp_path / "broken.mp3").write_text("no music")
    names = sorted(name for name in os.listdir(tmp_path))
    put(tmp_path / "p.jsonl", predicted(*names))
    code, out, err = tonearm("tag", "plan", ".", "--from", "p.jsonl", "-o", "plan.json")
    assert code == 1
    assert "b.flac" in out
    assert "Électronique, Hip-Hop" in out
    assert "[red]new\\nline\\x1b[31m.mp3" in out, "one line, nothing for the terminal to obey"
    assert "\x1b" not in out + err
    assert "broken.mp3" in err
    assert "[not-audio]" in err
    assert "2 files would change" in err
    code, out, err = tonearm("tag", "apply", "plan.json")
    assert (code, out) == (0, "")
    assert "2 files written, 0 skipped" in err
    assert "tonearm tag undo" in err
    code, out, _ = tonearm("tag", "show", ".")
    assert code == 1
    assert "ID3v2.4" in out
    assert "Hip-Hop" in out
    code, out, _ = tonearm("tag", "history")
    assert "applied" in out
    code, _, err = tonearm("tag", "undo")
    assert (code, "2 files restored" in err) == (0, True)
    code, _, err = tonearm("tag", "undo")
    assert (code, err) == (0, "there is nothing to undo\n")


def test_names_that_are_not_utf8_go_through_json(tonearm, tmp_path, music):
    path = music("mp3", os.fsdecode(b"caf\xe9.mp3"))
    put(tmp_path / "p.jsonl", predicted(path))
    code, out, _ = tonearm("tag", "plan", "--from", tmp_path / "p.jsonl", "-o", tmp_path / "plan.json", "--json")
    assert (code, json.loads(out)["entries"][0]["path"]) == (0, path)
    out.encode("ascii")
    code, out, _ = tonearm("tag", "apply", tmp_path / "plan.json", "--json")
    assert (code, json.loads(out)["written"]) == (0, 1)


def test_names_that_are_not_utf8_go_through_csv(tmp_path, music):
    path = music("mp3", os.fsdecode(b'caf\xe9, a "song".mp3'))
    text = io.StringIO()
    csv.writer(text).writerows([["path", "genre"], [path, "Jazz"]])
    (tmp_path / "p.csv").write_bytes(text.getvalue().encode("utf-8", "surrogateescape"))
    assert [entry["after"] for entry in tags.plan(tmp_path / "p.csv").entries] == [["Jazz"]]


def test_settings_reach_the_plan(tonearm, tmp_path, music):
    path = music("flac")
    put(tmp_path / "p.jsonl", predicted(path, genres=[("House", 0.4), ("Techno", 0.3), ("Jazz", 0.2)], sure=False))
    (tmp_path / "map.yaml").write_text("House: Electronic\nTechno: Electronic\nJaz: x\n")
    plan = tmp_path / "plan.json"
    options = ["--threshold", 0.2, "--max", 1, "--map", tmp_path / "map.yaml", "--policy", "replace", "--unsure"]
    code, out, err = tonearm("tag", "plan", "--from", tmp_path / "p.jsonl", "-o", plan, *options, "--json")
    assert (code, json.loads(out)["entries"][0]["after"]) == (0, ["Electronic"])
    assert "did you mean 'Jazz'?" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan"],
        ["plan", "--from", "none.jsonl", "-o", "plan.json"],
        ["plan", "--from", "p.jsonl"],
        ["plan", "--from", "p.jsonl", "-o", "plan.json", "--policy", "fil"],
        ["plan", "--from", "p.jsonl", "-o", "plan.json", "--threshold", "3"],
        ["plan", "--from", "p.jsonl", "-o", "plan.json", "--map", "none.yaml"],
        ["apply", "none.json"],
        ["apply", "p.jsonl"],
        ["apply"],
        ["undo", "no-such-journal"],
        ["show"],
    ],
    ids=" ".join,
)
def test_used_wrongly(arguments, tonearm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "p.jsonl", [])
    code, out, err = tonearm("tag", *arguments)
    assert (code, out) == (2, "")
    assert err


def test_a_plan_that_cannot_be_written(tonearm, tmp_path, song):
    put(tmp_path / "p.jsonl", predicted(song("flac")))
    code, _, err = tonearm("tag", "plan", "--from", tmp_path / "p.jsonl", "-o", tmp_path / "none" / "plan.json")
    assert code == 1
    assert "the plan cannot be written" in err


@pytest.mark.parametrize("command", ["plan", "apply", "undo", "history", "show"])
def test_each_command_has_an_example(command, tonearm):
    code, out, _ = tonearm("tag", command, "--help")
    assert code == 0
    assert f"tonearm tag {command}" in out


def test_a_journal_that_cannot_be_written_is_told_once(tonearm, tmp_path, music, monkeypatch):
    paths = [music("mp3", f"{n}.mp3") for n in range(4)]
    first, journals = [sha(path) for path in paths], tmp_path / "journals"
    tonearm("tag", "plan", "--from", put(tmp_path / "p.jsonl", predicted(*paths)), "-o", tmp_path / "plan.json")
    real, count = Journal.write, []

    def full(journal, **record):
        count.append(record)
        if len(count) > 4:  # the head, and the three lines of the first file
            raise JournalError("x.journal: the journal cannot be written (No space left on device)")
        return real(journal, **record)

    monkeypatch.setattr(Journal, "write", full)
    code, _, err = tonearm("tag", "apply", tmp_path / "plan.json", "--journal", journals)
    monkeypatch.undo()
    assert (code, err.count("[journal]")) == (1, 1)
    assert "so are 2 more, for the same reason; make room" in err
    assert "1 file written, 3 skipped" in err
    assert [sha(path) for path in paths][1:] == first[1:]
    assert tonearm("tag", "undo", "--journal", journals)[0] == 0
    assert [sha(path) for path in paths] == first


def test_a_plan_takes_the_place_of_nothing_but_a_plan(tonearm, tmp_path, music):
    song, other = music("mp3"), tmp_path / "other.json"
    other.write_text("{}")
    rows = put(tmp_path / "p.jsonl", predicted(song))
    before = sha(song)
    for place in (song, other, tmp_path):
        code, _, said = tonearm("tag", "plan", "--from", rows, "-o", place)
        assert code == 2
        assert "is there already" in said
    assert sha(song) == before
    assert other.read_text() == "{}"
    for _ in range(2):  # an earlier plan is written anew
        assert tonearm("tag", "plan", "--from", rows, "-o", tmp_path / "plan.json")[0] == 0


def test_what_has_its_genres_already_is_not_written_anew(tonearm, tmp_path, music):
    song, plan = music("mp3"), tmp_path / "plan.json"
    assert tonearm("tag", "plan", "--from", put(tmp_path / "p.jsonl", predicted(song)), "-o", plan)[0] == 0
    read = json.loads(plan.read_text())
    read["entries"][0]["after"] = []
    plan.write_text(json.dumps(read))
    before = os.stat(song)
    code, out, _ = tonearm("tag", "apply", plan, "--journal", tmp_path / "j", "--json")
    assert (code, json.loads(out)["written"]) == (0, 0)
    assert (os.stat(song).st_mtime_ns, os.stat(song).st_ino) == (before.st_mtime_ns, before.st_ino)
    read["entries"][0]["before"] = [1]
    plan.write_text(json.dumps(read))
    code, _, said = tonearm("tag", "apply", plan, "--dry-run")
    assert code == 2
    assert "damaged" in said


def test_a_folder_of_journals_that_is_not_there_is_named(tonearm, tmp_path):
    for words in (("undo",), ("history",)):
        code, _, said = tonearm("tag", *words, "--journal", tmp_path / "misspelt")
        assert code == 2
        assert "no such folder of journals" in said
    assert not (tmp_path / "misspelt").exists()
