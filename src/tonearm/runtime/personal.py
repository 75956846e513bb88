"""A personal model: a linear head over what another model (or a user's encoder) hears, as one .npz file.

The file (tonearm-personal/1) holds arrays and one JSON text, nothing that could run: `weights` (columns, classes),
`bias` (classes,), `mean` and `deviation` (columns,) of the scaler, `about`, and the bytes of an encoder or of a model
that does not come with tonearm (`graph`). Made by `tonearm learn`; used without scikit-learn.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.audio import Waveform
from tonearm.errors import TonearmError, UsageError
from tonearm.runtime import encoder, statistics
from tonearm.runtime._file import ModelError, read_bytes, version_of
from tonearm.runtime._model import Model

FORMAT = "tonearm-personal/1"
CUT = 5.0  # standardised values beyond so many deviations are cut off: a song unlike all others is no certainty
_ARRAYS = ("weights", "bias", "mean", "deviation")
_NEEDED = {"name": str, "classes": list, "temperature": (int, float), "threshold": (int, float), "inputs": list,
           "ear": dict, "figures": list}  # fmt: skip
Ear = Model | encoder.Encoder


class Personal(Model):
    """A personal model; used as any other. Its embedding is that of the model below it, or its encoder's vector."""

    hears_again = False  # its head learnt from embeddings of one hearing

    def __init__(self, path: str | os.PathLike) -> None:
        self.path = Path(path)
        content = read_bytes(self.path)
        about, self._arrays, graph = read(self.path, content)
        self.inputs = tuple(about["inputs"])
        self.ear = _ear(self.path, about, graph)
        heard = {"listen": {"excerpts": self.ear.plan.excerpts, "clip_seconds": self.ear.plan.clip_seconds}}
        if isinstance(self.ear, Model):
            heard = {key: self.ear.info[key] for key in ("listen", "clips", "stored", "feature")}
        else:
            heard["feature"] = self.ear.feature.config()
        self._use({**about, **heard}, version_of(content))

    def features_of(self, waveforms: list[Waveform]) -> np.ndarray:
        return self.ear.features_of(waveforms)

    def from_excerpts(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = described(self.ear, array, self.inputs)
        return self._shares(np.concatenate([found[name] for name in self.inputs])[None])[0], found["embedding"]

    def from_windows(self, waveforms: list[Waveform]) -> np.ndarray:
        return np.stack([self.from_waveforms([waveform])[0] for waveform in waveforms])

    def from_features(self, array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = described_rows(self.ear, array, self.inputs)
        return self._shares(np.concatenate([found[name] for name in self.inputs], axis=1)), found["embedding"]

    def _shares(self, values: np.ndarray) -> np.ndarray:
        """Values (n, columns) as calibrated probabilities (n, classes)."""
        head = self._arrays
        if values.shape[1] != len(head["mean"]):
            raise ModelError(f"{self.path}: it learnt from {len(head['mean'])} columns, here are {values.shape[1]}")
        scaled = np.clip((values - head["mean"]) / head["deviation"], -CUT, CUT)
        logits = (scaled @ head["weights"] + head["bias"]) / self.temperature
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)


load = Personal


def described(ear: Ear, array: np.ndarray, inputs: tuple[str, ...]) -> dict[str, np.ndarray]:
    """What a head learns from, of the excerpts of one sound: the vectors named in `inputs`, each (columns,)."""
    found = {"embedding": ear.from_excerpts(array)[1]}
    if "statistics" in inputs:
        found["statistics"] = statistics.statistics(array, span=span_of(ear))
    return found


def described_rows(ear: Ear, array: np.ndarray, inputs: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The same of sounds of one row each, as a pack holds them: each (n, columns)."""
    if not isinstance(ear, Model):
        raise UsageError(f"{ear.where}: an encoder hears sound, not the rows of a pack", hint="give it files")
    found = {"embedding": ear.from_features(array)[1]}
    if "statistics" in inputs:
        found["statistics"] = statistics.statistics_of_rows(array, span=span_of(ear))
    return found


def inputs_of(ear: Ear) -> tuple[str, ...]:
    """Which vectors a head can learn from: an encoder's input may be anything, so it has no statistics."""
    return ("embedding", "statistics") if isinstance(ear, Model) else ("embedding",)


def span_of(ear: Model) -> float:
    """From the lowest to the highest value of a model's feature, as its packs hold it."""
    if ear.info["stored"]["dtype"] == "uint8":
        return 255.0
    ends = ear.feature.value_range
    return float(ends[1] - ends[0]) if ends else 1.0


# ---- the file


def save(
    path: str | os.PathLike, about: dict[str, Any], arrays: dict[str, np.ndarray], graph: bytes | None = None
) -> None:
    """Write a personal model; whatever stood there before stays whole until the new one is."""
    path = Path(path)
    stored = {name: np.asarray(arrays[name], np.float64) for name in _ARRAYS}
    stored["weights"] = stored["weights"].astype(np.float32)
    text = json.dumps({"format": FORMAT, **about}, allow_nan=False)  # ASCII: a name need not be UTF-8
    stored["about"] = np.frombuffer(text.encode(), np.uint8)
    if graph is not None:
        stored["graph"] = np.frombuffer(graph, np.uint8)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            np.savez(file, allow_pickle=False, **stored)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        reason = error.strerror or str(error)
        raise TonearmError(f"{path}: the model cannot be written ({reason})", code="cannot-write") from None
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def read(path: str | os.PathLike, content: bytes | None = None) -> tuple[dict, dict[str, np.ndarray], bytes | None]:
    """What a file says about itself, its arrays, and the graph inside it if there is one; all checked."""
    content = read_bytes(path) if content is None else content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # As it is written nothing is compressed: a small file cannot fill the memory.
            if any(item.compress_type != zipfile.ZIP_STORED for item in archive.infolist()):
                raise ValueError("its arrays are compressed")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            about = json.loads(bytes(stored["about"]))
            if not isinstance(about, dict) or about.get("format") != FORMAT:
                raise ValueError(f"it is not of the format {FORMAT}")
            arrays = {name: stored[name] for name in _ARRAYS}
            graph = bytes(stored["graph"]) if "graph" in stored else None
        _check(about, arrays)
    except (ValueError, KeyError, TypeError, EOFError, OSError, zipfile.BadZipFile, RecursionError) as error:
        reason = f"{error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
        hint = "a personal model is what `tonearm learn` wrote"
        raise ModelError(f"{path}: not a personal model ({reason[:200]})", hint=hint) from None
    # The rest of a description that other commands read.
    return {"version": "", "training": {}, "card": {}, "licence": "", **about}, arrays, graph


def _check(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    for key, kind in _NEEDED.items():
        if not isinstance(about.get(key), kind) or isinstance(about.get(key), bool):
            raise ValueError(f"its description lacks {key}")
    classes = about["classes"]
    if (
        len(classes) < 2
        or not all(isinstance(name, str) and name for name in classes)
        or len(set(classes)) < len(classes)
    ):
        raise ValueError("its classes are not two or more different names")
    if not 0 < about["temperature"] < math.inf or not 0 <= about["threshold"] <= 1:
        raise ValueError("its temperature or threshold cannot be")
    if not set(about["inputs"]) <= {"embedding", "statistics"} or not about["inputs"]:
        raise ValueError(f"it learnt from {about['inputs']}")
    if "statistics" in about["inputs"] and about.get("statistics") != statistics.VERSION:
        raise ValueError(f"it learnt from the statistics {about.get('statistics')}; here are {statistics.VERSION}")
    columns = len(arrays["mean"])
    shapes = {"weights": (columns, len(classes)), "bias": (len(classes),), "mean": (columns,), "deviation": (columns,)}
    for name, shape in shapes.items():
        array = arrays[name]
        if array.shape != shape or array.dtype.kind != "f" or not np.isfinite(array).all():
            raise ValueError(f"{name} is {array.dtype} {array.shape}, or holds NaN")
    if not (arrays["deviation"] > 0).all():
        raise ValueError("a deviation is not above 0")


def _ear(path: Path, about: dict[str, Any], graph: bytes | None) -> Ear:
    """The model below, or the encoder inside."""
    ear = about["ear"]
    if ear.get("kind") == "encoder":
        if graph is None or not isinstance(ear.get("config"), dict):
            raise ModelError(f"{path}: the encoder is not in it")
        return encoder.Encoder(ear["config"], graph, f"{path}, encoder {ear.get('name', '')}")
    name, version = str(ear.get("name", "")), str(ear.get("sha256", ""))[:12]
    if graph is not None:
        return Model(path, content=graph)
    from tonearm.runtime._find import WEIGHTS

    # Only what comes with tonearm is named and not kept inside.
    file = WEIGHTS / f"{name}.onnx"
    hint = (
        f"learn it again (tonearm learn …), or use the tonearm that it was made with ({ear.get('tonearm', 'unknown')})"
    )
    if not file.is_file():
        raise ModelError(
            f"{path}: it was learnt on the model {name!r}, which is not installed here", hint=hint, code="other-base"
        )
    base = Model(file)
    if base.version != version:
        raise ModelError(
            f"{path}: it was learnt on {name} {version or '?'}, installed is {name} {base.version}",
            hint=hint,
            code="other-base",
        )
    return base


def ear_of(model: Ear) -> tuple[dict[str, Any], bytes | None]:
    """How a file names what it was learnt on, and the graph to keep inside it: that of any model but the shipped."""
    from tonearm import __version__
    from tonearm.runtime._find import WEIGHTS

    if not isinstance(model, Model):
        return {"kind": "encoder", "name": model.name, "version": model.version, "config": model.config}, model.content
    if isinstance(model, Personal):
        raise UsageError(f"{model.path}: it is a personal model itself", hint="learn on the model below it, or on fma")
    content = read_bytes(model.path)
    told = {"kind": "model", "name": model.name, "sha256": hashlib.sha256(content).hexdigest(), "tonearm": __version__}
    shipped = model.path.resolve().parent == WEIGHTS.resolve()
    return {**told, "name": model.path.stem if shipped else model.name}, None if shipped else content
