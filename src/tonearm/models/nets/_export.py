"""Networks as ONNX, with their feature in front: a file that takes a waveform and gives probabilities.

torch's newer exporter is not used: it knows no complex numbers, so no Fourier transform, and needs 17 to 90 seconds
for a recurrent layer of 300 steps. The older one writes the STFT and the LSTM as the one operator that ONNX has.
"""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from tonearm.errors import TonearmError, UsageError
from tonearm.features import Feature, _stft
from tonearm.features._grid import Grid, taper
from tonearm.features._mel import Mel
from tonearm.features._spectra import Spectra
from tonearm.models.nets._net import Net

OPSET = 18
TOLERANCE = 1e-4


class _TracedSpectra(Spectra):
    """Spectra by operators that ONNX has: the same windows, the same transform, no views of memory."""

    def __init__(self, samples: torch.Tensor, sample_rate: int, n_samples: int) -> None:
        super().__init__(samples, sample_rate)
        self.n_samples = n_samples  # a plain number: the length is fixed, and must not become part of the graph

    def _mel(self, grid: Grid, mel: Mel, power: float) -> torch.Tensor:
        return _stft.mel_of(self.magnitude(grid), grid, mel, self.sample_rate, power)

    def windows(self, grid: Grid) -> torch.Tensor:
        indices = grid.indices(self.n_samples)
        starts = np.arange(grid.total(self.n_samples)) if indices is None else indices
        places = (starts * grid.hop_length)[:, None] + np.arange(grid.n_fft)
        return self._padded(grid)[:, torch.from_numpy(places.astype(np.int64))]

    def _padded(self, grid: Grid) -> torch.Tensor:
        missing = max(0, grid.n_fft - self.n_samples - 2 * grid.pad)
        return nn.functional.pad(self.samples, (grid.pad, grid.pad + missing))

    def _magnitude(self, grid: Grid) -> torch.Tensor:
        window = torch.from_numpy(taper(grid.window, grid.win_length or grid.n_fft, grid.n_fft).copy())
        if grid.frames is None:
            frames, hop = self._padded(grid).double(), grid.hop_length
        else:  # frames spread over the clip: each is a signal of one window
            frames, hop = self.windows(grid).double().flatten(0, 1), grid.n_fft
        # torch would rather return complex numbers, which the exporter does not know.
        parts = torch.stft(frames, grid.n_fft, hop, window=window, center=False, return_complex=False)
        magnitude = (parts * parts).sum(-1).sqrt().float().transpose(1, 2)
        return magnitude if grid.frames is None else magnitude.reshape(-1, grid.frames, grid.bins)


class _Whole(nn.Module):
    """Waveform (batch, n_samples) or feature (batch, rows, frames) to probabilities and embedding."""

    def __init__(self, net: Net, feature: Feature | None, sample_rate: int, n_samples: int, scale: Any) -> None:
        super().__init__()
        self.net, self.feature, self.sample_rate, self.n_samples = net, feature, sample_rate, n_samples
        self.mean, self.deviation = (
            (torch.as_tensor(scale.mean), torch.as_tensor(scale.deviation)) if scale is not None else (None, None)
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self.feature is not None:
            if torch.jit.is_tracing():
                x = self.feature.compute(_TracedSpectra(x, self.sample_rate, self.n_samples)).float()
            else:
                x = self.feature.batch(x, self.sample_rate)
        if self.mean is not None:
            x = (x - self.mean) / self.deviation
        embedding = self.net.embed(x)
        return torch.softmax(self.net.head(embedding).float(), 1), embedding


def export(
    net: Net,
    path: str | Path,
    *,
    shape: tuple[int, ...] | None = None,
    feature: Feature | None = None,
    n_samples: int | None = None,
    sample_rate: int | None = None,
    scale: Any = None,
    about: Mapping[str, str] | None = None,
) -> float:
    """Write `net` as ONNX and return how far its answers are from torch's.

    With `feature`, the input is "waveform" (batch, n_samples) at `sample_rate`; else it is "feature" (batch, *shape).
    The batch is free. Outputs: "probabilities" (batch, n_classes) and "embedding" (batch, width). `scale` is the
    training's Scale; `about` goes into the file's metadata. A file that disagrees with torch is not left behind.
    """
    if feature is not None:
        sample_rate = sample_rate or feature.sample_rate
        if n_samples is None or sample_rate is None:
            raise UsageError("a net with its feature is exported for one length", hint="give n_samples and sample_rate")
        if not feature.has_batch:
            hint = "export the net alone: leave the feature out and give its shape"
            raise TonearmError(f"the feature {feature.kind!r} has no form in ONNX", hint=hint, code="export")
        size: tuple[int, ...] = (n_samples,)
        name = "waveform"
    elif shape is not None:
        size, name = tuple(shape), "feature"
    else:
        raise UsageError("what goes in is not known", hint="give the shape of the feature, or the feature itself")
    net = net.cpu().eval()
    whole = _Whole(net, feature, sample_rate or 0, n_samples or 0, scale).eval()
    # At least two clips: with one, the batch would be frozen at one. And numbers that are the same on every machine.
    example = torch.from_numpy(np.random.default_rng(0).normal(scale=0.1, size=(2, *size)).astype(np.float32))
    model = _traced(whole, example, name, about or {})
    difference = _difference(model, whole, example, name)
    if not difference <= TOLERANCE:
        raise TonearmError(f"{path}: ONNX Runtime and torch disagree by {difference:.2g}", code="export")
    _write(Path(path), model)
    return difference


def _traced(whole: nn.Module, example: torch.Tensor, name: str, about: Mapping[str, str]) -> bytes:
    try:
        import onnx
    except ImportError:
        hint = 'pip install "tonearm[train]"'
        raise TonearmError("writing ONNX needs the package onnx", hint=hint, code="needs-extra") from None
    names = ["probabilities", "embedding"]
    file = io.BytesIO()
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the older exporter and of what it counts as constant: as intended
            torch.onnx.export(
                whole, (example,), file, input_names=[name], output_names=names, opset_version=OPSET, dynamo=False,
                verbose=False,  # else it prints the whole graph where it fails
                dynamic_axes={each: {0: "batch"} for each in (name, *names)},
            )  # fmt: skip
    except (torch.onnx.errors.OnnxExporterError, RuntimeError, TypeError) as error:
        reason = str(error).strip().splitlines()[0][:200]
        raise TonearmError(f"this net or its feature has no form in ONNX: {reason}", code="export") from None
    model = onnx.load_from_string(file.getvalue())
    onnx.helper.set_model_props(model, dict(about))
    return model.SerializeToString()


def _difference(model: bytes, whole: nn.Module, example: torch.Tensor, name: str) -> float:
    """The largest difference of a probability, for a batch of another size than the one that was traced."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # its warnings are about its own optimisations
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    batch = torch.cat([example, 0.3 * example[:1].flip(-1)])
    (found,) = session.run(["probabilities"], {name: batch.numpy()})
    with torch.no_grad():
        expected, _ = whole(batch)
    return float(np.abs(found - expected.numpy()).max())


def _write(path: Path, model: bytes) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb") as file:
            file.write(model)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise TonearmError(f"{path}: {error.strerror or error}", hint="the model was not exported") from None
