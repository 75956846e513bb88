import csv
import json

import numpy as np
import pytest
import soundfile
from report_data import GENRES, check_page, make_run, mel_pack

from tonearm import runs
from tonearm.cli._root import run
from tonearm.errors import TonearmError, UsageError
from tonearm.reports.run_page import run_page


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    return mel_pack(tmp_path_factory.mktemp("data") / "pack")


@pytest.fixture(scope="module")
def net(tmp_path_factory, pack):
    return make_run(tmp_path_factory.mktemp("net") / "run", pack)


def test_a_net_has_every_part(net, pack):
    page = check_page(run_page(net))
    headings = [a["id"] for a in page.all("h2")]
    assert headings == ["what-was-done", "learning-curves", "genre-by-genre", "what-is-taken-for-what",
                        "how-sure-it-may-be", "the-most-confident-mistakes", "artists-it-fails-on",
                        "what-it-cost"]  # fmt: skip
    assert "321 MB" in page.text
    assert "1,234 parameters" in page.text
    assert "kept: epoch 2" in page.text
    assert "40 bands instead of 128" in page.text
    assert "=Love <script>alert(1)</script>" in page.text or "Song" in page.text


def test_figures_are_those_of_the_run(net):
    page = check_page(run_page(net))
    metrics = runs.read_json(net / "metrics.json")["parts"]["test"]["tracks"]
    assert f"{100 * metrics['accuracy']:.1f} % are right" in page.text
    genres = {row["genre"]: row for row in page.table("genres")}
    for name in GENRES:
        for key in ("precision", "recall", "f1"):
            assert float(genres[name][key]) == pytest.approx(metrics["per_genre"][name][key], abs=1e-5)
        assert float(genres[name]["f1_low"]) == pytest.approx(metrics["per_genre"][name]["f1_interval"][0], abs=1e-5)
    counts = [[int(row[name]) for name in GENRES] for row in page.table("confusion")]
    assert counts == metrics["confusion"]["counts"]
    curves = page.table("curves")
    assert [float(row["valid_accuracy"]) for row in curves] == pytest.approx([0.38, 0.46, 0.54, 0.62])
    figures = {(row["figure"], row["part"]): float(row["value"]) for row in page.table("figures")}
    assert figures["accuracy", "test"] == pytest.approx(metrics["accuracy"], abs=1e-5)


def test_mistakes_are_all_wrong_ones_by_confidence(net):
    page = check_page(run_page(net))
    with open(net / "predictions-tracks.csv", encoding="utf-8", newline="") as file:
        told = [row for row in csv.DictReader(file) if row["part"] == "test"]
    wrong = {row["id"]: row for row in told if row["truth"] != row["predicted"]}
    mistakes = page.table("mistakes")
    assert {row["id"] for row in mistakes} == set(wrong)
    shares = [float(row["probability"]) for row in mistakes]
    assert shares == sorted(shares, reverse=True)
    assert all(row["answer"] == wrong[row["id"]]["predicted"] for row in mistakes)
    artists = page.table("artists")
    assert sum(int(row["wrong"]) for row in artists) == len(wrong)
    assert sum(int(row["tracks"]) for row in artists) == len(told)


def test_calibration_is_that_of_evaluation(net):
    from tonearm.evaluation.calibration import coverage_accuracy, reliability

    page = check_page(run_page(net))
    some = runs.read_predictions(net, "test")
    bins = reliability(some.truth, some.probabilities)
    assert [float(row["accuracy"]) for row in page.table("reliability")] == pytest.approx(
        [one.accuracy for one in bins], abs=1e-5
    )
    curve = coverage_accuracy(some.truth, some.probabilities)
    last = page.table("coverage")[-1]
    assert float(last["coverage"]) == 1.0
    assert float(last["accuracy"]) == pytest.approx(curve.accuracy[-1], abs=1e-5)
    for row in page.table("coverage"):
        assert float(row["low"]) <= float(row["accuracy"]) <= float(row["high"])


def test_seeds_are_averaged_and_counted(tmp_path, pack):
    for seed in range(3):
        make_run(tmp_path / f"seed-{seed}", pack, seed=seed, good=1.0)
    about = {"recipe": "x", "seeds": [0, 1, 2], "runs": ["seed-0", "seed-1", "seed-2"], "parts": {}}
    runs.write_json(tmp_path / "summary.json", about)
    page = check_page(run_page(tmp_path))
    each = [runs.read_json(tmp_path / f"seed-{s}" / "metrics.json")["parts"]["test"]["tracks"] for s in range(3)]
    mean = np.mean([one["accuracy"] for one in each])
    assert f"{100 * mean:.1f} % are right" in page.text
    assert "3 trainings that differ in nothing but their seed (0, 1, 2)" in page.text
    total = np.sum([one["confusion"]["counts"] for one in each], axis=0)
    assert [[int(row[name]) for name in GENRES] for row in page.table("confusion")] == total.tolist()
    f1 = {row["genre"]: float(row["f1"]) for row in page.table("genres")}
    assert f1["blues"] == pytest.approx(np.mean([one["per_genre"]["blues"]["f1"] for one in each]), abs=1e-5)
    assert "Wrong under" in page.text
    assert len(page.table("curves")) == 12


def test_folds_are_one_test(tmp_path, pack):
    for fold in (1, 2):
        make_run(tmp_path / f"fold-{fold}", pack, fold=fold, epochs=0, parts=("test",))
    runs.write_json(tmp_path / "summary.json", {"recipe": "x", "folds": 2, "runs": ["fold-1", "fold-2"]})
    page = check_page(run_page(tmp_path))
    assert "every track was judged once" in page.text
    assert sum(int(row["n"]) for row in page.table("genres")) == 30


def test_a_classical_run_without_its_pack(tmp_path):
    pack = mel_pack(tmp_path / "pack")
    folder = make_run(tmp_path / "run", pack, epochs=0)
    runs.write_json(folder / "run.json", {**runs.read_json(folder / "run.json"), "data": {
        **runs.read_json(folder / "run.json")["data"], "source": str(tmp_path / "gone")}})  # fmt: skip
    page = check_page(run_page(folder))
    assert "learning-curves" not in [a["id"] for a in page.all("h2")]
    assert not any("Spectrogram" in svg for svg in page.svgs)
    with_pack = check_page(run_page(folder, data=tmp_path / "pack"))
    assert any("Spectrogram of" in svg for svg in with_pack.svgs)


def test_sound_is_in_the_page(tmp_path, net, pack):
    rate, sound = 22050, tmp_path / "sound"
    sound.mkdir()
    for name in pack.ids.tolist():
        soundfile.write(sound / f"{name}.wav", 0.1 * np.sin(np.arange(8 * rate) / 20), rate)
    broken = check_page(run_page(net)).table("mistakes")[0]["id"]
    (sound / f"{broken}.wav").write_bytes(b"RIFF no sound")
    page = check_page(run_page(net, audio=str(sound)))
    players = page.all("audio")
    assert players
    assert all(player["src"].startswith("data:audio/") for player in players)
    assert all(len(player["src"]) < 60_000 for player in players)
    assert "cannot be heard" in page.text
    (tmp_path / "empty").mkdir()
    with pytest.raises(TonearmError, match="named by an id"):
        run_page(net, audio=str(tmp_path / "empty"))
    (tmp_path / "others" / "a genre").mkdir(parents=True)
    soundfile.write(tmp_path / "others" / "a genre" / "somebody else.wav", np.ones(8000), 8000)
    with pytest.raises(TonearmError, match="named by an id"):
        run_page(net, audio=f"folder:{tmp_path / 'others'}")


def test_all_right_and_all_wrong(tmp_path, pack):
    right = check_page(run_page(make_run(tmp_path / "right", pack, good=50)))
    assert "There are none" in right.text
    wrong = check_page(run_page(make_run(tmp_path / "wrong", pack, good=-50)))
    assert "0.0 % are right" in wrong.text


def test_one_class_missing_in_test(tmp_path, pack):
    folder = make_run(tmp_path / "run", pack)
    lines = (folder / "predictions-tracks.csv").read_text().splitlines()
    kept = [lines[0], *(line for line in lines[1:] if ",test,blues," not in line)]
    (folder / "predictions-tracks.csv").write_text("\n".join(kept) + "\n")
    from tonearm import evaluation

    figures = {part: {"tracks": evaluation.summary(runs.read_predictions(folder, part), resamples=200)}
               for part in ("valid", "test")}  # fmt: skip
    runs.write_json(folder / "metrics.json", {**runs.read_json(folder / "metrics.json"), "parts": figures})
    page = check_page(run_page(folder))
    assert {row["genre"]: row["n"] for row in page.table("genres")}["blues"] == "0"


def test_the_command_writes_beside_the_run(net, capsys, tmp_path):
    assert run(["report", str(net), "-o", str(tmp_path / "page.html")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "page.html")
    check_page((tmp_path / "page.html").read_text(encoding="utf-8"))


def test_mistakes_of_users_are_told(tmp_path, pack, net, capsys):
    make_run(tmp_path / "many" / "a", pack)
    make_run(tmp_path / "many" / "b", pack, seed=1)
    make_run(tmp_path / "failed", pack, status="failed")
    (tmp_path / "empty").mkdir()
    broken = make_run(tmp_path / "broken", pack)
    (broken / "metrics.json").write_text(json.dumps({"parts": {}}))
    with pytest.raises(UsageError, match="2 runs below it"):
        run_page(tmp_path / "many")
    wrong = {"failed": "not finished: failed: broke", "empty": "no run here", "gone": "no such folder",
             "broken": "not a whole run"}  # fmt: skip
    for folder, words in wrong.items():
        assert run(["report", str(tmp_path / folder)]) == 1
        error = capsys.readouterr().err
        assert words in error
        assert "Traceback" not in error
    assert run(["report", str(net), "-o", str(tmp_path / "x.pdf")]) == 2
    assert run(["report", str(net), "--data", str(tmp_path / "gone"), "-o", str(tmp_path / "x.html")]) == 1


def test_paper_has_no_players(net):
    style = run_page(net).split("<style>")[1].split("</style>")[0]
    assert style.rindex(".screen, audio { display: none; }") > style.rindex("audio { display: block;")
