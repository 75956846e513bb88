"""One recipe with several seeds, or over several folds: a run folder each, and one summary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import evaluation, runs
from tonearm.errors import TonearmError
from tonearm.evaluation.figures import independent_groups
from tonearm.evaluation.metrics import right
from tonearm.recipes._material import Material
from tonearm.recipes._run import Options, run
from tonearm.recipes._schema import Recipe


def run_seeds(
    recipe: Recipe, data: str, out: str | Path, seeds: Sequence[int], options: Options, *,
    material: Material | None = None,
) -> dict[str, Any]:  # fmt: skip
    """A run per seed under out/seed-N, and out/summary.json: spread over seeds apart from sampling of tracks."""
    out = Path(out)
    folders = [
        run(recipe, data, out / f"seed-{seed}", replace(options, seed=seed), material=material) for seed in seeds
    ]  # fmt: skip
    return _write(out, folders, {"seeds": list(seeds)}, over_seeds(folders))


def run_folds(
    recipe: Recipe, data: str, out: str | Path, folds: int, options: Options, *, material: Material | None = None
) -> dict[str, Any]:
    """A run per fold under out/fold-N; every track is test once, and the figures are over all of them."""
    out = Path(out)
    protocol = options.protocol if isinstance(options.protocol, dict) else {"name": options.protocol}
    protocol = {key: value for key, value in protocol.items() if key != "ratio"} | {"folds": folds}
    folders = []
    for fold in range(1, folds + 1):
        own = replace(options, protocol=protocol, fold=fold)
        folders.append(run(recipe, data, out / f"fold-{fold}", own, material=material))
    return _write(out, folders, {"folds": folds, "seeds": [options.seed]}, {"test": over_folds(folders)})


def _write(out: Path, folders: list[Path], how: dict[str, Any], figures: dict[str, Any]) -> dict[str, Any]:
    about = runs.read_json(folders[0] / "run.json")
    summary = {
        **{key: about[key] for key in ("recipe", "protocol", "leaky", "adapted", "quick", "parameters")},
        "data": about["data"]["name"],
        **how,
        "runs": [folder.name for folder in folders],
        "seconds": round(sum(runs.read_json(folder / "run.json").get("seconds", 0.0) for folder in folders), 2),
        "chosen_on": runs.read_json(folders[0] / "metrics.json")["chosen_on"],
        "parts": figures,
    }
    runs.write_json(out / "summary.json", summary)
    return summary


def over_seeds(folders: Sequence[Path]) -> dict[str, Any]:
    """Accuracy and F1 per part: mean, deviation over seeds, and the interval that comes of the sample of tracks."""
    found = {}
    metrics = [runs.read_json(folder / "metrics.json") for folder in folders]
    for part in metrics[0]["parts"]:
        units = [runs.unit_of(one, part) for one in metrics]
        unit = units[0].removesuffix("s")
        some = [runs.read_predictions(folder, part, unit=unit) for folder in folders]
        if any(one.ids != some[0].ids for one in some):
            raise TonearmError(
                f"{folders[0].parent}: the seeds were judged on different tracks", code="differing-tracks"
            )
        groups, over = independent_groups(some[0])
        hits = np.stack([right(one.truth, one.probabilities) for one in some])
        seeds = evaluation.over_seeds(hits, groups=groups, over=over)
        f1 = [one["parts"][part][units[0]]["f1_macro"] for one in metrics]
        found[part] = {
            "unit": unit,
            "n": len(some[0]),
            "accuracy": seeds.mean,
            "interval": seeds.sampling.pair(),
            "interval_over": seeds.sampling.over,
            "by_seed": list(seeds.values),
            "sd_over_seeds": None if math.isnan(seeds.sd) else seeds.sd,
            "interval_over_seeds": None if math.isnan(seeds.low) else [seeds.low, seeds.high],
            "f1_macro": float(np.mean(f1)),
        }
    return found


def over_folds(folders: Sequence[Path]) -> dict[str, Any]:
    """The test parts of all folds as one: each track was answered by the model that had not heard it."""
    some = [runs.read_predictions(folder, "test") for folder in folders]
    joined = evaluation.checked_predictions(
        [name for one in some for name in one.ids],
        np.concatenate([one.truth for one in some]),
        np.concatenate([one.probabilities for one in some]),
        some[0].classes,
        groups=[group for one in some for group in (one.groups or [""] * len(one))],
    )
    told = evaluation.summary(joined, resamples=1000)
    by_fold = [float(right(one.truth, one.probabilities).mean()) for one in some]
    return {
        **{key: told[key] for key in ("n", "accuracy", "interval", "interval_over", "f1_macro", "balanced_accuracy")},
        "by_fold": by_fold,
    }
