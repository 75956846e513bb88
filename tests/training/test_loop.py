"""The loop: learns by heart, resumes exactly, says what is wrong; equal seeds give equal curves."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from tonearm.errors import TonearmError, UsageError
from tonearm.models import nets
from tonearm.training import Clips, fit, join, predict, settings
from tonearm.training._rate import set_rate
from tonearm.training._state import Outcome, State
from tonearm.training.loop import _class_weights, _share


def _parts(n: int = 24, seed: int = 0) -> tuple[Clips, Clips]:
    """Two genres that differ in which half of the bands is loud; 16 bands, 24 frames."""
    draw = np.random.default_rng(seed)
    y = np.arange(n) % 2
    features = draw.normal(100, 10, size=(n, 16, 24))
    features[y == 0, :8] += 30
    features[y == 1, 8:] += 30
    features = features.astype(np.uint8)
    ids = np.array([f"t{i}" for i in range(n)])
    cut = n * 2 // 3
    rows = np.arange(n)
    return (
        Clips(features, rows[:cut], y[:cut], ids[:cut], 16),
        Clips(features, rows[cut:], y[cut:], ids[cut:], 16),
    )


def _net(seed: int = 0) -> nets.Net:
    torch.manual_seed(seed)
    return nets.create("cnn2d", (16, 16), 2, filters=(4, 8), pools=(2, 2), hidden=(8,), dropout=0.1)


def _fit(folder, net=None, **keywords):
    train, valid = _parts()
    base = {"epochs": 6, "batch_size": 8, "precision": "float32", "learning_rate": 1e-2}
    seed = keywords.pop("seed", 0)
    return fit(
        net or _net(), train, valid, train.scale(), settings(**{**base, **keywords}), folder, n_classes=2, seed=seed,
        accelerator="cpu",
    )  # fmt: skip


def _curves(outcome) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in outcome.history]


def test_learns_what_can_be_learnt(tmp_path):
    outcome = _fit(tmp_path, epochs=12)
    assert outcome.history[-1]["train_loss"] < 0.3 * outcome.history[0]["train_loss"]
    assert max(row["valid_accuracy"] for row in outcome.history) == 1.0


def test_equal_seeds_equal_curves_other_seeds_others(tmp_path):
    first, again = _fit(tmp_path / "a"), _fit(tmp_path / "b")
    assert _curves(first) == _curves(again)
    assert _curves(_fit(tmp_path / "c", seed=1)) != _curves(first)


VARIANTS = [
    {},
    {"optimizer": "sgd", "schedule": "cosine"},
    {"optimizer": "adamw", "schedule": "one-cycle", "ema_decay": 0.9, "weight_decay": 0.01},
    {"optimizer": "rmsprop", "schedule": "plateau", "plateau_patience": 1, "warmup_epochs": 2, "gradient_clip": 1.0},
]


@pytest.mark.parametrize("keywords", VARIANTS, ids=lambda keywords: keywords.get("optimizer", "adam"))
def test_a_run_that_was_killed_goes_on_as_if_it_had_not_been(tmp_path, keywords):
    whole = _fit(tmp_path / "whole", **keywords)

    class Killed(Exception):
        pass

    def kill(row):
        if row["epoch"] == 3:
            raise Killed

    train, valid = _parts()
    cfg = settings(epochs=6, batch_size=8, precision="float32", learning_rate=1e-2, **keywords)
    with pytest.raises(Killed):
        fit(_net(), train, valid, train.scale(), cfg, tmp_path / "cut", n_classes=2, accelerator="cpu", report=kill)
    # The net that goes on begins with other weights: all must come from the checkpoint.
    resumed = _fit(tmp_path / "cut", net=_net(seed=9), **keywords)
    assert _curves(resumed) == _curves(whole)
    for a, b in zip(whole.net.state_dict().values(), resumed.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_the_best_epoch_is_kept_not_the_last(tmp_path):
    outcome = _fit(tmp_path, epochs=5, learning_rate=0.3, optimizer="sgd")
    scores = [row["valid_accuracy"] for row in outcome.history]
    assert outcome.best_epoch == int(np.argmax(scores)) + 1
    train, valid = _parts()
    found, positions = predict(outcome.net, valid, train.scale())
    # One pass joined as the loop joins must give the accuracy that was written down for the best epoch.
    shares = torch.softmax(torch.from_numpy(found), 1).numpy()
    right = (join(shares, positions, len(valid), "mean").argmax(axis=1) == valid.labels).mean()
    assert right == pytest.approx(max(scores))


def test_stops_early_when_nothing_gets_better(tmp_path):
    outcome = _fit(tmp_path, epochs=50, stop_patience=3, learning_rate=1e-2)
    assert outcome.stopped == "no better for 3 epochs"
    assert len(outcome.history) == outcome.best_epoch + 3
    # A run that stopped stays stopped.
    assert len(_fit(tmp_path, epochs=50, stop_patience=3, learning_rate=1e-2).history) == len(outcome.history)


def test_schedules_follow_their_formula(tmp_path):
    rates = [row["learning_rate"] for row in _fit(tmp_path, epochs=4, schedule="cosine").history]
    # Two batches an epoch: the last of epoch e stands at e + 0.5.
    expected = [1e-2 * 0.5 * (1 + np.cos(np.pi * (e + 0.5) / 4)) for e in range(4)]
    np.testing.assert_allclose(rates, expected)


def _rate(at: float, state: State | None = None, **keywords) -> float:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    set_rate(optimizer, settings(epochs=10, learning_rate=1.0, **keywords), state, at)
    return optimizer.param_groups[0]["lr"]


def test_one_cycle_goes_up_for_three_tenths_and_down_to_nearly_nothing():
    rates = [_rate(at, schedule="one-cycle") for at in (0, 1.5, 3, 6.5, 10)]
    np.testing.assert_allclose(rates, [0.04, 0.52, 1.0, 0.5, 1e-4])
    # Warming up is laid over any schedule.
    np.testing.assert_allclose(_rate(1.0, warmup_epochs=4), 0.25, atol=1e-3)
    assert _rate(4.0, warmup_epochs=4) == 1.0


@pytest.mark.parametrize(("patience", "factor"), [(0, 0.5), (1, 0.1), (3, 0.5)])
def test_plateaus_are_those_of_torch(tmp_path, patience, factor):
    curve = np.random.default_rng(patience).integers(0, 12, 40) / 12
    peer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
        peer, mode="max", patience=patience, factor=factor, threshold=0.0, eps=0.0
    )
    state = State(tmp_path, Outcome(_net()))
    for accuracy in curve:
        state.outcome.history.append({"valid_accuracy": float(accuracy)})
        plateau.step(float(accuracy))
        found = _rate(0, state, schedule="plateau", plateau_patience=patience, plateau_factor=factor)
        assert found == pytest.approx(peer.param_groups[0]["lr"])


def _bare() -> nets.Net:
    """Without dropout: what one step does can be counted by hand."""
    torch.manual_seed(0)
    return nets.create("cnn2d", (16, 16), 2, filters=(4,), pools=(4,), hidden=(), dropout=0.0)


def _first_scores(train: Clips) -> tuple[np.ndarray, np.ndarray]:
    """Scores of the untrained net on the first epoch's only batch, and their labels."""
    ((positions, starts),) = train.epoch(len(train), 1, np.random.default_rng([0, 0]))
    with torch.no_grad():
        scores = _bare().train()(torch.from_numpy(train.cut(positions, starts, train.scale()))).double().numpy()
    return scores, train.labels[positions]


def test_smoothed_labels_and_weighted_classes_by_hand(tmp_path):
    train, _ = _parts(33)  # 11 clips of either genre, and one
    scores, labels = _first_scores(train)
    logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    one_hot = np.eye(2)[labels]
    weights = len(labels) / (2 * one_hot.sum(0))
    smooth = 0.8 * one_hot + 0.2 / 2
    expected = -(smooth * weights * logs).sum() / len(labels)
    cfg = settings(epochs=1, batch_size=len(train), precision="float32", label_smoothing=0.2, class_weights="balanced")
    valid = _parts()[1]
    outcome = fit(_bare(), train, valid, train.scale(), cfg, tmp_path, n_classes=2, accelerator="cpu")
    assert outcome.history[0]["train_loss"] == pytest.approx(expected, rel=1e-4)


def test_a_clipped_gradient_is_as_long_as_was_said(tmp_path):
    train, valid = _parts()
    cfg = settings(
        epochs=1, batch_size=len(train), precision="float32", optimizer="sgd", momentum=0.0, learning_rate=1.0,
        gradient_clip=0.01,
    )  # fmt: skip
    before = [tensor.detach().clone() for tensor in _bare().parameters()]
    outcome = fit(_bare(), train, valid, train.scale(), cfg, tmp_path, n_classes=2, accelerator="cpu")
    moved = [a.detach() - b for a, b in zip(outcome.net.parameters(), before, strict=True)]
    assert sum(float((step * step).sum()) for step in moved) ** 0.5 == pytest.approx(0.01, rel=1e-3)


def test_ema_is_the_running_mean_of_the_weights_after_each_step(tmp_path):
    train, valid = _parts()
    net, seen = _bare(), []
    cfg = settings(epochs=1, batch_size=4, precision="float32", ema_decay=0.7)
    outcome = fit(
        net, train, valid, train.scale(), cfg, tmp_path, n_classes=2, accelerator="cpu",
        step=lambda *_: seen.append(net.head.weight.detach().clone()),
    )  # fmt: skip
    assert len(seen) == 4
    expected = seen[0]
    for weight in seen[1:]:
        expected = 0.7 * expected + 0.3 * weight
    torch.testing.assert_close(outcome.net.head.weight.detach(), expected)
    assert not torch.allclose(expected, seen[-1])


def test_the_last_good_checkpoint_is_named_and_can_be_gone_on_from(tmp_path):
    train, valid = _parts()
    net = _net()
    cfg = settings(epochs=4, batch_size=8, precision="float32", learning_rate=1e-2)

    def poison(row):
        if row["epoch"] == 2:
            net.head.weight.data.fill_(np.nan)

    with pytest.raises(TonearmError, match=r"not a number in epoch 3, batch 1 \(tracks t") as error:
        fit(net, train, valid, train.scale(), cfg, tmp_path, n_classes=2, accelerator="cpu", report=poison)
    assert error.value.hint == f"the last good checkpoint is {tmp_path / 'last.safetensors'}"
    again = _fit(tmp_path, net=_net(3), epochs=4)
    assert [row["epoch"] for row in again.history] == [1, 2, 3, 4]
    assert all(np.isfinite(row["train_loss"]) for row in again.history)


def test_a_loss_that_is_no_number_stops_and_names_the_batch(tmp_path):
    train, valid = _parts()
    bad = train.features.astype(np.float32)
    bad[5] = np.nan
    broken = Clips(bad, train.rows, train.labels, train.tracks, 16)
    cfg = settings(epochs=2, batch_size=8, precision="float32")
    with pytest.raises(TonearmError, match=r"not a number in epoch 1, batch \d \(tracks .*t\d") as error:
        fit(_net(), broken, valid, valid.scale(), cfg, tmp_path, n_classes=2, accelerator="cpu")
    assert error.value.code == "not-finite"


def test_an_empty_part_is_refused(tmp_path):
    train, valid = _parts()
    none = Clips(train.features, train.rows[:0], train.labels[:0], train.tracks[:0], 16)
    for parts in ((none, valid), (train, none)):
        with pytest.raises(TonearmError, match="part is empty"):
            fit(_net(), *parts, valid.scale(), settings(), tmp_path, n_classes=2, accelerator="cpu")


def test_the_loss_of_tracks_is_that_of_their_joined_votes(tmp_path):
    outcome = _fit(tmp_path, epochs=3, monitor="track-loss")
    train, valid = _parts()
    scores, positions = predict(outcome.net, valid, train.scale())
    shares = torch.from_numpy(scores).softmax(1).numpy()
    joined = join(shares, positions, len(valid), "mean")
    expected = -np.log(joined[np.arange(len(valid)), valid.labels]).mean()
    losses = [row["valid_track_loss"] for row in outcome.history]
    assert outcome.best_epoch == int(np.argmin(losses)) + 1
    assert min(losses) == pytest.approx(expected, rel=1e-5)


def test_processes_share_batches_evenly_and_leave_none_out():
    batches = list(range(5))
    shares = [_share(batches, rank, 2) for rank in range(2)]
    assert shares == [[0, 2, 4], [1, 3, 0]]
    assert _share(batches, 0, 1) == batches


def test_class_weights_are_those_of_scikit_learn():
    labels = np.array([0, 0, 0, 1, 3, 3])
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    found = _class_weights(labels, 4, settings(class_weights="balanced")).numpy()
    np.testing.assert_allclose(found[[0, 1, 3]], expected, rtol=1e-6)
    np.testing.assert_array_equal(_class_weights(labels, 4, settings()).numpy(), np.ones(4))


def test_joining_votes_by_hand():
    p = np.array([[0.6, 0.4], [0.6, 0.4], [0.1, 0.9], [0.3, 0.7]])
    positions = np.array([0, 0, 0, 1])
    np.testing.assert_allclose(join(p, positions, 2, "mean")[0], [1.3 / 3, 1.7 / 3])
    np.testing.assert_allclose(join(p, positions, 2, "sum"), join(p, positions, 2, "mean"))
    np.testing.assert_allclose(join(p, positions, 2, "majority")[0], [2 / 3, 1 / 3], atol=1e-5)
    a, b = (0.6 * 0.6 * 0.1) ** (1 / 3), (0.4 * 0.4 * 0.9) ** (1 / 3)
    np.testing.assert_allclose(join(p, positions, 2, "log-mean")[0], [a / (a + b), b / (a + b)])


def test_clips_cover_a_row_evenly_and_scale_is_the_mean_of_train():
    train, _ = _parts()
    positions, starts = train.fixed(overlap=0.5)
    assert starts[:2].tolist() == [0, 8]
    assert len(positions) == 2 * len(train)
    scale = train.scale("band")
    values = train.features[train.rows].astype(float)
    np.testing.assert_allclose(scale.mean[:, 0], values.mean(axis=(0, 2)), rtol=1e-5)
    np.testing.assert_allclose(scale.deviation[:, 0], values.std(axis=(0, 2)), rtol=1e-4)
    cut = train.cut([3], [5], scale)[0]
    np.testing.assert_allclose(cut, (values[3][:, 5:21] - scale.mean) / scale.deviation, rtol=1e-4)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number at least 1"),
        ({"learning_rate": -1}, "learning_rate must be above 0"),
        ({"optimizer": "adan"}, "did you mean 'adam'"),
        ({"learing_rate": 1}, "did you mean 'learning_rate'"),
        ({"ema_decay": 1.0}, "ema_decay must be below 1"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"augment": "time-mask"}, "augment is a list of augmentations, not 'time-mask'"),
        ({"augment": {"kind": "time-mask"}}, "augment is a list"),
        ({"augment": ["time-mask"]}, "augment is a list"),
        ({"augment": 3}, "augment is a list"),
    ],
)
def test_wrong_settings_are_refused(keywords, message):
    with pytest.raises(UsageError, match=message):
        settings(**keywords)


def test_a_full_disk_is_said_and_the_old_checkpoint_stays(tmp_path, monkeypatch):
    from tonearm.training import checkpoint

    _fit(tmp_path, epochs=1)
    before = (tmp_path / "last.safetensors").read_bytes()

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(TonearmError, match="No space left"):
        _fit(tmp_path, epochs=2)
    assert (tmp_path / "last.safetensors").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_a_folder_of_another_net_is_refused(tmp_path):
    _fit(tmp_path, epochs=1)
    shutil.copy(tmp_path / "last.safetensors", tmp_path / "copy")
    (tmp_path / "last.safetensors").write_bytes(b"rubbish")
    with pytest.raises(TonearmError, match="not a checkpoint"):
        _fit(tmp_path, epochs=2)
