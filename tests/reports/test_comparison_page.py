import copy

import pytest
from report_data import check_page

from tonearm.reports.comparison_page import comparison_page


def row(name, accuracy, letter="A", **changed):
    return {
        "name": name, "recipe": name.split(",")[0], "title": "A <system>", "claim": None, "caveats": ["none of it"],
        "runs": [f"runs/{name}"], "seeds": [0], "folds": None, "status": "finished", "error": None, "test": letter,
        "data": "music", "protocol": "artist", "split": "s", "part": "test", "unit": "track", "chosen_on_this": False,
        "leaky": False, "adapted": [], "quick": False, "n": 290, "accuracy": accuracy,
        "interval": [accuracy - 0.05, accuracy + 0.05], "interval_over": "artists", "by_seed": [accuracy],
        "sd_over_seeds": None, "interval_over_seeds": None, "balanced_accuracy": accuracy, "f1_macro": accuracy,
        "log_loss": 1.1, "ece": 0.05, "parameters": 1000, "epochs": 3, "seconds": 4.0, "machine": {},
        "differs": {"model.layers": 3}, "marks": ["adapted: something"], "curves": [], "against_best": None,
    } | changed  # fmt: skip


def against(difference, p):
    return {
        "best": "net", "difference": difference, "interval": [difference - 0.04, difference + 0.04],
        "interval_over_tracks": None, "interval_over": "artists", "interval_over_seeds": None, "by_seed": [difference],
        "test": "sign flip over artists", "p_value": p / 2, "p_holm": p, "told_apart": p < 0.05, "mcnemar": None,
        "tracks_needed": 1234, "n": 290,
    }  # fmt: skip


@pytest.fixture
def comparison():
    curve = [{"epoch": e, "train_loss": 2 / e, "valid_loss": 2.1 / e, "valid_accuracy": 0.2 * e} for e in (1, 2, 3)]
    claim = {"dataset": "gtzan", "protocol": "segment", "metric": "accuracy", "value": 0.91, "note": "leaky"}
    test = {"test": "A", "data": "music", "protocol": "artist", "split": "s", "split_hash": "h", "part": "test",
            "unit": "track", "n": 290, "leaky": False}  # fmt: skip
    failed = {"test": None, "interval": None, "status": "failed", "error": {"message": "no <memory>"}}
    return {
        "on": "auto",
        "tests": [test, {**test, "test": "B", "protocol": "segment", "leaky": True, "unit": "segment"}],
        "rows": [
            row("net, artist", 0.6, claim=claim, sd_over_seeds=0.01, seeds=[0, 1],
                curves=[{"run": "r", "seed": s, "rows": curve} for s in (0, 1)]),
            row("svm, artist", 0.58, against_best=against(-0.02, 0.4), parameters=None, folds=5),
            row("knn, artist", 0.4, against_best=against(-0.2, 0.0004)),
            row("leaky, segment", 0.9, "B", protocol="segment", leaky=True, unit="segment"),
            row("broken, artist", 0.0, **failed) | {"accuracy": None},
        ],
        "notes": ["a note of <weight>", "a note of <weight>"],
    }  # fmt: skip


def test_all_is_there(comparison):
    page = check_page(comparison_page(comparison))
    assert "net, artist is right in 60.0 % of 290 tracks [55.0 to 65.0]; of 2 others 1 can be told from it" in page.text
    assert "the split leaks" in page.text
    assert "1 run without a figure" in page.text
    assert "no <memory>" in page.text
    assert page.text.count("a note of <weight>") == 1
    assert "svm, artist 1,234" in page.text
    assert "-31.0" in page.text  # measured less what was claimed
    assert "model.layers = 3" in page.text


def test_figures_as_csv(comparison):
    page = check_page(comparison_page(comparison))
    rows = {one["system"]: one for one in page.table("comparison-A")}
    assert list(rows) == ["net, artist", "svm, artist", "knn, artist"]
    assert float(rows["knn, artist"]["difference"]) == -0.2
    assert float(rows["knn, artist"]["p_holm"]) == 0.0004
    assert rows["net, artist"]["difference"] == ""
    assert len(page.table("curves")) == 6
    assert page.table("claims")[0]["claimed"] == "0.91"


def test_learning_curves_lie_over_each_other(comparison):
    page = comparison_page(comparison)
    assert page.count("<title>Accuracy on validation by epoch</title>") == 1
    assert page.count("<title>Loss in training by epoch</title>") == 1
    one = copy.deepcopy(comparison)
    one["rows"][0]["curves"] = []
    assert "Learning curves" not in check_page(comparison_page(one)).text


def test_only_failures(comparison):
    comparison |= {"tests": [], "rows": comparison["rows"][-1:]}
    page = check_page(comparison_page(comparison))
    assert "Comparison of 1 system" in page.text


def test_many_systems_with_long_names(comparison):
    curves = [{"run": "r", "seed": 0, "rows": [{"epoch": 1, "valid_loss": 1.0, "valid_accuracy": 0.5}]}]
    name = "a-system-with-quite-a-long-name, runs/somewhere/far/away/seed"
    rows = [row(f"{name}-{i}, artist", 0.5, curves=curves) for i in range(30)]
    check_page(comparison_page({**comparison, "tests": comparison["tests"][:1], "rows": rows}))


def test_a_comparison_of_real_run_folders(tmp_path):
    from report_data import make_run, mel_pack

    from tonearm import experiments

    pack = mel_pack(tmp_path / "pack")
    make_run(tmp_path / "runs" / "good", pack, good=4)
    make_run(tmp_path / "runs" / "poor", pack, good=0.5, epochs=0)
    make_run(tmp_path / "runs" / "failed", pack, status="failed")
    page = check_page(comparison_page(experiments.compare([tmp_path / "runs"], resamples=200)))
    assert "without a figure" in page.text
    assert len(page.table("comparison-A")) == 2
