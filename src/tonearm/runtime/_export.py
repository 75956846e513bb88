"""From a trained net to a model file. The only part of this room that needs torch, and it asks for it where it does."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.errors import TonearmError, UsageError
from tonearm.runtime._file import FORMAT, checked, write_info

OPSET = 18
# Between the answers of ONNX Runtime and of torch: of a probability, and of an embedding relative to its largest value.
TOLERANCE = 1e-4
# Figures that a model file keeps of each part.
KEPT = ("n", "accuracy", "interval", "interval_over", "balanced_accuracy", "f1_macro", "ece", "per_genre")
# Of the answers that call themselves sure, so many should be right.
WANTED = 0.8
EXCERPTS = 3


def write_graph(module: Any, path: str | os.PathLike, info: Mapping[str, Any], *, frames: int, free: bool) -> float:
    """Write a torch module with what it says about itself as a model file; how far ONNX Runtime is from torch.

    `module` takes features (batch, rows, frames) as packs store them and returns logits (batch, classes) and an
    embedding (batch, d). With `free`, it takes any number of frames, else just `frames`. A file that disagrees with
    torch is not left behind.
    """
    _needed()
    info = checked(path, {"format": FORMAT, **info})
    rows = _rows(info)
    draw = np.random.default_rng(0)
    examples = [draw.uniform(0, 255, (2, rows, frames)), draw.uniform(0, 255, (3, rows, frames + free * frames // 3))]
    module = module.cpu().eval()
    content = _traced(module, examples[0].astype(np.float32), free)
    difference = max(_difference(content, module, some.astype(np.float32), path) for some in examples)
    if not difference <= TOLERANCE:
        raise TonearmError(f"{path}: ONNX Runtime and torch disagree by {difference:.2g}", code="export")
    _write(Path(path), write_info(content, info))
    return difference


def export_run(
    folder: str | os.PathLike,
    path: str | os.PathLike,
    *,
    name: str | None = None,
    licence: str | None = None,
    threshold: float | None = None,
    excerpts: int = EXCERPTS,
) -> dict[str, Any]:
    """The net of a finished run as a model file; returns what the file says about itself and `difference`."""
    from tonearm import runs

    _needed()
    folder = Path(folder)
    run = runs.read_json(folder / "run.json")
    if run.get("status") != "finished":
        raise TonearmError(f"{folder}: the run is {run.get('status')}, not finished", hint="finish it first")
    about = runs.read_json(folder / "model" / "model.json")
    _refuse(folder, about, excerpts)
    module, shape = _module(folder, about)
    info = _described(folder, run, about, name or Path(path).stem, licence, threshold, excerpts)
    difference = write_graph(module, path, info, frames=shape[1], free=False)
    return {**info, "difference": difference, "bytes": Path(path).stat().st_size}


def _needed() -> None:
    try:
        import onnx  # noqa: F401
        import torch  # noqa: F401
    except ImportError as error:
        raise TonearmError(
            f"writing a model file needs torch and onnx ({error.name} is missing)",
            hint='pip install "tonearm[train]"',
            code="needs-extra",
        ) from None


def _refuse(folder: Path, about: Mapping[str, Any], excerpts: int) -> None:
    """What has no form as a graph over frames, in a sentence each."""
    kind = about["model"]["kind"]
    if excerpts < 1:
        raise UsageError(f"a model hears at least one excerpt, not {excerpts}")
    if not (folder / "model" / "net.safetensors").is_file() or about["deep"]:
        what = f"the classifier {about['deep']['kind']!r} on what a net embeds" if about["deep"] else f"{kind!r}"
        raise TonearmError(
            f"{folder}: {what} has no form in ONNX: only nets that hear frames can be exported",
            hint="commands that evaluate take the run folder as it is",
            code="export",
        )
    if about["pool"] or "frame_rate" not in about["clip"] or about["clip"]["frame_rate"] is None:
        raise TonearmError(
            f"{folder}: its net learnt from columns, not from frames, and cannot be exported",
            hint="train a net on a feature that has frames, such as logmel",
            code="export",
        )
    if set(about["feature"]) == {"kind"}:
        raise TonearmError(
            f"{folder}: its net learnt from {about['feature']['kind']} as its pack was made to have it",
            hint="train it on a pack of its own feature, without --adapt",
            code="export",
        )
    if about["clip"]["join"] == "majority":
        raise TonearmError(
            f"{folder}: its votes are joined by majority, which a model file does not know",
            hint="train it with --set clip.join=log-mean",
            code="export",
        )


def _module(folder: Path, about: Mapping[str, Any]) -> tuple[Any, tuple[int, int]]:
    """The net of a run behind its scale, as `write_graph` wants it, and the (rows, frames) of its clips."""
    import torch
    from torch import nn

    from tonearm.models import nets
    from tonearm.training import checkpoint

    groups, told = checkpoint.load(folder / "model" / "net.safetensors")
    scratch = getattr(nets.registry.get(told["net"]), "scratch", {})
    net = nets.create(told["net"], tuple(told["shape"]), len(about["classes"]), **{**told["keywords"], **scratch})
    net.load_state_dict(groups["net"])

    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net
            self.register_buffer("mean", groups["scale"]["mean"])
            self.register_buffer("deviation", groups["scale"]["deviation"])

        def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            embedding = self.net.embed((features - self.mean) / self.deviation)
            return self.net.head(embedding), embedding

    return Scaled(), tuple(told["shape"])


def _described(
    folder: Path, run: Mapping[str, Any], about: Mapping[str, Any], name: str, licence: str | None,
    threshold: float | None, excerpts: int,
) -> dict[str, Any]:  # fmt: skip
    from tonearm import runs
    from tonearm.evaluation import apply_temperature, threshold_for_accuracy

    temperature = about["temperature"]
    if threshold is None:
        some = runs.read_predictions(folder, temperature["fitted_on"])
        shares = apply_temperature(some.probabilities, temperature["value"])
        # Where no confidence is enough, the model is never sure.
        found = threshold_for_accuracy(some.truth, shares, WANTED, resamples=100).value
        threshold = 1.0 if found is None else found
    metrics = runs.read_json(folder / "metrics.json")
    figures = [
        {
            "dataset": run["data"]["name"], "protocol": run["protocol"], "split": run["split"]["name"], "part": part,
            "seeds": [run["seed"]], "leaky": run["leaky"], "chosen_on": metrics["chosen_on"] == part,
            **{key: units["tracks"][key] for key in KEPT if key in units["tracks"]},
        }
        for part, units in sorted(metrics["parts"].items(), key=lambda item: item[0] != "test")
    ]  # fmt: skip
    seconds = float(about["feature"].get("clip_seconds") or 30.0)
    clip = about["clip"]
    return {
        "format": FORMAT,
        "name": name,
        "version": "",
        "classes": list(about["classes"]),
        "feature": dict(about["feature"]),
        "stored": dict(about["stored"]),
        "listen": {"excerpts": excerpts, "clip_seconds": seconds, "places": "spread"},
        "clips": {"frames": clip["frames"], "overlap": clip["overlap"],
                  "join": "log-mean" if clip["join"] == "log-mean" else "mean"},
        "temperature": temperature["value"],
        "threshold": round(float(threshold), 4),
        "figures": figures,
        "training": {"recipe": run["recipe"], "data": run["data"]["name"], "sha256": run["data"].get("sha256", {}),
                     "protocol": run["protocol"], "seeds": [run["seed"]], "tonearm": run["code"]["tonearm"],
                     "quick": run["quick"], "adapted": about["adapted"], "ids": _learnt(folder)},
        "licence": licence or _licence(run),
        "card": {},
    }  # fmt: skip


def _learnt(folder: Path) -> list[str]:
    """Ids of the tracks that the net learnt from, so that it can be told when it is judged on them."""
    from tonearm.protocols import read_split

    split = read_split(folder / "split.json")
    return sorted({name.rsplit("#", 1)[0] if split.unit == "row" else name for name in split.parts["train"]})


def _licence(run: Mapping[str, Any]) -> str:
    """What the pack that was learnt from says of its licence, as long as it is there to be asked."""
    from tonearm.packs import open_pack

    try:
        told = open_pack(run["data"]["source"]).meta.get("licence")
    except (TonearmError, KeyError, OSError):
        told = None
    return f"learnt from {run['data']['name']}: {told}" if told else f"that of {run['data']['name']}, which it learnt"


def _rows(info: Mapping[str, Any]) -> int:
    from tonearm import features

    rows = features.from_config(info["feature"]).rows
    if rows is None:
        raise TonearmError("the feature has no fixed number of rows, which a model file needs", code="export")
    return rows


def _traced(module: Any, example: np.ndarray, free: bool) -> bytes:
    import torch

    axes: dict[str, dict[int, str]] = {name: {0: "batch"} for name in ("features", "logits", "embedding")}
    if free:
        axes["features"][2] = "frames"
    file = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the older exporter, which is the one that knows recurrent layers
            torch.onnx.export(
                module, (torch.from_numpy(example),), file, input_names=["features"],
                output_names=["logits", "embedding"], opset_version=OPSET, dynamo=False, verbose=False,
                dynamic_axes=axes,
            )  # fmt: skip
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, TypeError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise TonearmError(f"this net has no form in ONNX: {reason}", code="export") from None
    return file.getvalue()


def _difference(content: bytes, module: Any, example: np.ndarray, path: object) -> float:
    import torch

    from tonearm.runtime._session import start

    logits, embedding = start(content, path, None, None).run(["logits", "embedding"], {"features": example})
    with torch.no_grad():
        wanted, vector = (some.double().numpy() for some in module(torch.from_numpy(example)))
    shares = np.abs(_softmax(logits.astype(np.float64)) - _softmax(wanted)).max()
    return float(max(shares, np.abs(embedding - vector).max() / max(1.0, np.abs(vector).max())))


def _softmax(logits: np.ndarray) -> np.ndarray:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise TonearmError(f"{path}: {error.strerror or error}", hint="the model was not written") from None
