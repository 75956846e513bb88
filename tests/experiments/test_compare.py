"""Runs side by side: the tests are those of scipy and statsmodels, and what cannot be compared is not."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from experiment_data import answered, run_folder
from scipy.stats import binomtest

from tonearm import evaluation, experiments, recipes, runs
from tonearm.cli._root import run as tonearm


def row_of(found, name):
    return next(row for row in found["rows"] if row["name"] == name)


def test_the_table_has_the_figures_of_the_runs_and_the_tests_of_others(tmp_path):
    draw = np.random.default_rng(0)
    n = 120
    hits = {name: draw.random(n) < share for name, share in (("a", 0.8), ("b", 0.6), ("c", 0.78))}
    for name, some in hits.items():
        run_folder(tmp_path / name, recipe=name, hits=some)
    found = experiments.compare([tmp_path])
    assert [test["n"] for test in found["tests"]] == [n]
    best, *others = found["rows"]
    assert best["accuracy"] == max(some.mean() for some in hits.values())
    assert best["against_best"] is None
    p_values = []
    for row in others:
        ours, theirs = hits[row["recipe"]], hits[best["recipe"]]
        against = row["against_best"]
        only, only_best = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
        assert against["mcnemar"]["only_this"] == only
        assert against["p_value"] == pytest.approx(binomtest(only, only + only_best).pvalue)
        assert against["difference"] == pytest.approx(ours.mean() - theirs.mean())
        assert against["interval"][0] < against["difference"] < against["interval"][1]
        p_values.append(against["p_value"])
    assert [row["against_best"]["p_holm"] for row in others] == pytest.approx(evaluation.paired.holm(p_values))
    single = evaluation.rate_interval(hits[best["recipe"]])
    assert best["interval"] == single.pair()
    json.dumps(found, allow_nan=False)


def test_seeds_of_one_system_are_one_row_with_their_spread_apart_from_sampling(tmp_path):
    draw = np.random.default_rng(1)
    hits = draw.random((3, 80)) < 0.7
    for seed, some in enumerate(hits):
        run_folder(tmp_path / f"a-{seed}", recipe="a", seed=seed, hits=some)
        run_folder(tmp_path / f"b-{seed}", recipe="b", seed=seed, hits=draw.random(80) < 0.3)
    run_folder(tmp_path / "a-again", recipe="a", seed=0, hits=hits[0])
    found = experiments.compare([tmp_path])
    three = next(row for row in found["rows"] if len(row["seeds"]) == 3 and row["recipe"] == "a")
    wanted = evaluation.over_seeds(hits.astype(float))
    assert three["accuracy"] == pytest.approx(wanted.mean)
    assert three["sd_over_seeds"] == pytest.approx(hits.mean(axis=1).std(ddof=1))
    assert three["interval_over_seeds"] == pytest.approx([wanted.low, wanted.high])
    assert three["interval"] == wanted.sampling.pair()
    assert len(found["rows"]) == 3, "a seed that is there twice makes no narrower figure"
    b = next(row for row in found["rows"] if row["recipe"] == "b")
    assert b["against_best"]["told_apart"]
    low, high = b["against_best"]["interval"]
    inner = b["against_best"]["interval_over_tracks"]
    assert high - low > inner[1] - inner[0], "seeds widen what tracks alone would say"


def test_other_tracks_and_other_parts_are_marked_and_never_tested_against_each_other(tmp_path):
    draw = np.random.default_rng(2)
    run_folder(tmp_path / "a", recipe="a", hits=draw.random(60) < 0.9)
    run_folder(tmp_path / "other-split", recipe="b", hits=draw.random(60) < 0.5, split="y")
    run_folder(tmp_path / "other-data", recipe="c", hits=draw.random(60) < 0.5, data="z")
    run_folder(tmp_path / "valid", recipe="d", hits=draw.random(60) < 0.5, part="valid")
    found = experiments.compare([tmp_path])
    assert len(found["tests"]) == 4
    assert all(row["against_best"] is None for row in found["rows"])
    assert "4 different tests" in found["notes"][0]
    assert any("validation" in sentence for sentence in row_of(found, "d")["marks"])
    only = experiments.compare([tmp_path], on="test")
    assert "no figures of the part test" in row_of(only, "d")["error"]


def test_equal_names_are_told_apart_by_data_and_then_by_where_they_lie(tmp_path):
    hits = np.random.default_rng(3).random(60) < 0.7
    run_folder(tmp_path / "x" / "one", recipe="a", hits=hits, data="d")
    run_folder(tmp_path / "x" / "two", recipe="a", hits=hits, data="e")
    assert sorted(row["name"] for row in experiments.compare([tmp_path])["rows"]) == ["a, d", "a, e"]
    run_folder(tmp_path / "y", recipe="a", hits=hits, data="d", split="z")
    names = [row["name"] for row in experiments.compare([tmp_path])["rows"]]
    assert sorted(names) == ["a, d, x/one", "a, d, y", "a, e"]


def test_what_failed_is_a_row_that_says_why(tmp_path, capsys):
    run_folder(tmp_path / "good", recipe="good", hits=np.ones(30, bool))
    run_folder(tmp_path / "good-1", recipe="good", seed=1, hits=np.ones(30, bool))
    bad = run_folder(tmp_path / "bad", recipe="good", seed=2, hits=np.ones(30, bool))
    about = runs.read_json(bad / "run.json")
    error = {"code": "not-finite", "message": "the loss is not a number"}
    runs.write_json(bad / "run.json", {**about, "status": "failed", "error": error})
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "run.json").write_text("{")
    hollow = run_folder(tmp_path / "hollow", recipe="hollow", hits=np.ones(30, bool))
    (hollow / "predictions-tracks.csv").unlink()
    found = experiments.compare([tmp_path])
    assert len(found["rows"]) == 4
    assert found["rows"][0]["seeds"] == [0, 1]
    told = {row["status"]: row["error"] for row in found["rows"][1:] if row["recipe"] != "hollow"}
    assert told["failed"] == "the loss is not a number"
    assert "cannot be read" in told["unreadable"]
    assert "no such file" in row_of(found, "hollow")["error"]
    assert tonearm(["compare", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == found
    assert tonearm(["compare", str(tmp_path)]) == 0
    assert "the loss is not a number" in capsys.readouterr().out
    assert tonearm(["compare", str(tmp_path / "torn")]) == 1
    (tmp_path / "empty").mkdir()
    assert tonearm(["compare", str(tmp_path / "empty")]) == 2


def test_artists_are_what_is_exchanged_where_they_are_known(tmp_path):
    draw = np.random.default_rng(3)
    artists = [f"artist-{i // 20}" for i in range(60)]
    run_folder(tmp_path / "a", recipe="a", hits=draw.random(60) < 0.9, artists=artists)
    run_folder(tmp_path / "b", recipe="b", hits=draw.random(60) < 0.4, artists=artists)
    against = experiments.compare([tmp_path])["rows"][1]["against_best"]
    assert against["test"] == "sign flip over artists"
    assert against["p_value"] >= 0.25, "three artists cannot say more"
    assert not against["told_apart"]
    assert against["mcnemar"]["p_value"] < 0.01


def test_folds_are_one_row_over_all_tracks(tmp_path):
    from experiment_data import table_pack

    pack = table_pack(tmp_path / "pack", noise=4.0)
    options = recipes.Options(quiet=True, threads=1, resamples=100, protocol="artist")
    summary = recipes.run_folds(recipes.get("baseline-lda"), str(pack.folder), tmp_path / "runs" / "lda", 3, options)
    recipes.run_folds(recipes.get("baseline-rbf-svm"), str(pack.folder), tmp_path / "runs" / "svm", 3, options)
    found = experiments.compare([tmp_path / "runs"])
    assert len(found["tests"]) == 1
    row = row_of(found, "baseline-lda")
    assert (row["n"], row["folds"]) == (72, 3)
    assert row["accuracy"] == pytest.approx(summary["parts"]["test"]["accuracy"])
    assert found["rows"][1]["against_best"]["n"] == 72
    shutil.rmtree(tmp_path / "runs" / "svm" / "fold-2" / "model")
    about = runs.read_json(tmp_path / "runs" / "svm" / "fold-2" / "run.json")
    runs.write_json(tmp_path / "runs" / "svm" / "fold-2" / "run.json", {**about, "status": "running"})
    row = row_of(experiments.compare([tmp_path / "runs"]), "baseline-rbf-svm")
    assert row["error"] == "2 of 3 folds are finished; it is running"


def test_answers_in_another_order_are_the_same_answers(tmp_path):
    hits = np.random.default_rng(4).random(40) < 0.6
    run_folder(tmp_path / "a", recipe="a", hits=hits)
    order = np.random.default_rng(5).permutation(40)
    run_folder(tmp_path / "b", recipe="b", hits=hits[order], ids=[f"t{i:03}" for i in order])
    against = experiments.compare([tmp_path])["rows"][1]["against_best"]
    assert against["difference"] == 0
    assert against["p_value"] == 1
    assert not against["told_apart"]


@pytest.mark.parametrize("seeds", [1, 3])
def test_intervals_of_differences_cover_the_truth_with_seeds_and_tracks_at_work(seeds):
    """Tracks of unequal difficulty and seeds that move a whole model: 95 % intervals, and seldom a false alarm."""
    from tonearm.experiments._effects import corrected, effect

    draw = np.random.default_rng(6)
    covered, alarms, rounds, n = 0, 0, 150, 150
    wobble = 0.0 if seeds == 1 else 0.03
    for _ in range(rounds):
        hard = draw.uniform(0.2, 0.9, n)
        a, b = (answered(draw.random((seeds, n)) < hard + wobble * draw.normal(size=(seeds, 1))) for _ in range(2))
        found = effect(a, b, resamples=300)
        corrected([found])
        covered += found["interval"][0] <= 0 <= found["interval"][1]
        alarms += found["told_apart"]
    assert covered / rounds > 0.9
    assert alarms / rounds < 0.09
