"""Every recipe trains on synthesised audio; claims stand beside measurements; one failure is one line."""

from __future__ import annotations

import json

import pytest
from recipe_data import table_pack

from tonearm import recipes
from tonearm.cli._root import run as tonearm
from tonearm.recipes import _reproduce
from tonearm.recipes._prepare import quicker


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_recipes_train_in_a_quick_reproduction(tmp_path, synth_folder, capsys):
    arguments = ["reproduce", "all", "--data", f"synth:{synth_folder}", "--quick", "-q", "--threads", "1"]
    assert tonearm([*arguments, "-o", str(tmp_path / "out"), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["recipe"] for row in rows] == recipes.names()
    failed = {row["recipe"]: row["error"]["message"] for row in rows if row["error"]}
    assert failed == {}
    for row in rows:
        for result in row["results"]:
            assert result["error"] is None, (row["recipe"], result)
            assert result["quick"]
            low, high = result["interval"]
            assert 0 <= low <= result["accuracy"] <= high <= 1
        first = quicker(recipes.get(row["recipe"])).published["name"]
        assert [result["protocol"] for result in row["results"]] == [first, "artist"]
    # Again: every run is there already.
    assert tonearm([*arguments, "-o", str(tmp_path / "out"), "--markdown"]) == 0
    table = capsys.readouterr().out
    assert table.count("\n") > len(rows)
    assert "| `svm-mfcc` | 64.33 % (gtzan, pieces of 3 s) | segment (as published, leaky) |" in table


def test_a_recipe_that_fails_is_one_line(tmp_path, capsys):
    pack = table_pack(tmp_path / "pack")
    names = ["padova-raw-whole", "baseline-logistic"]
    assert tonearm(["reproduce", *names, "--data", str(pack.folder), "-o", str(tmp_path / "out"), "-q"]) == 0
    shown = capsys.readouterr().out
    assert "padova-raw-whole: claims 26.4 % accuracy (fma-small)" in shown
    assert "it holds statistics, not raw" in shown
    assert "artist: " in shown
    assert tonearm(["reproduce", names[0], "--data", str(pack.folder), "-o", str(tmp_path / "b"), "-q"]) == 1
    assert tonearm(["reproduce", "padowa", "--data", str(pack.folder), "-o", str(tmp_path / "c")]) == 2
    assert not (tmp_path / "c").exists()


def test_what_was_changed_is_told(tmp_path):
    pack = table_pack(tmp_path / "pack")
    rows = recipes.reproduce(
        ["baseline-forest", "baseline-logistic"], str(pack.folder), tmp_path / "out", recipes.Options(quiet=True),
        protocols=["artist"], settings={"model.trees": 5} , seeds=2,
    )  # fmt: skip
    assert rows[0]["results"][0]["adapted"] == ["model.trees 5 instead of the default"]
    assert len(rows[0]["results"][0]["by_seed"]) == 2
    # A setting that a recipe does not know fails that recipe alone.
    assert rows[1]["results"][0]["error"]["code"] == "unknown-name"
    # A setting of training is none of a classical model's business, but one that is misspelt is nobody's.
    how = {"protocols": ["artist"], "settings": {"training.epochs": 3}}
    rows = recipes.reproduce(["baseline-lda"], str(pack.folder), tmp_path / "b", recipes.Options(quiet=True), **how)
    assert rows[0]["results"][0]["adapted"] == []
    how["settings"] = {"training.epoch": 3}
    rows = recipes.reproduce(["baseline-lda"], str(pack.folder), tmp_path / "b", recipes.Options(quiet=True), **how)
    assert "did you mean 'epochs'" in rows[0]["error"]["hint"]


@pytest.mark.parametrize(
    ("accuracy", "interval", "sentence", "fall"),
    [
        (0.62, [0.55, 0.66], "The claim lies within our interval", "32 points [23, 38]"),
        (
            0.45,
            [0.40, 0.50],
            "Ours is 19 points lower under the protocol of the claim: Features were not scaled",
            "15 points [7, 22]",
        ),
        (
            0.80,
            [0.70, 0.90],
            "Ours is 16 points higher under the protocol of the claim: pieces of one song stand on both sides",
            "50 points [38, 61]",
        ),
    ],
)
def test_why_they_differ_is_one_sentence(accuracy, interval, sentence, fall):
    recipe = recipes.get("svm-mfcc")
    result = {
        "protocol": "segment", "as_published": True, "leaky": accuracy > 0.64, "accuracy": accuracy, "n": 100,
        "interval": interval, "adapted": [], "error": None, "part": "test", "seeds": 1, "seconds": 3.0,
    }  # fmt: skip
    row = {"recipe": "svm-mfcc", "claim": recipe.claim.model_dump(), "caveats": list(recipe.caveats), "error": None,
           "results": [result]}  # fmt: skip
    assert _reproduce.why(row).startswith(sentence)
    assert "svm-mfcc" in _reproduce.markdown([row])
    honest = {**result, "protocol": "artist", "as_published": False, "leaky": False, "accuracy": 0.3}
    honest["interval"] = [0.25, 0.36]
    # Errors of two samples of tracks add as squares: sqrt(7 ** 2 + 6 ** 2) below 32 is 23.
    assert f"From segment to artist it falls by {fall}." in _reproduce.why({**row, "results": [result, honest]})
    near = {**honest, "accuracy": accuracy - 0.02, "interval": [low - 0.02 for low in interval]}
    assert "falls" not in _reproduce.why({**row, "results": [result, near]}), "chance alone would do as much"
    assert _reproduce.why({**row, "data": "gtzan-mel"}).startswith(sentence)
    assert _reproduce.why({**row, "data": "synth"}) == "The claim is of gtzan, ours of synth, which cannot be compared."


@pytest.mark.parametrize(
    ("adapted", "told"),
    [
        (["training.epochs 3 instead of 60"], "it learnt for 3 of 60 epochs; "),
        (
            ["training.epochs 3 instead of 60", "x"],
            "it learnt for 3 of 60 epochs on the nearest that the data allows; ",
        ),
        (["x"], "it ran on the nearest that the data allows; "),
        ([], ""),
    ],
)
def test_reasons_are_what_the_run_says_of_itself(adapted, told):
    other = "the claim is of another protocol (test with 100 tracks per genre)"
    unsaid = "the claim does not say how tracks were split"
    for name, protocol in (("bian-densenet1d", unsaid), ("lam-cnn1d", other)):
        recipe = recipes.get(name)
        result = {
            "protocol": "official", "as_published": False, "leaky": False, "accuracy": 0.2, "n": 800,
            "interval": [0.15, 0.25], "adapted": adapted, "error": None,
        }  # fmt: skip
        row = {"recipe": name, "claim": recipe.claim.model_dump(), "caveats": ["Known."], "error": None,
               "results": [result]}  # fmt: skip
        assert f"lower under the protocol official: {told}{protocol}. Known." in _reproduce.why(row)


def test_a_run_made_alone_becomes_the_first_of_several_seeds(tmp_path):
    pack = table_pack(tmp_path / "pack")
    how = {"protocols": ["artist"], "settings": {"model.trees": 5}}
    options = recipes.Options(quiet=True)
    first = recipes.reproduce(["baseline-forest"], str(pack.folder), tmp_path / "out", options, **how)
    folder = tmp_path / "out" / "baseline-forest" / "artist"
    began = (folder / "metrics.json").stat().st_mtime_ns
    rows = recipes.reproduce(["baseline-forest"], str(pack.folder), tmp_path / "out", options, seeds=2, **how)
    found = rows[0]["results"][0]
    assert found["seeds"] == 2
    assert found["by_seed"][0] == pytest.approx(first[0]["results"][0]["accuracy"])
    assert (folder / "seed-0" / "metrics.json").stat().st_mtime_ns == began, "it was not trained again"
    assert not (folder / "run.json").exists()
    again = recipes.reproduce(["baseline-forest"], str(pack.folder), tmp_path / "out", options, **how)
    assert again[0]["results"][0]["seeds"] == 2, "what is there is told"
