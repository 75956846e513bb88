"""Several processes that share one training: one run folder, one result, written by the first of them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from recipe_data import mel_pack

from tonearm import runs
from tonearm.cli._root import run as tonearm


@pytest.mark.slow
def test_two_processes_share_a_training(tmp_path):
    pack = mel_pack(tmp_path / "pack", bands=32, frames=32)
    command = [sys.executable, "-m", "tonearm", "train", "njupt-cnn2d", "--data", str(pack.folder), "--adapt", "--json"]
    settings = ["--set", "training.epochs=2", "--set", "model.filters=[4, 4, 4, 4, 4]", "--set", "clip.frames=32"]
    how = ["--protocol", "artist", "--device", "cpu", "--devices", "2", "--threads", "1", "-o", str(tmp_path / "run")]
    done = subprocess.run([*command, *settings, *how], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)  # one line: only the first process speaks
    about = runs.read_json(tmp_path / "run" / "run.json")
    assert about["status"] == "finished"
    assert about["options"]["devices"] == 2
    assert [row["epoch"] for row in runs.read_curves(tmp_path / "run")] == [1, 2]
    assert told["figures"]["test"]["n"] == len(runs.read_predictions(tmp_path / "run", "test"))


@pytest.mark.parametrize("arguments", [["--seeds", "2"], ["--folds", "3", "--protocol", "artist"], ["--repeat", "x"]])
def test_one_training_is_shared_not_many(tmp_path, capsys, arguments):
    command = ["train", "njupt-cnn2d", "--data", "p", "--devices", "2", "-o", str(tmp_path / "run"), *arguments]
    assert tonearm(command) == 2
    assert "share one training" in capsys.readouterr().err


def test_a_stop_says_after_which_epoch_and_how_to_go_on(tmp_path, capsys, monkeypatch):
    from tonearm.recipes._progress import Progress

    pack = mel_pack(tmp_path / "pack", bands=32, frames=32)
    settings = ["--set", "training.epochs=3", "--set", "model.filters=[4, 4, 4, 4, 4]", "--set", "clip.frames=32"]
    command = ["train", "njupt-cnn2d", "--data", str(pack.folder), "--adapt", "-q", "--threads", "1", *settings]
    original = Progress.epoch

    def stopped(self, row):
        original(self, row)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "epoch", stopped)
        assert tonearm([*command, "-o", str(tmp_path / "run")]) == 130
    assert "stopped after epoch 1; what is done is kept in" in capsys.readouterr().err
    assert tonearm([*command, "-o", str(tmp_path / "run")]) == 0
    assert len(runs.read_curves(tmp_path / "run")) == 3


def test_a_device_that_is_not_there_is_said(tmp_path, capsys, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    pack = mel_pack(tmp_path / "pack", bands=32, frames=32)
    command = ["train", "njupt-cnn2d", "--data", str(pack.folder), "--adapt", "-q", "--threads", "1"]
    command += ["--set", "clip.frames=32", "-o", str(tmp_path / "run")]
    assert tonearm([*command, "--device", "gpu"]) == 2
    assert "unknown device 'gpu'" in capsys.readouterr().err
    assert tonearm([*command, "--device", "cuda"]) == 1
    assert "torch finds no cuda here" in capsys.readouterr().err
    assert runs.describe(tmp_path / "run")["status"] == "failed"
