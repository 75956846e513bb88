"""A user's own encoder: an ONNX graph from sound (or its log-mel) to a vector, described by a small YAML file.

file: my-encoder.onnx        # beside the YAML; left out: the same name with .onnx
sample_rate: 16000           # what the graph wants, in Hz
window_seconds: 1.0          # how much sound goes in at once
hop_seconds: 0.5             # from one window to the next; left out: a window
input: waveform              # or a feature: {kind: logmel, n_mels: 64, n_fft: 512, hop_length: 160, ref: 1.0}
axes: row,frame              # of a feature: bands first, or frame,row
output: embedding            # its name in the graph; left out: the first
pooling: mean+deviation      # of the windows of a song; or mean
excerpts: 3                  # how much of a song is heard
clip_seconds: 30.0
"""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import features
from tonearm.audio import Waveform
from tonearm.errors import TonearmError, UsageError, unknown_name
from tonearm.runtime import _listen
from tonearm.runtime._file import ModelError, read_bytes

POOLINGS = ("mean", "mean+deviation")
AXES = ("row,frame", "frame,row")
DEFAULTS = {
    "hop_seconds": None, "input": "waveform", "axes": "row,frame", "output": None, "pooling": "mean", "excerpts": 3,
    "clip_seconds": 30.0, "name": "",
}  # fmt: skip
NEEDED = ("sample_rate", "window_seconds")
EXAMPLE = "sample_rate: 16000, window_seconds: 1.0, input: waveform"
BATCH = 32
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}


class EncoderError(TonearmError):
    """An encoder that cannot be used: which file, why."""

    code = "encoder"


class Encoder:
    """An encoder ready to listen: `plan` is how much of a song it hears, `feature` what it makes of a window."""

    def __init__(self, config: dict[str, Any], content: bytes, where: object) -> None:
        self.where, self.content = where, content
        self.config = checked(config, where)
        self.name = str(self.config["name"] or Path(str(where)).stem)
        rate = int(self.config["sample_rate"])
        wanted = self.config["input"]
        described = {"kind": "raw"} if wanted == "waveform" else dict(wanted)
        if described.get("sample_rate", rate) != rate:
            raise UsageError(f"{where}: sample_rate is {rate}, that of its feature {described['sample_rate']}")
        self.feature = features.from_config({**described, "sample_rate": rate})
        if self.feature.axes != ("row", "frame"):
            raise UsageError(f"{where}: the feature {self.feature.kind!r} has no frames: no encoder takes it")
        clip_seconds = max(float(self.config["clip_seconds"]), float(self.config["window_seconds"]))
        self.plan = _listen.Plan(rate, int(self.config["excerpts"]), clip_seconds, clip_seconds)

    @cached_property
    def version(self) -> str:
        """What tells it from others: the first 12 digits of a hash over the graph and all that decides its vectors."""
        told = {key: value for key, value in self.config.items() if key != "name"}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode() + self.content).hexdigest()[:12]

    @property
    def size(self) -> int:
        """Samples of a window."""
        return round(self.config["window_seconds"] * self.plan.sample_rate)

    def features_of(self, waveforms: list[Waveform]) -> np.ndarray:
        """Windows of all excerpts, as the graph takes them: float32 (windows, rows, frames)."""
        rate, size = self.plan.sample_rate, self.size
        hop = max(1, round((self.config["hop_seconds"] or self.config["window_seconds"]) * rate))
        pieces = []
        for waveform in waveforms:
            samples = np.ascontiguousarray(waveform.samples, np.float32)
            if len(samples) < size:  # what is shorter is repeated: silence would be a sound of its own
                samples = np.take(samples, np.arange(size) % len(samples))
            pieces += [samples[at : at + size] for at in range(0, len(samples) - size + 1, hop)]
        if self.feature.kind == "raw":
            return np.stack(pieces)[:, None, :]
        return np.stack([self.feature(Waveform(piece, rate)) for piece in pieces]).astype(np.float32)

    def from_excerpts(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Windows of one sound (windows, rows, frames): no probabilities, (0,), and the vector (d,), float32."""
        batch = BATCH if self._batches else 1
        parts = [self._run(array[at : at + batch]) for at in range(0, len(array), batch)]
        vectors = np.concatenate(parts).astype(np.float64)
        if not np.isfinite(vectors).all():
            raise EncoderError(f"{self.where}: it gave NaN or infinity for a sound")
        pooled = [vectors.mean(axis=0)]
        if self.config["pooling"] == "mean+deviation":
            pooled.append(vectors.std(axis=0))
        return np.empty(0), np.concatenate(pooled).astype(np.float32)

    def check(self) -> int:
        """Run it once, on noise: how many numbers a vector has; EncoderError where the graph is not as described."""
        noise = np.random.default_rng(0).normal(scale=0.1, size=2 * self.size).astype(np.float32)
        return len(self.from_excerpts(self.features_of([Waveform(noise, self.plan.sample_rate)]))[1])

    def _run(self, array: np.ndarray) -> np.ndarray:
        """Vectors (n, d) of windows (n, rows, frames)."""
        given = self.session.get_inputs()[0]
        array = array if self.config["axes"] == "row,frame" else array.swapaxes(1, 2)
        rank = len(given.shape)
        if self.feature.kind == "raw":
            shapes = {1: (-1,), 2: (len(array), -1), 3: (len(array), 1, -1)}
        else:
            shapes = {2: array.shape[1:], 3: array.shape, 4: (len(array), 1, *array.shape[1:])}
        if rank not in shapes:
            raise EncoderError(
                f"{self.where}: its input has {rank} axes; {' or '.join(map(str, shapes))} are understood"
            )
        fed = np.ascontiguousarray(array.reshape(shapes[rank]).astype(_TYPES[given.type]))
        try:
            found = np.asarray(self.session.run([self._output], {given.name: fed})[0])
        except Exception as error:  # ONNX Runtime has no base class for what it raises
            reason = " ".join(str(error).split())[:300]
            hint = f"its input is {given.shape}, it was given {list(fed.shape)}: see window_seconds, input, axes"
            raise EncoderError(f"{self.where}: the graph does not run: {reason}", hint=hint) from None
        if found.ndim == 1 and len(array) == 1:
            found = found[None]
        if found.ndim == 3:  # vectors of frames within the window
            found = found.mean(axis=1)
        if found.ndim != 2 or len(found) != len(array) or not found.shape[1]:
            shape = list(found.shape)
            raise EncoderError(
                f"{self.where}: {self._output!r} has the shape {shape} for {len(array)} windows, not (n, d)"
            )
        return found

    @cached_property
    def session(self) -> Any:
        from tonearm.runtime._session import open_session

        session = open_session(self.content, self.where)
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type not in _TYPES:
            told = ", ".join(f"{put.name} {put.type}" for put in inputs)
            raise EncoderError(f"{self.where}: an encoder takes one array of numbers; this graph takes {told}")
        return session

    @cached_property
    def _output(self) -> str:
        names = [output.name for output in self.session.get_outputs()]
        wanted = self.config["output"] or names[0]
        if wanted not in names:
            raise unknown_name(f"output of {self.where}:", wanted, names)
        return wanted

    @cached_property
    def _batches(self) -> bool:
        """Whether the graph takes several windows at once: its first axis is free."""
        shape = self.session.get_inputs()[0].shape
        least = 2 if self.feature.kind == "raw" else 3
        return len(shape) >= least and not isinstance(shape[0], int)


def open_encoder(path: str | os.PathLike) -> Encoder:
    """The encoder of a YAML file, or of an ONNX file that has a YAML file of the same name beside it."""
    path = Path(path)
    if path.suffix.lower() == ".onnx":
        beside = [path.with_suffix(suffix) for suffix in (".yaml", ".yml")]
        found = next((file for file in beside if file.is_file()), None)
        if found is None:
            raise UsageError(
                f"{path}: no {beside[0].name} beside it says what it takes", hint=f"it must hold at least: {EXAMPLE}"
            )
        return Encoder({**_read(found), "name": path.stem}, _graph(path), path)
    config = _read(path)
    graph = path.parent / str(config.pop("file", path.with_suffix(".onnx").name))
    return Encoder({"name": graph.stem, **config}, _graph(graph), path)


def _graph(path: Path) -> bytes:
    try:
        return read_bytes(path)
    except ModelError as error:
        raise EncoderError(error.message, hint="`file` in the YAML names the graph", code=error.code) from None


def _read(path: Path) -> dict[str, Any]:
    import yaml

    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UsageError(f"{path}: the description of the encoder cannot be read: {reason}") from None
    if not isinstance(config, dict):
        raise UsageError(f"{path}: an encoder is described by names and values", hint=f"such as {EXAMPLE}")
    return config


def checked(config: dict[str, Any], where: object) -> dict[str, Any]:
    """The description with its defaults, or a UsageError that says what is wrong with it."""
    for key in config:
        if key not in DEFAULTS and key not in NEEDED:
            raise unknown_name(f"key in {where}:", key, [*NEEDED, *DEFAULTS, "file"])
    for key in NEEDED:
        if config.get(key) is None:
            raise UsageError(f"{where}: {key} is missing", hint=f"an encoder is described by, for example: {EXAMPLE}")
    whole = {**DEFAULTS, **config}
    limits = {"sample_rate": (1000, 400_000), "window_seconds": (0.01, 600), "hop_seconds": (0.001, 600),
              "excerpts": (1, 1000), "clip_seconds": (0.1, 3600)}  # fmt: skip
    for key, (low, high) in limits.items():
        value = whole[key]
        if value is None and DEFAULTS.get(key, 0) is None:
            continue
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise UsageError(f"{where}: {key} is {value!r}, not a number from {low:g} to {high:g}")
    for key in ("sample_rate", "excerpts"):
        if int(whole[key]) != whole[key]:
            raise UsageError(f"{where}: {key} is {whole[key]!r}, not a whole number")
    for key, valid in (("pooling", POOLINGS), ("axes", AXES)):
        if whole[key] not in valid:
            raise unknown_name(f"{key} in {where}:", whole[key], valid)
    if whole["input"] != "waveform" and not isinstance(whole["input"], dict):
        hint = "input: {kind: logmel, n_mels: 64, …}; `tonearm features list` shows the kinds"
        raise UsageError(f"{where}: input is {whole['input']!r}, not waveform or a feature", hint=hint)
    return whole
