"""From recipe to run folder: the numbers are scikit-learn's, a kill changes nothing, what does not fit is refused."""

from __future__ import annotations

import csv
import json
import shutil

import numpy as np
import pytest
from recipe_data import columns, mel_pack, table_pack
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from tonearm import protocols, recipes, runs
from tonearm.cli._root import run as tonearm
from tonearm.errors import TonearmError, UsageError
from tonearm.packs import open_pack, write_pack

FILES = {"recipe.yaml", "run.json", "split.json", "predictions-tracks.csv", "predictions-segments.csv", "metrics.json",
         "model"}  # fmt: skip


def options(**keywords) -> recipes.Options:
    return recipes.Options(**{"quiet": True, "threads": 1, "resamples": 100, **keywords})


def net(**settings):
    """A small net that learns in a second."""
    small = {
        "model.filters": [4, 8], "model.pools": [4, 4], "model.hidden": [8], "clip.frames": 30, "training.epochs": 4,
        "training.batch_size": 8, "training.precision": "float32", "training.learning_rate": 0.01,
    }  # fmt: skip
    return recipes.changed(recipes.get("njupt-cnn2d"), {**small, **settings})


def test_a_classical_run_is_what_scikit_learn_says(tmp_path):
    pack = table_pack(tmp_path / "pack", noise=2.0)
    out = recipes.run(recipes.get("baseline-rbf-svm"), str(pack.folder), tmp_path / "run", options(protocol="artist"))
    assert {path.name for path in out.iterdir()} == FILES
    split = protocols.read_split(out / "split.json")
    rows = split.rows(pack)
    fit = np.concatenate([rows[part] for part in ("train", "select") if part in rows])
    x, y = np.asarray(pack.features, float), pack.column("genre")
    model = make_pipeline(StandardScaler(), SVC(C=10.0)).fit(x[fit], y[fit])
    told = runs.read_predictions(out, "test")
    place = {name: i for i, name in enumerate(pack.ids.tolist())}
    test = [place[name] for name in told.ids]
    assert sorted(test) == rows["test"].tolist()
    answers = np.array(told.classes)[told.probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(answers, model.predict(x[test]))
    figures = runs.read_json(out / "metrics.json")["parts"]["test"]["tracks"]
    assert figures["accuracy"] == pytest.approx((answers == y[test]).mean())
    assert figures["n"] == len(test)
    assert told.groups == tuple(pack.column("artist")[test].tolist())


def test_the_folder_says_how_it_came_about(tmp_path):
    pack = table_pack(tmp_path / "pack")
    out = recipes.run(recipes.get("baseline-lda"), str(pack.folder), tmp_path / "run", options(seed=3))
    about = runs.read_json(out / "run.json")
    assert about["status"] == "finished"
    assert about["seed"] == 3
    assert about["data"]["sha256"] == pack.meta["sha256"]
    assert about["code"]["tonearm"]
    assert about["libraries"]["numpy"] == np.__version__
    assert about["machine"]["cores"] >= 1
    assert about["protocol"] == "official"
    import socket

    name = socket.gethostname()
    assert len(name) < 4 or name not in (out / "run.json").read_text()
    assert recipes.get(str(out / "recipe.yaml")) == recipes.get("baseline-lda")
    row = runs.describe(out)
    assert row["figures"]["valid"]["n"] == 24
    # The data has no test part: the part that is reported chooses nothing, another is held back for that.
    split = protocols.read_split(out / "split.json")
    assert set(split.parts) == {"train", "select", "valid"}
    assert not set(split.parts["train"]) & set(split.parts["select"])
    assert len(split.parts["train"]) + len(split.parts["select"]) == (pack.column("split") == "train").sum()


def test_logarithms_are_taken_of_the_columns_that_are_named(tmp_path):
    from tonearm import models

    pack = table_pack(tmp_path / "pack")
    out = recipes.run(recipes.get("baseline-lda"), str(pack.folder), tmp_path / "run", options())
    model = models.load(out / "model" / "classical.model")
    names = pack.feature_columns
    assert [names[i] for i in model.log_columns] == [name for name in names if name.endswith("_var")]


def test_a_net_learns_and_a_killed_run_goes_on_with_the_same_numbers(tmp_path, monkeypatch):
    pack = mel_pack(tmp_path / "pack")
    chosen = options(adapt=True, protocol="artist")
    whole = recipes.run(net(), str(pack.folder), tmp_path / "whole", chosen)
    assert runs.describe(whole)["figures"]["test"]["accuracy"] > 0.8
    about = runs.read_json(whole / "run.json")
    assert about["epochs"] == 4
    assert about["parameters"] > 100
    assert about["adapted"]

    from tonearm.recipes._progress import Progress

    original = Progress.epoch

    def killed(self, row):
        original(self, row)
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "epoch", killed)
        with pytest.raises(KeyboardInterrupt):
            recipes.run(net(), str(pack.folder), tmp_path / "cut", chosen)
    assert runs.describe(tmp_path / "cut")["status"] == "stopped"
    assert (tmp_path / "cut" / "checkpoint").is_dir()
    cut = recipes.run(net(), str(pack.folder), tmp_path / "cut", chosen)
    assert recipes.same_numbers(whole, cut)
    assert [{**row, "seconds": 0} for row in runs.read_curves(cut)] == [
        {**row, "seconds": 0} for row in runs.read_curves(whole)
    ]
    assert not (cut / "checkpoint").exists()
    before = (cut / "metrics.json").stat().st_mtime_ns
    recipes.run(net(), str(pack.folder), cut, chosen)
    assert (cut / "metrics.json").stat().st_mtime_ns == before, "a finished run is kept"
    with pytest.raises(UsageError, match="another run lies here"):
        recipes.run(net(), str(pack.folder), cut, options(adapt=True, protocol="artist", seed=1))


def test_a_run_repeated_from_its_folder_gives_the_same_numbers(tmp_path, capsys):
    pack = mel_pack(tmp_path / "pack")
    first = recipes.run(net(), str(pack.folder), tmp_path / "first", options(adapt=True, seed=2))
    assert tonearm(["train", "--repeat", str(first), "-o", str(tmp_path / "again"), "-q"]) == 0
    assert "those of the first run" in capsys.readouterr().out
    assert runs.read_json(tmp_path / "again" / "metrics.json") == runs.read_json(first / "metrics.json")
    shutil.rmtree(pack.folder)
    mel_pack(tmp_path / "pack", seed=5)
    assert tonearm(["train", "--repeat", str(first), "-o", str(tmp_path / "other"), "-q"]) == 1
    assert "whose hashes differ" in capsys.readouterr().err


def test_votes_of_clips_are_joined_to_tracks(tmp_path):
    from tonearm.evaluation import join_segments

    pack = mel_pack(tmp_path / "pack")
    for join in ("mean", "majority"):
        out = recipes.run(
            net(**{"clip.join": join, "training.epochs": 1}), str(pack.folder), tmp_path / join, options(adapt=True)
        )
        segments = runs.read_predictions(out, "valid", unit="segment")
        tracks = runs.read_predictions(out, "valid")
        assert len(segments) == 3 * len(tracks)  # 60 frames in clips of 30, half overlapping
        np.testing.assert_allclose(join_segments(segments, how=join).probabilities, tracks.probabilities, atol=1e-6)


def test_deep_features_are_fitted_on_train_alone(tmp_path, monkeypatch):
    from tonearm.models import Classical

    seen = []
    fit = Classical.fit
    monkeypatch.setattr(Classical, "fit", lambda self, x, y, **kw: (seen.append(x.shape), fit(self, x, y, **kw))[1])
    pack = mel_pack(tmp_path / "pack")
    recipe = net(deep={"kind": "knn", "neighbours": 3}, untrained=True)
    out = recipes.run(recipe, str(pack.folder), tmp_path / "run", options(adapt=True, protocol="artist"))
    sizes = runs.read_json(out / "run.json")["split"]["sizes"]
    assert seen == [(3 * sizes["train"], 8)]
    assert (out / "model" / "net.safetensors").is_file()
    assert (out / "model" / "classical.model").is_file()
    assert not (out / "curves.csv").exists()


def test_what_the_pack_lacks_is_said_and_only_adapted_when_asked(tmp_path):
    pack = mel_pack(tmp_path / "pack")
    path = str(pack.folder)
    with pytest.raises(TonearmError, match=r"frames is 60, not native.*a clip wants 128") as error:
        recipes.run(recipes.get("njupt-cnn2d"), path, tmp_path / "a", options())
    assert error.value.code == "pack-lacks"
    assert "--adapt" in error.value.hint
    with pytest.raises(TonearmError, match="it holds logmel, not raw") as error:
        recipes.run(recipes.get("padova-raw-whole"), path, tmp_path / "b", options())
    with pytest.raises(TonearmError, match="not even adapted"):
        recipes.run(recipes.get("padova-raw-whole"), path, tmp_path / "b", options(adapt=True))
    out = recipes.run(recipes.get("baseline-lda"), path, tmp_path / "c", options(adapt=True))
    assert runs.read_json(out / "metrics.json")["adapted"] == ["statistics of the pack's dB bands over time instead"]
    table = table_pack(tmp_path / "table")
    out = recipes.run(recipes.get("svm-mfcc-scaled"), str(table.folder), tmp_path / "d", options(adapt=True))
    about = runs.read_json(out / "run.json")
    assert about["columns"] == 40
    assert "the 40 columns that the table has of mfcc" in about["adapted"][0]


def test_mfcc_of_a_pack_are_librosas(tmp_path):
    import librosa

    from tonearm.recipes import open_material

    pack = mel_pack(tmp_path / "pack")
    material = open_material(recipes.get("velamati-cnn1d"), pack.folder, adapt=True)
    expected = librosa.feature.mfcc(S=pack.decoded([7])[0], n_mfcc=30)
    np.testing.assert_allclose(material.values[7], expected, rtol=1e-4, atol=1e-3)
    assert "30 MFCC by a cosine transform" in material.adapted[0]


def test_statistics_of_frames_are_those_of_numpy_and_scipy():
    from scipy import stats

    from tonearm.recipes._vectors import MOMENTS, pooled

    clips = np.random.default_rng(0).normal(-40, 10, size=(3, 5, 50)).astype(np.float32)
    found, names = pooled(clips, "moments", 4.0)
    by_name = dict(zip(names, found.T, strict=True))
    whole = clips.astype(np.float64)
    wanted = {
        "mean": whole.mean(2), "std": whole.std(2), "median": np.median(whole, 2), "min": whole.min(2),
        "max": whole.max(2), "skew": stats.skew(whole, axis=2), "kurtosis": stats.kurtosis(whole, axis=2),
    }  # fmt: skip
    assert {*MOMENTS} == {*wanted}
    for name, values in wanted.items():
        np.testing.assert_allclose(by_name[f"{name}_3"], values[:, 2], rtol=1e-4, atol=1e-5)
    found, names = pooled(clips, "mean-variance", 4.0)
    np.testing.assert_allclose(found, np.hstack([whole.mean(2), whole.var(2)]), rtol=1e-4)
    found, names = pooled(clips, "spectral", 4.0)
    correlation = np.corrcoef(librosa_dct(clips[0]))
    at = names.index("together_1")
    np.testing.assert_allclose(found[0, at], correlation[0, 1], atol=1e-4)
    assert np.isfinite(pooled(np.zeros((2, 5, 50), np.float32), "spectral", 4.0)[0]).all()


def librosa_dct(level: np.ndarray) -> np.ndarray:
    from scipy.fft import dct

    return dct(level, axis=0, norm="ortho")


def test_leaky_splits_only_on_purpose_and_always_named(tmp_path, capsys):
    pack = mel_pack(tmp_path / "pack")
    recipe = recipes.changed(recipes.get("random-cnn+svm"), {"clip.frames": 20, "model.filters": [8, 8]})
    with pytest.raises(UsageError, match="leaky"):
        recipes.run(recipe, str(pack.folder), tmp_path / "a", options(adapt=True, protocol="segment"))
    out = recipes.run(
        recipe, str(pack.folder), tmp_path / "b", options(adapt=True, protocol="segment", leaky_on_purpose=True)
    )
    assert runs.read_json(out / "metrics.json")["leaky"] is True
    split = protocols.read_split(out / "split.json")
    tracks = {part: {name.partition("#")[0] for name in ids} for part, ids in split.parts.items()}
    assert tracks["train"] & tracks["test"], "pieces of one song stand on both sides, as published"
    assert runs.read_json(out / "run.json")["leaks"]
    assert tonearm(["runs", str(out)]) == 0
    assert "(leaky)" in capsys.readouterr().out


def test_every_fit_is_checked_for_leaks(tmp_path):
    n = 36
    told = columns(n)
    told["recording"] = ["same" if i in (0, 33) else "" for i in range(n)]
    pack = table_pack(tmp_path / "pack", n=n, **told)
    with pytest.raises(protocols.LeakError, match="recording"):
        recipes.run(recipes.get("baseline-lda"), str(pack.folder), tmp_path / "run", options())


def test_data_that_cannot_be_learnt_from(tmp_path):
    lda = recipes.get("baseline-lda")
    told = columns(72)
    told["split"] = ["valid" if genre == "metal" else "train" for genre in told["genre"]]
    told["artist"] = [""] * 72
    pack = table_pack(tmp_path / "foreign", **told)
    with pytest.raises(UsageError, match="genres that train lacks: metal") as error:
        recipes.run(lda, str(pack.folder), tmp_path / "a", options())
    assert error.value.code == "classes"
    pack = table_pack(tmp_path / "one", genre=["blues"] * 72)
    with pytest.raises(TonearmError, match="all tracks are of one genre"):
        recipes.run(lda, str(pack.folder), tmp_path / "b", options())
    pack = table_pack(tmp_path / "none", genre=[""] * 72)
    with pytest.raises(TonearmError, match="no track has a genre"):
        recipes.run(lda, str(pack.folder), tmp_path / "c", options())
    pack = table_pack(tmp_path / "good")
    split = protocols.make_split(pack, "official")
    empty = protocols.Split(protocol="official", parts={**split.parts, "test": ()}, source="x")
    path = protocols.write_split(empty, tmp_path / "split.json")
    with pytest.raises(TonearmError, match="part test is empty"):
        recipes.run(lda, str(pack.folder), tmp_path / "d", options(split_file=str(path)))
    other = protocols.Split(protocol="official", parts={"train": ("x1",), "test": ("x2",)}, source="x")
    path = protocols.write_split(other, tmp_path / "other.json")
    with pytest.raises(TonearmError, match="not in the data"):
        recipes.run(lda, str(pack.folder), tmp_path / "e", options(split_file=str(path)))
    for path, message in (("/no/such/place", "no such file"), (str(tmp_path), "not the layout")):
        with pytest.raises(TonearmError, match=message):
            recipes.run(lda, path, tmp_path / "f", options())
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="something else under this name"):
        recipes.run(lda, str(pack.folder), tmp_path / "full", options())


def test_weights_that_are_wanted_are_asked_for_before_anything_is_computed(tmp_path):
    for name in ("cuny-vgg16", "cuny-vgg16-progressive"):
        with pytest.raises(TonearmError, match=f"{name}: VGG16 begins with the weights of ImageNet") as error:
            recipes.run(recipes.get(name), str(tmp_path / "not opened"), tmp_path / "run", options())
        assert error.value.code == "needs-weights"
        assert "--set model.weights=PATH" in error.value.hint
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_is_told_in_the_run(tmp_path):
    pack = mel_pack(tmp_path / "pack")
    with pytest.raises(TonearmError, match="not a number"):
        recipes.run(net(**{"training.learning_rate": 1e30}), str(pack.folder), tmp_path / "run", options(adapt=True))
    row = runs.describe(tmp_path / "run")
    assert row["status"] == "failed"
    assert row["error"]["code"] == "not-finite"


def test_a_folder_where_nothing_was_learnt_may_be_used_again(tmp_path):
    pack = table_pack(tmp_path / "pack")
    wrong = recipes.changed(recipes.get("baseline-rbf-svm"), {"model.cst": 3})
    with pytest.raises(UsageError, match="did you mean 'cost'"):
        recipes.run(wrong, str(pack.folder), tmp_path / "run", options())
    out = recipes.run(recipes.get("baseline-rbf-svm"), str(pack.folder), tmp_path / "run", options())
    assert runs.describe(out)["status"] == "finished"


def test_words_of_a_recipe_may_change_what_decides_numbers_may_not(tmp_path):
    pack = table_pack(tmp_path / "pack")
    recipe = recipes.get("baseline-logistic")
    out = recipes.run(recipe, str(pack.folder), tmp_path / "run", options())
    began = (out / "metrics.json").stat().st_mtime_ns
    other = recipes.changed(recipe, {"caveats": ["put better"], "system.title": "Another title"})
    recipes.run(other, str(pack.folder), out, options())
    # A run of an earlier version, whose key was made otherwise, is known by what lies in its folder.
    runs.write_json(out / "run.json", {**runs.read_json(out / "run.json"), "key": "of another making"})
    recipes.run(other, str(pack.folder), out, options())
    assert (out / "metrics.json").stat().st_mtime_ns == began
    with pytest.raises(UsageError, match="another run lies here"):
        recipes.run(recipes.changed(recipe, {"model.strength": 3.0}), str(pack.folder), out, options())


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    import tonearm.runs._files as files

    pack = table_pack(tmp_path / "pack")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(TonearmError, match="No space left on device"):
        recipes.run(recipes.get("baseline-lda"), str(pack.folder), tmp_path / "run", options())
    assert not list((tmp_path / "run").glob(".*")), "nothing half-written is left"


def test_seeds_and_folds_are_summed_up(tmp_path, capsys):
    pack = table_pack(tmp_path / "pack", noise=3.0)
    arguments = ["train", "baseline-forest", "--data", str(pack.folder), "--set", "model.trees=5", "-q", "--json"]
    assert tonearm([*arguments, "--seeds", "3", "--protocol", "artist", "-o", str(tmp_path / "seeds")]) == 0
    summary = json.loads(capsys.readouterr().out)
    part = summary["parts"]["test"]
    assert part["accuracy"] == pytest.approx(np.mean(part["by_seed"]))
    assert part["sd_over_seeds"] == pytest.approx(np.std(part["by_seed"], ddof=1))
    own = [runs.describe(tmp_path / "seeds" / f"seed-{i}")["figures"]["test"]["accuracy"] for i in range(3)]
    assert part["by_seed"] == pytest.approx(own)
    assert tonearm([*arguments, "--folds", "3", "--protocol", "artist", "-o", str(tmp_path / "folds")]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["parts"]["test"]["n"] == 72, "every track is test once"
    sizes = [runs.describe(tmp_path / "folds" / f"fold-{i}")["figures"]["test"]["n"] for i in (1, 2, 3)]
    mean = np.average(summary["parts"]["test"]["by_fold"], weights=sizes)
    assert summary["parts"]["test"]["accuracy"] == pytest.approx(mean)


def test_nets_on_a_table_of_statistics(tmp_path):
    pack = table_pack(tmp_path / "pack", n=240)
    recipe = recipes.changed(
        recipes.get("cuny-dense"),
        {"feature": {"kind": "statistics", "table": "gtzan"}, "vector.columns": [], "training.epochs": 12,
         "training.batch_size": 8, "training.learning_rate": 0.01, "training.precision": "float32",
         "model.dropout": 0.0, "training.monitor": "loss"},
    )  # fmt: skip
    out = recipes.run(recipe, str(pack.folder), tmp_path / "run", options())
    assert runs.describe(out)["figures"]["valid"]["accuracy"] > 0.8


def test_predictions_can_be_read_by_anything(tmp_path):
    pack = table_pack(tmp_path / "pack")
    out = recipes.run(recipes.get("baseline-nearest"), str(pack.folder), tmp_path / "run", options())
    with open(out / "predictions-tracks.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    truth = dict(zip(pack.ids.tolist(), pack.column("genre").tolist(), strict=True))
    for row in rows:
        assert row["truth"] == truth[row["id"]]
        assert sum(float(row[name]) for name in pack.classes) == pytest.approx(1, abs=1e-6)
        assert row["predicted"] == max(pack.classes, key=lambda name: float(row[name]))


def test_a_pack_of_segments_is_joined_to_tracks(tmp_path):
    whole = table_pack(tmp_path / "whole")
    told = {name: np.repeat(values, 2).tolist() for name, values in whole.columns.items()}
    told["track"] = told["id"]
    told["id"] = [f"{name}#{i % 2}" for i, name in enumerate(told["track"])]
    values = np.repeat(np.asarray(whole.features), 2, axis=0)
    meta = open_pack(whole.folder).meta
    pack = write_pack(tmp_path / "pack", values, told, feature=meta["feature"], further={"columns": meta["columns"]})
    out = recipes.run(recipes.get("baseline-logistic"), str(pack.folder), tmp_path / "run", options())
    metrics = runs.read_json(out / "metrics.json")["parts"]["valid"]
    assert metrics["tracks"]["n"] == 24
    assert metrics["segments"]["n"] == 48


def test_augmentations_change_training_and_not_what_is_judged(tmp_path):
    pack = mel_pack(tmp_path / "pack")
    masks = {"training.augment": [{"kind": "frequency-mask"}, {"kind": "mixup"}]}
    plain = recipes.run(net(), str(pack.folder), tmp_path / "plain", options(adapt=True))
    masked = recipes.run(net(**masks), str(pack.folder), tmp_path / "masked", options(adapt=True))
    again = recipes.run(net(**masks), str(pack.folder), tmp_path / "again", options(adapt=True))
    assert runs.read_curves(plain)[0]["train_loss"] != runs.read_curves(masked)[0]["train_loss"]
    assert recipes.same_numbers(masked, again)
    wrong = net(**{"training.augment": [{"kind": "gain"}]})
    with pytest.raises(UsageError, match="gain"):
        recipes.run(wrong, str(pack.folder), tmp_path / "wrong", options(adapt=True))
