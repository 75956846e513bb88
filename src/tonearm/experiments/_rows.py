"""Run folders as the rows of a comparison: which belong to one system, what it is called, and its figures."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tonearm import evaluation, runs
from tonearm.errors import TonearmError, UsageError
from tonearm.evaluation.figures import independent_groups
from tonearm.evaluation.metrics import right
from tonearm.experiments._effects import Answers
from tonearm.recipes import from_config

# Figures that are told beside accuracy.
ALSO = ("balanced_accuracy", "f1_macro", "log_loss", "ece")
FIGURES = ("n", "accuracy", "interval", "interval_over", "by_seed", "sd_over_seeds", "interval_over_seeds", *ALSO)
# What a recipe says beside its settings.
_NO_SETTINGS = ("name", "system", "claim", "caveats", "published", "quick", "search", "dataset")


@dataclass(frozen=True)
class System:
    """Runs that differ in nothing but their seed, or but their fold. `about` is run.json of each."""

    folders: tuple[Path, ...]
    about: tuple[dict[str, Any], ...]
    config: dict[str, Any] | None = None
    error: str | None = None

    @property
    def folds(self) -> bool:
        return bool(self.about and self.about[0].get("fold"))


def systems(folders: Sequence[Path]) -> list[System]:
    """Runs gathered to systems, in the order they were found; a run that cannot be read stands alone."""
    found: dict[str, list[tuple[Path, dict, dict]]] = {}
    broken = []
    for folder in folders:
        try:
            about = runs.read_json(folder / "run.json")
            config = _config(folder)
            key = _key(about, config)
        except (TonearmError, KeyError, TypeError, AttributeError) as error:
            reason = error.message if isinstance(error, TonearmError) else f"not a whole run: {error!r}"
            broken.append(System((folder,), (), error=reason))
            continue
        if about["status"] != "finished" and not about.get("fold"):
            key += str(folder)  # a seed that failed is a row; the others have their figure without it
        found.setdefault(key, []).append((folder, about, config))
    whole = []
    for members in found.values():
        whole += _without_twins(members)
    return whole + broken


def _without_twins(members: list[tuple[Path, dict, dict]]) -> list[System]:
    """A seed (or fold) that is there twice, such as a repeated run, makes a system of its own, not a wider spread."""
    rounds: list[dict[tuple, tuple[Path, dict, dict]]] = []
    for member in members:
        own = (member[1]["seed"], member[1].get("fold"))
        free = next((some for some in rounds if own not in some), None)
        if free is None:
            rounds.append(free := {})
        free[own] = member
    made = []
    for some in rounds:
        ordered = [some[own] for own in sorted(some)]
        made.append(System(*(tuple(one[i] for one in ordered) for i in (0, 1)), config=ordered[0][2]))
    return made


def _config(folder: Path) -> dict[str, Any]:
    import yaml

    try:
        text = (folder / "recipe.yaml").read_text(encoding="utf-8")
        return from_config(yaml.safe_load(text), where=str(folder / "recipe.yaml")).config()
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, yaml.YAMLError) as error:
        raise TonearmError(f"{folder / 'recipe.yaml'}: cannot be read: {error}", code="unreadable") from None


def _key(about: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Equal for runs that differ in seed or fold alone. Folds have different splits, seeds have the same."""
    fold = about.get("fold")
    apart = [about["protocol"], about["seed"]] if fold else [about["split"]["hash"]]
    deciding = [about["recipe"], _flat(config), about["data"]["sha256"], about["quick"], about["adapted"], apart]
    return json.dumps(deciding, sort_keys=True, default=str)


def described(system: System) -> dict[str, Any]:
    """What a system is, without figures."""
    about = system.about[0] if system.about else {}
    config = system.config or {}
    states = Counter(one.get("status", "unreadable") for one in system.about)
    status, error = _status(system, states)
    split = about.get("split", {})
    return {
        "name": about.get("recipe") or _short(system.folders[0]),
        "recipe": about.get("recipe"),
        "title": (config.get("system") or {}).get("title", ""),
        "claim": config.get("claim"),
        "caveats": list(config.get("caveats") or []),
        "runs": [str(folder) for folder in system.folders],
        "seeds": sorted({one["seed"] for one in system.about}),
        "folds": len(system.about) if system.folds else None,
        "status": status,
        "error": error,
        "test": None,
        "data": about.get("data", {}).get("name"),
        "data_hash": _hash(about.get("data", {}).get("sha256")),
        "protocol": about.get("protocol"),
        "split": split.get("name"),
        "split_hash": _hash([one["split"]["hash"] for one in system.about]) if system.folds else split.get("hash"),
        "part": None,
        "unit": None,
        "chosen_on_this": False,
        "leaky": bool(about.get("leaky")),
        "adapted": list(about.get("adapted") or []),
        "quick": bool(about.get("quick")),
        **dict.fromkeys(FIGURES),
        "parameters": about.get("parameters"),
        "epochs": _mean([one.get("epochs") for one in system.about]),
        "seconds": _mean([one.get("seconds") for one in system.about]),
        "machine": about.get("machine"),
        "differs": {},
        "marks": [],
        "curves": [_curves(folder, one) for folder, one in zip(system.folders, system.about, strict=False)],
        "against_best": None,
        "config": config,
    }


def _status(system: System, states: Counter) -> tuple[str, str | None]:
    if system.error:
        return "unreadable", system.error
    if set(states) == {"finished"}:
        return "finished", None
    first = next(one for one in system.about if one["status"] != "finished")
    reason = (first.get("error") or {}).get("message") or f"it is {first['status']}"
    if states["finished"]:
        reason = f"{states['finished']} of {len(system.about)} folds are finished; {reason}"
    return first["status"], reason


def _curves(folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    try:
        rows = runs.read_curves(folder)
    except (OSError, ValueError):
        rows = []  # torn by hand: a picture less, and no reason to stop
    return {"run": str(folder), "seed": about.get("seed"), "rows": rows}


def part_of(system: System, on: str) -> str:
    """The part that is compared: the one asked for, or test, or validation."""
    parts = runs.read_json(system.folders[0] / "metrics.json")["parts"]
    if on == "auto":
        return "test" if "test" in parts else next(iter(parts))
    if on not in parts:
        raise UsageError(f"no figures of the part {on}, only of {', '.join(parts)}", code="missing")
    return on


def figures(system: System, part: str, resamples: int) -> tuple[dict[str, Any], Answers | None]:
    """Accuracy with its interval and spread, and who was right where: None for segments, which are not independent."""
    metrics = [runs.read_json(folder / "metrics.json") for folder in system.folders]
    try:
        units = {runs.unit_of(one, part) for one in metrics}
        unit = next(iter(units))
        told = [one["parts"][part][unit] for one in metrics]
        some = [runs.read_predictions(folder, part, unit=unit.removesuffix("s")) for folder in system.folders]
        also = {key: _mean([one.get(key) for one in told]) for key in ALSO}
        chosen = all(one["chosen_on"] == part for one in metrics)
    except (KeyError, TypeError, StopIteration) as error:
        raise TonearmError(f"{system.folders[0]}: not a whole run: {error!r}", code="unreadable") from None
    about = {"part": part, "unit": unit.removesuffix("s"), "chosen_on_this": chosen, **also}
    if system.folds:
        return _of_folds(system, some, about, resamples)
    if any(one.ids != some[0].ids for one in some):
        raise TonearmError("its seeds were judged on different tracks", code="differing-tracks")
    hits = np.stack([right(one.truth, one.probabilities) for one in some]).astype(float)
    groups, over = independent_groups(some[0])
    seeds = evaluation.over_seeds(hits, groups=groups, over=over, resamples=resamples)
    about |= {
        "n": len(some[0]),
        "accuracy": seeds.mean,
        "interval": seeds.sampling.pair(),
        "interval_over": seeds.sampling.over,
        "by_seed": list(seeds.values),
        "sd_over_seeds": None if math.isnan(seeds.sd) else seeds.sd,
        "interval_over_seeds": None if math.isnan(seeds.low) else [seeds.low, seeds.high],
    }
    if unit == "segments":
        return about, None
    return about, Answers(hits, tuple(one["seed"] for one in system.about), some[0].ids, groups, over)


def _of_folds(
    system: System, some: Sequence[evaluation.Predictions], about: dict[str, Any], resamples: int
) -> tuple[dict[str, Any], Answers | None]:
    ids = [name for one in some for name in one.ids]
    if len(set(ids)) < len(ids):
        raise TonearmError("its folds share tracks: they are not of one split", code="differing-tracks")
    joined = evaluation.checked_predictions(
        ids, np.concatenate([one.truth for one in some]), np.concatenate([one.probabilities for one in some]),
        some[0].classes, groups=[group for one in some for group in (one.groups or [""] * len(one))],
    )  # fmt: skip
    hits = right(joined.truth, joined.probabilities).astype(float)
    groups, over = independent_groups(joined)
    rate = evaluation.rate_interval(hits, groups=groups, over=over, resamples=resamples)
    about |= {"n": len(ids), "accuracy": rate.value, "interval": rate.pair(), "interval_over": over, "by_seed": None}
    return about, Answers(hits[None], (system.about[0]["seed"],), joined.ids, groups, over)


def marks(row: Mapping[str, Any]) -> list[str]:
    """What whoever reads the figure must know, in sentences."""
    found = []
    if row["leaky"]:
        found.append(f"leaky: the protocol {row['protocol']} lets pieces of one song stand on both sides")
    if row["chosen_on_this"]:
        found.append(f"the epoch was chosen on this part ({row['part']}), so its figure is a little too good")
    elif row["part"] == "valid":
        found.append("a figure of validation, not of a test part")
    if row["quick"]:
        found.append("quick: one epoch of a small version, no figure to be quoted")
    found += [f"adapted: {sentence}" for sentence in row["adapted"]]
    claim = row["claim"]
    if claim and claim["metric"] == "accuracy" and row["interval"][0] is not None:
        low, high = row["interval"]
        where = "within" if low <= claim["value"] <= high else "above" if claim["value"] > high else "below"
        found.append(
            f"its authors claim {100 * claim['value']:.4g} % ({claim['dataset']}, {claim['protocol']}), which is "
            f"{where} our interval"
        )
    return found


def name(rows: Sequence[dict[str, Any]]) -> None:
    """A name of its own for each row: the recipe's; what it changes of it; how it was split; the folder."""
    by_recipe: dict[str | None, list[dict[str, Any]]] = {}
    for row in rows:
        by_recipe.setdefault(row["recipe"], []).append(row)
    for same in by_recipe.values():
        if len(same) > 1:
            flat = [_flat(row["config"]) for row in same]
            keys = sorted({key for one in flat for key in one if any(one.get(key) != other.get(key) for other in flat)})
            for row, one in zip(same, flat, strict=True):
                row["differs"] = {key: one[key] for key in keys if key in one}
                shown = [f"{key.rpartition('.')[2]} {_plain(value)}" for key, value in row["differs"].items()]
                if 0 < len(shown) <= 4:
                    row["name"] = f"{row['recipe']} ({', '.join(shown)})"
    shared = _shared([row["runs"][0] for row in rows])
    for further in (_split_in_words, lambda row: row["data"] or "", lambda row: _within(row["runs"][0], shared)):
        words: dict[str, set[str]] = {}
        for row in rows:
            words.setdefault(row["name"], set()).add(further(row))
        for row in rows:
            if len(words[row["name"]]) > 1 and further(row):  # what all of a name share tells none from the others
                row["name"] += f", {further(row)}"
    for row in rows:
        del row["config"]


def _split_in_words(row: Mapping[str, Any]) -> str:
    folds = f" in {row['folds']} folds" if row["folds"] else ""
    return f"{row['protocol']}{folds}" if row["protocol"] else ""


def _flat(config: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Settings by dotted path."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        if not before and key in _NO_SETTINGS:
            continue
        if isinstance(value, Mapping):
            found |= _flat(value, f"{before}{key}.")
        else:
            found[f"{before}{key}"] = value
    return found


def _plain(value: Any) -> str:
    return "default" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _short(folder: Path) -> str:
    """The folder as a person would name it: without what every path begins with."""
    try:
        shown = os.path.relpath(folder)
    except ValueError:  # another drive
        return str(folder)
    return str(folder) if shown.startswith("..") else shown


def _shared(paths: Sequence[str]) -> str:
    """The folder that all paths lie in; nothing where there is none, as on two drives."""
    try:
        return os.path.commonpath([os.path.dirname(os.path.abspath(path)) for path in paths])
    except ValueError:
        return ""


def _within(path: str, shared: str) -> str:
    return os.path.relpath(path, shared) if shared else path


def _hash(value: Any) -> str | None:
    return None if not value else hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if isinstance(value, (int, float))]
    return round(sum(known) / len(known), 6) if known else None
