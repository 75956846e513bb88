"""Where the gradient of a net points: only nets of runs have one, and only with torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tonearm.audio import Waveform
from tonearm.errors import TonearmError
from tonearm.judging._band_changes import hertz_of
from tonearm.judging._muffle import DROP_DB, Grid
from tonearm.judging.predictor import Predictor

# Points on the way from the sound turned down to the sound as it is.
STEPS = 16


@dataclass(frozen=True, eq=False)
class Attributions:
    """What each value of the feature adds to the log-probability of a genre, (rows, frames), lowest row first."""

    values: np.ndarray
    hertz: np.ndarray
    seconds: float

    def on(self, grid: Grid) -> np.ndarray:
        """Summed over the cells of a grid, (bands, columns)."""
        bands, columns = grid.shape
        middle = (np.arange(self.values.shape[1]) + 0.5) / self.values.shape[1] * self.seconds
        column = np.clip(np.searchsorted(grid.seconds, middle, side="right") - 1, 0, columns - 1)
        band = np.clip(np.searchsorted(grid.hertz, self.hertz, side="right") - 1, 0, bands - 1)
        found = np.zeros(grid.shape)
        np.add.at(found, (band[:, None], column[None, :]), self.values)
        return found


def attributions(predictor: Predictor, waveform: Waveform, target: int) -> tuple[Attributions | None, str]:
    """Integrated gradients (Sundararajan et al., ICML 2017) between the sound turned down and as it is.

    None with the reason where there are none: a model file is a graph without gradients, a classical model has none.
    """
    if predictor.kind != "run":
        return None, "a model file has no gradients: name the run that it was made from"
    trained: Any = predictor.trained
    if not trained.is_net or trained.recipe.deep is not None:
        return None, "the model of this run is classical and has no gradients"
    if predictor.hears.kind != "logmel":
        return None, f"the rows of {predictor.hears.kind} are no bands"
    try:
        import torch
    except ImportError as error:
        return None, f'gradients need torch ({error.name} is missing): pip install "tonearm[train]"'
    try:
        stored = predictor.stored(waveform)
        material = trained.adapt(predictor.material_of(stored[None]))
        clips = trained.clips(material, np.arange(1))
    except TonearmError as error:
        return None, error.message
    if clips.features.shape[1:] != stored.shape:
        return None, "its net learns from numbers made of the bands, not from the bands"
    net, scale = trained.net
    net.eval()
    starts = clips.fixed(trained.recipe.clip.overlap)[1]
    base = _turned_down(stored, predictor)
    total, count = np.zeros(stored.shape), np.zeros(stored.shape[1])
    frames = trained.frames
    for start in starts.tolist():
        piece, floor = (values[:, start : start + frames].astype(np.float32) for values in (stored, base))
        total[:, start : start + frames] += _integrated(net, scale, piece, floor, target, torch)
        count[start : start + frames] += 1
    values = total / np.maximum(count, 1)
    return Attributions(values, hertz_of(predictor.hears)[:, 1], waveform.seconds), ""


def _turned_down(stored: np.ndarray, predictor: Any) -> np.ndarray:
    """The feature of the sound turned down by as much as in occlusion, but not below its floor."""
    about, top_db = predictor.trained.about["stored"], predictor.hears.top_db or 80.0
    step = 1.0
    if about["dtype"] == "uint8":
        span = top_db
        if isinstance(about["scale"], dict) and about["scale"].get("kind") == "range":
            span = float(about["scale"]["high"]) - float(about["scale"]["low"])
        step = 255.0 / span
    return np.maximum(stored.astype(np.float32) - DROP_DB * step, float(stored.min()))


def _integrated(net: Any, scale: Any, piece: np.ndarray, floor: np.ndarray, target: int, torch: Any) -> np.ndarray:
    share = (np.arange(STEPS, dtype=np.float32) + 0.5)[:, None, None] / STEPS
    between = (floor + share * (piece - floor) - scale.mean) / scale.deviation
    x = torch.from_numpy(between.astype(np.float32)).requires_grad_(True)
    torch.log_softmax(net(x).float(), 1)[:, target].sum().backward()
    return x.grad.numpy().mean(axis=0) * (piece - floor) / scale.deviation
