"""The summary holds the promised keys, scikit-learn's numbers and nothing that JSON cannot."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.metrics import classification_report

from tonearm.errors import TonearmError
from tonearm.evaluation import accuracy_by, checked_predictions, join_segments, rate_interval, summary

PROMISED = ("model", "data", "split", "protocol", "n", "accuracy", "interval", "balanced_accuracy", "f1_macro", "ece")


def made(truth, probabilities, **changes):
    names = [f"genre {index}" for index in range(probabilities.shape[1])]
    return checked_predictions([f"t{index}" for index in range(len(truth))], truth, probabilities, names, **changes)


def test_every_case_gives_plain_json(case):
    truth, probabilities = case
    found = summary(made(truth, probabilities), model="m", data="d", split="s", protocol="track", resamples=300)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert set(PROMISED) <= set(found)
    assert found["n"] == len(truth)
    assert found["interval"][0] <= found["accuracy"] <= found["interval"][1]
    assert found["interval"] == rate_interval(probabilities.argmax(axis=1) == truth, resamples=300).pair()
    for row in found["per_genre"].values():
        assert {"precision", "recall", "f1", "n"} <= set(row)
        for name in ("precision", "recall", "f1"):
            low, high = row[f"{name}_interval"]
            if row[name] is None:
                assert low is None
                assert high is None
            elif low is not None:
                assert 0 <= low < high <= 1
                assert low - 1e-9 <= row[name] <= high + 1e-9
    for name, (low, high) in found["intervals"].items():
        if len(truth) > 1:
            assert low - 1e-9 <= found[name] <= high + 1e-9, name


def test_numbers_are_those_of_the_report_of_scikit_learn(draw):
    truth, probabilities = draw(400, 6)
    found = summary(made(truth, probabilities))
    names = [f"genre {index}" for index in range(6)]
    report = classification_report(truth, probabilities.argmax(axis=1), target_names=names, output_dict=True)
    assert found["accuracy"] == pytest.approx(report["accuracy"])
    for average in ("macro", "weighted"):
        for ours, theirs in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            assert found[f"{ours}_{average}"] == pytest.approx(report[f"{average} avg"][theirs])
    for name in names:
        assert found["per_genre"][name]["f1"] == pytest.approx(report[name]["f1-score"])
        assert found["per_genre"][name]["n"] == report[name]["support"]
    assert set(found["top_k"]) == {"3", "5"}
    assert np.trace(found["confusion"]["counts"]) == round(found["accuracy"] * 400)


def test_a_genre_without_tracks_is_null_and_all_right_is_not_certain():
    probabilities = np.eye(3)[[0] * 8 + [1] * 4] * 0.9 + 0.1 / 3
    found = summary(made(probabilities.argmax(axis=1), probabilities))["per_genre"]
    assert found["genre 2"]["recall"] is None
    assert found["genre 2"]["recall_interval"] == [None, None]
    assert found["genre 0"]["recall_interval"] == [pytest.approx(0.025 ** (1 / 8)), 1.0]
    share = 0.025 ** (1 / 4)
    assert found["genre 1"]["f1_interval"] == [pytest.approx(2 * share / (1 + share)), 1.0]


def test_one_track_says_little():
    found = summary(made(np.array([1]), np.array([[0.2, 0.7, 0.1]])))
    assert found["interval"] == [pytest.approx(0.025), 1.0]
    assert found["intervals"]["f1_macro"] == [pytest.approx(0.025), 1.0]
    assert found["intervals"]["log_loss"] == [None, None]
    assert found["roc_auc_macro"] is None


def test_one_artist_says_nothing_of_others(draw):
    truth, probabilities = draw(60, 3, skill=0.8)
    found = summary(made(truth, probabilities, groups=["a"] * 60))
    assert found["interval"] == found["intervals"]["f1_macro"] == found["intervals"]["balanced_accuracy"] == [0.0, 1.0]
    assert found["per_genre"]["genre 0"]["recall_interval"] == [0.0, 1.0]
    assert found["intervals"]["log_loss"] == [None, None]
    # One artist of a genre among many of others.
    groups = ["a" if index == 0 else f"b{row}" for row, index in enumerate(truth)]
    found = summary(made(truth, probabilities, groups=groups))["per_genre"]
    assert found["genre 0"]["recall_interval"] == [0.0, 1.0]
    assert found["genre 1"]["recall_interval"] != [0.0, 1.0]


def segments(n_tracks=60, each=10):
    """Segments that are right or wrong together, as those of one track are."""
    generator = np.random.default_rng(0)
    truth = generator.integers(0, 4, n_tracks)
    answer = np.where(generator.random(n_tracks) < 0.6, truth, (truth + 1) % 4)
    probabilities = np.repeat(np.eye(4)[answer] * 0.8 + 0.05, each, axis=0)
    return checked_predictions(
        [f"t{index}" for index in np.repeat(np.arange(n_tracks), each)],
        np.repeat(truth, each),
        probabilities,
        list("abcd"),
        unit="segment",
    )


def test_segments_do_not_count_as_independent():
    parts = segments()
    per_segment, per_track = summary(parts), summary(join_segments(parts))
    assert (per_segment["unit"], per_segment["n"], per_segment["interval_groups"]) == ("segment", 600, 60)
    assert (per_track["unit"], per_track["n"], per_track["interval_groups"]) == ("track", 60, 60)
    assert per_segment["accuracy"] == pytest.approx(per_track["accuracy"])
    np.testing.assert_allclose(per_segment["interval"], per_track["interval"])


def test_artists_make_the_interval(draw):
    truth, probabilities = draw(300, 4)
    groups = [f"artist {index // 6}" if index < 290 else "" for index in range(300)]
    found = summary(made(truth, probabilities, groups=groups))
    assert (found["interval_over"], found["interval_groups"]) == ("artists", 49 + 10)
    assert summary(made(truth, probabilities))["interval_over"] == "tracks"


def test_accuracy_by_column_sorts_the_worst_first(draw):
    truth, probabilities = draw(300, 4)
    groups = [f"artist {index // 30}" for index in range(300)]
    chosen = made(truth, probabilities, groups=groups)
    correct = probabilities.argmax(axis=1) == truth
    by_artist = accuracy_by(chosen, groups)
    assert [row["accuracy"] for row in by_artist] == sorted(row["accuracy"] for row in by_artist)
    for row in by_artist:
        own = correct[np.array(groups) == row["value"]]
        assert (row["n"], row["accuracy"]) == (30, pytest.approx(own.mean()))
        assert row["interval"] == rate_interval(own).pair()
    by_genre = {row["value"]: row for row in accuracy_by(chosen, [f"g{index}" for index in truth])}
    per_genre = summary(chosen)["per_genre"]
    for index in range(4):
        assert by_genre[f"g{index}"]["accuracy"] == pytest.approx(per_genre[f"genre {index}"]["recall"])
    with pytest.raises(TonearmError, match="lengths differ"):
        accuracy_by(chosen, ["x"])


def test_accuracy_by_artist_of_segments():
    parts = segments(n_tracks=20)
    by_track = accuracy_by(parts, parts.ids)
    assert len(by_track) == 20
    assert all(row["n"] == 10 for row in by_track)
    assert {tuple(row["interval"]) for row in by_track} <= {(0.025, 1.0), (0.0, 0.975)} | {
        tuple(rate_interval([value]).pair()) for value in (0, 1)
    }


def test_eight_thousand_tracks_take_seconds(draw):
    truth, probabilities = draw(8000, 8)
    start = time.process_time()
    summary(made(truth, probabilities, groups=[f"artist {index // 3}" for index in range(8000)]))
    assert time.process_time() - start < 3


def test_evaluation_is_light():
    code = "import sys, tonearm.evaluation; print(*sorted({'sklearn', 'scipy', 'torch', 'pandas'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
