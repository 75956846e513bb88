"""The model of a finished run, asked about other data: what evaluation beyond the run's own split needs."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from tonearm import evaluation, runs
from tonearm.errors import TonearmError
from tonearm.recipes import _fit
from tonearm.recipes._fits import fitted, known
from tonearm.recipes._load import read
from tonearm.recipes._material import Material, open_material
from tonearm.recipes._prepare import frames_for, is_classical, narrowed, starts_of, tabulated
from tonearm.recipes._run import Options, _threads
from tonearm.recipes._vectors import vectors


def predict_with(folder: str | Path, data: str | Path, *, quiet: bool = False) -> evaluation.Predictions:
    """What the model of run `folder` says of every labelled clip in `data` (a pack or dataset), per segment.

    The data must hold the feature that the model learnt from, stored in the same way; its genres must be known to
    the model. Probabilities are as the model gives them; `model/model.json` has the temperature.
    """
    trained = Trained(folder)
    material = open_material(trained.recipe, data, adapt=trained.adapted, quiet=quiet)
    evaluation.match_classes(trained.classes, material.classes, data_name=material.name)
    material = trained.checked(material)
    shares, positions = trained.answers(material, np.arange(len(material.rows)))
    track = material.table.row_track[positions]
    return evaluation.checked_predictions(
        material.table.ids[track].tolist(), material.table.genre[track].tolist(), shares, trained.classes,
        groups=material.table.artist[track].tolist(), unit="segment",
    )  # fmt: skip


class Trained:
    """The model of a finished run, read once and asked often. Weights are read when they are first needed."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.about: dict[str, Any] = runs.read_json(self.folder / "model" / "model.json")
        self.recipe = read(self.folder / "recipe.yaml")
        self.classes: tuple[str, ...] = tuple(self.about["classes"])

    @property
    def adapted(self) -> bool:
        """Whether the run took the nearest that its pack had, so that other data is adapted in the same way."""
        return bool(self.about["adapted"])

    @property
    def frames(self) -> int:
        return int(self.about["clip"]["frames"])

    @cached_property
    def classifier(self) -> Any:
        from tonearm import models

        return models.load(self.folder / "model" / "classical.model")

    @cached_property
    def net(self) -> tuple[Any, Any]:
        """The net with its weights, and what its input is scaled by."""
        try:
            import torch

            from tonearm.models import nets
            from tonearm.training import Scale, checkpoint
        except ImportError as error:
            raise TonearmError(
                f"{self.folder}: its model is a net, which needs torch and more ({error.name} is missing)",
                hint='pip install "tonearm[train]"',
                code="needs-extra",
            ) from None
        torch.set_num_threads(_threads(Options()))
        groups, told = checkpoint.load(self.folder / "model" / "net.safetensors")
        # Weights come from the run: a net that begins with a file of them does not need that file any more.
        scratch = getattr(nets.registry.get(told["net"]), "scratch", {})
        keywords = {**told["keywords"], **scratch}
        net = nets.create(told["net"], tuple(told["shape"]), len(self.classes), **keywords)
        net.load_state_dict(groups["net"])
        return net, Scale(groups["scale"]["mean"].numpy(), groups["scale"]["deviation"].numpy())

    @property
    def is_net(self) -> bool:
        return not is_classical(self.recipe.model["kind"])

    def adapt(self, material: Material) -> Material:
        """Material of a pack as the run adapted its own; what the recipe does not allow is refused."""
        return self.checked(fitted(self.recipe, material, adapt=self.adapted))

    def checked(self, material: Material) -> Material:
        """The material, refused where it is not what the model learnt from; it names every difference."""
        name, learnt = material.name, self.about["stored"]
        if dict(material.stored) != learnt:
            raise TonearmError(
                f"{name}: its values are stored otherwise than those that the model of {self.folder} learnt from",
                hint=f"learnt from {learnt}, these are {dict(material.stored)}",
                code="pack-lacks",
            )
        frames, material = frames_for(self.recipe, material)
        if frames != self.frames:
            raise TonearmError(
                f"{name}: clips of {frames} frames, the model learnt from {self.frames}", code="pack-lacks"
            )
        differs = evaluation.feature_differences(self.about["feature"], known(material.feature))
        if differs:
            raise TonearmError(
                f"{name} is not what the model of {self.folder} learnt from: {'; '.join(differs)}",
                hint="give a pack of the same feature, or the audio",
                code="pack-lacks",
            )
        return material

    def answers(self, material: Material, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities of every clip of `rows` of the material's table, (m, classes), and the row of each, (m,)."""
        recipe = self.recipe
        if not self.is_net:
            length = material.values.shape[2] if material.values.ndim == 3 else 1
            starts = starts_of(length, self.frames, recipe.clip.overlap)
            positions = np.repeat(rows, len(starts))
            pool = material.pool or recipe.vector.pool
            values, names = vectors(material, positions, np.tile(starts, len(rows)), self.frames, pool)
            return self.classifier.predict_proba(narrowed(recipe, values, names)[0]), positions
        clips = self.clips(material, rows)
        net, scale = self.net
        job = SimpleNamespace(recipe=recipe, parts={"all": rows})
        if recipe.deep is None:
            return _fit._answers(net, clips, job, scale, "all")
        values, at = _fit._embedded(net, clips, job, scale)
        return self.classifier.predict_proba(values), rows[at]

    def clips(self, material: Material, rows: np.ndarray) -> Any:
        """The clips that the net sees of those rows."""
        table = tabulated(self.recipe, material)
        return _fit._clips(table, rows, 1 if table.values.ndim == 2 else self.frames)
