"""How people tell genres today, with the same weights: librosa for the whole song, torch over all its segments.

    python benchmarks/tagging_peer.py MODEL.onnx SONG…

A JSON object per song on standard output: path, genre, its margin over the next (of calibrated probabilities), and the
CPU seconds of loading, mel and net. The graph is read
into torch, operator by operator, because a model file holds no Python; `--onnx` runs it by ONNX Runtime instead.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import librosa
import numpy as np
import onnx
import torch
import torch.nn.functional as F
from onnx import numpy_helper

from tonearm import features

torch.set_num_threads(1)
torch.set_grad_enabled(False)


class TorchGraph:
    """An ONNX graph as calls of torch: those operators that nets for spectrograms are made of."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.weights = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
        self.nodes = [
            (node.op_type, list(node.input), list(node.output),
             {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute})
            for node in graph.node
        ]  # fmt: skip
        missing = {kind for kind, *_ in self.nodes} - set(OPERATORS)
        if missing:
            raise SystemExit(f"no way in torch for {', '.join(sorted(missing))}: add it here, or use --onnx")

    def __call__(self, features: np.ndarray) -> torch.Tensor:
        values = {**self.weights, "features": torch.from_numpy(features)}
        for kind, inputs, outputs, attributes in self.nodes:
            given = [values[name] if name else None for name in inputs]
            found = OPERATORS[kind](given, attributes)
            values.update(zip(outputs, found if isinstance(found, tuple) else (found,), strict=False))
        return values["logits"]


def _padded(x: torch.Tensor, attributes: dict[str, Any], value: float = 0.0) -> torch.Tensor:
    pads = attributes.get("pads", [])
    half = len(pads) // 2
    order = [side for axis in reversed(range(half)) for side in (pads[axis], pads[axis + half])]
    return F.pad(x, order, value=value) if any(pads) else x


def _conv(given: list, a: dict[str, Any]) -> torch.Tensor:
    x, weight, bias = given[0], given[1], given[2] if len(given) > 2 else None
    convolve = F.conv2d if weight.ndim == 4 else F.conv1d
    options = {"stride": a.get("strides", 1), "dilation": a.get("dilations", 1), "groups": a.get("group", 1)}
    return convolve(_padded(x, a), weight, bias, **options)


def _pool(given: list, a: dict[str, Any], kind: str) -> torch.Tensor:
    x, plain = given[0], len(a["kernel_shape"]) == 2
    size, stride, ceil = a["kernel_shape"], a.get("strides", a["kernel_shape"]), bool(a.get("ceil_mode"))
    if kind == "max":
        pool = F.max_pool2d if plain else F.max_pool1d
        return pool(_padded(x, a, float("-inf")), size, stride, ceil_mode=ceil)
    half = a.get("pads", [0] * 2 * len(size))[: len(size)]
    pool = F.avg_pool2d if plain else F.avg_pool1d
    return pool(x, size, stride, half, ceil_mode=ceil, count_include_pad=bool(a.get("count_include_pad")))


def _gemm(given: list, a: dict[str, Any]) -> torch.Tensor:
    x, w = (t.T if a.get(name) else t for t, name in zip(given, ("transA", "transB"), strict=False))
    product = a.get("alpha", 1.0) * (x @ w)
    return product + a.get("beta", 1.0) * given[2] if len(given) > 2 else product


def _reduce(given: list, a: dict[str, Any], how: str) -> torch.Tensor:
    axes = given[1].tolist() if len(given) > 1 and given[1] is not None else a.get("axes")
    axes = list(range(given[0].ndim)) if axes is None else list(axes)
    return getattr(torch, how)(given[0], dim=axes, keepdim=bool(a.get("keepdims", 1)))


def _norm(given: list, a: dict[str, Any]) -> torch.Tensor:
    x, scale, bias, mean, var = given
    return F.batch_norm(x, mean, var, scale, bias, eps=a.get("epsilon", 1e-5))


def _reshaped(given: list, a: dict[str, Any]) -> torch.Tensor:
    shape = [given[0].shape[i] if n == 0 and not a.get("allowzero") else n for i, n in enumerate(given[1].tolist())]
    return given[0].reshape(shape)


def _sliced(given: list, a: dict[str, Any]) -> torch.Tensor:
    starts, ends = given[1].tolist(), given[2].tolist()
    axes = given[3].tolist() if len(given) > 3 and given[3] is not None else list(range(len(starts)))
    steps = given[4].tolist() if len(given) > 4 else [1] * len(starts)
    index = [slice(None)] * given[0].ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        index[axis] = slice(start, min(end, 1 << 40), step)
    return given[0][tuple(index)]


def _squeezed(given: list, a: dict[str, Any]) -> torch.Tensor:
    x = given[0]
    axes = given[1].tolist() if len(given) > 1 else a.get("axes", [i for i, n in enumerate(x.shape) if n == 1])
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.squeeze(axis)
    return x


def _unsqueezed(given: list, a: dict[str, Any]) -> torch.Tensor:
    x, axes = given[0], given[1].tolist() if len(given) > 1 else a["axes"]
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _constant(given: list, a: dict[str, Any]) -> torch.Tensor:
    return torch.from_numpy(numpy_helper.to_array(a["value"]).copy()) if "value" in a else torch.tensor(
        next(iter(a.values()))
    )  # fmt: skip


def _top(given: list, a: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.topk(given[0], int(given[1]), dim=a.get("axis", -1), largest=bool(a.get("largest", 1))))


TYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}
OPERATORS = {
    "Conv": _conv, "Gemm": _gemm, "BatchNormalization": _norm, "Reshape": _reshaped, "Slice": _sliced,
    "Squeeze": _squeezed, "Unsqueeze": _unsqueezed, "Constant": _constant,
    "TopK": _top,
    "Abs": lambda x, a: x[0].abs(),
    "MaxPool": lambda x, a: _pool(x, a, "max"),
    "AveragePool": lambda x, a: _pool(x, a, "mean"),
    "GlobalAveragePool": lambda x, a: x[0].mean(dim=tuple(range(2, x[0].ndim)), keepdim=True),
    "GlobalMaxPool": lambda x, a: x[0].amax(dim=tuple(range(2, x[0].ndim)), keepdim=True),
    "ReduceMean": lambda x, a: _reduce(x, a, "mean"),
    "ReduceSum": lambda x, a: _reduce(x, a, "sum"),
    "ReduceMax": lambda x, a: _reduce(x, a, "amax"),
    "ReduceMin": lambda x, a: _reduce(x, a, "amin"),
    "ReduceLogSumExp": lambda x, a: _reduce(x, a, "logsumexp"),
    "Add": lambda x, a: x[0] + x[1],
    "Sub": lambda x, a: x[0] - x[1],
    "Mul": lambda x, a: x[0] * x[1],
    "Div": lambda x, a: x[0] / x[1] if x[0].is_floating_point() else torch.div(x[0], x[1], rounding_mode="floor"),
    "Pow": lambda x, a: x[0] ** x[1],
    "MatMul": lambda x, a: x[0] @ x[1],
    "Neg": lambda x, a: -x[0],
    "Sqrt": lambda x, a: x[0].sqrt(),
    "Exp": lambda x, a: x[0].exp(),
    "Log": lambda x, a: x[0].log(),
    "Erf": lambda x, a: torch.erf(x[0]),
    "Reciprocal": lambda x, a: 1 / x[0],
    "Relu": lambda x, a: x[0].relu(),
    "Elu": lambda x, a: F.elu(x[0], a.get("alpha", 1.0)),
    "Selu": lambda x, a: F.selu(x[0]),
    "LeakyRelu": lambda x, a: F.leaky_relu(x[0], a.get("alpha", 0.01)),
    "Sigmoid": lambda x, a: x[0].sigmoid(),
    "HardSigmoid": lambda x, a: (a.get("alpha", 0.2) * x[0] + a.get("beta", 0.5)).clamp(0, 1),
    "HardSwish": lambda x, a: F.hardswish(x[0]),
    "Tanh": lambda x, a: x[0].tanh(),
    "Softplus": lambda x, a: F.softplus(x[0]),
    "Gelu": lambda x, a: F.gelu(x[0], approximate=a.get("approximate", b"none").decode()),
    "Softmax": lambda x, a: x[0].softmax(a.get("axis", -1)),
    "LogSoftmax": lambda x, a: x[0].log_softmax(a.get("axis", -1)),
    "Clip": lambda x, a: x[0].clamp(*(float(v) if v is not None else None for v in x[1:3])),
    "Max": lambda x, a: torch.maximum(x[0], x[1]),
    "Min": lambda x, a: torch.minimum(x[0], x[1]),
    "LayerNormalization": lambda x, a: F.layer_norm(x[0], x[1].shape, x[1], x[2] if len(x) > 2 else None,
                                                    a.get("epsilon", 1e-5)),
    "InstanceNormalization": lambda x, a: F.instance_norm(x[0], weight=x[1], bias=x[2], eps=a.get("epsilon", 1e-5)),
    "Flatten": lambda x, a: x[0].flatten(a.get("axis", 1)),
    "Transpose": lambda x, a: x[0].permute(a["perm"]),
    "Concat": lambda x, a: torch.cat(x, dim=a["axis"]),
    "Identity": lambda x, a: x[0],
    "Dropout": lambda x, a: x[0],
    "Shape": lambda x, a: torch.tensor(x[0].shape),
    "Gather": lambda x, a: x[0].index_select(a.get("axis", 0), x[1].reshape(-1)).reshape(
        x[0].shape[: a.get("axis", 0)] + x[1].shape + x[0].shape[a.get("axis", 0) + 1 :]),
    "Cast": lambda x, a: x[0].to(TYPES[a["to"]]),
    "Expand": lambda x, a: x[0].expand(torch.broadcast_shapes(x[0].shape, x[1].tolist())),
    "Where": lambda x, a: torch.where(x[0], x[1], x[2]),
    "Split": lambda x, a: tuple(x[0].split(x[1].tolist(), dim=a.get("axis", 0))),
}  # fmt: skip


def mel_of(samples: np.ndarray, feature: dict[str, Any]) -> np.ndarray:
    """The mel spectrogram of the whole song in decibels, (bands, frames)."""
    keys = ("n_fft", "hop_length", "win_length", "window", "center", "power", "n_mels", "fmin", "fmax")
    named = {key: feature[key] for key in keys if key in feature}
    named |= {"htk": feature.get("mel_scale") == "htk", "norm": feature.get("mel_norm")}
    mel = librosa.feature.melspectrogram(y=samples, sr=feature["sample_rate"], **named)
    return librosa.power_to_db(mel, ref=1.0, top_db=None)


def segments(mel: np.ndarray, info: dict[str, Any]) -> np.ndarray:
    """All segments of the song as the net wants them: (segments, bands, frames) from 0 to 255."""
    feature = info["feature"]
    seconds = feature.get("clip_seconds") or info["listen"]["clip_seconds"]
    long = 1 + int(seconds * feature["sample_rate"]) // feature["hop_length"]
    crop, found = info["clips"]["frames"], []
    for start in range(0, max(1, mel.shape[1] - long + 1), long):
        clip = mel[:, start : start + long]
        clip = np.maximum(clip - clip.max(), -feature["top_db"])
        clip = np.round((clip - clip.min()) / max(np.ptp(clip), 1e-9) * 255)
        if feature.get("frames"):
            count = feature["frames"]
            divisor = feature.get("frame_divisor") or count
            columns = ((np.arange(count) + 0.5) / divisor * clip.shape[1]).astype(int)
            clip = clip[:, np.minimum(columns, clip.shape[1] - 1)]
        size = crop or clip.shape[1]
        if clip.shape[1] < size:
            clip = np.take(clip, np.arange(size) % clip.shape[1], axis=1)
        room = clip.shape[1] - size
        number = 1 + int(np.ceil(room / (size * (1 - info["clips"]["overlap"])))) if room else 1
        found += [clip[:, at : at + size] for at in np.unique(np.linspace(0, room, number).round().astype(int))]
    return np.stack(found).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("songs", nargs="+")
    parser.add_argument("--begin", type=float, default=0.0, help="leave out so many seconds at the beginning")
    parser.add_argument("--onnx", action="store_true", help="ONNX Runtime for the net, not torch")
    options = parser.parse_args()
    graph = onnx.load(options.model)
    info = json.loads([entry.value for entry in graph.metadata_props if entry.key == "tonearm"][-1])
    # Only what the model file says of its feature is read by tonearm; "native" is the rate of nearly all music.
    info["feature"] = features.from_config(info["feature"]).config()
    info["feature"]["sample_rate"] = info["feature"].get("sample_rate") or info["listen"].get("sample_rate") or 44100
    info["clips"] = {"frames": None, "overlap": 0.5, "join": "log-mean", **(info.get("clips") or {})}
    if options.onnx:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(options.model, settings)

        def net(batch: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(session.run(["logits"], {"features": batch})[0])
    else:
        net = TorchGraph(graph.graph)
    for path in options.songs:
        marks = [time.process_time()]
        samples, rate = librosa.load(path, sr=info["feature"]["sample_rate"], mono=True)
        skip = round(options.begin * rate)
        samples = samples[skip if len(samples) > 2 * skip else 0 :]
        marks.append(time.process_time())
        mel = mel_of(samples, info["feature"])
        marks.append(time.process_time())
        found = segments(mel, info)
        logits = torch.cat([net(found[at : at + 32]) for at in range(0, len(found), 32)])
        logs = logits.log_softmax(-1)
        joined = logs.exp().mean(0).log() if info["clips"]["join"] == "mean" else logs.mean(0)
        best = (joined / info["temperature"]).softmax(-1).topk(2).values
        marks.append(time.process_time())
        load, mel_seconds, net_seconds = np.diff(marks).tolist()
        print(json.dumps({"path": path, "genre": info["classes"][int(joined.argmax())], "load": load,
                          "margin": float(best[0] - best[1]),
                          "mel": mel_seconds, "net": net_seconds, "segments": len(found)}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
