"""Any model judged on packs and audio: a run gives its own figures, and what was learnt is told."""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import judged_data as made
import numpy as np
import pytest
import soundfile
from recipe_data import columns, mel_pack, table_pack
from sklearn.metrics import accuracy_score, f1_score
from tiny_model import write_tiny

from tonearm import recipes, runs
from tonearm.cli._root import run as tonearm
from tonearm.errors import TonearmError, UsageError
from tonearm.judging.judge import evaluate
from tonearm.packs import write_pack

PROMISED = {"model", "data", "split", "protocol", "n", "accuracy", "interval", "balanced_accuracy", "f1_macro", "ece",
            "per_genre"}  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def music(tmp_path_factory):
    return made.music(tmp_path_factory.mktemp("music"))


@pytest.fixture(scope="module")
def svm_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("svm")
    pack = table_pack(folder / "pack", noise=2.0)
    recipe = recipes.get("baseline-rbf-svm")
    return recipes.run(recipe, str(pack.folder), folder / "run", made.options(protocol="artist")), pack


def same_figures(own: dict, found: dict) -> None:
    for name, value in own.items():
        if name not in ("split", "model", "data"):
            assert found[name] == value, name


def test_a_run_gives_its_own_figures(svm_run):
    run, pack = svm_run
    judged = evaluate(run, pack.folder)
    same_figures(runs.read_json(run / "metrics.json")["parts"]["test"]["tracks"], judged.figures)
    assert judged.figures["split"] == "test"
    assert judged.figures["protocol"] == "artist"
    assert set(judged.figures) >= PROMISED
    assert not judged.seen.sentences()
    json.dumps(judged.figures, allow_nan=False)


@pytest.mark.parametrize("kind", ["net", "deep", "segment"])
def test_nets_and_leaky_runs_give_their_own_figures(tmp_path, kind):
    pack = mel_pack(tmp_path / "pack", bands=32)
    recipe = made.small_net(**({"deep": {"kind": "svm"}, "untrained": True} if kind == "deep" else {}))
    leaky = {"protocol": "segment", "leaky_on_purpose": True} if kind == "segment" else {"protocol": "artist"}
    run = recipes.run(recipe, str(pack.folder), tmp_path / "run", made.options(adapt=True, **leaky))
    metrics = runs.read_json(run / "metrics.json")
    judged = evaluate(run, pack.folder)
    own = metrics["parts"]["test"][runs.unit_of(metrics, "test")]
    for name in ("n", "unit", "accuracy", "f1_macro", "confusion"):
        assert judged.figures[name] == own[name]
    np.testing.assert_allclose([judged.figures["log_loss"], judged.figures["ece"]], [own["log_loss"], own["ece"]],
                               atol=1e-6)  # fmt: skip
    if kind == "segment":
        assert judged.figures["leaky"]
        assert judged.figures["seen_in_training"]["tracks"] > 0
    elif "segments" in metrics["parts"]["test"]:
        assert judged.figures["segments"]["n"] == metrics["parts"]["test"]["segments"]["n"]


def test_what_was_learnt_is_counted_and_told(svm_run, capsys):
    run, pack = svm_run
    judged = evaluate(run, pack.folder, part="all")
    parts = runs.read_json(run / "split.json")["parts"]
    learnt = len(parts["train"]) + len(parts.get("select", ()))
    assert judged.figures["n"] == 72
    assert judged.figures["seen_in_training"]["tracks"] == learnt
    others = judged.figures["seen_in_training"]["accuracy_of_the_others"]
    assert others["n"] == 72 - learnt
    page = run.parent / "page.html"
    call = ["evaluate", str(run), "--data", str(pack.folder), "--split", "train", "--by", "artist"]
    assert tonearm([*call, "--html", str(page)]) == 0
    assert "were in the training of this model" in capsys.readouterr().err
    text = page.read_text()
    for words in ("were in the training of this model", "Accuracy by artist", "Reliability", "confusion as CSV"):
        assert words in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_artists_of_the_training_are_found_in_other_data(svm_run, tmp_path):
    run, pack = svm_run
    split = runs.read_json(run / "split.json")["parts"]
    row = {name: i for i, name in enumerate(pack.ids.tolist())}
    some = [row[name] for name in split["test"]]
    strangers = {name: [column[i] for i in some] for name, column in columns(72).items()}
    strangers["id"] = [f"new-{name}" for name in strangers["id"]]
    strangers["artist"][0] = pack.column("artist")[row[split["train"][0]]]
    write_pack(
        tmp_path / "other", np.asarray(pack.features)[some], strangers, feature=pack.feature_config,
        further={"columns": pack.feature_columns},
    )  # fmt: skip
    seen = evaluate(run, tmp_path / "other").figures["seen_in_training"]
    assert (seen["tracks"], seen["artists"]) == (0, 1)


@pytest.mark.parametrize(
    ("training", "known", "tracks"),
    [
        ({}, False, 0),
        ({"data": "music"}, True, 2),
        ({"data": ["other", {"name": "music"}], "parts": ["train", "valid"]}, True, 4),
        ({"data": "music", "protocol": "artist"}, False, 0),
        ({"data": "music", "protocol": "artist", "ids": ["treble1", "elsewhere"]}, True, 1),
        ({"data": "something-else"}, True, 0),
    ],
    ids=["nothing", "train", "parts", "a split of its own", "ids", "other data"],
)
def test_a_model_file_says_what_it_learnt_from(tmp_path, training, known, tracks):
    made.music(tmp_path / "files")
    rows = [f"files/{genre}/{genre}{i}.wav,{genre},{part},{genre}{i}"
            for i, part in ((0, "train"), (1, "valid")) for genre in ("bass", "treble")]  # fmt: skip
    (tmp_path / "music.csv").write_text("\n".join(["path,genre,split,id", *rows]))
    model = write_tiny(tmp_path / "tiny.onnx", training=training)
    seen = evaluate(model, tmp_path / "music.csv", part="all", workers=1, quiet=True).figures["seen_in_training"]
    assert (seen["known"], seen["tracks"]) == (known, tracks)


def test_by_columns_a_limit_and_predictions(svm_run, tmp_path, capsys):
    run, pack = svm_run
    call = ["evaluate", str(run), "--data", str(pack.folder), "--by", "artist", "--by", "genre"]
    assert tonearm([*call, "--predictions", str(tmp_path / "said.csv"), "--json", "--accuracy", "0.8"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert sum(row["n"] for row in found["by"]["genre"]) == found["n"]
    by_hand = {genre: row["recall"] for genre, row in found["per_genre"].items()}
    assert {row["value"]: row["accuracy"] for row in found["by"]["genre"]} == pytest.approx(by_hand)
    with open(tmp_path / "said.csv", newline="") as file:
        said = list(csv.DictReader(file))
    truth, answers = [row["truth"] for row in said], [row["predicted"] for row in said]
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, answers))
    assert found["f1_macro"] == pytest.approx(f1_score(truth, answers, average="macro"))
    assert found["coverage"]["wanted"][0]["wanted"] == 0.8
    few = evaluate(run, pack.folder, limit=6).figures
    assert few["n"] == 6
    assert {row["n"] for row in few["per_genre"].values()} == {2}


def test_a_model_file_on_a_pack_and_on_the_music_says_the_same(tiny, music, tmp_path):
    call = ["pack", "build", f"folder:{music}", "--feature", "logmel", "--set", "n_mels=24", "--set", "frames=60",
            "--clip-seconds", "6", "--dtype", "uint8", "-o", str(tmp_path / "pack"), "--quiet"]  # fmt: skip
    assert tonearm(call) == 0
    on_pack = evaluate(tiny, tmp_path / "pack")
    on_music = evaluate(tiny, f"folder:{music}", workers=1, quiet=True)
    for judged in (on_pack, on_music):
        assert judged.figures["accuracy"] == 1.0
        assert judged.figures["n"] == 6
        assert judged.figures["split"] == "all"
        assert judged.figures["calibrated"]["applied"]
        assert judged.figures["coverage"]["sure"]["threshold"] == 0.5
    order = [on_pack.tracks.ids.index(name) for name in on_music.tracks.ids]
    # A pack in bytes with one range for all clips, the model's own scale per clip: equal but for a step.
    np.testing.assert_allclose(on_pack.tracks.probabilities[order], on_music.tracks.probabilities, atol=0.02)


def test_files_that_cannot_be_used_are_told_and_not_judged(tiny, tmp_path, capsys):
    folder = made.music(tmp_path / "music", per_genre=1)
    (folder / "bass" / "broken.wav").write_bytes(b"RIFF, but no sound")
    assert tonearm(["evaluate", str(tiny), "--data", f"folder:{folder}", "--json", "--workers", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["n"] == 3
    assert [entry["path"].endswith("broken.wav") for entry in found["failed"]] == [True]


def test_a_run_on_music_hears_what_it_learnt_from(tmp_path, monkeypatch):
    monkeypatch.setenv("TONEARM_CACHE", str(tmp_path / "cache"))
    music = made.music(tmp_path / "music", per_genre=10, seconds=2.0)
    recipe = recipes.changed(recipes.get("svm-mfcc"), {"vector.pool": "mean-variance"})
    run = recipes.run(recipe, f"folder:{music}", tmp_path / "run", made.options(protocol="ratio", adapt=True))
    own = runs.read_json(run / "metrics.json")["parts"]["test"]["tracks"]
    same_figures(own, evaluate(run, f"folder:{music}", quiet=True).figures)
    # The clips of a pack are gone: heard one by one, it says the same.
    from tonearm import audio
    from tonearm.judging.predictor import open_predictor

    predictor = open_predictor(run)
    path = music / "bass" / "bass0.wav"
    said = evaluate(run, f"folder:{music}", part="all", quiet=True).tracks
    place = next(i for i, name in enumerate(said.ids) if "bass0" in name)
    np.testing.assert_allclose(predictor.on_waveforms([audio.load(path)])[0], said.probabilities[place], atol=0.02)


def test_what_does_not_fit_is_refused_in_words(svm_run, tiny, music, tmp_path):
    run, pack = svm_run
    with pytest.raises(UsageError, match=r"unknown part .*'tst'"):
        evaluate(run, pack.folder, part="tst")
    with pytest.raises(UsageError, match="unknown column 'composer'"):
        evaluate(run, pack.folder, by=["composer"])
    with pytest.raises(UsageError, match="no model is called 'nobody'"):
        evaluate("nobody", pack.folder)
    with pytest.raises(UsageError, match="no run here"):
        evaluate(tmp_path, pack.folder)
    with pytest.raises(UsageError, match="classes that the model does not know: blues, disco, metal"):
        evaluate(tiny, pack.folder)
    mel = mel_pack(tmp_path / "mel", bands=128, frames=60)
    renamed = dict(zip(("blues", "disco", "metal"), made.HERTZ, strict=True))
    write_pack(
        tmp_path / "renamed", np.asarray(mel.features),
        {**columns(48), "genre": [renamed[name] for name in columns(48)["genre"]]},
        feature=mel.feature_config, axes=mel.axes, scale=mel.meta["scale"],
    )  # fmt: skip
    with pytest.raises(TonearmError, match="n_mels is 128, not 24; it has 60 frames in 30 s, not 60 frames in 6 s"):
        evaluate(tiny, tmp_path / "renamed")
    with pytest.raises(TonearmError, match="it holds logmel, not statistics"):
        evaluate(run, mel.folder)
    about = json.loads((run / "run.json").read_text())
    half = tmp_path / "half"
    half.mkdir()
    (half / "run.json").write_text(json.dumps({**about, "status": "running"}))
    with pytest.raises(TonearmError, match="the run is running"):
        evaluate(half, pack.folder)


@pytest.mark.parametrize("genre", ["bass", "treble"])
def test_data_of_one_genre_can_be_judged(tiny, tmp_path, genre):
    low, high = made.HERTZ["treble"]
    (tmp_path / genre).mkdir()
    soundfile.write(tmp_path / genre / "one.wav", made.noise(low, high), made.RATE)
    figures = evaluate(tiny, f"folder:{tmp_path}", workers=1, quiet=True).figures
    assert figures["accuracy"] == float(genre == "treble")
    assert figures["n"] == 1
    json.dumps(figures, allow_nan=False)


def test_judging_a_model_file_or_a_classical_run_loads_nothing_heavy(svm_run, tiny, music):
    run, pack = svm_run
    code = """
import sys
from tonearm.judging.judge import evaluate
evaluate(sys.argv[1], sys.argv[2])
evaluate(sys.argv[3], sys.argv[4], workers=1, quiet=True)
print([name for name in ("torch", "sklearn", "scipy", "librosa", "onnx") if name in sys.modules])
"""
    call = [sys.executable, "-c", code, str(run), str(pack.folder), str(tiny), f"folder:{music}"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("part", ["test", "valid"])
def test_real_packs_are_judged_by_their_own_split(shared_data, tmp_path, part):
    pack = shared_data / "gtzan-stats"
    if not pack.is_dir():
        pytest.skip("gtzan-stats is not among the real data")
    run = recipes.run(recipes.get("baseline-lda"), str(pack), tmp_path / "run", made.options(protocol="official"))
    found = evaluate(run, pack, part=part).figures
    assert found["n"] == {"test": 290, "valid": 197}[part]
    assert found["interval_over"] == "artists"
    # 24 test tracks share an artist with training in the split as published, by the artists of this pack.
    assert found["seen_in_training"]["artists"] == {"test": 24, "valid": 7}[part]
