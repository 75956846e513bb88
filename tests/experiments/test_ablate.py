"""Recipes taken apart and curves: the differences are those of the runs, and the test part stays closed."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from experiment_data import mel_pack, small_net, table_pack

from tonearm import experiments, protocols, recipes, runs
from tonearm.cli._root import run as tonearm
from tonearm.errors import UsageError
from tonearm.evaluation import paired


def options(**keywords) -> recipes.Options:
    return recipes.Options(**{"quiet": True, "threads": 1, "resamples": 200, **keywords})


SVM = "baseline-rbf-svm"
VARY = {"model.cost": [0.1, 10, 10.0], "model.scale": ["standard", "none"]}


def test_one_setting_at_a_time_against_the_recipe_as_it_is(tmp_path):
    pack = table_pack(tmp_path / "pack", n=180, noise=3.5)
    report = experiments.ablate(recipes.get(SVM), str(pack.folder), tmp_path / "a", VARY, options(), seeds=2)
    assert [cell["name"] for cell in report["cells"]] == ["as it is", "model.cost=0.1", "model.scale=none"]
    assert [axis["as_it_is"] for axis in report["axes"]] == [10.0, "standard"]
    assert {(effect["setting"], effect["value"]) for effect in report["effects"]} == {
        ("model.cost", 0.1), ("model.scale", "none")
    }  # fmt: skip
    cells = {cell["name"]: cell for cell in report["cells"]}
    effect = next(effect for effect in report["effects"] if effect["setting"] == "model.cost")
    gap = cells["model.cost=0.1"]["accuracy"] - cells["as it is"]["accuracy"]
    assert effect["difference"] == pytest.approx(gap)
    assert [effect["p_holm"] for effect in report["effects"]] == pytest.approx(
        paired.holm([effect["p_value"] for effect in report["effects"]])
    )
    # What was judged is validation: the split of the runs has no test part, and the epoch is chosen elsewhere.
    split = protocols.read_split(tmp_path / "a" / "split.json")
    assert set(split.parts) == {"train", "select", "valid"}
    assert cells["as it is"]["n"] == len(split.parts["valid"]) == (pack.column("split") == "valid").sum()
    assert runs.read_json(tmp_path / "a" / "ablation.json") == report
    run = tmp_path / "a" / "runs" / "model.cost=0.1" / "seed-1"
    assert recipes.read(run / "recipe.yaml").model["cost"] == 0.1
    assert recipes.repeat(run, tmp_path / "again", quiet=True)["figures"]["valid"]["n"] == 30
    assert recipes.same_numbers(run, tmp_path / "again")


def test_a_grid_averages_each_setting_over_the_others(tmp_path):
    pack = table_pack(tmp_path / "pack", n=180, noise=3.5)
    report = experiments.ablate(recipes.get(SVM), str(pack.folder), tmp_path / "a", VARY, options(), grid=True)
    accuracy = {cell["name"]: cell["accuracy"] for cell in report["cells"]}
    assert len(accuracy) == 4
    effect = next(effect for effect in report["effects"] if effect["setting"] == "model.scale")
    wanted = np.mean(
        [accuracy["model.scale=none"] - accuracy["as it is"],
         accuracy["model.cost=0.1, model.scale=none"] - accuracy["model.cost=0.1"]]
    )  # fmt: skip
    assert effect["over"] == 2
    assert effect["difference"] == pytest.approx(wanted)
    low, high = effect["interval"]
    assert low < effect["difference"] < high


def test_what_is_done_is_kept_and_what_fails_is_a_row(tmp_path, monkeypatch, capsys):
    pack = table_pack(tmp_path / "pack", noise=3.5)
    command = ["ablate", SVM, "--data", str(pack.folder), "-o", str(tmp_path / "a"), "-q", "--json"]
    varied = ["--vary", "model.cost=1,10", "--vary", "model.cst=3", "--vary", "model={cost: 3, width: 0.1}"]
    from tonearm.experiments import _ground

    original, made = _ground.run, []

    def stopped(recipe, *rest, **more):
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(recipe.model)
        return original(recipe, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(_ground, "run", stopped)
        assert tonearm([*command, *varied]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    half = runs.read_json(tmp_path / "a" / "ablation.json")
    assert [cell["status"] for cell in half["cells"]] == ["finished", "open", "open", "open"]
    assert any("the same command goes on" in note for note in half["notes"])
    first = next((tmp_path / "a" / "runs").glob("as_it_is*")) / "seed-0" / "metrics.json"
    before = first.stat().st_mtime_ns
    page = tmp_path / "page.html"
    assert tonearm([*command, *varied, "--html", str(page)]) == 1, "some of it failed"
    report = json.loads(capsys.readouterr().out)
    assert first.stat().st_mtime_ns == before, "a finished run is kept"
    told = {cell["name"]: cell for cell in report["cells"]}
    assert told["model.cst=3"]["status"] == "failed"
    assert "'cst'" in told["model.cst=3"]["error"]
    both = told["model={cost: 3, width: 0.1}"]
    assert recipes.read(next(iter((tmp_path / "a" / "runs").glob("model=*"))) / "seed-0" / "recipe.yaml").model == {
        "kind": "svm", "cost": 3, "width": 0.1
    }  # fmt: skip
    assert both["accuracy"] is not None
    assert "&#x27;cst&#x27;" in page.read_text()
    assert tonearm(["ablate", "baseline-lda", "--data", str(pack.folder), "-o", str(tmp_path / "a"), *varied]) == 2
    assert "another experiment lies here" in capsys.readouterr().err
    for wrong in (["--vary", "model.cost"], [], ["--vary", "model.cost=1,2", "--on", "train"]):
        assert tonearm(["ablate", SVM, "--data", str(pack.folder), "-o", str(tmp_path / "b"), *wrong]) == 2
    wrong = ["--vary", "model.cost=1,2", "--protocol", "segment"]
    assert tonearm(["ablate", SVM, "--data", str(pack.folder), "-o", str(tmp_path / "b"), *wrong]) == 2
    assert "leaky" in capsys.readouterr().err


def test_the_test_part_is_opened_only_on_demand_and_that_is_marked(tmp_path):
    good, bad = table_pack(tmp_path / "good", noise=2.0), table_pack(tmp_path / "bad", noise=2.0, broken="test")
    found = []
    for pack in (good, bad):
        out = tmp_path / f"{pack.folder.name}-out"
        report = experiments.ablate(recipes.get(SVM), str(pack.folder), out, {"model.cost": [1]}, options())
        found.append([(cell["accuracy"], cell["by_seed"], cell["interval"]) for cell in report["cells"]])
        assert all(cell["status"] == "finished" for cell in report["cells"])
    assert found[0] == found[1], "not a row of the test part was read"
    report = experiments.ablate(
        recipes.get(SVM), str(good.folder), tmp_path / "t", {"model.cost": [1]}, options(), on="test"
    )
    assert "somebody's word" in report["notes"][0]


def test_settings_have_the_defaults_of_what_they_are_for():
    from tonearm.experiments._ablate import value_of

    net = recipes.get("njupt-cnn2d")
    wanted = {
        "model.kernel_size": 3, "model.activation": "relu", "model.layers": 5, "training.optimizer": "adam",
        "training.learning_rate": 0.001, "clip.overlap": 0.5, "feature.n_mels": 128, "model.no_such": None,
    }  # fmt: skip
    assert {path: value_of(net, path) for path in wanted} == wanted
    assert experiments.parse_vary(["model.filters=[4,8],[4]", "a.b=relu,true,0.5"]) == {
        "model.filters": [[4, 8], [4]], "a.b": ["relu", True, 0.5]
    }  # fmt: skip


def test_subsets_are_nested_hold_whole_artists_and_every_genre(tmp_path):
    from tonearm.experiments._curve import subset
    from tonearm.protocols import make_split, table_of

    pack = table_pack(tmp_path / "pack", n=360)
    table = table_of(pack)
    split = make_split(table, "track", ratio=(0.8, 0, 0.2))
    artist = make_split(table, "artist", ratio=(0.8, 0, 0.2))
    genre = dict(zip(table.ids.tolist(), table.genre.tolist(), strict=True))
    by = dict(zip(table.ids.tolist(), table.artist.tolist(), strict=True))
    for whole in (split, artist):
        sets = [set(subset(whole, table, share, 1).parts["train"]) for share in (0.1, 0.25, 0.5, 1.0)]
        assert all(small <= large for small, large in itertools.pairwise(sets))
        assert all({genre[name] for name in some} == set(genre.values()) for some in sets)
    train = set(artist.parts["train"])
    half = set(subset(artist, table, 0.5, 1).parts["train"])
    assert not {by[name] for name in half} & {by[name] for name in train - half}
    assert abs(len(half) / len(train) - 0.5) < 0.15
    tracks = set(subset(split, table, 0.25, 1).parts["train"])
    assert len(tracks) == pytest.approx(0.25 * len(split.parts["train"]), abs=3)
    assert subset(split, table, 0.25, 1) == subset(split, table, 0.25, 1)
    assert subset(split, table, 0.25, 1).hash != subset(split, table, 0.25, 2).hash


def test_a_curve_over_tracks_learns_from_fewer_and_judges_the_same(tmp_path, capsys):
    pack = table_pack(tmp_path / "pack", n=180, noise=2.0, broken="test")
    page = tmp_path / "page.html"
    command = ["curve", "baseline-lda", "--data", str(pack.folder), "--at", "0.5,1", "--seeds", "2", "-q", "--json"]
    command += ["--set", "vector.log=[]", "-o", str(tmp_path / "c"), "--html", str(page)]
    assert tonearm(command) == 0
    report = json.loads(capsys.readouterr().out)
    small, large = report["points"]
    sizes = report["split"]["sizes"]
    assert large["train_tracks"] == [sizes["train"]] * 2
    assert all(0.3 * sizes["train"] < n < 0.7 * sizes["train"] for n in small["train_tracks"])
    about = runs.read_json(tmp_path / "c" / "runs" / "tracks=0.5" / "seed-0" / "run.json")
    assert about["rows"] == small["train_tracks"][0], "what chooses is held back, and not learnt from"
    assert large["gain"]["difference"] == pytest.approx(large["accuracy"] - small["accuracy"])
    assert "Accuracy of baseline-lda over training tracks" in page.read_text()
    for wrong in ("0.5,x", "2", "0"):
        assert tonearm(["curve", "baseline-lda", "--data", str(pack.folder), "--at", wrong]) == 2
    assert tonearm(["curve", "baseline-lda", "--data", str(pack.folder), "--over", "volume"]) == 2
    with pytest.raises(UsageError, match="no clips to cut"):
        experiments.curve(recipes.get("baseline-lda"), str(pack.folder), tmp_path / "d", "overlap", options())


def test_curves_over_clips_and_segments_of_a_song(tmp_path):
    from tonearm import evaluation

    pack = mel_pack(tmp_path / "pack")
    net = small_net(**{"training.epochs": 2})
    out = tmp_path / "s"
    report = experiments.curve(net, str(pack.folder), out, "segments", options(adapt=True), at=(1, 2, 99))
    assert [row["x"] for row in report["points"]] == [1, 2, 3], "a song of 40 frames has three clips of 20"
    run = next(out.glob("runs/*/seed-0"))
    told = runs.read_predictions(run, "valid")
    assert report["points"][-1]["accuracy"] == pytest.approx(evaluation.summary(told, resamples=100)["accuracy"])
    segments = runs.read_predictions(run, "valid", unit="segment")
    middle = segments.probabilities.reshape(-1, 3, 3)[:, 1].argmax(axis=1) == told.truth
    assert report["points"][0]["accuracy"] == pytest.approx(middle.mean())
    report = experiments.curve(
        small_net(**{"training.epochs": 1}), str(pack.folder), tmp_path / "l", "clip_seconds", options(adapt=True),
        at=(7.5, 15.0),
    )  # fmt: skip
    frames = [
        runs.read_json(
            next((tmp_path / "l" / "runs").glob(f"clip_seconds={at:g}*")) / "seed-0" / "model" / "model.json"
        )
        for at in (7.5, 15.0)
    ]
    assert [one["clip"]["frames"] for one in frames] == [10, 20]
    assert all(row["accuracy"] is not None for row in report["points"])
