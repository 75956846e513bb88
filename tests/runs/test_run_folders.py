"""Run folders: written whole, read back as they were, listed with what failed."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tonearm import evaluation, runs
from tonearm.cli._root import run as tonearm
from tonearm.errors import TonearmError


def _predictions(unit: str = "track", ids: tuple = ("b", "a", "c,d")) -> evaluation.Predictions:
    shares = np.array([[0.7, 0.2, 0.1], [1 / 3, 1 / 3, 1 / 3], [0.0, 0.0, 1.0]])
    classes = ("Hip-Hop", 'say "jazz"', "truth")
    return evaluation.checked_predictions(ids, np.array([0, 1, 2]), shares, classes, groups=["x", "", "x"], unit=unit)


def test_predictions_come_back_as_they_were(tmp_path):
    one = _predictions()
    runs.write_predictions(tmp_path / "predictions-tracks.csv", {"valid": one, "test": one})
    for part in ("valid", "test"):
        found = runs.read_predictions(tmp_path, part)
        assert found.ids == one.ids
        assert found.classes == one.classes
        assert found.groups == one.groups
        np.testing.assert_array_equal(found.truth, one.truth)
        np.testing.assert_allclose(found.probabilities, one.probabilities, atol=1e-9)
    segments = _predictions("segment", ("a", "a", "a"))
    segments = evaluation.checked_predictions(
        segments.ids, np.zeros(3, int), segments.probabilities, segments.classes, unit="segment"
    )
    runs.write_predictions(tmp_path / "predictions-segments.csv", {"test": segments})
    assert runs.read_predictions(tmp_path, "test", unit="segment").unit == "segment"
    with pytest.raises(TonearmError, match="no predictions of the part 'train'"):
        runs.read_predictions(tmp_path, "train")
    (tmp_path / "predictions-tracks.csv").write_text("id,part\n1,2\n")
    with pytest.raises(TonearmError, match="not a table of predictions"):
        runs.read_predictions(tmp_path, "test")
    with pytest.raises(TonearmError, match="no such file"):
        runs.read_predictions(tmp_path / "none", "test")


def test_curves_come_back_to_the_last_digit(tmp_path):
    rows = [{"epoch": 1, "train_loss": 1 / 3, "seconds": 0.1}, {"epoch": 2, "train_loss": 1e-17, "seconds": 2.0}]
    runs.write_curves(tmp_path / "curves.csv", rows)
    assert runs.read_curves(tmp_path) == rows
    assert runs.read_curves(tmp_path / "none") == []


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    import tonearm.runs._files as files

    runs.write_json(tmp_path / "a.json", {"old": 1})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(TonearmError, match="No space left"):
        runs.write_json(tmp_path / "a.json", {"new": 2})
    assert runs.read_json(tmp_path / "a.json") == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_numbers_that_json_lacks_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        runs.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_runs_are_listed_with_those_that_broke(tmp_path, capsys):
    about = {
        "recipe": "r", "data": {"name": "d"}, "protocol": "artist", "leaky": False, "seed": 1, "adapted": [],
        "status": "failed", "error": {"code": "not-finite", "message": "the loss is not a number"},
    }  # fmt: skip
    runs.write_json(tmp_path / "b" / "seed-1" / "run.json", about)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run.json").write_text("{")
    runs.write_json(tmp_path / "c" / "run.json", {"status": "finished"})
    assert tonearm(["runs", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["status"] for row in rows] == ["unreadable", "failed", "unreadable"]
    assert rows[1]["error"]["code"] == "not-finite"
    assert tonearm(["runs", str(tmp_path)]) == 0
    assert "failed: the loss is not a number" in capsys.readouterr().out
    assert tonearm(["runs", str(tmp_path / "none")]) == 1
    (tmp_path / "empty").mkdir()
    assert tonearm(["runs", str(tmp_path / "empty")]) == 0


def test_the_machine_is_told_without_names():
    import getpass
    import socket

    told = json.dumps([runs.machine(), runs.libraries(), runs.code_version()])
    for name in (socket.gethostname(), getpass.getuser()):
        assert len(name) < 5 or name not in told
    assert runs.machine()["cores"] >= 1
    assert runs.libraries()["numpy"] == np.__version__
