"""`tonearm tag plan FOLDER`: the model is asked here, and only for files that may change."""

from __future__ import annotations

import json
import os

import pytest
from tag_files import sha

from tonearm import tags
from tonearm.cli._root import run
from tonearm.errors import UsageError
from tonearm.runtime import Model

pytest.importorskip("onnx")


def outcome(plan):
    return {os.path.basename(entry["path"]): entry["after"] for entry in plan.entries}


def test_a_folder_is_heard(collection, model_path, monkeypatch):
    asked = []
    real = Model.predict
    monkeypatch.setattr(Model, "predict", lambda self, path, **more: asked.append(path) or real(self, path, **more))
    states = {path: sha(path) for path in collection.iterdir()}
    told = []
    plan = tags.plan(files=[collection], model=model_path, progress=lambda done, total: told.append((done, total)))
    assert outcome(plan) == {"a.flac": ["bass"], "b.mp3": ["treble"], "c.ogg": ["middle"]}
    assert {os.path.basename(item["path"]): item["reason"] for item in plan.unchanged} == {
        "tagged.flac": "has-genre",
        "silent.wav": "nothing-predicted",
    }
    assert {os.path.basename(item["path"]): item["code"] for item in plan.skipped} == {
        "broken.mp3": "not-audio",
        "hollow.flac": "empty",
    }
    assert "tagged.flac" not in {os.path.basename(path) for path in asked}, "what stays is not decoded for nothing"
    assert told == [(n, 5) for n in range(5)]
    assert plan.settings["model"].startswith("tiny ")
    assert {path: sha(path) for path in collection.iterdir()} == states
    assert tags.apply(plan).count == 3
    assert tags.describe(collection / "b.mp3")["genres"] == ["treble"]
    assert tags.undo().count == 3
    assert {path: sha(path) for path in collection.iterdir()} == states


def test_the_other_policies_hear_every_file(collection, model_path):
    plan = tags.plan(files=[collection / "tagged.flac"], model=Model(model_path), policy="add")
    assert outcome(plan) == {"tagged.flac": ["Zydeco", "bass"]}
    plan = tags.plan(files=[collection / "tagged.flac"], model=model_path, policy="keep")
    assert [(item["predicted"], item["reason"]) for item in plan.unchanged] == [(["bass"], "kept")]


def test_several_processes_say_the_same_in_the_same_order(collection, model_path):
    one = tags.plan(files=[collection], model=model_path, policy="replace")
    two = tags.plan(files=[collection], model=model_path, policy="replace", workers=2)
    assert (one.entries, one.unchanged, one.skipped) == (two.entries, two.unchanged, two.skipped)
    assert len(one.entries) == 4


def test_one_file_under_several_names_is_heard_once(collection, model_path):
    os.symlink(collection / "a.flac", collection / "z.flac")
    plan = tags.plan(files=[collection / "a.flac", collection / "a.flac", collection / "z.flac"], model=model_path)
    assert outcome(plan) == {"a.flac": ["bass"]}
    assert [item["code"] for item in plan.skipped] == ["same-file"]


def test_a_threshold_of_ones_own_makes_sure_or_not(collection, model_path):
    plan = tags.plan(files=[collection / "a.flac"], model=model_path, threshold=1.0)
    assert [item["reason"] for item in plan.unchanged] == ["not-sure"]
    merged = {"bass": "Any", "middle": "Any", "treble": "Any"}
    plan = tags.plan(files=[collection / "a.flac"], model=model_path, threshold=0.999, names=merged)
    assert outcome(plan) == {"a.flac": ["Any"]}


def test_a_map_is_held_against_the_model_even_where_nothing_is_heard(collection, model_path):
    plan = tags.plan(files=[], model=model_path, names={"Bass": "Bass", "treble": "High"})
    assert plan.warnings == ["the map names 'Bass', which the model 'tiny' does not know; did you mean 'bass'?"]


def test_nothing_to_plan_for_and_no_such_model(collection):
    with pytest.raises(UsageError, match="planned for"):
        tags.plan()
    with pytest.raises(UsageError, match="no model"):
        tags.plan(files=[collection], model="nonesuch")


def test_the_command(collection, model_path, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = run(["tag", "plan", str(collection), "--model", str(model_path), "-o", "plan.json", "--json"])
    told = capsys.readouterr()
    read = json.loads(told.out)
    assert (code, read["planned"], len(read["skipped"])) == (1, 3, 2)
    assert run(["tag", "plan", str(collection), "--model", str(model_path), "-o", "plan.json"]) == 1
    told = capsys.readouterr()
    assert "1.00" in told.out
    assert "3 files would change; 2 stay as they are (1 has-genre, 1 nothing-predicted)" in told.err
    assert "[not-audio]" in told.err
    assert run(["tag", "apply", "plan.json"]) == 0
    assert run(["tag", "undo"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "plan.json"],
        [".", "-o", "plan.json", "--from", "p.jsonl", "--model", "fma"],
        [".", "-o", "plan.json", "--model", "nonesuch"],
        [".", "-o", "plan.json", "--workers", "0"],
        ["."],
    ],
    ids=" ".join,
)
def test_used_wrongly(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["tag", "plan", *arguments]) == 2
    assert capsys.readouterr().out == ""
    assert os.listdir(tmp_path) == []
