"""A user's own encoder: windows, shapes, pooling, and what is wrong with the description of one."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto
from tiny_encoder import write_encoder

from tonearm import features
from tonearm.audio import Waveform
from tonearm.errors import TonearmError, UsageError
from tonearm.runtime.encoder import EncoderError, open_encoder

SIZE = 4000  # samples of half a second at 8 kHz
WEIGHTS = np.random.default_rng(0).normal(size=(SIZE, 6)) / 60


def sound(seconds: float, seed: int = 1) -> Waveform:
    return Waveform(np.random.default_rng(seed).normal(0, 0.2, round(8000 * seconds)).astype(np.float32), 8000)


def by_hand(waveforms: list[Waveform], hop: int, weights: np.ndarray = WEIGHTS) -> np.ndarray:
    windows = []
    for waveform in waveforms:
        samples = waveform.samples
        if len(samples) < SIZE:
            samples = np.tile(samples, -(-SIZE // len(samples)))[:SIZE]
        windows += [samples[at : at + SIZE] for at in range(0, len(samples) - SIZE + 1, hop)]
    return np.stack(windows).astype(np.float64) @ weights


@pytest.mark.parametrize(
    "shape", [(None, SIZE), (None, None), (1, SIZE), (None, 1, SIZE), (1, 1, SIZE), (SIZE,)], ids=str
)
@pytest.mark.parametrize("out_frames", [False, True])
def test_a_waveform_goes_in_whatever_axes_the_graph_has(shape, out_frames, tmp_path):
    encoder = open_encoder(
        write_encoder(
            tmp_path, shape, weights=WEIGHTS, out_frames=out_frames, hop_seconds=0.25, pooling="mean+deviation"
        )
    )
    assert encoder.check() == 12
    waveforms = [sound(1.7), sound(0.2, 2)]
    windows = encoder.features_of(waveforms)
    assert windows.shape == (5 + 1, 1, SIZE)
    none, vector = encoder.from_excerpts(windows)
    wanted = by_hand(waveforms, 2000)
    assert none.shape == (0,)
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, np.concatenate([wanted.mean(axis=0), wanted.std(axis=0)]), atol=1e-5)


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE])
def test_graphs_of_other_precision(kind, tmp_path):
    encoder = open_encoder(write_encoder(tmp_path, (None, SIZE), weights=WEIGHTS, kind=kind))
    vector = encoder.from_excerpts(encoder.features_of([sound(2)]))[1]
    np.testing.assert_allclose(vector, by_hand([sound(2)], SIZE).mean(axis=0), atol=2e-3)


@pytest.mark.parametrize("axes", ["row,frame", "frame,row"])
@pytest.mark.parametrize("extra", [(), (1,)], ids=["three", "four"])
def test_a_log_mel_goes_in_either_way_round(axes, extra, tmp_path):
    described = {"kind": "logmel", "n_mels": 20, "n_fft": 256, "hop_length": 100, "ref": 1.0, "top_db": None}
    feature = features.create(**{**described, "sample_rate": 8000})
    rows, frames = feature.shape(SIZE, 8000)
    weights = np.random.default_rng(3).normal(size=(rows * frames, 4)) / 1000
    shape = (None, *extra, *((rows, frames) if axes == "row,frame" else (frames, rows)))
    encoder = open_encoder(write_encoder(tmp_path, shape, weights=weights, input=described, axes=axes))
    assert encoder.check() == 4
    waveform = sound(1.2)
    pieces = [feature(Waveform(waveform.samples[at : at + SIZE], 8000)) for at in (0, SIZE)]
    wanted = [(piece if axes == "row,frame" else piece.T).reshape(-1) @ weights for piece in pieces]
    vector = encoder.from_excerpts(encoder.features_of([waveform]))[1]
    np.testing.assert_allclose(vector, np.mean(wanted, axis=0), rtol=1e-3, atol=1e-4)


def test_an_onnx_file_is_described_by_the_yaml_beside_it(tmp_path):
    path = write_encoder(tmp_path, (None, SIZE), weights=WEIGHTS)
    assert open_encoder(path.with_suffix(".onnx")).version == open_encoder(path).version
    path.rename(tmp_path / "elsewhere.yaml")
    with pytest.raises(UsageError, match=r"no encoder\.yaml beside it"):
        open_encoder(tmp_path / "encoder.onnx")
    with pytest.raises(EncoderError, match=r"elsewhere\.onnx: there is no such file") as caught:
        open_encoder(tmp_path / "elsewhere.yaml")
    assert caught.value.code == "missing"


def test_what_decides_the_vectors_decides_the_version(tmp_path):
    versions = set()
    for number, config in enumerate([{}, {"pooling": "mean+deviation"}, {"hop_seconds": 0.1}, {"output": "other"}]):
        folder = tmp_path / str(number)
        folder.mkdir()
        versions.add(open_encoder(write_encoder(folder, (None, SIZE), weights=WEIGHTS, **config)).version)
    assert len(versions) == 4


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"sample_rate": "leave"}, "sample_rate is missing"),
        ({"window_seconds": "leave"}, "window_seconds is missing"),
        ({"sample_rate": "fast"}, "sample_rate is 'fast'"),
        ({"sample_rate": 8000.5}, "not a whole number"),
        ({"window_seconds": -1}, "window_seconds is -1"),
        ({"window_seconds": True}, "window_seconds is True"),
        ({"pooling": "max"}, "unknown pooling"),
        ({"windowseconds": 1}, "unknown key"),
        ({"input": "sound"}, "not waveform or a feature"),
        ({"input": {"kind": "logmell"}}, "logmell"),
        ({"input": {"kind": "logmel", "sample_rate": 22050}}, "that of its feature 22050"),
        ({"input": {"kind": "tempo"}}, "no frames"),
        ({"axes": "both"}, "unknown axes"),
    ],
)
def test_a_wrong_description_says_what_is_wrong(config, words, tmp_path):
    with pytest.raises(UsageError, match=words):
        open_encoder(write_encoder(tmp_path, (None, SIZE), weights=WEIGHTS, **config))


@pytest.mark.parametrize(
    ("shape", "weights", "config", "words"),
    [
        ((None, SIZE), WEIGHTS, {"window_seconds": 0.4}, "does not run"),
        ((None, SIZE), WEIGHTS * np.nan, {}, "NaN or infinity"),
        ((None, SIZE), WEIGHTS, {"output": "vectr"}, "did you mean 'vector'"),
        ((None, 1, 1, SIZE), WEIGHTS, {}, "4 axes"),
    ],
    ids=["window", "nan", "output", "axes"],
)
def test_a_graph_that_is_not_as_described_is_found_by_the_check(shape, weights, config, words, tmp_path):
    encoder = open_encoder(write_encoder(tmp_path, shape, weights=weights, **config))
    with pytest.raises(TonearmError, match=words):
        encoder.check()


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x09\x12\x00"], ids=["empty", "text", "stump"])
def test_a_file_that_is_no_graph(content, tmp_path):
    path = write_encoder(tmp_path, (None, SIZE), weights=WEIGHTS)
    path.with_suffix(".onnx").write_bytes(content)
    with pytest.raises(TonearmError, match="ONNX Runtime does not take the graph"):
        open_encoder(path).check()


@pytest.mark.parametrize("text", ["", "[1, 2]", "a: [", "\x00"], ids=["empty", "list", "broken", "zero"])
def test_a_yaml_that_describes_nothing(text, tmp_path):
    (tmp_path / "e.yaml").write_text(text)
    with pytest.raises(UsageError):
        open_encoder(tmp_path / "e.yaml")
