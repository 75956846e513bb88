"""The parts of shipped models against scikit-learn, scipy and plain numpy, and the one command on a small pack."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import scipy.fft
import torch
from sklearn.kernel_ridge import KernelRidge as Peer

import tonearm
from tonearm.cli import main
from tonearm.errors import TonearmError, UsageError
from tonearm.packs import open_pack, write_pack
from tonearm.shipping import augment, graph, kernel, loop, make, opinions, recipe, small
from tonearm.shipping.net import BandNet
from tonearm.shipping.statistics import CORRELATED, SWINGS_HZ, Statistics
from tonearm.training import checkpoint

SMALL = {
    "name": "small", "title": "three kinds of noise", "pack": "noise", "feature_rate": 22050, "crops": 2,
    "seeds": [0], "net": {"width": 4, "embedding": 8},
    "training": {"steps": 15, "batch_size": 12, "crop_frames": 32, "learning_rate": 0.01, "ema_decay": 0.8},
    "kernel": {}, "figures": {"choose_folds": 2, "artist_folds": 3, "test": True},
    "card": {"must_not": ["anything"]}, "licence": "none",
}  # fmt: skip


@pytest.fixture(scope="module")
def packs(tmp_path_factory):
    """Three genres that differ in which bands move, eight artists each, and a teacher that knows the bright band."""
    folder = tmp_path_factory.mktemp("packs")
    draw = np.random.default_rng(3)
    n, frames = 72, 96
    genre = np.arange(n) % 3
    stored = draw.integers(60, 120, (n, 128, frames))
    for i in range(n):
        at = 10 + 35 * genre[i] + int(draw.integers(0, 8))
        stored[i, at : at + 20] += (60 + 60 * np.sin(np.arange(frames) * (genre[i] + 1) / 3)).astype(int)
    part = np.array(["train", "valid", "test"])[np.repeat([0, 0, 0, 0, 0, 0, 1, 2], 9)]
    columns = {
        "id": [f"t{i:03d}" for i in range(n)], "genre": [("calm", "mild", "wild")[k] for k in genre],
        "split": part.tolist(), "artist": [f"artist {i // 9}-{genre[i]}" for i in range(n)], "recording": [""] * n,
    }  # fmt: skip
    feature = {"kind": "logmel", "sample_rate": 22050, "n_mels": 128, "frames": frames, "clip_seconds": 8.0}
    write_pack(folder / "noise", np.clip(stored, 0, 255).astype(np.uint8), columns, feature=feature, name="noise",
               scale="clip-minmax")  # fmt: skip
    vectors = stored.mean(2).reshape(n, 16, 8).mean(2).astype(np.float32)
    backwards = {name: values[::-1] for name, values in columns.items()}
    write_pack(folder / "teacher", vectors[::-1].copy(), backwards, feature={"kind": "statistics"}, name="teacher")
    return folder


def test_statistics_are_those_of_numpy_and_scipy():
    draw = np.random.default_rng(0)
    x = draw.random((3, 128, 387)).astype(np.float32)
    found = Statistics(128, 387, 12.9)(torch.from_numpy(x)).numpy()
    for row, one in zip(found, x.astype(np.float64), strict=True):
        np.testing.assert_allclose(row[:128], one.mean(1), rtol=1e-5)
        np.testing.assert_allclose(row[128:256], np.log(one.std(1) + 0.01), rtol=1e-4)
        np.testing.assert_allclose(row[256:384], np.log(np.diff(one).std(1) + 0.01), rtol=1e-4)
        ranked = np.sort(one, axis=1)
        np.testing.assert_allclose(row[384:512], ranked[:, round(0.1 * 386)], rtol=1e-5)
        cepstra = scipy.fft.dct(one, axis=0, norm="ortho")[:24]
        np.testing.assert_allclose(row[640:664], cepstra.mean(1), rtol=1e-3, atol=1e-5)
        alike = np.corrcoef(cepstra[:CORRELATED])[np.triu_indices(CORRELATED, 1)]
        np.testing.assert_allclose(row[688:808], alike, atol=5e-3)  # a little is added to each deviation
        groups = one.reshape(16, 8, 387).mean(1)
        groups -= groups.mean(1, keepdims=True)
        power = np.abs(np.fft.rfft(groups * np.hanning(387), axis=1)) ** 2
        hz = np.fft.rfftfreq(387, 1 / 12.9)
        pairs = itertools.pairwise(SWINGS_HZ)
        swings = [np.log(power[:, (hz >= low) & (hz < high)].mean(1) + 1e-4) for low, high in pairs]
        np.testing.assert_allclose(row[808:952].reshape(16, 9), np.stack(swings, 1), rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(row[952], one.mean(), rtol=1e-5)


def test_kernel_ridge_is_scikit_learns():
    draw = np.random.default_rng(1)
    x, z = draw.normal(size=(80, 12)), draw.normal(size=(9, 12))
    labels = draw.integers(0, 4, 80)
    found = kernel.fit(x, labels, 4, gamma=0.6, ridge=0.2)(torch.from_numpy(z.astype(np.float32))).numpy()
    mean, scale = x.mean(0), x.std(0) + 1e-6
    wanted = np.eye(4)[labels]
    peer = Peer(alpha=0.2, kernel="rbf", gamma=0.6 / 12).fit((x - mean) / scale, wanted - wanted.mean(0))
    np.testing.assert_allclose(found, peer.predict((z - mean) / scale), atol=2e-3)  # anchors are kept in 16 bits


def test_lower_bands_put_a_tone_where_the_narrower_scale_has_it():
    import librosa

    matrix = graph.lower_bands(128, 44100, 11025.0)
    np.testing.assert_allclose(matrix.sum(1), 1, atol=1e-6)
    wide, narrow = (librosa.mel_frequencies(130, fmin=0, fmax=top)[1:-1] for top in (22050, 11025))
    # A value per band that is its own pitch comes out as the pitch of the band that it goes to.
    # (The lowest one lies below the lowest of the wide scale, and takes that one's value.)
    np.testing.assert_allclose((matrix @ wide)[1:], narrow[1:], rtol=2e-3)
    assert (matrix @ wide)[0] == pytest.approx(wide[0])


def test_rounded_weights_change_little_and_are_exact_in_16_bits():
    torch.manual_seed(0)
    net = BandNet(128, {"genre": 3}, width=8, embedding=16)
    for module in net.modules():  # as after training: norms that do something
        if isinstance(module, (torch.nn.BatchNorm2d, torch.nn.BatchNorm1d)):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    x = torch.rand(4, 128, 64)
    with torch.no_grad():
        before = net.eval()(x)["genre"].softmax(1)
        after = small.round_weights(net)(x)["genre"].softmax(1)
    assert 0 < float((before - after).abs().max()) < 2e-3
    large = [p for p in net.parameters() if p.numel() >= small.LEAST]
    assert large
    assert all(torch.equal(p, p.half().float()) for p in large)


def test_a_folded_file_says_the_same_with_fewer_nodes(tmp_path):
    import onnx

    from tonearm import runtime

    torch.manual_seed(0)
    net, statistics = BandNet(128, {"genre": 3}, width=4, embedding=8), Statistics(128, 96, 12.0)
    draw = np.random.default_rng(0)
    rows = torch.from_numpy(draw.integers(0, 256, (5, 128, 96)).astype(np.float32))
    machine = kernel.fit(statistics(rows / 255).numpy(), np.array([0, 1, 2, 0, 1]), 3, gamma=0.3, ridge=0.1)
    whole = graph.Whole([net], frames=96, crops=2, crop_frames=32, kernel=(statistics, machine), share=0.3)
    feature = {"kind": "logmel", "sample_rate": 22050, "n_mels": 128, "frames": 96, "clip_seconds": 8.0}
    info = {"name": "tiny", "classes": ["a", "b", "c"], "feature": feature, "listen": {"clip_seconds": 8.0},
            "temperature": 1.0, "threshold": 0.5, "figures": [], "licence": "none"}  # fmt: skip
    path = tmp_path / "tiny.onnx"
    runtime.write_graph(small.round_weights(whole).eval(), path, info, frames=96, free=False)
    before, nodes = tonearm.load(path).from_features(rows.numpy()), len(onnx.load(path).graph.node)
    small.fold_file(path)
    small.halve_file(path)
    folded = onnx.load(path)
    assert len(folded.graph.node) < 0.7 * nodes
    assert {node.domain for node in folded.graph.node} == {""}
    assert runtime.read_info(path)["classes"] == ["a", "b", "c"]
    for one, other in zip(before, tonearm.load(path).from_features(rows.numpy()), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    assert [some.name for some in tmp_path.iterdir()] == ["tiny.onnx"]


def test_augmentation_is_drawn_from_its_generator_alone():
    setting = recipe.Augmentation()
    stored = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (5, 128, 100)).astype(np.uint8))
    fill = torch.full((128, 1), 0.5)

    def once(seed: int) -> torch.Tensor:
        draw = np.random.default_rng(seed)
        batch = augment.crops(stored, np.array([0, 3, 4]), 40, setting, draw)
        return augment.changed(batch, fill, setting, draw)

    assert torch.equal(once(1), once(1))
    assert not torch.equal(once(1), once(2))
    quiet = setting.model_copy(update={"tempo": 0.0})
    plain = augment.crops(stored, np.array([2]), 100, quiet, np.random.default_rng(0))
    assert torch.equal(plain[0], stored[2].float() / 255)


def test_mixup_joins_targets_in_the_shares_of_the_crops():
    batch = torch.eye(4).reshape(4, 4, 1)
    mixed, (target,) = augment.mixed(batch, [torch.eye(4)], 0.4, np.random.default_rng(2))
    assert torch.allclose(mixed[:, :, 0], target)
    assert torch.allclose(target.sum(1), torch.ones(4))


def test_training_that_was_stopped_goes_on_as_if_it_had_not_been(packs, tmp_path, monkeypatch):
    setting = recipe.Recipe(**{**SMALL, "teacher": "teacher"})
    setting = setting.model_copy(update={"training": setting.training.model_copy(update={"teacher": 1.0})})
    monkeypatch.setattr(loop, "SAVE_EVERY", 10)
    shop = make._open(setting, packs, tmp_path, print)
    rows = make._rows(shop, ("train",))
    losses: dict[str, list[float]] = {"whole": [], "parts": []}
    whole = loop.train(setting, shop.material, rows, 5, tmp_path / "whole.safetensors",
                       report=lambda step, loss: losses["whole"].append(loss))  # fmt: skip

    def stop(step: int, loss: float) -> None:
        if step == 14:
            raise KeyboardInterrupt
        losses["parts"].append(loss)

    with pytest.raises(KeyboardInterrupt):
        loop.train(setting, shop.material, rows, 5, tmp_path / "parts.safetensors", report=stop)
    del losses["parts"][10:]  # the last checkpoint is of step 10
    parts = loop.train(setting, shop.material, rows, 5, tmp_path / "parts.safetensors",
                       report=lambda step, loss: losses["parts"].append(loss))  # fmt: skip
    assert losses["whole"] == losses["parts"]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[name]), name
    assert not (tmp_path / "parts.unfinished").exists()
    with pytest.raises(TonearmError, match="another training"):
        loop.train(setting, shop.material, rows[:-1], 5, tmp_path / "parts.safetensors")


def test_the_teacher_is_matched_by_id(packs, tmp_path):
    shop = make._open(recipe.Recipe(**{**SMALL, "teacher": "teacher"}), packs, tmp_path, print)
    stored = np.asarray(open_pack(packs / "noise").features, np.float64)
    wanted = stored.mean(2).reshape(72, 16, 8).mean(2)
    np.testing.assert_allclose(shop.material.vectors, wanted, atol=4)  # the pack's values were clipped at 255


def test_an_opinion_of_a_track_comes_from_other_artists():
    """All tracks of an artist have one vector and one label, both at random: the label must not find its way back."""
    draw = np.random.default_rng(4)
    artists = np.repeat(np.arange(60), 5)
    labels = np.repeat(draw.integers(0, 3, 60), 5)
    vectors = np.repeat(draw.normal(size=(60, 6)), 5, axis=0)
    rows = np.arange(0, 290)
    told = opinions.out_of_fold(vectors, labels, artists, rows)
    assert (told[290:] == 0).all()
    np.testing.assert_allclose(told[:290].sum(1), 1, atol=1e-5)
    share_right = (told[:290].argmax(1) == labels[:290]).mean()
    assert share_right < 0.6  # what the artist's own labels give away would be 1
    vectors[:, 0] = labels  # something that other artists know too
    assert (opinions.out_of_fold(vectors, labels, artists, rows)[:290].argmax(1) == labels[:290]).mean() > 0.8


def test_wanted_genres_are_label_and_opinion_in_the_shares_of_the_recipe(packs, tmp_path):
    setting = recipe.Recipe(**{**SMALL, "teacher": "teacher"})
    shop = make._open(setting, packs, tmp_path, print)
    rows = make._rows(shop, ("train",))
    plain = loop._wanted(setting.training, shop.material, rows).numpy()
    np.testing.assert_allclose(plain[rows].max(1), 0.9 + 0.1 / 3, rtol=1e-6)
    mixed = loop._wanted(setting.training.model_copy(update={"opinions": 0.25}), shop.material, rows).numpy()
    material = shop.material
    told = opinions.out_of_fold(material.vectors, material.labels, material.artists, rows)
    np.testing.assert_allclose(mixed[rows], 0.75 * plain[rows] + 0.25 * told[rows], atol=1e-6)


def test_a_refit_goes_on_from_the_net_of_the_training_part(packs, tmp_path):
    small_rate = {"steps": 2, "learning_rate": 1e-9}
    changed = {"kernel": None, "figures": {}, "fit_on": ["train", "valid"], "refit": small_rate}
    shop = make._open(recipe.Recipe(**{**SMALL, **changed}), packs, tmp_path, print)
    first = make._nets(shop, make._rows(shop, ("train",)), 0, "choose")[0]
    make._final(shop, 0)
    final = checkpoint.load(tmp_path / "nets" / "final-0-0.safetensors")[0]["net"]
    for name, value in first.named_parameters():  # at such a rate nothing moves but what norms have seen
        torch.testing.assert_close(value, final[name].reshape(value.shape), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(first.mean, final["mean"])
    assert sorted(path.name for path in (tmp_path / "nets").iterdir()) == ["choose-0.safetensors",
                                                                           "final-0-0.safetensors"]  # fmt: skip


def test_pooling_first_is_the_same_function_where_scales_are_positive():
    torch.manual_seed(1)
    one, other = (BandNet(128, {"genre": 3}, width=4, embedding=8, pool_first=first).eval() for first in (False, True))
    ordered = {name: value for name, value in one.state_dict().items() if not name.startswith("body")}
    for block in range(4):
        ordered[f"body.{block}.0.weight"] = one.state_dict()[f"body.{block}.0.weight"]
        for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"):
            ordered[f"body.{block}.2.{name}"] = one.state_dict()[f"body.{block}.1.{name}"]
    other.load_state_dict(ordered)
    x = torch.rand(2, 128, 64)
    with torch.no_grad():
        wanted = one(x)["genre"]
        torch.testing.assert_close(wanted, other(x)["genre"], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(wanted, small.round_weights(other)(x)["genre"], rtol=2e-3, atol=2e-3)
        other.body[1][2] = torch.nn.BatchNorm2d(8).eval()
        other.body[1][2].weight[3] = -1.0  # here the maximum must stay where it is
        turned = other(x)["genre"]
        torch.testing.assert_close(turned, small.round_weights(other)(x)["genre"])
        assert isinstance(other.body[1][2], torch.nn.BatchNorm2d)


def test_a_residual_net_begins_as_the_plain_one_and_keeps_its_function_in_16_bits():
    torch.manual_seed(2)
    plain = BandNet(128, {"genre": 3}, width=8, embedding=16, pool_first=True).eval()
    deep = BandNet(128, {"genre": 3}, width=8, embedding=16, pool_first=True, residual=True).eval()
    place = {0: 0, 1: 1, 2: 3, 3: 5}  # behind each block but the first stands a second convolution
    for ours, theirs in place.items():
        deep.body[theirs].load_state_dict(plain.body[ours].state_dict())
    rest = {name: value for name, value in plain.state_dict().items() if not name.startswith("body")}
    deep.load_state_dict({**deep.state_dict(), **rest})
    x = torch.rand(3, 128, 64)
    with torch.no_grad():
        torch.testing.assert_close(plain(x)["genre"], deep(x)["genre"])
        for at in (2, 4, 6):
            torch.nn.init.uniform_(deep.body[at].added[1].weight, 10, 20)
        before = deep(x)["genre"]
        assert float((before - plain(x)["genre"]).abs().max()) > 0.02
        torch.testing.assert_close(before, small.round_weights(deep)(x)["genre"], rtol=2e-3, atol=2e-3)
    assert not [m for m in deep.body.modules() if isinstance(m, torch.nn.BatchNorm2d)]


def test_a_crop_answers_as_a_whole_and_in_stretches():
    torch.manual_seed(3)
    net = BandNet(128, {"genre": 3}, width=4, embedding=8).eval()
    stored = torch.rand(2, 128, 64) * 255
    with torch.no_grad():
        logits, embedding = graph.Whole([net], frames=64, crops=1, crop_frames=64, stretches=(2,))(stored)
        maps = net.maps(stored / 255)
        assert maps.shape[2] == 8
        told = [net.heads["genre"](net.pooled(part)).log_softmax(1) for part in (maps, maps[:, :, :4], maps[:, :, 4:])]
        torch.testing.assert_close(logits, sum(told) / 3)
        torch.testing.assert_close(embedding, net.embed(stored / 255))


def test_a_trunk_has_the_net_and_training_that_its_recipe_is_given(packs, tmp_path):
    import yaml

    other = {**SMALL, "kernel": None, "figures": {}}
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(other), encoding="utf-8")
    own = {"recipe": str(tmp_path / "other.yaml"), "net": {"width": 6, "embedding": 8},
           "training": {**SMALL["training"], "steps": 3}}  # fmt: skip
    setting = recipe.Recipe(**{**SMALL, "net": {"width": 6, "embedding": 8}, "trunk": own})
    shop = make._open(setting, packs, tmp_path / "made", print)
    assert shop.trunk.body[0][0].weight.shape[0] == 6
    _, about = checkpoint.load(tmp_path / "made" / "nets" / "trunk-0.safetensors")
    assert json.loads(about["recipe"])["training"]["steps"] == 3


@pytest.mark.slow
def test_one_command_from_pack_to_a_model_that_predicts(packs, tmp_path, capsys):
    import yaml

    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(SMALL), encoding="utf-8")
    with pytest.raises(SystemExit) as end:
        main(["make", str(path), "--data", str(packs), "-o", str(tmp_path / "made"), "--json"])
    assert end.value.code == 0
    told = json.loads(capsys.readouterr().out)
    by_protocol = {(figure["protocol"], figure["part"]): figure for figure in told["figures"]}
    chosen = by_protocol["artist", "2 folds of train and valid"]
    tested = by_protocol["official", "test"]
    assert (chosen["n"], tested["n"], by_protocol["artist", "3 folds of all clips"]["n"]) == (63, 9, 72)
    assert chosen["accuracy"] > 0.6
    assert tested["accuracy_mean"] == pytest.approx(np.mean(tested["accuracy_by_seed"]))
    model = tonearm.load(told["model"])
    assert model.genres == ("calm", "mild", "wild")
    pack = open_pack(packs / "noise")
    rows = np.flatnonzero(pack.column("split") == "test")
    shares, embedding = model.from_features(np.asarray(pack.features)[rows])
    assert embedding.shape == (9, 8)
    right = np.array(model.genres)[shares.argmax(1)] == pack.column("genre")[rows]
    # The figure is of the very weights in the file.
    assert right.mean() == pytest.approx(tested["accuracy_by_seed"][0])
    nets = sorted((tmp_path / "made" / "nets").iterdir())
    times = [net.stat().st_mtime_ns for net in nets]
    again = make.make(recipe.get(str(path)), packs, tmp_path / "made")
    assert [net.stat().st_mtime_ns for net in nets] == times  # nothing is trained twice
    for one, other in zip(again["figures"], told["figures"], strict=True):
        assert one["accuracy"] == other["accuracy"]
        assert one["ece"] == pytest.approx(other["ece"], abs=1e-4)


@pytest.mark.parametrize("name", recipe.names())
def test_recipes_of_shipped_models_are_whole(name):
    one = recipe.get(name)
    assert one.name == name
    assert "test" not in one.fit_on
    assert one.card["must_not"]
    assert one.card["known_failures"]


def test_mistakes_in_a_recipe_are_told(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text("name: x\nwidht: 3\n", encoding="utf-8")
    with pytest.raises(UsageError, match="title"):
        recipe.get(str(path))
    with pytest.raises(UsageError, match="gtzan"):
        recipe.get("nothing")


def test_no_model_is_fitted_on_a_test_part(packs, tmp_path):
    setting = recipe.Recipe(**{**SMALL, "fit_on": ["train", "test"]})
    shop = make._open(setting, packs, tmp_path, print)
    with pytest.raises(UsageError, match="test part"):
        make._final(shop, 0)
