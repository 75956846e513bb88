"""A personal model: its answers worked out by hand, what its file must be, and the model or encoder below it."""

from __future__ import annotations

import json
import os
import zipfile

import numpy as np
import pytest
from tiny_encoder import write_encoder
from tiny_model import write_tiny

import tonearm
from tonearm.errors import TonearmError, UsageError
from tonearm.runtime import Model, ModelError, _find, personal, statistics
from tonearm.runtime.encoder import open_encoder

CLASSES = ["bright", "dark", "Größe/ß"]
RATE = 22050


def sound(seconds: float = 9.0, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    t = np.arange(round(RATE * seconds)) / RATE
    tone = sum(np.sin(2 * np.pi * f * t * (1 + seed / 7)) for f in (220, 330, 1100, 3000))
    return (0.1 * tone * (1 + np.sin(2 * np.pi * 2 * t)) + draw.normal(0, 0.02, len(t))).astype(np.float32)


def head(columns: int, seed: int = 5) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {"weights": draw.normal(size=(columns, len(CLASSES))) / columns, "bias": draw.normal(size=len(CLASSES)),
            "mean": draw.normal(size=columns), "deviation": draw.uniform(0.5, 2, columns)}  # fmt: skip


def about(ear: dict, inputs: list[str]) -> dict:
    said = {"name": "mine", "classes": CLASSES, "temperature": 1.7, "threshold": 0.6, "figures": []}
    return {**said, "inputs": inputs, "statistics": statistics.VERSION, "ear": ear}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return Model(write_tiny(tmp_path_factory.mktemp("base") / "base.onnx"))


@pytest.fixture
def written(base, tmp_path):
    ear, graph = personal.ear_of(base)
    arrays = head(24 + statistics.count(24))
    personal.save(tmp_path / "mine.npz", about(ear, ["embedding", "statistics"]), arrays, graph)
    return tmp_path / "mine.npz", arrays


def answers(values: np.ndarray, arrays: dict[str, np.ndarray]) -> np.ndarray:
    scaled = np.clip((values - arrays["mean"]) / arrays["deviation"], -5, 5)
    logits = (scaled @ arrays["weights"] + arrays["bias"]) / 1.7
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


def test_its_answer_is_the_head_over_embedding_and_statistics(base, written):
    path, arrays = written
    model = tonearm.load(path)
    prediction = model.predict(sound(), sample_rate=RATE, top=3)
    excerpts = base.features(sound(), sample_rate=RATE)
    embedding = base.from_excerpts(excerpts)[1]
    wanted = answers(np.concatenate([embedding, statistics.statistics(excerpts)]), arrays)
    np.testing.assert_allclose(prediction.probabilities, wanted, atol=1e-6)
    np.testing.assert_array_equal(prediction.embedding, embedding)
    assert (prediction.model, model.genres, model.threshold) == ("mine", tuple(CLASSES), 0.6)
    assert prediction.sure == (wanted.max() >= 0.6)
    assert model.version == _find.load(path).version != base.version


def test_rows_of_a_pack_files_and_windows_are_answered_alike(base, written, tmp_path):
    import soundfile

    path, arrays = written
    model = tonearm.load(path)
    rows = np.concatenate([base.features(sound(6.0, seed), sample_rate=RATE) for seed in range(3)])
    shares, embeddings = model.from_features(rows)
    for row, share, embedding in zip(rows, shares, embeddings, strict=True):
        one, vector = model.from_excerpts(row[None])
        np.testing.assert_allclose(share, one, atol=1e-6)
        np.testing.assert_allclose(embedding, vector, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(
            one, answers(np.concatenate([vector, statistics.statistics(row[None])]), arrays), atol=1e-6
        )
    soundfile.write(tmp_path / "song.wav", sound(), RATE, subtype="FLOAT")
    files = [tmp_path / "song.wav", tmp_path / "missing.wav"]
    here, there = list(model.predict_many(files)), list(model.predict_many(files, workers=2))
    np.testing.assert_allclose(here[0].probabilities, there[0].probabilities, atol=1e-7)
    assert [p.error and p.error.code for p in there] == [None, "missing"]
    line = model.timeline(tmp_path / "song.wav", clip_seconds=3.0)
    assert line.genres == tuple(CLASSES)
    np.testing.assert_allclose(line.probabilities.sum(axis=1), 1)


def test_an_encoder_travels_inside_the_file(tmp_path):
    weights = np.random.default_rng(0).normal(size=(4000, 5)) / 30
    own = open_encoder(write_encoder(tmp_path, (None, 4000), weights=weights, excerpts=2, clip_seconds=2.0))
    ear, graph = personal.ear_of(own)
    arrays = head(5)
    path = tmp_path / "mine.npz"
    personal.save(path, about(ear, ["embedding"]), arrays, graph)
    for file in ("encoder.yaml", "encoder.onnx"):
        os.remove(tmp_path / file)
    model = tonearm.load(path)
    prediction = model.predict(sound(), sample_rate=RATE)
    assert model.plan.sample_rate == 8000
    assert prediction.embedding.shape == (5,)
    np.testing.assert_allclose(prediction.probabilities, answers(prediction.embedding, arrays), atol=1e-6)
    assert model.timeline(sound(), sample_rate=RATE, clip_seconds=2.0).probabilities.shape[1] == 3
    with pytest.raises(UsageError, match="not the rows of a pack"):
        model.from_features(np.zeros((1, 1, 4000)))
    assert tonearm.runtime.load(path).info["feature"]["kind"] == "raw"


def test_a_shipped_base_is_named_and_must_be_the_same(tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    weights.mkdir()
    monkeypatch.setattr(_find, "WEIGHTS", weights)
    base = Model(write_tiny(weights / "fma.onnx", name="fma"))
    ear, graph = personal.ear_of(base)
    assert graph is None
    assert len(ear["sha256"]) == 64
    path = tmp_path / "mine.npz"
    personal.save(path, about(ear, ["embedding"]), head(24), graph)
    assert path.stat().st_size < 5000, "the shipped model is not kept inside"
    assert tonearm.load(path).predict(sound(), sample_rate=RATE).genres
    write_tiny(weights / "fma.onnx", name="fma", licence="another file")
    with pytest.raises(ModelError, match=f"learnt on fma {base.version}, installed is fma") as caught:
        tonearm.load(path)
    assert caught.value.code == "other-base"
    assert tonearm.__version__ in caught.value.hint
    os.remove(weights / "fma.onnx")
    with pytest.raises(ModelError, match="which is not installed here"):
        tonearm.load(path)


def test_a_personal_model_is_no_base_of_another(written):
    with pytest.raises(UsageError, match="personal model itself"):
        personal.ear_of(tonearm.load(written[0]))


def changed(path, **arrays) -> None:
    with np.load(path) as stored:
        whole = {name: stored[name] for name in stored}
    whole |= arrays
    np.savez(path, **{name: array for name, array in whole.items() if array is not None})


def described(path, **changes) -> np.ndarray:
    with np.load(path) as stored:
        text = json.loads(bytes(stored["about"])) | changes
    return np.frombuffer(json.dumps(text).encode(), np.uint8)


BROKEN = {
    "no weights": lambda path: changed(path, weights=None),
    "other shape": lambda path: changed(path, bias=np.zeros(4)),
    "NaN": lambda path: changed(path, bias=np.full(3, np.nan)),
    "integers": lambda path: changed(path, bias=np.zeros(3, int)),
    "no deviation": lambda path: changed(path, deviation=np.zeros(24 + statistics.count(24))),
    "no text": lambda path: changed(path, about=np.frombuffer(b"\xff\x00", np.uint8)),
    "nested text": lambda path: changed(path, about=np.frombuffer(b"[" * 100_000, np.uint8)),
    "other format": lambda path: changed(path, about=described(path, format="classical-model/1")),
    "one class": lambda path: changed(path, about=described(path, classes=["a"])),
    "equal classes": lambda path: changed(path, about=described(path, classes=["a", "a", "b"])),
    "classes no text": lambda path: changed(path, about=described(path, classes=[1, 2, 3])),
    "temperature": lambda path: changed(path, about=described(path, temperature=0)),
    "threshold": lambda path: changed(path, about=described(path, threshold=2)),
    "inputs": lambda path: changed(path, about=described(path, inputs=["song"])),
    "statistics": lambda path: changed(path, about=described(path, statistics="spectra/0")),
    "no ear": lambda path: changed(path, about=described(path, ear=None)),
    "graph": lambda path: changed(path, graph=np.zeros(100, np.uint8)),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("weights"),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:2000]),
    "no zip inside": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_file_is_one_sentence(how, written):
    path, _ = written
    BROKEN[how](path)
    with pytest.raises(ModelError) as caught:
        tonearm.load(path)
    assert str(path) in caught.value.message
    assert "\n" not in caught.value.message


def test_a_stranger_s_file_runs_no_code_and_fills_no_memory(written, tmp_path):
    path, _ = written
    np.savez(tmp_path / "evil.npz", weights=np.array([print], dtype=object), about=described(path))
    with pytest.raises(ModelError, match="not a personal model"):
        tonearm.load(tmp_path / "evil.npz")
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("about.npy", bytes(50_000_000))
    with pytest.raises(ModelError, match="compressed"):
        tonearm.load(tmp_path / "bomb.npz")


def test_a_file_that_cannot_be_written_leaves_the_old_one(written, monkeypatch):
    path, arrays = written
    before = path.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TonearmError, match="No space left"):
        personal.save(path, about({}, ["embedding"]), arrays)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_equal_models_are_equal_files(written, base, tmp_path):
    path, arrays = written
    ear, graph = personal.ear_of(base)
    personal.save(tmp_path / "again.npz", about(ear, ["embedding", "statistics"]), arrays, graph)
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()
