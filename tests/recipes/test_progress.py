"""What a training shows while it runs: curves, stages, TensorBoard where it is installed."""

from __future__ import annotations

import sys
import types

import pytest

from tonearm import recipes, runs
from tonearm.recipes import _progress
from tonearm.recipes._progress import Progress, curve


def row(epoch: int, **more: float) -> dict[str, float]:
    return {
        "epoch": epoch, "train_loss": 2.0 / epoch, "train_accuracy": 0.1 * epoch, "learning_rate": 0.001,
        "valid_loss": 2.5 / epoch, "valid_accuracy": 0.08 * epoch, "seconds": 2.0, **more,
    }  # fmt: skip


def made(tmp_path, quiet=False) -> Progress:
    recipe = recipes.changed(recipes.get("njupt-cnn2d"), {"training.epochs": 5})
    return Progress(recipe, tmp_path, quiet=quiet)


def test_a_curve_is_blocks_from_the_lowest_to_the_highest():
    assert curve([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert curve([3, 1, 2]) == "█▁▅"
    assert curve([2.0, 2.0]) == "▄▄"
    many = curve([float(i) for i in range(1000)])
    assert len(many) == 32
    assert many[0] == "▁"
    assert many[-1] == "█"
    assert list(many) == sorted(many, key=_progress.BLOCKS.index)


def test_the_screen_shows_all_curves_and_where_it_stands(tmp_path, monkeypatch):
    monkeypatch.setattr(_progress.importlib.util, "find_spec", lambda name: None)
    progress = made(tmp_path, quiet=True)
    progress.step(3, 9, 1.234)
    assert progress.screen() == ["njupt-cnn2d: epoch 1/5, batch 3/9, loss 1.234"]
    progress.epoch(row(1))
    progress.epoch(row(2))
    progress.step(1, 9, 0.5)
    lines = progress.screen()
    titles = ("loss", "validation loss", "accuracy", "validation accuracy")
    assert all(line.strip().startswith(title) for line, title in zip(lines, titles, strict=False))
    assert "1.000  █▁" in lines[0]
    assert lines[0].endswith("best 1.000")
    assert "0.160  ▁█" in lines[3]
    assert lines[3].endswith("best 0.160")
    assert lines[4] == (
        "njupt-cnn2d: epoch 2/5, rate 0.001, 2.0 s each, at most 0:06 left; batch 1/9, loss 0.500"
    )  # fmt: skip
    assert [int(old["epoch"]) for old in runs.read_curves(tmp_path)] == [1, 2]


def test_rows_of_two_stages_stand_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(_progress.importlib.util, "find_spec", lambda name: None)
    progress = made(tmp_path)
    for stage in (1, 2):
        for epoch in (1, 2):
            progress.epoch({"stage": stage, **row(epoch)})
    assert "stage 1, epoch 1/5" in capsys.readouterr().err
    again = made(tmp_path, quiet=True)  # gone on with after a kill in the second stage
    again.epoch({"stage": 2, **row(2)})
    places = [(old["stage"], old["epoch"]) for old in runs.read_curves(tmp_path)]
    assert places == [(1, 1), (1, 2), (2, 1), (2, 2)]


def test_tensorboard_is_written_where_it_is_installed(tmp_path, monkeypatch):
    written = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            written.append(("from", folder.name, purge_step))

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        flush = close = lambda self: None

    monkeypatch.setattr(_progress.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=SummaryWriter))
    progress = made(tmp_path, quiet=True)
    progress.epoch(row(1))
    progress.epoch(row(2))
    progress.close()
    assert written[0] == ("from", "tensorboard", 1)
    assert ("valid_accuracy", 0.16, 2) in written
    assert not [name for name, *_ in written if name == "epoch"]


def test_tensorboard_itself_reads_what_was_written(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    progress = made(tmp_path, quiet=True)
    progress.epoch(row(1))
    progress.epoch(row(2))
    progress.close()
    read = EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    assert [(one.step, round(one.value, 6)) for one in read.Scalars("valid_loss")] == [(1, 2.5), (2, 1.25)]
