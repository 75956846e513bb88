"""From a run to a model file: the same answers as the run gave, and a clear word for what has no such form."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
from recipe_data import GENRES, mel_pack, table_pack
from tiny_model import tiny_info

import tonearm
from tonearm import evaluation, recipes, runs, runtime
from tonearm.cli._root import run as command
from tonearm.errors import TonearmError

torch = pytest.importorskip("torch")

SMALL = {
    "name": "small", "system": {"title": "small"}, "feature": {"kind": "logmel", "frames": 60},
    "clip": {"frames": 24, "overlap": 0.5, "join": "log-mean", "scale": "band"},
    "model": {"kind": "cnn2d", "filters": [4], "pools": [4], "global_pool": True, "hidden": [6]},
    "training": {"epochs": 2, "batch_size": 16, "precision": "float32"},
}  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export")
    mel_pack(folder / "mel", bands=128)
    table_pack(folder / "table", n=36)
    options = recipes.Options(quiet=True, threads=1)
    recipes.run(recipes.from_config(SMALL), folder / "mel", folder / "net", options)
    return folder


def test_a_net_of_a_run_answers_as_the_run_did(place, capsys):
    path = place / "first.onnx"
    assert command(["export", str(place / "net"), "-o", str(path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["difference"] <= 1e-4
    model = tonearm.load(path)
    assert model.genres == GENRES
    assert model.name == "first"
    about = runs.read_json(place / "net" / "model" / "model.json")
    of_run = runs.read_predictions(place / "net", "valid")
    from tonearm.packs import open_pack

    pack = open_pack(place / "mel")
    rows = [pack.ids.tolist().index(name) for name in of_run.ids]
    shares, embeddings = model.from_features(np.asarray(pack.features[rows]))
    expected = evaluation.apply_temperature(of_run.probabilities, about["temperature"]["value"])
    np.testing.assert_allclose(shares, expected, atol=1e-3)
    assert embeddings.shape == (len(rows), 6)
    figure = model.info["figures"][0]
    assert {"dataset", "protocol", "part", "n", "accuracy", "interval", "seeds"} <= set(figure)
    assert model.info["training"]["data"] == pack.name
    heard = model.predict(np.random.default_rng(0).normal(size=22050 * 40), sample_rate=22050)
    assert heard.probabilities.sum() == pytest.approx(1.0)


class Pooled(torch.nn.Module):
    """Takes any number of frames."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv1d(24, 5, 3, padding=1)
        self.head = torch.nn.Linear(10, 3)

    def forward(self, features):
        some = self.conv(features / 255)
        embedding = torch.cat([some.mean(2), some.std(2)], 1)
        return self.head(embedding), embedding


@pytest.mark.parametrize("free", [True, False])
def test_a_graph_with_free_or_fixed_frames(free, tmp_path):
    torch.manual_seed(0)
    net, path = Pooled(), tmp_path / "m.onnx"
    info = tiny_info(clips={"frames": None, "join": "mean"})
    assert runtime.write_graph(net, path, info, frames=60, free=free) <= 1e-4
    model = tonearm.load(path)
    for frames in (60, 41) if free else (60,):
        rows = np.random.default_rng(0).uniform(0, 255, (2, 24, frames)).astype(np.float32)
        with torch.no_grad():
            logits, vectors = net(torch.from_numpy(rows))
        shares, embeddings = model.from_features(rows)
        np.testing.assert_allclose(shares, torch.softmax(logits.double(), 1).numpy(), atol=1e-5)
        np.testing.assert_allclose(embeddings, vectors.numpy(), atol=1e-4)
    if not free:
        # What is too short is repeated, what is longer is cut into crops of the length that the graph takes.
        assert model.from_features(np.zeros((1, 24, 7), np.float32))[0].shape == (1, 3)
        assert model.from_features(np.zeros((1, 24, 99), np.float32))[0].shape == (1, 3)


def test_a_graph_that_disagrees_with_torch_is_not_left_there(tmp_path):
    class Moody(Pooled):
        def forward(self, features):
            logits, embedding = super().forward(features)
            return logits + (0.0 if torch.jit.is_tracing() else 1.0) * torch.tensor([1.0, 0, 0]), embedding

    with pytest.raises(TonearmError, match="disagree"):
        runtime.write_graph(Moody(), tmp_path / "m.onnx", tiny_info(), frames=60, free=False)
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_exported_says_so(place, tmp_path, capsys):
    config = {**SMALL, "name": "table", "feature": {"kind": "statistics", "table": "gtzan"}, "clip": {},
              "model": {"kind": "knn"}, "training": {}}  # fmt: skip
    recipes.run(recipes.from_config(config), place / "table", place / "knn", recipes.Options(quiet=True, threads=1))
    assert command(["export", str(place / "knn"), "-o", str(tmp_path / "m.onnx")]) == 1
    assert "'knn' has no form in ONNX" in capsys.readouterr().err
    assert command(["export", str(place / "net"), "-o", str(tmp_path / "m.pt")]) == 2
    assert command(["export", str(tmp_path), "-o", str(tmp_path / "m.onnx")]) == 1
    assert command(["export", str(place / "net"), "-o", str(tmp_path / "no" / "m.onnx")]) == 1
    about = runs.read_json(place / "net" / "run.json")
    runs.write_json(tmp_path / "run.json", {**about, "status": "running"})
    assert command(["export", str(tmp_path), "-o", str(tmp_path / "m.onnx")]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert not (tmp_path / "m.onnx").exists()
