"""What holds for every net of the registry, whoever wrote it. No net is named here."""

from __future__ import annotations

import inspect

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file, save_file

from tonearm import audio, features
from tonearm.errors import UsageError
from tonearm.models import nets

NAMES = nets.registry.names()
CLASSES = 4


@pytest.fixture(autouse=True)
def _threads():
    torch.set_num_threads(2)
    torch.manual_seed(0)


def feature_of(name: str) -> features.Feature:
    return features.from_config(nets.registry.get(name).feature)


def shape_of(name: str, seconds: float) -> tuple[int, ...]:
    feature = feature_of(name)
    return feature.shape(round(seconds * feature.sample_rate), feature.sample_rate)


def build(name: str, seconds: float = 0.3, *, small: bool = True) -> nets.Net:
    builder = nets.registry.get(name)
    keywords = {**builder.scratch, **(builder.small if small else {})}
    return nets.create(name, shape_of(name, seconds), CLASSES, **keywords)


def sounds(name: str, n: int, seconds: float = 0.3) -> torch.Tensor:
    """Chords with noise, each its own, as the net's feature, standardised."""
    feature = feature_of(name)
    draw = np.random.default_rng(0)
    time = np.arange(round(seconds * feature.sample_rate)) / feature.sample_rate
    clips = []
    for _ in range(n):
        pitches = 80 * 2 ** draw.uniform(0, 5, 4)
        wave = np.sin(2 * np.pi * pitches[:, None] * time).mean(axis=0) + 0.02 * draw.normal(size=len(time))
        clips.append(feature(audio.Waveform(wave.astype(np.float32), feature.sample_rate)))
    values = np.stack(clips)
    return torch.from_numpy((values - values.mean()) / values.std())


@pytest.mark.parametrize("seconds", [1.0, 30.0])
@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward_for_a_second_and_for_thirty(name, seconds):
    net = build(name, seconds, small=seconds > 1).train()
    x = torch.randn(2, *shape_of(name, seconds), requires_grad=True)
    scores = net(x)
    assert scores.shape == (2, CLASSES)
    assert torch.isfinite(scores).all()
    torch.nn.functional.cross_entropy(scores, torch.tensor([0, 1])).backward()
    for parameter, tensor in net.named_parameters():
        if tensor.requires_grad:
            assert tensor.grad is not None, f"{parameter} has no part in the answer"
            assert torch.isfinite(tensor.grad).all(), parameter
    assert any(tensor.grad.abs().sum() > 0 for tensor in net.parameters() if tensor.requires_grad)


@pytest.mark.parametrize("name", NAMES)
def test_head_of_embed_is_the_answer(name):
    net = build(name).eval()
    x = torch.randn(3, *shape_of(name, 0.3))
    with torch.no_grad():
        vectors = net.embed(x)
        assert vectors.ndim == 2
        assert len(vectors) == 3
        assert torch.equal(net.head(vectors), net(x))
        # A clip's answer is its own, whatever stands beside it.
        torch.testing.assert_close(net(x[1:2]), net(x)[1:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_learns_eight_clips_by_heart(name):
    net = build(name)
    x = sounds(name, 8)
    y = torch.arange(8) % CLASSES
    for part in net.modules():  # what makes learning by heart hard on purpose
        if isinstance(part, torch.nn.modules.dropout._DropoutNd):
            part.p = 0.0
    trained = [tensor for tensor in net.parameters() if tensor.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=2e-3)
    net.train()
    for _ in range(150):
        scores = net(x)
        loss = torch.nn.functional.cross_entropy(scores, y)
        if loss.item() < 0.1 and (scores.argmax(1) == y).all():
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    pytest.fail(f"after 150 steps the loss is {loss.item():.3f}")


@pytest.mark.parametrize("name", NAMES)
def test_saved_and_loaded_it_answers_the_same(name, tmp_path):
    net = build(name)
    x = torch.randn(4, *shape_of(name, 0.3))
    net.train()(x)  # moves the running means of batch normalisation, which are saved too
    save_file({key: tensor.clone() for key, tensor in net.state_dict().items()}, tmp_path / "net.safetensors")
    torch.manual_seed(1)
    again = build(name)
    again.load_state_dict(load_file(tmp_path / "net.safetensors"))
    with torch.no_grad():
        assert torch.equal(net.eval()(x), again.eval()(x))


@pytest.mark.parametrize("name", NAMES)
def test_as_onnx_with_its_feature_in_front_it_agrees_with_torch(name, tmp_path):
    net, feature = build(name), feature_of(name)
    n_samples = round(0.3 * feature.sample_rate)
    nets.export(net, tmp_path / "net.onnx", feature=feature, n_samples=n_samples, about={"feature": feature.kind})
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert session.get_modelmeta().custom_metadata_map["feature"] == feature.kind
    draw = np.random.default_rng(1)
    for batch in (1, 5):
        waves = (draw.normal(size=(batch, n_samples)) * 0.1).astype(np.float32)
        found, embedding = session.run(None, {"waveform": waves})
        with torch.no_grad():
            expected = net.embed(feature.batch(torch.from_numpy(waves), feature.sample_rate))
            np.testing.assert_allclose(found, torch.softmax(net.head(expected), 1).numpy(), atol=1e-4)
        assert embedding.shape == tuple(expected.shape)


@pytest.mark.parametrize("name", NAMES)
def test_keywords_have_defaults_and_a_wrong_one_is_refused(name):
    builder = nets.registry.get(name)
    assert builder.__doc__
    for parameter in list(inspect.signature(builder).parameters.values())[2:]:
        assert parameter.kind is parameter.KEYWORD_ONLY
        assert parameter.default is not parameter.empty, parameter.name
    with pytest.raises(UsageError) as refused:
        nets.create(name, shape_of(name, 1.0), CLASSES, dropuot=0.1)
    assert "dropuot" in refused.value.message
    for parameter in list(inspect.signature(builder).parameters)[2:]:
        assert parameter in refused.value.hint
    with pytest.raises(UsageError, match="at least 2"):
        nets.create(name, shape_of(name, 1.0), 1)
