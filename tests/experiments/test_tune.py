"""Tuning: the test part stays closed, a kill loses nothing, several processes share a study, and the best is usable."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from experiment_data import mel_pack, small_net, table_pack

from tonearm import experiments, protocols, recipes, runs
from tonearm.cli._root import run as tonearm
from tonearm.errors import UsageError
from tonearm.experiments import _ground
from tonearm.recipes._search import Choice, Range, spaces

pytest.importorskip("optuna")

SVM = "baseline-rbf-svm"
SPACE = {"model.cost": {"low": 0.1, "high": 100.0, "log": True}, "model.scale": ["standard", "none"]}


def options(**keywords) -> recipes.Options:
    return recipes.Options(**{"quiet": True, "threads": 1, "resamples": 100, **keywords})


def svm() -> recipes.Recipe:
    """The baseline with nothing to search but what a test names."""
    return recipes.from_config({**recipes.get(SVM).config(), "search": {}})


def test_the_test_part_is_not_opened(tmp_path):
    """Rows of the test part that are no numbers at all, or other numbers, change nothing: no trial reads them."""
    told = []
    for name, broken in (("good", ""), ("bad", "test")):
        pack = table_pack(tmp_path / name, noise=2.0, broken=broken)
        for on in ("valid", "folds:3"):
            out = tmp_path / f"{name}-{on[:5]}"
            report = experiments.tune(svm(), str(pack.folder), out, options(), trials=3, search=SPACE, on=on)
            told.append([(row["value"], row["settings"], row["state"]) for row in report["trials"]])
            assert all(row["state"] != "failed" for row in report["trials"])
            test = set(pack.ids[pack.column("split") == "test"].tolist())
            for path in out.rglob("split.json"):
                split = protocols.read_split(path)
                assert "test" not in split.parts
                assert not test & {track for ids in split.parts.values() for track in ids}
            for path in out.rglob("predictions-*.csv"):
                assert not test & {line.partition(",")[0] for line in path.read_text().splitlines()}
    assert told[0] == told[2]
    assert told[1] == told[3]
    broken = table_pack(tmp_path / "worse", noise=2.0, broken="valid")
    report = experiments.tune(svm(), str(broken.folder), tmp_path / "w", options(), trials=1, search=SPACE)
    assert report["trials"][0]["state"] == "failed", "and what is read must be numbers"


def test_the_best_trial_is_the_best_run_and_its_recipe_can_be_trained(tmp_path, capsys):
    pack = table_pack(tmp_path / "pack", n=180, noise=3.5)
    page = tmp_path / "page.html"
    command = ["tune", SVM, "--data", str(pack.folder), "-o", str(tmp_path / "t"), "--trials", "5", "-q"]
    command += ["--search", "model.cost=0.1..100:log", "--search", "model.scale=standard,none", "--seed", "3"]
    command += ["--search", "model.width=0.001..0.1"]
    assert tonearm([*command, "--json", "--html", str(page)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["counts"] == {"complete": 5}
    values = {row["number"]: row["value"] for row in report["trials"]}
    assert report["best"]["value"] == max(values.values()) == values[report["best"]["number"]]
    run = tmp_path / "t" / report["best"]["folder"] / "run"
    figures = runs.describe(run)["figures"]["valid"]
    assert figures["accuracy"] == report["best"]["value"]
    assert (report["best"]["n"], report["best"]["interval"]) == (
        figures["n"],
        pytest.approx(figures["interval"], abs=0.2),
    )
    best = recipes.get(report["best_recipe"])
    assert best.name == "baseline-rbf-svm-tuned"
    assert best.claim is None
    assert "best of 5 trials" in best.caveats[-1]
    for path, value in report["best"]["settings"].items():
        assert best.config()[path.partition(".")[0]][path.partition(".")[2]] == value
    # The line of settings makes the same recipe as the file.
    import shlex

    pairs = [text for text in shlex.split(report["set_line"]) if text != "--set"]
    assert recipes.changed(recipes.get(SVM), recipes.parse_set(pairs)).model == best.model
    assert set(report["importance"]) <= set(report["space"])
    assert "Which settings mattered" in page.read_text()
    # More trials go on where these ended, and draw what they would have drawn at once.
    assert tonearm([*command[:7], "7", *command[8:], "--json"]) == 0
    more = json.loads(capsys.readouterr().out)
    assert more["trials"][:5] == report["trials"]
    whole = experiments.tune(
        recipes.get(SVM), str(pack.folder), tmp_path / "u", options(seed=3), trials=7, storage=str(tmp_path / "x.db"),
        search={**SPACE, "model.width": {"low": 0.001, "high": 0.1}},
    )  # fmt: skip
    assert [row["settings"] for row in whole["trials"]] == [row["settings"] for row in more["trials"]]
    assert tonearm([*command, "--metric", "log_loss"]) == 2
    assert tonearm([*command, "--on", "test"]) == 2
    assert "no honest figure" in capsys.readouterr().err


def test_a_recipe_as_it_is_comes_first_and_trials_that_fail_are_rows(tmp_path):
    pack = table_pack(tmp_path / "pack", noise=3.0)
    space = {"model.cost": [10.0, 0.001], "model.kernel": ["rbf", "no-such"]}
    report = experiments.tune(svm(), str(pack.folder), tmp_path / "t", options(), trials=4, search=space)
    assert report["trials"][0]["as_it_is"]
    assert report["as_it_is"]["settings"] == {"model.cost": 10.0, "model.kernel": "rbf"}
    failed = [row for row in report["trials"] if row["state"] == "failed"]
    assert all("no-such" in row["error"] for row in failed)
    assert any("as it is" in note for note in report["notes"])
    with pytest.raises(UsageError, match="does not say what may change"):
        experiments.tune(svm(), str(pack.folder), tmp_path / "u", options())
    with pytest.raises(UsageError, match="asks something else"):
        experiments.tune(svm(), str(pack.folder), tmp_path / "t", options(), search={"model.cost": [1, 2]})


def test_worse_trials_are_stopped_early_and_a_stopped_one_is_tried_again(tmp_path, monkeypatch):
    pack = mel_pack(tmp_path / "pack")
    net = small_net(**{"training.epochs": 3})
    space = {"training.learning_rate": {"low": 1.0e-6, "high": 0.02, "log": True}}
    from tonearm.experiments import _tune

    original, seen = _tune._watch, []

    def stops(task, trial, folder):
        watch = original(task, trial, folder)

        def called(row):
            seen.append((trial.number, row["epoch"]))
            watch(row)
            if len(seen) == 2:
                raise KeyboardInterrupt

        return called

    monkeypatch.setattr(_tune, "_watch", stops)
    arguments = (net, str(pack.folder), tmp_path / "t", options(adapt=True))
    how = {"trials": 9, "search": space, "metric": "log_loss"}  # a loss knows better and worse where accuracy is equal
    with pytest.raises(KeyboardInterrupt):
        experiments.tune(*arguments, **how)
    assert runs.read_json(tmp_path / "t" / "tuning.json")["counts"] == {"running": 1}
    report = experiments.tune(*arguments, **how)
    assert seen[:3] == [(0, 1), (0, 2), (1, 3)], "the epochs that were done are not done again"
    assert sum(report["counts"].values()) == 9
    assert report["counts"].get("pruned", 0) >= 1
    assert report["trials"][0]["settings"]["training.learning_rate"] == 0.01, "the recipe's own comes first"
    pruned = next(row for row in report["trials"] if row["state"] == "pruned")
    assert pruned["epochs"] < 3
    folder = tmp_path / "t" / pruned["folder"] / "run"
    assert runs.describe(folder)["status"] == "pruned"
    assert not (folder / "checkpoint").exists()


def test_processes_share_a_study_and_one_that_is_killed_costs_no_trial(tmp_path):
    pack = table_pack(tmp_path / "pack", n=180, noise=3.5)
    out = tmp_path / "t"
    command = [
        sys.executable, "-m", "tonearm", "tune", "baseline-forest", "--data", str(pack.folder), "-o", str(out),
        "--trials", "6", "--search", "model.trees=20..60", "--search", "model.least_leaf=1,2,4",
    ]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    workers = [
        subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    deadline = time.monotonic() + 120
    while not list(out.glob("trials/*/run/run.json")) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers[0].send_signal(signal.SIGKILL)
    told = [worker.communicate(timeout=200)[1] for worker in workers]
    assert workers[1].returncode == 0, told[1]
    report = runs.read_json(out / "tuning.json")
    if sum(report["counts"].values()) < 6 or "running" in report["counts"]:
        subprocess.run([*command, "-q"], env=environment, check=True, stdout=subprocess.DEVNULL, timeout=200)
        report = runs.read_json(out / "tuning.json")
    assert report["counts"] == {"complete": 6}
    assert len({row["number"] for row in report["trials"]}) == 6


def test_another_process_may_begin_in_the_folder_at_the_same_moment(tmp_path, monkeypatch):
    pack = table_pack(tmp_path / "pack", n=120)
    asked = {"kind": "tune", "on": "valid"}
    _ground.ground(svm(), str(pack.folder), tmp_path / "before", options(), **asked)
    out = tmp_path / "together"
    out.mkdir()
    (out / ".experiment.json.17.part").write_text("{", encoding="utf-8")  # the other one is writing
    listed = Path.iterdir

    def slow(folder):
        if folder == out:  # and is done between two looks
            shutil.copy(tmp_path / "before" / "experiment.json", out)
        return listed(folder)

    monkeypatch.setattr(Path, "iterdir", slow)
    _ground.ground(svm(), str(pack.folder), out, options(), **asked)
    assert runs.read_json(out / "experiment.json") == runs.read_json(tmp_path / "before" / "experiment.json")
    monkeypatch.setattr(Path, "iterdir", listed)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="something else under this name"):
        _ground.ground(svm(), str(pack.folder), tmp_path / "other", options(), **asked)


def test_searches_are_checked_key_by_key():
    base = recipes.get(SVM).config()
    good = {
        "model.cost": [1, 2],
        "model.width": {"low": 1, "high": 9, "step": 2},
        "clip.frames": {"low": 8, "high": 16},
    }
    found = spaces(recipes.from_config({**base, "search": good}).search, "x")
    assert found["model.cost"] == Choice((1, 2))
    assert found["model.width"] == Range(1, 9, False, 2)
    assert found["model.width"].whole
    for wrong, message in (
        ({"model.cost": [1]}, "two or more"),
        ({"model.cost": [1, 1, 2]}, "two or more"),
        ({"mdel.cost": [1, 2]}, "did you mean 'model'"),
        ({"model": [1, 2]}, "section.key"),
        ({"training.epoch": [1, 2]}, "did you mean 'epochs'"),
        ({"clip.frame": [1, 2]}, "did you mean 'frames'"),
        ({"model.cost": {"low": 1, "hgh": 2}}, "did you mean 'high'"),
        ({"model.cost": {"low": 1}}, "high is a number"),
        ({"model.cost": {"low": "1e-4", "high": 1}}, "1.0e-4"),
        ({"model.cost": {"low": True, "high": 2}}, "is a number"),
        ({"model.cost": {"low": 2, "high": 1}}, "is not below"),
        ({"model.cost": {"low": 0, "high": 1, "log": True}}, "above 0"),
        ({"model.cost": {"low": 0, "high": 1, "step": 2}}, "step 2"),
        ({"model.cost": {"low": 0, "high": 1, "log": "yes"}}, "true or false"),
        ({"model.cost": 3}, "a list of values"),
    ):
        with pytest.raises(UsageError) as error:
            recipes.from_config({**base, "search": wrong})
        assert message in str(error.value), wrong
    typed = ["a.b=1..8", "a.c=1e-4..0.1:log", "a.d=0..1:0.25", "a.e=relu,3,true", "a.f=[1,2],[3]"]
    assert experiments.parse_search(typed) == {
        "a.b": {"low": 1, "high": 8},
        "a.c": {"low": 1e-4, "high": 0.1, "log": True},
        "a.d": {"low": 0, "high": 1, "step": 0.25},
        "a.e": ["relu", 3, True],
        "a.f": [[1, 2], [3]],
    }
    for text in ("a.b", "a.b=", "a.b=1..x", "a.b=[1"):
        with pytest.raises(UsageError):
            experiments.parse_search([text])
    for name in recipes.names():
        spaces(recipes.get(name).search, name)


def test_a_storage_that_is_none_is_said(tmp_path, capsys):
    pack = table_pack(tmp_path / "pack")
    (tmp_path / "no.db").write_text("dear diary")
    command = ["tune", SVM, "--data", str(pack.folder), "-q", "-o", str(tmp_path / "t")]
    assert tonearm([*command, "--storage", str(tmp_path / "no.db")]) == 1
    assert tonearm([*command, "--storage", "nosuch://x"]) == 1
    told = capsys.readouterr().err
    assert told.count("cannot be opened") == 2
    assert "Traceback" not in told
