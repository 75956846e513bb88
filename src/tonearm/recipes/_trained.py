"""The model of a finished run, asked about other data: what evaluation beyond the run's own split needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tonearm import evaluation, runs
from tonearm.errors import TonearmError
from tonearm.recipes import _fit
from tonearm.recipes._load import read
from tonearm.recipes._material import Material, open_material
from tonearm.recipes._prepare import frames_for, narrowed, starts_of, tabulated
from tonearm.recipes._schema import Recipe
from tonearm.recipes._vectors import vectors


def predict_with(folder: str | Path, data: str | Path, *, quiet: bool = False) -> evaluation.Predictions:
    """What the model of run `folder` says of every labelled clip in `data` (a pack or dataset), per segment.

    The data must hold the feature that the model learnt from, stored in the same way; its genres must be known to
    the model. Probabilities are as the model gives them; `model/model.json` has the temperature.
    """
    folder = Path(folder)
    about = runs.read_json(folder / "model" / "model.json")
    recipe = read(folder / "recipe.yaml")
    material = open_material(recipe, data, adapt=bool(about["adapted"]), quiet=quiet)
    evaluation.match_classes(about["classes"], material.classes, data_name=material.name)
    if dict(material.stored) != about["stored"]:
        raise TonearmError(
            f"{material.name}: its values are stored otherwise than those that the model of {folder} learnt from",
            hint=f"learnt from {about['stored']}, these are {dict(material.stored)}",
            code="pack-lacks",
        )
    frames, material = frames_for(recipe, material)
    if frames != about["clip"]["frames"]:
        raise TonearmError(
            f"{material.name}: clips of {frames} frames, the model learnt from {about['clip']['frames']}",
            code="pack-lacks",
        )
    rows = np.arange(len(material.rows))
    shares, positions = _answers(folder, about, recipe, material, rows, frames)
    track = material.table.row_track[positions]
    return evaluation.checked_predictions(
        material.table.ids[track].tolist(), material.table.genre[track].tolist(), shares, about["classes"],
        groups=material.table.artist[track].tolist(), unit="segment",
    )  # fmt: skip


def _answers(
    folder: Path, about: Mapping[str, Any], recipe: Recipe, material: Material, rows: np.ndarray, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    from tonearm import models
    from tonearm.recipes._prepare import is_classical

    if is_classical(recipe.model["kind"]):
        length = material.values.shape[2] if material.values.ndim == 3 else 1
        starts = starts_of(length, frames, recipe.clip.overlap)
        positions = np.repeat(rows, len(starts))
        pool = material.pool or recipe.vector.pool
        values, names = vectors(material, positions, np.tile(starts, len(rows)), frames, pool)
        classifier = models.load(folder / "model" / "classical.model")
        return classifier.predict_proba(narrowed(recipe, values, names)[0]), positions
    net, scale = _net(folder, about)
    table = tabulated(recipe, material)
    clips = _fit._clips(table, rows, 1 if table.values.ndim == 2 else frames)
    job = SimpleNamespace(recipe=recipe, parts={"all": rows})
    if recipe.deep is None:
        return _fit._answers(net, clips, job, scale, "all")
    values, at = _fit._embedded(net, clips, job, scale)
    return models.load(folder / "model" / "classical.model").predict_proba(values), rows[at]


def _net(folder: Path, about: Mapping[str, Any]) -> tuple[Any, Any]:
    """The net of a run with its weights, and what its input is scaled by."""
    from tonearm.models import nets
    from tonearm.training import Scale, checkpoint

    groups, told = checkpoint.load(folder / "model" / "net.safetensors")
    # Weights come from the run: a net that begins with a file of them does not need that file any more.
    scratch = getattr(nets.registry.get(told["net"]), "scratch", {})
    keywords = {**told["keywords"], **scratch}
    net = nets.create(told["net"], tuple(told["shape"]), len(about["classes"]), **keywords)
    net.load_state_dict(groups["net"])
    return net, Scale(groups["scale"]["mean"].numpy(), groups["scale"]["deviation"].numpy())
