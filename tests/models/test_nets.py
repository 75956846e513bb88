"""Nets: numbers of parameters derived by hand, layers against their formula, weights from files, what is refused."""

from __future__ import annotations

import hashlib
import itertools

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from scipy import stats

from tonearm import features, recipes
from tonearm.errors import TonearmError, UsageError
from tonearm.models import nets
from tonearm.models.nets import _layers, vgg16
from tonearm.models.nets.dense import SevenStatistics
from tonearm.models.nets.padova import Spectrum


def count(name: str, shape: tuple[int, ...], n_classes: int, **keywords) -> int:
    keywords = {**nets.registry.get(name).scratch, **keywords}
    return sum(tensor.numel() for tensor in nets.create(name, shape, n_classes, **keywords).parameters())


# Weights and biases of a layer; convolutions before batch normalisation (2 values a channel) have no bias.
def conv(inputs: int, outputs: int, *kernel: int, bias: bool = False) -> int:
    return inputs * outputs * int(np.prod(kernel)) + bias * outputs


def linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def recurrent(gates: int, inputs: int, units: int) -> int:
    return gates * units * (inputs + units + 2)  # torch keeps two biases


def test_lam_cnn1d():
    """646 frames pooled by 4, 4, 4, 2 leave 5; five convolutions of kernel 3 from 128 bands."""
    widths = (128, 128, 128, 256, 256, 512)
    body = sum(conv(a, b, 3) + 2 * b for a, b in itertools.pairwise(widths))
    assert count("cnn1d", (128, 646), 8) == body + linear(5 * 512, 8) == 809_480
    # As a colour picture only the first layer sees three times as many channels.
    assert count("cnn1d", (128, 646), 8, colours=True) == 809_480 + conv(2 * 128, 128, 3)


def test_njupt_cnn2d():
    """128 x 128 pooled by 2, 2, 2, 2, 4 leaves 2 x 2; dense layers 256-32-10."""
    widths = (1, 16, 32, 64, 128, 64)
    body = sum(conv(a, b, 3, 3) + 2 * b for a, b in itertools.pairwise(widths))
    assert count("cnn2d", (128, 128), 10) == body + linear(64 * 2 * 2, 32) + linear(32, 10)
    without = sum(conv(a, b, 3, 3, bias=True) for a, b in itertools.pairwise(widths))
    found = count("cnn2d", (128, 128), 10, batch_norm=False, kernel_size=3)
    assert found == without + linear(256, 32) + linear(32, 10)
    wider = count("cnn2d", (128, 128), 10, kernel_size=5)
    assert wider - count("cnn2d", (128, 128), 10) == sum(a * b * (25 - 9) for a, b in itertools.pairwise(widths))


def test_cuny_cnn2d_and_dense():
    """128 x 400: 3x3, pool 2x4, 3x5, pool 2x4 leave 32 maps of 32 x 25; dense 16. And 140-50-50-8."""
    keywords = {"filters": (32, 32), "kernel_size": [[3, 3], [3, 5]], "pools": [[2, 4], [2, 4]], "hidden": (16,)}
    expected = conv(1, 32, 3, 3, bias=True) + conv(32, 32, 3, 5, bias=True) + linear(32 * 32 * 25, 16) + linear(16, 8)
    assert count("cnn2d", (128, 400), 8, batch_norm=False, **keywords) == expected
    assert count("dense", (140,), 8) == linear(140, 50) + linear(50, 50) + linear(50, 8) == 10_008
    assert count("dense", (20, 130), 8) == 10_008 + 2 * 140  # statistics of the frames, scaled


def of_recipe(name: str, shape: tuple[int, ...], n_classes: int = 10) -> int:
    keywords = dict(recipes.get(name).model)
    return count(keywords.pop("kind"), shape, n_classes, **keywords)


def test_nets_that_recipes_make_of_others():
    """Each with the clip that its recipe cuts, the layers and what is left of the frames counted by hand."""

    def over_time(*widths: int) -> int:
        return sum(conv(a, b, 3) + 2 * b for a, b in itertools.pairwise(widths))

    def over_pictures(*widths: int, batch_norm: bool = True) -> int:
        return sum(conv(a, b, 3, 3, bias=not batch_norm) + 2 * b * batch_norm for a, b in itertools.pairwise(widths))

    # 646 frames halved three times leave 80.
    assert of_recipe("velamati-cnn1d", (30, 646)) == over_time(30, 64, 64, 64) + linear(80 * 64, 64) + linear(64, 10)
    # 128 x 128 pooled by 2, 4, 4 leaves 4 x 4.
    expected = over_pictures(1, 32, 64, 128) + linear(128 * 4 * 4, 64) + linear(64, 10)
    assert of_recipe("velamati-cnn2d", (128, 128)) == expected
    # Mean and maximum over time, so twice the last width.
    assert of_recipe("li-dilated-2", (128, 128)) == over_time(128, 128, 256) + linear(2 * 256, 10)
    assert of_recipe("li-dilated-3", (128, 128)) == over_time(128, 128, 256, 256) + linear(2 * 256, 10)
    five = (128, 128, 256, 256, 512)
    assert of_recipe("bian-cnn1d", (128, 128), 8) == over_time(128, *five) + linear(2 * 512, 8)
    # 130 frames pooled by 4, 4, 4, 2 leave one.
    assert of_recipe("falola-cnn1d", (20, 130)) == over_time(20, *five) + linear(512, 10)
    # 128 x 130 pooled by 2 x 4 twice leaves 32 x 8.
    expected = over_pictures(1, 64, 64) + linear(64 * 32 * 8, 32) + linear(32, 10)
    assert of_recipe("dong-cnn2d", (128, 130)) == expected
    # Mean and maximum of 64 filters in five layers; nothing else can learn.
    assert of_recipe("random-cnn+svm", (128, 387)) == linear(2 * 5 * 64, 10)
    # 30 MFCC, ZCR, centroid and RMS, 12 pitch classes.
    assert of_recipe("lstm-lowlevel+svm", (45, 65)) == recurrent(4, 45, 128) + 2 * 128 + linear(128, 10)
    expected = 2 * recurrent(4, 45, 128) + 2 * 256 + linear(256, 10)
    assert of_recipe("lstm-lowlevel-bidirectional+knn", (45, 65)) == expected
    # Ablations: pools of 2, 4, 4 leave 4 x 4, of 2, 2, 4, 4 leave 2 x 2; 40 rows of MFCC end at one.
    ends = linear(32, 10)
    three, four = (1, 16, 32, 64), (1, 16, 32, 64, 128)
    assert of_recipe("njupt-cnn2d-3-layers", (128, 128)) == over_pictures(*three) + linear(64 * 16, 32) + ends
    assert of_recipe("njupt-cnn2d-4-layers", (128, 128)) == over_pictures(*four) + linear(128 * 4, 32) + ends
    assert of_recipe("njupt-cnn2d-mfcc", (40, 128)) == over_pictures(*four, 64) + linear(64 * 2, 32) + ends
    expected = over_pictures(*four, 64, batch_norm=False) + linear(64 * 4, 32) + ends
    assert of_recipe("njupt-cnn2d-plain", (128, 128)) == expected
    for name in ("elu", "gelu"):
        assert of_recipe(f"njupt-cnn2d-{name}", (128, 128)) == of_recipe("njupt-cnn2d", (128, 128))
    for size in (5, 7):
        more = sum(a * b * (size * size - 9) for a, b in itertools.pairwise((*four, 64)))
        found = of_recipe(f"njupt-cnn2d-kernel-{size}", (128, 128))
        assert found == of_recipe("njupt-cnn2d", (128, 128)) + more


def test_crnn1d():
    """Three convolutions of kernel 5 with biases, an LSTM of 96 units, a dense layer of 64."""
    body = sum(conv(a, b, 5, bias=True) + 2 * b for a, b in itertools.pairwise((128, 56, 56, 56)))
    expected = body + recurrent(4, 56, 96) + linear(96, 64) + linear(64, 8)
    assert of_recipe("crnn1d", (128, 646), 8) == expected


def test_lstm():
    """30 coefficients into 128 units with four gates."""
    expected = recurrent(4, 30, 128) + 2 * 128 + linear(128, 10)
    assert count("lstm", (30, 130), 10) == expected
    both = 2 * recurrent(4, 30, 128) + 2 * 256 + linear(256, 10)
    assert count("lstm", (30, 130), 10, bidirectional=True) == both


def test_choi_crnn():
    """96 bands pooled by 2, 3, 4, 4 leave one row of 128 maps: two GRU of 32 units read 128 values a step."""
    widths = (1, 64, 128, 128, 128)
    body = sum(conv(a, b, 3, 3) + 2 * b for a, b in itertools.pairwise(widths))
    expected = body + recurrent(3, 128, 32) + recurrent(3, 32, 32) + linear(32, 50)
    assert count("crnn", (96, 1366), 50) == expected


def test_cnn_rnn_has_vectors_of_256_and_128():
    net = nets.create("cnn-rnn", (128, 640), 8).eval()
    x = torch.randn(2, 128, 640)
    with torch.no_grad():
        assert net.body.one(x).shape == (2, 256)
        assert net.body.other(x).shape == (2, 128)
    widths = (1, 16, 32, 64, 64, 64)
    looking = sum(conv(a, b, 1, 3) + 2 * b for a, b in itertools.pairwise(widths))
    reading = 2 * recurrent(3, 64, 64)
    assert count("cnn-rnn", (128, 640), 8) == looking + reading + linear(256 + 128, 8)


def test_resnet1d():
    """59,049 samples by stride 3 and eight pools of 3 leave three steps; a convolution of 1 where widths change."""
    widths = (128, 128, 128, 256, 256, 256, 256, 256, 512)
    blocks = sum(
        conv(a, b, 3) + conv(b, b, 3) + 4 * b + (conv(a, b, 1) if a != b else 0) for a, b in itertools.pairwise(widths)
    )
    assert count("resnet1d", (1, 59049), 10) == conv(1, 128, 3) + 2 * 128 + blocks + linear(512, 10)


def test_densenet1d():
    def block(channels: int, depth: int) -> int:
        steps = (channels + 32 * i for i in range(depth))
        return sum(2 * c + conv(c, 128, 1) + 2 * 128 + conv(128, 32, 3) for c in steps)

    def halved(channels: int) -> int:
        return 2 * channels + conv(channels, channels // 2, 1)

    # 128 + 4 * 32 = 256, halved 128; again; 256 at the end.
    expected = conv(128, 128, 3) + 3 * block(128, 4) + 2 * halved(256) + 2 * 256 + linear(2 * 256, 8)
    assert count("densenet1d", (128, 646), 8) == expected


@pytest.mark.parametrize(("inputs", "shape"), [("raw", (1, 88200)), ("spectrum", (1025, 87)), ("both", (1, 88200))])
def test_padova(inputs, shape):
    """Both first layers at half width, so that the block behind them is the same."""
    heard, seen = conv(1, 128, 2048), conv(1025, 128, 3)
    first = {"raw": heard, "spectrum": seen, "both": (heard + seen) // 2}[inputs] + 2 * 128
    block = 3 * (conv(128, 128, 3) + 2 * 128)
    three = 256 * 128 + 2 * 128 + 128 * 64 + 2 * 64 + linear(64, 8)
    assert count("padova", shape, 8, inputs=inputs) == first + block + three


def test_padovas_own_spectrum_is_the_feature_standardised():
    draw = np.random.default_rng(0)
    x = torch.from_numpy(draw.normal(scale=0.1, size=(2, 44100)).astype(np.float32))
    keywords = {"sample_rate": 44100, "n_fft": 2048, "hop_length": 1024, "scale": "db", "ref": 1.0, "top_db": None}
    expected = features.create("stft", **keywords).batch(x, 44100)
    expected = expected - expected.mean((1, 2), keepdim=True)
    expected = expected / expected.std((1, 2), keepdim=True)
    torch.testing.assert_close(Spectrum(2048, 1024)(x[:, None]), expected, rtol=1e-2, atol=5e-3)


def test_vgg16_has_the_papers_14_714_688_in_its_convolutions():
    net = nets.create("vgg16", (128, 128), 8, weights="scratch")
    widths = [3, *(width for width in (64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512))]
    expected = sum(conv(a, b, 3, 3, bias=True) for a, b in itertools.pairwise(widths))
    assert sum(tensor.numel() for tensor in net.body[1].parameters()) == expected == 14_714_688
    assert sum(tensor.numel() for tensor in net.parameters()) == expected + linear(512 * 4 * 4, 16) + linear(16, 8)


def _public_weights() -> dict[str, torch.Tensor]:
    """Named and shaped as in torchvision's file, with a classifier beside."""
    vgg = nets.create("vgg16", (32, 32), 2, weights="scratch").body[1]
    draw = torch.Generator().manual_seed(3)
    tensors = {name: torch.randn(t.shape, generator=draw) * 0.01 for name, t in vgg.state_dict().items()}
    return {**tensors, "classifier.6.weight": torch.zeros(10, 4)}


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_vgg16_begins_with_public_weights_and_learns_in_the_last_four(tmp_path, suffix):
    weights = _public_weights()
    assert {"features.0.weight", "features.28.bias"} <= set(weights)
    path = tmp_path / f"vgg16.{suffix}"
    torch.save(weights, path) if suffix == "pth" else save_file(weights, path)
    net = nets.create("vgg16", (32, 32), 5, weights=str(path))
    for name, tensor in net.body[1].state_dict().items():
        assert torch.equal(tensor, weights[name])
    learns = [name for name, tensor in net.body[1].named_parameters() if tensor.requires_grad and "weight" in name]
    assert learns == [f"features.{number}.weight" for number in (21, 24, 26, 28)]


def test_vgg16_says_what_is_wrong_with_weights(tmp_path):
    with pytest.raises(TonearmError, match="none were given") as refused:
        nets.create("vgg16", (32, 32), 5)
    assert "weights=scratch" in refused.value.hint
    with pytest.raises(TonearmError, match="no such file"):
        nets.create("vgg16", (32, 32), 5, weights=str(tmp_path / "none.pth"))
    for content in (b"", b"rubbish"):
        for suffix in ("pth", "safetensors"):
            path = tmp_path / f"bad.{suffix}"
            path.write_bytes(content)
            with pytest.raises(TonearmError, match="not a file of weights"):
                nets.create("vgg16", (32, 32), 5, weights=str(path))
    save_file({"x": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(TonearmError, match="26 of 26 tensors are missing"):
        nets.create("vgg16", (32, 32), 5, weights=str(tmp_path / "other.safetensors"))
    with pytest.raises(UsageError, match="13 convolutions"):
        nets.create("vgg16", (32, 32), 5, weights="scratch", trainable=14)


def test_the_second_stage_of_vgg_begins_where_the_first_ended(tmp_path):
    keywords = {"width": 0.1, "weights": "scratch"}
    first = nets.create("vgg16-progressive", (84, 200), 5, **keywords)
    assert {name.split(".")[0] + name.split(".")[1] for name, t in first.named_parameters() if t.requires_grad} == {
        "body3", "headweight", "headbias",
    }  # fmt: skip
    path = tmp_path / "best.safetensors"
    save_file({f"net/{name}": t.clone() for name, t in first.state_dict().items()}, path)
    second = nets.create("vgg16-progressive", (84, 200), 5, stage=2, start=str(path), width=0.1)
    x = torch.randn(2, 84, 200)
    with torch.no_grad():
        torch.testing.assert_close(second.eval()(x), first.eval()(x))
    learns = [name for name, t in second.named_parameters() if t.requires_grad]
    assert [name for name in learns if name.startswith("body.1")] == [
        f"body.1.layers.{layer}.{part}" for layer in (0, 2) for part in ("weight", "bias")
    ]
    assert not [name for name in learns if name.startswith("body.2")]
    with pytest.raises(TonearmError, match="none was given"):
        nets.create("vgg16-progressive", (84, 200), 5, stage=2)
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(TonearmError, match="not the first stage"):
        nets.create("vgg16-progressive", (84, 200), 5, stage=2, start=str(path), width=0.1)


def test_seven_statistics_are_scipys():
    x = np.random.default_rng(0).gamma(2.0, size=(2, 3, 50)).astype(np.float32)
    for frames in (50, 49):
        part = x[..., :frames]
        found = SevenStatistics()(torch.from_numpy(part)).numpy()
        expected = [part.mean(-1), part.std(-1), stats.skew(part, axis=-1), stats.kurtosis(part, axis=-1)]
        expected += [np.median(part, axis=-1), part.min(-1), part.max(-1)]
        np.testing.assert_allclose(found, np.concatenate(expected, 1), rtol=2e-4, atol=1e-5)


def test_pooling_before_a_rising_activation_changes_nothing():
    x = torch.randn(2, 3, 8, 8)
    for name, activation in _layers.ACTIVATIONS.items():
        pool = torch.nn.MaxPool2d(2)
        made = torch.nn.Sequential(*_layers.pooled(activation(), pool))
        assert torch.equal(made(x), pool(activation()(x))), name


def test_colours_go_from_blue_to_red_and_each_clip_by_itself():
    x = torch.tensor([[[0.0, 1.0, 2.0]], [[0.0, 10.0, 20.0]]])
    painted = _layers.Colours()(x)
    assert torch.equal(painted[0], painted[1])
    np.testing.assert_allclose(painted[0, :, 0].T, [[0, 0, 0.5], [0.5, 1, 0.5], [0.5, 0, 0]])


def test_random_cnn_is_a_function_of_clip_and_seed():
    x = torch.randn(3, 40, 50)
    torch.manual_seed(1)
    first = nets.create("random-cnn", (40, 50), 4).embed(x)
    torch.manual_seed(2)
    again = nets.create("random-cnn", (40, 50), 4)
    torch.testing.assert_close(again.embed(x[1:2]), first[1:2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(again.embed(3 * x + 5), first, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(nets.create("random-cnn", (40, 50), 4, seed=1).embed(x), first)
    assert [name for name, t in again.named_parameters() if t.requires_grad] == ["head.weight", "head.bias"]


@pytest.mark.parametrize(
    ("name", "shape", "keywords", "message"),
    [
        ("cnn2d", (518,), {}, "takes features of"),
        ("cnn2d", (64, 64), {"pools": (2, 2)}, "5 layers but 2 pools"),
        ("cnn2d", (64, 64), {"kernel_size": 4}, "must be odd"),
        ("cnn2d", (64, 64), {"activation": "rulu"}, "did you mean 'relu'"),
        ("cnn2d", (64, 64), {"dropout": 2}, "cannot be built like that: dropout probability"),
        ("cnn2d", (64, 64), {"dropout": "much"}, "cannot be built like that"),
        ("cnn1d", (64, 64), {"join": "sum"}, "unknown join"),
        ("cnn1d", (64, 64), {"filters": (8, 0)}, "2 layers but 5 pools"),
        ("resnet1d", (128, 64), {}, "listens to samples"),
        ("padova", (1, 500), {}, "less than one step"),
        ("padova", (1, 5000), {"inputs": "all"}, "unknown inputs"),
        ("lstm", (30, 64), {"cell": "rnn"}, "unknown cell"),
        ("crnn", (96, 64), {"pools": (2, 2)}, "4 layers but 2 pools"),
    ],
)
def test_what_cannot_be_built_is_said(name, shape, keywords, message):
    with pytest.raises(UsageError, match=message):
        nets.create(name, shape, 4, **keywords)


def test_an_export_that_cannot_be_is_said(tmp_path):
    net = nets.create("dense", (518,), 4)
    with pytest.raises(TonearmError, match="has no form in ONNX"):
        nets.export(net, tmp_path / "x.onnx", feature=features.create("statistics"), n_samples=22050)
    with pytest.raises(UsageError, match="one length"):
        nets.export(net, tmp_path / "x.onnx", feature=features.create("mfcc"))
    with pytest.raises(UsageError, match="what goes in"):
        nets.export(net, tmp_path / "x.onnx")
    with pytest.raises(TonearmError, match="No such file"):
        nets.export(net, tmp_path / "none" / "x.onnx", shape=(518,))
    assert not list(tmp_path.iterdir())


def test_weights_of_imagenet_are_fetched_once_and_a_missing_network_is_said(tmp_path, monkeypatch):
    weights = tmp_path / "away" / "vgg16-397923af.pth"
    weights.parent.mkdir()
    torch.save(_public_weights(), weights)
    content = weights.read_bytes()
    monkeypatch.setenv("TONEARM_CACHE", str(tmp_path / "cache"))
    there = {"url": weights.as_uri(), "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    monkeypatch.setattr(vgg16, "_PUBLIC", {**vgg16._PUBLIC, **there})
    first = nets.create("vgg16", (32, 32), 5, weights="imagenet")
    weights.unlink()  # the second time it lies in the cache
    second = nets.create("vgg16", (32, 32), 5, weights="imagenet")
    assert torch.equal(first.body[1].features[0].weight, second.body[1].features[0].weight)
    monkeypatch.setenv("TONEARM_CACHE", str(tmp_path / "empty"))
    with pytest.raises(TonearmError, match="ImageNet could not be fetched") as refused:
        nets.create("vgg16", (32, 32), 5, weights="imagenet")
    assert "weights=scratch" in refused.value.hint
